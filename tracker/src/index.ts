/** The public API of the tracker. */

export { Owned, Ownership, type OwnOptions } from './client/ownership.ts'
export type { CancelTimer, Clock } from './clock.ts'
export * from './coordination.ts'
export { TrackerError, type TrackerErrorCode } from './errors.ts'
export { decodeConfChange, encodeConfChange } from './raft/conf-change-codec.ts'
export type { RaftConfig, ReadMode } from './raft/config.ts'
export { raftLimits } from './raft/limits.ts'
export { emptyConfState, MemoryStorage } from './raft/memory-storage.ts'
export { RaftError, type RaftErrorCode } from './raft/raft-error.ts'
export { type ProgressStatus, type RaftStatus, RawNode } from './raft/raw-node.ts'
export * from './raft/types.ts'
export type { PeerFacts } from './region/presence-keeper.ts'
export type { AgentStatus, RegionConflict } from './region/region-agent.ts'
export type { GroupView, LagView, MemberView, RegionView } from './region/region-view.ts'
export type { PeerLoad, SegmentRange } from './soft/holding.ts'
export type { Holder, HolderOrder, Wanted } from './soft/questions.ts'
export type {
  SoftNews,
  SoftTotals,
  StreamQuestion,
  StreamReply,
  Swarms,
  ToldSubject,
} from './soft/swarms.ts'
export type { Tracker, TrackerComponents, TrackerFigures, TrackerInit } from './tracker.ts'
export {
  frameBytesMax,
  type Lane,
  type LineAddress,
  type LineIntroducer,
  type LineInvitation,
  type ListenAddress,
  type TrackerTransport,
  type TransportHandlers,
} from './transport.ts'
export { createTracker } from './worker/worker-tracker.ts'
