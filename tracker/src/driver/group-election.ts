/**
 * When a member of one group campaigns, and how much of the time that passed counts. Leases rest on this: a follower votes for nobody
 * else until T has passed since it heard its leader, counted no faster than that leader counts.
 */
import type { ConfState, StateType } from '../raft/types.ts'
import { driverLimits } from './driver-limits.ts'
import { electionPlace } from './election-pace.ts'

const { electionTicks } = driverLimits

/** What the timing of a group needs of the driver. */
export interface ElectionHost {
  readonly memberId: number
  readonly readMode: 'safe' | 'lease'
  readonly tickMs: number
  readonly writer: { readonly syncMs: number }
}

/** The timing of one group. */
export class GroupElection {
  readonly #host: ElectionHost
  /** The line to the leader is broken, and no other leader is known. */
  isLinkDown = false
  #lastLeader = 0
  /** Time behind a leader with longer ticks that was not yet spent on one. */
  #creditMs = 0
  #wasLate = false

  constructor(host: ElectionHost) {
    this.#host = host
  }

  /** There is a leader. */
  follow(leader: number): void {
    this.#lastLeader = leader
    this.isLinkDown = false
  }

  /**
   * Ticks that a leader makes up for: enough to end any lease. More would let it find no quorum before it reads what the others said
   * meanwhile.
   */
  dueAsLeader(ticks: number): number {
    return Math.min(ticks, electionTicks - 1)
  }

  /** Ticks behind a leader, whose ticks may be longer: it relies on its followers counting its lease no faster. */
  dueBehind(leaderMs: number, ticks: number, tickMs: number): number {
    if (leaderMs <= tickMs) return ticks
    this.#creditMs += ticks * tickMs
    const due = Math.floor(this.#creditMs / leaderMs)
    this.#creditMs -= due * leaderMs
    return due
  }

  /**
   * Whether ticks that passed may start an election. Those of a thread that was late may not, for the leader's heartbeats may wait to be
   * read; but only once, so that whoever is late each time campaigns too.
   */
  mayCampaign(due: number): boolean {
    this.#wasLate = due > 1 && !this.#wasLate
    return !this.#wasLate
  }

  /** After how many ticks without a leader a member campaigns. */
  ticks(state: StateType, { voters, votersOutgoing }: ConfState, term: number): number {
    const { memberId, readMode, writer, tickMs } = this.#host
    const all =
      votersOutgoing.length === 0
        ? voters
        : [...new Set([...voters, ...votersOutgoing])].sort((a, b) => a - b)
    const place = electionPlace(all, memberId, this.#lastLeader, term)
    // Votes are given when they are on disk.
    if (state === 'StateCandidate')
      return electionTicks + place + Math.ceil((3 * writer.syncMs) / tickMs)
    // Those who still heard the leader a moment ago said nothing; asking again costs nothing.
    if (state === 'StatePreCandidate') return 1 + place
    // In lease mode the leader counts on T, however dead its line looks from here.
    if (this.isLinkDown) return (readMode === 'lease' ? electionTicks : 1) + place
    return electionTicks + 2 * place
  }
}
