/** The public API of the tracker. */
export { decodeConfChange, encodeConfChange } from './raft/conf-change-codec.ts'
export type { RaftConfig, ReadMode } from './raft/config.ts'
export { raftLimits } from './raft/limits.ts'
export { emptyConfState, MemoryStorage } from './raft/memory-storage.ts'
export { RaftError, type RaftErrorCode } from './raft/raft-error.ts'
export { type ProgressStatus, type RaftStatus, RawNode } from './raft/raw-node.ts'
export * from './raft/types.ts'
