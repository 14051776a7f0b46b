/** Keeps a connection under watch: measures the round trip, and notices when the other side says nothing any more. */
import type { CancelTimer, Clock } from '../clock.ts'
import type { Ping } from '../protocol/mesh-messages.ts'
import { meshLimits as limits } from './limits.ts'

/** Who is told. */
export interface HeartbeatInit {
  readonly send: (ping: Ping) => void
  /** Milliseconds, smoothed. */
  readonly onRtt: (rttMs: number) => void
  readonly onSilent: () => void
}

/** The heartbeat of one connection. */
export class Heartbeat {
  readonly #clock: Clock
  readonly #random: () => number
  readonly #init: HeartbeatInit
  #no = 0
  #sentMs = 0
  /** The ping under way has had no answer yet. */
  #isOpen = false
  #unanswered = 0
  #rttMs: number | undefined
  #cancelTimer: CancelTimer | undefined

  constructor(
    components: { readonly clock: Clock; readonly random: () => number },
    init: HeartbeatInit,
  ) {
    this.#clock = components.clock
    this.#random = components.random
    this.#init = init
  }

  /** The first ping goes at once. */
  start(): void {
    this.#ping()
  }

  /** Any message is a sign of life. */
  heard(): void {
    this.#unanswered = 0
  }

  /** An answer; one to an older ping says nothing. */
  takePong(no: number): void {
    if (!this.#isOpen || no !== this.#no) return
    this.#isOpen = false
    const rttMs = this.#clock.nowMs() - this.#sentMs
    this.#rttMs =
      this.#rttMs === undefined ? rttMs : this.#rttMs + limits.rttWeight * (rttMs - this.#rttMs)
    this.#init.onRtt(this.#rttMs)
  }

  /** Undefined until the first answer. */
  get rttMs(): number | undefined {
    return this.#rttMs
  }

  stop(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }

  #ping(): void {
    if (this.#unanswered === limits.pingsUnansweredMax) {
      this.#init.onSilent()
      return
    }
    this.#unanswered += 1
    this.#no += 1
    this.#sentMs = this.#clock.nowMs()
    this.#isOpen = true
    const inMs = limits.pingEveryMs * (1 - 0.1 * this.#random())
    this.#cancelTimer = this.#clock.after(inMs, () => this.#ping())
    this.#init.send({ kind: 'ping', no: this.#no })
  }
}
