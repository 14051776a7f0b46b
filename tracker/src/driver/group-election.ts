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
  readonly tickMs: number
  readonly writer: { readonly syncMs: number }
}

/** The timing of one group. */
export class GroupElection {
  readonly #host: ElectionHost
  /** The line to the leader is broken, and no other leader is known. */
  isLinkDown = false
  #lastLeader = 0
  #isNewLeader = false
  /** Time behind a leader that was not yet spent on a tick. */
  #owedMs = 0
  #wasLate = false

  constructor(host: ElectionHost) {
    this.#host = host
  }

  /** This member leads. */
  lead(): void {
    this.#isNewLeader = true
    this.#owedMs = 0
  }

  /** There is a leader. */
  follow(leader: number): void {
    this.#lastLeader = leader
    this.isLinkDown = false
  }

  /**
   * Ticks that a leader makes up for: enough to end any lease. More would let it find no quorum before it reads what the others said
   * meanwhile. It begins with a single one: from then on heartbeats leave with the first of the ticks that come together, and the lease
   * that they bring is over when the next ones leave. Nor does it begin with more, for it looks for its quorum after T counted from here,
   * and the answers to its first words take a round trip.
   */
  dueAsLeader(ticks: number): number {
    if (!this.#isNewLeader) return Math.min(ticks, electionTicks - 1)
    this.#isNewLeader = false
    return 1
  }

  /** Ticks behind a leader, whose ticks may be longer: it relies on its followers counting its lease no faster. */
  dueBehind(elapsedMs: number, tickMs: number): number {
    this.#owedMs += elapsedMs
    const due = Math.floor(this.#owedMs / tickMs)
    this.#owedMs -= due * tickMs
    if (due <= 2 * electionTicks) return due
    // After a long stop leases have ended, and a leader may be heard before anybody campaigns.
    this.#owedMs = 0
    return electionTicks
  }

  /** Time until the next tick behind a leader. */
  waitMs(tickMs: number): number {
    return tickMs - this.#owedMs
  }

  /**
   * Whether ticks that passed may start an election. Those of a thread that was late may not, for the leader's heartbeats may wait to be
   * read; but only once, so that whoever is late each time campaigns too.
   */
  mayCampaign(due: number): boolean {
    this.#wasLate = due > 1 && !this.#wasLate
    return !this.#wasLate
  }

  /** This member's place among those who would campaign; 0 is first. */
  place({ voters, votersOutgoing }: ConfState, term: number): number {
    const all =
      votersOutgoing.length === 0
        ? voters
        : [...new Set([...voters, ...votersOutgoing])].sort((a, b) => a - b)
    return electionPlace(all, this.#host.memberId, this.#lastLeader, term)
  }

  /** After how many ticks without a leader a member campaigns. */
  ticks(state: StateType, confState: ConfState, term: number): number {
    const { writer, tickMs } = this.#host
    const place = this.place(confState, term)
    // Votes are given when they are on disk.
    if (state === 'StateCandidate')
      return electionTicks + place + Math.ceil((3 * writer.syncMs) / tickMs)
    // Those who still heard the leader a moment ago said nothing; asking again costs nothing.
    if (state === 'StatePreCandidate') return 1 + place
    // Never sooner, however dead the leader's line looks from here: in lease mode it counts on T.
    return electionTicks + (this.isLinkDown ? place : 2 * place)
  }
}
