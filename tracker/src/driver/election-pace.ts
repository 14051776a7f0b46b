/**
 * How long an election timeout T is: long enough for the slowest line of a quorum and the busiest thread. Each leader says its own in
 * every frame, and its followers keep to it, because a lease that a leader counts in its ticks is kept by what they count in theirs.
 */
import { driverLimits } from './driver-limits.ts'
import { WorstLately } from './worst-lately.ts'

const { electionMsMin, electionMsMax, electionTicks, timingWindowMs } = driverLimits

/**
 * Heartbeats leave every 0.4 T and are missed after T: a busy thread and a slow line may take what lies between, with some to spare. A
 * thread that was late itself looks at what came before it campaigns, so a follower's own lag does not count.
 */
const ROUND_TRIPS = 2
const LAGS = 2
/** T goes in such steps, so that it does not move with every measurement. */
const STEP_MS = 5

/** What is known of the pace of one peer. */
export interface HeardPace {
  /** T as it said last; 0 when it said nothing. */
  electionMs: number
  /** Round trips to this peer. */
  readonly roundTrips: WorstLately
}

/** A peer of which nothing was heard. */
export function unheardPace(): HeardPace {
  return { electionMs: 0, roundTrips: new WorstLately(timingWindowMs) }
}

/** What the groups of one driver live with. */
export interface GroupNeeds {
  /** Whether anything is asked of a group that this member leads. */
  readonly isActive: boolean
  /** Round trip to the slowest quorum of a group that it leads, milliseconds. */
  readonly ledMs: number
  /** Round trip to the slowest leader that it follows, milliseconds. */
  readonly followedMs: number
}

/** The T of one driver. */
export class ElectionPace {
  readonly #lag = new WorstLately(timingWindowMs)
  #campaignMs = 0
  #campaignUntilMs = Number.NEGATIVE_INFINITY
  #electionMs: number = electionMsMin
  #followingMs: number = electionMsMin

  /** @param nowMs the start: a program that just began is busier than it will be, so nothing is measured before it is slow */
  constructor(nowMs: number) {
    for (let time = 0; time < 2; time++) this.noteLag(driverLimits.firstLagMs, nowMs)
  }

  /** A timer fired this late. */
  noteLag(lagMs: number, nowMs: number): void {
    this.#lag.note(lagMs, nowMs)
  }

  /** A candidate was elected after so long: a round trip to a quorum, with time to make its vote durable. */
  noteCampaign(campaignMs: number, nowMs: number): void {
    if (nowMs < this.#campaignUntilMs && campaignMs < this.#campaignMs) return
    this.#campaignMs = campaignMs
    // By then heartbeats have measured the line.
    this.#campaignUntilMs = nowMs + 2 * timingWindowMs
  }

  /** Works T out anew from the lag here and what the groups need. */
  refresh({ isActive, ledMs, followedMs }: GroupNeeds, nowMs: number): void {
    const soonest = isActive ? electionMsMin : driverLimits.electionMsIdle
    const campaignMs = nowMs < this.#campaignUntilMs ? this.#campaignMs : 0
    this.#electionMs = Math.max(
      needed(Math.max(ledMs, campaignMs), this.#lag.value(nowMs)),
      soonest,
    )
    this.#followingMs = needed(followedMs, 0)
  }

  /** T of the groups that this member leads, milliseconds. */
  get electionMs(): number {
    return this.#electionMs
  }

  /** Length of a tick that goes with it. */
  get tickMs(): number {
    return this.#electionMs / electionTicks
  }

  /** Length of a tick behind a leader, when the leader's is not longer still. */
  get followingTickMs(): number {
    return this.#followingMs / electionTicks
  }
}

function needed(roundTripMs: number, lagMs: number): number {
  const ms = ROUND_TRIPS * roundTripMs + LAGS * lagMs
  return Math.ceil(Math.min(Math.max(ms, electionMsMin), electionMsMax) / STEP_MS) * STEP_MS
}

/**
 * Place of a voter among those who would campaign when a leader is gone. The order moves on with the term, so that nobody comes first
 * for ever who cannot win.
 * @param voters in ascending order
 */
export function electionPlace(
  voters: readonly number[],
  memberId: number,
  leader: number,
  term: number,
): number {
  const others = voters.filter((id) => id !== leader)
  const rank = others.indexOf(memberId)
  return rank < 0 ? others.length : (rank + term) % others.length
}
