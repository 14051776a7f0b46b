/** What one group needs of the driver that runs it. */
import type { Message, RaftLogger, Snapshot } from '../raft/types.ts'
import type { Group } from './group.ts'
import type { LogWriter } from './log-writer.ts'
import type { PeerLine } from './peer-line.ts'

/** What a group needs of its driver. */
export interface GroupHost {
  readonly memberId: number
  readonly readMode: 'safe' | 'lease'
  readonly random: () => number
  readonly logger: RaftLogger
  readonly writer: LogWriter<Group>
  readonly counters: {
    proposals: number
    applied: number
    refusedMessages: number
    refusedProposals: number
    keptProposals: number
    unknownProposals: number
  }
  /** Length of a tick now. */
  readonly tickMs: number
  monotonicMs(): number
  /** A group elected this member, whose voters took so long to answer. */
  won(campaignMs: number): void
  line(peerId: string): PeerLine
  /** Whether a peer that the group does not know may speak as a member. */
  admits(peerId: string, memberId: number): boolean
  /** The line has something to send. */
  touch(line: PeerLine): void
  /** Has {@link Group.work} called in the next turn. */
  wake(group: Group): void
  /** Writes a snapshot that came from the leader; calls back in a turn. */
  saveSnapshot(group: Group, snapshot: Snapshot, done: () => void): void
  sendSnapshot(group: Group, message: Message, line: PeerLine): void
  /** A leader's snapshot is durable: older files can go. */
  snapshotInstalled(group: Group, index: number): void
  /** It is time for a snapshot of the group's own. */
  requestSnapshot(group: Group): void
  /** The group stops, because one of its rules is broken. */
  stopGroup(group: Group, error: unknown): void
}

/** Called when this member begins to lead a group in a term, and when it does so no longer. */
export type LeadershipListener = (term: number | undefined) => void
