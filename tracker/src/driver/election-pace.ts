/**
 * How long an election timeout T is: long enough for the slowest line and the busiest thread among the members, and the same for all
 * of them, because a lease that a leader counts in its ticks is kept by what the others count in theirs.
 *
 * Each member measures what it needs, and tells the largest need that it knows of together with its age. So a need reaches all
 * members, and is forgotten by all when whoever had it has it no more.
 */
import { driverLimits } from './driver-limits.ts'
import { WorstLately } from './worst-lately.ts'

const { electionMsMin, electionMsMax, electionTicks, announcedMs, timingWindowMs } = driverLimits

/**
 * Heartbeats leave every 0.4 T and are missed after T: a busy thread and a slow line may take what lies between, with some to spare. A
 * thread that was late itself looks at what came before it campaigns, so its own lag counts for its followers only.
 */
const ROUND_TRIPS = 2
const LAGS = 2
/** T goes in such steps, so that it does not move with every measurement. */
const STEP_MS = 5

/** What one peer said last of T. */
export interface HeardPace {
  electionMs: number
  /** When whoever needs it measured it, by this member's clock. */
  measuredMs: number
  /** Round trips to this peer. */
  readonly roundTrips: WorstLately
}

/** A peer of which nothing was heard. */
export function unheardPace(): HeardPace {
  const roundTrips = new WorstLately(timingWindowMs)
  return { electionMs: 0, measuredMs: Number.NEGATIVE_INFINITY, roundTrips }
}

/** The T of one driver. */
export class ElectionPace {
  readonly #lag = new WorstLately(timingWindowMs)
  #electionMs: number = electionMsMin
  #measuredMs = 0

  /** @param nowMs the start: a program that just began is busier than it will be, so nothing is measured before it is slow */
  constructor(nowMs: number) {
    for (let time = 0; time < 2; time++) this.noteLag(driverLimits.firstLagMs, nowMs)
  }

  /** A timer fired this late. */
  noteLag(lagMs: number, nowMs: number): void {
    this.#lag.note(lagMs, nowMs)
  }

  /** Works T out anew from the lag here and what is known of the peers. */
  refresh(peers: Iterable<{ readonly heard: HeardPace }>, nowMs: number): void {
    let roundTripMs = 0
    let electionMs = 0
    let measuredMs = nowMs
    for (const { heard: peer } of peers) {
      roundTripMs = Math.max(roundTripMs, peer.roundTrips.value(nowMs))
      if (nowMs - peer.measuredMs >= announcedMs || peer.electionMs <= electionMs) continue
      electionMs = peer.electionMs
      measuredMs = peer.measuredMs
    }
    const needed = ROUND_TRIPS * roundTripMs + LAGS * this.#lag.value(nowMs)
    const own =
      Math.ceil(Math.min(Math.max(needed, electionMsMin), electionMsMax) / STEP_MS) * STEP_MS
    this.#electionMs = Math.max(own, electionMs)
    this.#measuredMs = own >= electionMs ? nowMs : measuredMs
  }

  /** T in milliseconds. */
  get electionMs(): number {
    return this.#electionMs
  }

  /** Length of a tick that goes with it. */
  get tickMs(): number {
    return this.#electionMs / electionTicks
  }

  /** How long ago somebody needed this T. */
  ageMs(nowMs: number): number {
    return Math.min(Math.max(Math.ceil(nowMs - this.#measuredMs), 0), announcedMs)
  }
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
