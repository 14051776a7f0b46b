/**
 * The rooms of tracker/src as data: which may import which, as docs/tracker.md says it. Imports go down the house, never up; a room that needs
 * a new line here is a change of the architecture and is argued in its commit.
 */

/** Files directly in tracker/src, by what they are. */
const rootFiles: Readonly<Record<string, readonly string[]>> = {
  /** Time, errors, lines to other peers, what callers work with. */
  words: [...['clock.ts', 'errors.ts', 'transport.ts', 'coordination.ts', 'coordination-check.ts']],
  /** What a tracker is to the program. */
  face: ['tracker.ts'],
  entries: ['index.ts', 'program.ts'],
}

/** Rooms that a room may import besides itself, lowest first. A path names one file of a room. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  words: [],
  bytes: ['errors.ts'],
  raft: [],
  wal: ['raft/types.ts'],
  driver: ['words', 'bytes', 'raft', 'wal'],
  state: ['words', 'driver/state-machine.ts'],
  soft: ['words', 'bytes'],
  region: ['words', 'bytes', 'raft', 'wal', 'driver'],
  client: ['words', 'bytes', 'state', 'soft', 'region'],
  lines: ['words', 'raft/types.ts'],
  etcd: ['words'],
  face: ['words', 'raft/types.ts', 'soft', 'region'],
  member: ['words', 'raft', 'wal', 'driver', 'state', 'soft', 'region', 'client', 'face'],
  worker: [
    ...[
      'words',
      'raft/types.ts',
      'wal/disk-folder.ts',
      'soft',
      'region',
      'lines',
      'member',
      'face',
    ],
  ],
  entries: [
    ...['words', 'raft', 'driver', 'state', 'soft', 'region', 'client', 'lines', 'member'],
    ...['worker', 'face'],
  ],
}

/** What only some rooms may load: what has weight, and what a simulation cannot drive. */
const packageRooms: Readonly<Record<string, readonly string[]>> = {
  etcd3: ['etcd'],
  'node:worker_threads': ['worker'],
  'node:net': ['lines'],
  'node:tls': ['lines'],
  'node:fs': ['wal'],
  'node:fs/promises': ['wal'],
}

/** Where the machine's clock may be looked at and numbers drawn: everywhere else both are components, so that a simulation drives them. */
export function mayKnowTime(path: string): boolean {
  const ownDefault = ['clock.ts', 'driver/turns.ts']
  return ownDefault.includes(path) || ['worker', 'etcd'].includes(trackerRoomOf(path) ?? '')
}

/** Files through which the package is entered, from its package.json and as the start of a thread. */
export const trackerEntries: readonly string[] = [
  ...['index.ts', 'program.ts', 'etcd/etcd-coordination.ts'],
]

/** The room of a file of tracker/src, given its path there; undefined when the house has no place for it. */
export function trackerRoomOf(path: string): string | undefined {
  const [first, ...rest] = path.split('/') as [string, ...string[]]
  if (rest.length > 0) return first in mayImport ? first : undefined
  return Object.entries(rootFiles).find(([, files]) => files.includes(first))?.[0]
}

/** True when a file of `room` may import the file at `path` of `target`. */
export function trackerAllows(room: string, target: string, path: string): boolean {
  const allowed = mayImport[room] ?? []
  return room === target || allowed.includes(target) || allowed.includes(path)
}

/** Whether a room may load a package or a module of Node's. */
export function trackerMayLoad(room: string, specifier: string): boolean {
  return packageRooms[specifier]?.includes(room) ?? true
}
