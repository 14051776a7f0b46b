/**
 * One peer's tracker as the program sees it: coordination for its region, what is known of that region, and what an operator may do to it.
 * `createTracker` (worker/) runs it in a thread of its own.
 */
import type { Clock } from './clock.ts'
import type { Coordination } from './coordination.ts'
import type { RaftLogger } from './raft/types.ts'
import type { PeerFacts } from './region/presence-keeper.ts'
import type { AgentStatus } from './region/region-agent.ts'
import type { RegionView } from './region/region-view.ts'
import type { Swarms } from './soft/swarms.ts'
import type { TrackerTransport } from './transport.ts'

/** What a tracker stands on. */
export interface TrackerComponents {
  readonly transport: TrackerTransport
  readonly logger?: RaftLogger
  /** For waits between threads. Default the machine's. */
  readonly clock?: Clock
  /** Whether a peer may join the region that this one is in, and ask for what it decides; asked when a connection is made. */
  readonly mayJoin: (peerId: string) => boolean
  /** What this peer tells of itself; read when it starts, and again when {@link Tracker.setPeerFacts} brings others. */
  readonly peerFacts: PeerFacts
  /** The peer entered a region, left one, lost or found its quorum, met a conflict. */
  readonly onStatus?: (status: AgentStatus) => void
  /**
   * Its thread ended by itself, for this reason, and another one has begun, with another {@link Tracker.swarms}; all else comes back from the
   * log. Calls that were under way ended in ERR_UNKNOWN_OUTCOME, those between in ERR_UNAVAILABLE.
   */
  readonly onRestart?: (reason: Error) => void
  /** The tracker works no longer: its disk failed, or its thread ended again and again. All calls fail from now on. */
  readonly onFailure?: (error: Error) => void
}

/** Settings of a tracker. */
export interface TrackerInit {
  /** A folder of its own, an absolute path; made when it is not there. */
  readonly folder: string
  /** Name of the region to be in. Default `default`. */
  readonly region?: string
  /** Whether there are others to look for: the peer was given addresses, or remembers peers. */
  readonly expectsPeers: boolean
}

/** Figures of a tracker by name, since its start; for the program's metrics. */
export type TrackerFigures = Readonly<Record<string, number>>

/** One peer's tracker. */
export interface Tracker {
  /** Calls end in `ERR_UNAVAILABLE` while this peer is in no region. */
  readonly coordination: Coordination
  /** As it was told last. */
  readonly status: AgentStatus
  /** What peers only tell one another through the region's leaders: who holds what, who watches. */
  readonly swarms: Swarms
  /** Everything for an operator; asks all members that are alive. */
  view(): Promise<RegionView>
  figures(): Promise<TrackerFigures>
  setPeerFacts(facts: PeerFacts): void
  /** Leaves the region for good: others take over this peer's seats. Until the next start it belongs to none. */
  leave(): Promise<void>
  /** Gives up what this peer holds of its region and founds a new one. Dangerous: see `Region.forget`. */
  forget(): Promise<void>
  /** Moves this member to another region of the name, one that it met. @throws TrackerError ERR_INVALID_INPUT */
  merge(regionId: string): Promise<void>
  start(): Promise<void>
  /** Hands over what it leads, ends all calls and closes the log. */
  stop(): Promise<void>
}
