/**
 * Who sends next: one cap for all that this page sends, and the peers take turns under it, a chunk each. Whatever happens (a channel has room,
 * bytes came in, a message arrived) gives turns, so that a page whose timers are slowed keeps sending; the timer is for when nothing happens.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import { protocolLimits } from '../protocol/limits.ts'
import { meshLimits as limits } from './limits.ts'
import { TokenBucket } from './token-bucket.ts'

/** Somebody with bytes to send. */
export interface Sender {
  /** Sends one chunk. Returns its bytes; 0 when there is nothing to send, or no room. */
  sendNext(): number
}

/** The turns of all peers. */
export class UploadTurns {
  readonly #clock: Clock
  readonly #bucket: TokenBucket
  #bps: number
  /** Whose turn is next stands first. */
  readonly #waiting = new Set<Sender>()
  #isGiving = false
  #cancelTimer: CancelTimer | undefined

  /** @param bps bits a second of all peers together; 0: nothing is sent */
  constructor(components: { readonly clock: Clock }, bps: number) {
    this.#clock = components.clock
    this.#bps = bps
    this.#bucket = new TokenBucket(components.clock, ...bucketOf(bps))
  }

  get bps(): number {
    return this.#bps
  }

  set bps(bps: number) {
    this.#bps = bps
    this.#bucket.set(...bucketOf(bps))
    this.#stopTimer()
    this.give()
  }

  /** There may be something to send. */
  want(sender: Sender): void {
    this.#waiting.add(sender)
    this.give()
  }

  /** It has nothing to send any more. */
  leave(sender: Sender): void {
    this.#waiting.delete(sender)
    if (this.#waiting.size === 0) this.#stopTimer()
  }

  /** Lets those who wait send what the cap allows now. */
  give(): void {
    if (this.#isGiving || this.#bps === 0) return
    this.#isGiving = true
    try {
      while (this.#bucket.tokens > 0) {
        const [sender] = this.#waiting
        if (sender === undefined) break
        this.#waiting.delete(sender)
        const bytes = sender.sendNext()
        if (bytes === 0) continue
        this.#bucket.spend(bytes)
        this.#waiting.add(sender)
      }
    } finally {
      this.#isGiving = false
    }
    this.#wait()
  }

  /** No more turns. */
  close(): void {
    this.#waiting.clear()
    this.#stopTimer()
    this.#bps = 0
  }

  /** One timer at a time, for when a whole chunk may go; messages that come meanwhile leave it alone. */
  #wait(): void {
    if (this.#waiting.size === 0 || this.#cancelTimer !== undefined) return
    const ms = Math.ceil(this.#bucket.msUntil(protocolLimits.chunkBytesMax))
    this.#cancelTimer = this.#clock.after(Math.min(limits.turnMsMax, Math.max(1, ms)), () => {
      this.#cancelTimer = undefined
      this.give()
    })
  }

  #stopTimer(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }
}

/** Burst and gain a second, in bytes. */
function bucketOf(bps: number): [number, number] {
  const bytesPerSecond = bps / 8
  const burst = (bytesPerSecond * limits.burstMs) / 1_000
  return [Math.max(protocolLimits.chunkBytesMax, burst), bytesPerSecond]
}
