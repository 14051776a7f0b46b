/**
 * The ticks of all groups: one timer, and none while no group has anybody to hear from. What passed is made up for before anything else
 * is looked at.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import { driverLimits } from './driver-limits.ts'
import { ElapsedTime } from './elapsed-time.ts'
import { ElectionPace } from './election-pace.ts'
import type { Group } from './group.ts'
import type { PeerLine } from './peer-line.ts'
import { TickLength } from './tick-length.ts'

const { electionTicks, timingRefreshMs } = driverLimits

/** What a ticker works with. */
export interface TickerInit {
  readonly clock: Clock
  readonly groups: ReadonlyMap<number, Group>
  readonly lines: ReadonlyMap<string, PeerLine>
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
  /** Time that passed and was not spent on ticks. */
  #owedMs = 0
  #cancel: CancelTimer | undefined
  #dueMs = 0
  #refreshedMs: number

  constructor(init: TickerInit) {
    this.#init = init
    const nowMs = init.clock.monotonicMs()
    this.#elapsed = new ElapsedTime(init.clock)
    this.pace = new ElectionPace(nowMs)
    this.pace.refresh([], nowMs)
    this.#length.follow(this.pace.tickMs, 0)
    this.#refreshedMs = nowMs
  }

  /** Length of a tick now. */
  get tickMs(): number {
    return this.#length.tickMs
  }

  /** Gives the groups the ticks that passed. */
  pass(nowMs: number): void {
    const { groups, lines, counters } = this.#init
    if (nowMs - this.#refreshedMs >= timingRefreshMs) {
      this.#refreshedMs = nowMs
      this.pace.refresh(lines.values(), nowMs)
      this.#length.follow(this.pace.tickMs, 0)
    }
    const { tickMs } = this
    this.#owedMs += this.#elapsed.take()
    let ticks = Math.floor(this.#owedMs / tickMs)
    if (ticks === 0) return
    this.#owedMs -= ticks * tickMs
    if (ticks > 2 * electionTicks) {
      // After a long stop: leases have ended, and a leader may be heard before anybody campaigns.
      ticks = electionTicks
      this.#owedMs = 0
      if (this.#cancel !== undefined) counters.longStops += 1
    }
    for (const group of groups.values()) if (group.needsTicks) group.pass(ticks, tickMs)
    this.#length.follow(this.pace.tickMs, ticks)
  }

  /** Sets the timer, when there is none and one is needed. */
  arm(nowMs: number): void {
    if (this.#cancel !== undefined || !this.#isNeeded) return
    const delayMs = Math.max(this.tickMs - this.#owedMs, 1)
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

  get #isNeeded(): boolean {
    for (const group of this.#init.groups.values()) if (group.needsTicks) return true
    return false
  }
}
