/** Starts the tracker's thread with what was compiled for the one before: its modules take most of the time until a peer is in its region. */
import { enableCompileCache } from 'node:module'

enableCompileCache()
await import('./tracker-thread.ts')
