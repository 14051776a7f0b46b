/** What a region is made with, and what it counts. */
import type { Clock } from '../clock.ts'
import type { RaftLogger } from '../raft/types.ts'
import type { Folder } from '../wal/folder.ts'
import type { PlacementCounters } from './placement-controller.ts'
import type { PlacementSettings } from './placement-types.ts'
import type { PeerFacts } from './presence-keeper.ts'
import type { AgentStatus } from './region-agent.ts'
import type { Ask } from './region-asker.ts'
import type { RegionEngine } from './residence.ts'

/** What a region stands on. */
export interface RegionComponents {
  readonly clock: Clock
  /** Where the file with what this peer knows of itself lies. */
  readonly folder: Folder
  readonly engine: RegionEngine
  /** Asks other peers; requests to this one never come here. */
  readonly ask: Ask
  /** A number in [0, 1), from a source that nobody can guess: region ids are drawn from it. */
  readonly random: () => number
  /** Whether a peer may join the region that this one is in. */
  readonly mayJoin: (peerId: string) => boolean | Promise<boolean>
  /** What this peer tells of itself. */
  readonly peerFacts: () => PeerFacts
  readonly logger?: RaftLogger
  /** The peer entered a region, left one, lost or found its quorum, or met a conflict. */
  readonly onStatus?: (status: AgentStatus) => void
}

/** Settings of a region. */
export interface RegionInit {
  readonly peerId: string
  /** Name of the region to be in, 1 to {@link regionLimits}.nameBytesMax bytes. Default: `default`. */
  readonly name?: string
  /** Whether there are others to look for: the peer was given addresses, or remembers peers. */
  readonly expectsPeers: boolean
  /** Defaults: {@link placementLimits}. */
  readonly placement?: Partial<PlacementSettings>
}

/** What happened so far. */
export interface RegionCounters extends PlacementCounters {
  joined: number
  founded: number
  /** Peers that were let in, and not. */
  admitted: number
  refused: number
  /** Requests of peers that are no members. */
  strangersRefused: number
}
