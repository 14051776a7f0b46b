/** The appends on their way to one follower: a window by number of messages and by bytes of commands. */

/** How much may be on its way to one follower. */
export interface InflightLimits {
  /** Messages. */
  readonly messagesMax: number
  /** Bytes of commands; the message that passes it is still sent. */
  readonly bytesMax: number
}

interface Inflight {
  /** Index of the last entry of the message. */
  readonly index: number
  readonly bytes: number
}

/** The window of one follower. */
export class Inflights {
  readonly #limits: InflightLimits
  readonly #sent: Inflight[] = []
  /** Messages at the front of `#sent` that are acknowledged already. */
  #freed = 0
  #bytes = 0

  constructor(limits: InflightLimits) {
    this.#limits = limits
  }

  get count(): number {
    return this.#sent.length - this.#freed
  }

  /** Whether the next message has to wait. */
  get full(): boolean {
    return this.count >= this.#limits.messagesMax || this.#bytes >= this.#limits.bytesMax
  }

  /** A message was sent; indices only grow. */
  add(index: number, bytes: number): void {
    this.#sent.push({ index, bytes })
    this.#bytes += bytes
  }

  /** Everything up to an index is acknowledged. */
  freeUpTo(index: number): void {
    for (let next = this.#sent[this.#freed]; next !== undefined && next.index <= index; ) {
      this.#bytes -= next.bytes
      this.#freed += 1
      next = this.#sent[this.#freed]
    }
    // Moving the rest down only when half is free keeps the cost of a message constant.
    if (this.#freed > 0 && this.#freed * 2 >= this.#sent.length) {
      this.#sent.splice(0, this.#freed)
      this.#freed = 0
    }
  }

  /** Nothing is on its way any more. */
  reset(): void {
    this.#sent.length = 0
    this.#freed = 0
    this.#bytes = 0
  }
}
