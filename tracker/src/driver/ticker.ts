/**
 * The ticks of all groups: one timer, and none while no group has anybody to hear from. What passed is made up for before anything else
 * is looked at.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import { driverLimits } from './driver-limits.ts'
import { ElapsedTime } from './elapsed-time.ts'
import { ElectionPace, type GroupNeeds } from './election-pace.ts'
import type { Group } from './group.ts'
import { TickLength } from './tick-length.ts'

const { electionTicks, heartbeatTicks, timingRefreshMs, idleAfterMs } = driverLimits

/** Least time between two timers, as a share of a tick: below one, so that a timer that is a little late brings no second tick. */
const timerShare = 0.7

/** What a ticker works with. */
export interface TickerInit {
  readonly clock: Clock
  readonly groups: ReadonlyMap<number, Group>
  readonly counters: { longStops: number }
  /** Time has passed: a turn is due. */
  readonly turn: () => void
}

/** The ticks. */
export class Ticker {
  readonly pace: ElectionPace
  readonly #init: TickerInit
  readonly #elapsed: ElapsedTime
  readonly #length = new TickLength()
  /** Time that passed and was not spent on ticks of the groups that this member leads. */
  #owedMs = 0
  /** How much there was asked of groups, and when it was more than before. */
  #asked = 0
  #activeMs: number
  #cancel: CancelTimer | undefined
  #dueMs = 0
  #refreshedMs: number

  constructor(init: TickerInit) {
    this.#init = init
    const nowMs = init.clock.monotonicMs()
    this.#elapsed = new ElapsedTime(init.clock)
    this.pace = new ElectionPace(nowMs)
    this.#length.follow(this.pace.tickMs, 0)
    this.#refreshedMs = nowMs
    this.#activeMs = nowMs
  }

  /** Length of a tick of the groups that this member leads, now. */
  get tickMs(): number {
    return this.#length.tickMs
  }

  /** Gives the groups the ticks that passed. */
  pass(nowMs: number): void {
    const { groups, counters } = this.#init
    if (nowMs - this.#refreshedMs >= timingRefreshMs) this.#refresh(nowMs)
    const { followingTickMs } = this.pace
    const elapsedMs = this.#elapsed.take()
    this.#owedMs += elapsedMs
    // All leaders at a time, as many ticks as make each send one heartbeat: so one frame holds them all.
    const roundMs = this.tickMs * heartbeatTicks
    const rounds = Math.floor(this.#owedMs / roundMs)
    this.#owedMs -= rounds * roundMs
    let wasLong = false
    for (const group of groups.values()) {
      if (!group.needsTicks) continue
      if (!group.isLeader) wasLong = group.passBehind(elapsedMs, followingTickMs) || wasLong
      else if (rounds > 0) group.passAsLeader(rounds * heartbeatTicks)
    }
    if (wasLong || rounds * heartbeatTicks > 2 * electionTicks)
      counters.longStops += this.#cancel === undefined ? 0 : 1
    this.#length.follow(this.pace.tickMs, rounds * heartbeatTicks)
  }

  /**
   * This member leads one more group from now on. The answers that elected it are all that it may know of its lines: a T that they do not
   * fit into would end its leadership before it hears a follower. Called before the group counts as led.
   */
  won(campaignMs: number): void {
    const nowMs = this.#init.clock.monotonicMs()
    this.pace.noteCampaign(campaignMs, nowMs)
    this.#refresh(nowMs)
    for (const group of this.#init.groups.values()) if (group.isLeader && group.needsTicks) return
    this.#length.begin(this.pace.tickMs)
  }

  #refresh(nowMs: number): void {
    this.#refreshedMs = nowMs
    this.pace.refresh(this.#needs(nowMs), nowMs)
    this.#length.follow(this.pace.tickMs, 0)
  }

  /** Sets the timer, when there is none and one is needed. */
  arm(nowMs: number): void {
    if (this.#cancel !== undefined) return
    const waitMs = this.#waitMs()
    if (waitMs === undefined) return
    // Groups tick when they are due, and each is due at another moment: one timer serves those of most of a tick.
    const tickMs = Math.min(this.tickMs, this.pace.followingTickMs)
    const delayMs = Math.max(waitMs, tickMs * timerShare)
    this.#dueMs = nowMs + delayMs
    this.#cancel = this.#init.clock.after(delayMs, () => {
      this.#cancel = undefined
      const firedMs = this.#init.clock.monotonicMs()
      this.pace.noteLag(Math.max(firedMs - this.#dueMs, 0), firedMs)
      this.#init.turn()
    })
  }

  stop(): void {
    this.#cancel?.()
  }

  /** How long nobody needs a tick; undefined when nobody ever does. */
  #waitMs(): number | undefined {
    const { followingTickMs } = this.pace
    let waitMs: number | undefined
    for (const group of this.#init.groups.values()) {
      if (!group.needsTicks) continue
      const groupMs = group.isLeader
        ? this.tickMs * heartbeatTicks - this.#owedMs
        : group.waitBehind(followingTickMs)
      if (waitMs === undefined || groupMs < waitMs) waitMs = groupMs
    }
    return waitMs
  }

  #needs(nowMs: number): GroupNeeds {
    let asked = 0
    let ledMs = 0
    let followedMs = 0
    for (const group of this.#init.groups.values()) {
      if (!group.needsTicks) continue
      asked += group.asked
      const roundTripMs = group.roundTripMs(nowMs)
      if (group.isLeader) ledMs = Math.max(ledMs, roundTripMs)
      else followedMs = Math.max(followedMs, roundTripMs)
    }
    if (asked !== this.#asked) this.#activeMs = nowMs
    this.#asked = asked
    return { isActive: nowMs - this.#activeMs < idleAfterMs, ledMs, followedMs }
  }
}
