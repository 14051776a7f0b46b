/**
 * The rooms of tracker/src as data: which may import which, as docs/tracker.md says it. Imports go down the house, never up; a room that needs
 * a new line here is a change of the architecture and is argued in its commit.
 */
import { PackageRules } from './package-rules.ts'

/** The house of the tracker. */
export const trackerRules = new PackageRules({
  folder: 'tracker',
  rootFiles: {
    /** Time, errors, lines to other peers, what callers work with. */
    words: [
      ...['clock.ts', 'errors.ts', 'transport.ts', 'coordination.ts', 'coordination-check.ts'],
    ],
    /** What a tracker is to the program. */
    face: ['tracker.ts'],
    entries: ['index.ts', 'program.ts'],
  },
  mayImport: {
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
  },
  packageRooms: {
    etcd3: ['etcd'],
    'node:worker_threads': ['worker'],
    'node:net': ['lines'],
    'node:tls': ['lines'],
    'node:fs': ['wal'],
    'node:fs/promises': ['wal'],
  },
  entries: [...['index.ts', 'program.ts', 'etcd/etcd-coordination.ts']],
  knowTime: ['clock.ts', 'driver/turns.ts', 'worker', 'etcd'],
  users: ['bench'],
})
