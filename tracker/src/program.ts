/** What a program needs of the tracker while it runs, and nothing else of the package: the rest is loaded in the tracker's thread. */
export { type Owned, Ownership } from './client/ownership.ts'
export { TrackerError } from './errors.ts'
export { CurrentCoordination } from './member/current-coordination.ts'
export { frameBytesMax } from './transport.ts'
export { createTracker } from './worker/worker-tracker.ts'
