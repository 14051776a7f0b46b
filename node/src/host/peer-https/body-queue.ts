/** The body of an answer between the socket that brings it and its one reader, with backpressure and a watch over silence. */
import type { CancelTimer, Clock } from '../../clock.ts'
import { KairoError } from '../../errors.ts'
import { peerHttpLimits } from '../../limits/peer-http.ts'

/** What the queue asks of its source. */
export interface BodySource {
  /** There is room again. */
  readonly resume: () => void
  /** Nobody reads on: the rest is not wanted. Not called after the end or a failure. */
  readonly cancel: (reason: Error) => void
}

/** One body. Silence counts only while the reader waits. */
export class BodyQueue implements AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array> {
  readonly #clock: Clock
  readonly #source: BodySource
  #chunks: Uint8Array[] = []
  #first = 0
  #bytes = 0
  #ended = false
  #failure: Error | undefined
  #reader: ((result: IteratorResult<Uint8Array> | Promise<never>) => void) | undefined
  #cancelWatch: CancelTimer | undefined

  constructor(clock: Clock, source: BodySource) {
    this.#clock = clock
    this.#source = source
  }

  /** Takes a chunk; false when the source should pause until it is resumed. */
  push(chunk: Uint8Array): boolean {
    if (this.#ended || this.#failure !== undefined) return false
    if (this.#reader !== undefined) {
      this.#answer({ done: false, value: chunk })
      return true
    }
    this.#chunks.push(chunk)
    this.#bytes += chunk.byteLength
    return this.#bytes < peerHttpLimits.readQueueBytesMax
  }

  /** The body is whole. */
  end(): void {
    if (this.#failure !== undefined) return
    this.#ended = true
    this.#answer({ done: true, value: undefined })
  }

  /** The body breaks off; what came before can still be read. */
  fail(reason: Error): void {
    if (this.#ended || this.#failure !== undefined) return
    this.#failure = reason
    if (this.#reader !== undefined) this.#answer(Promise.reject(reason))
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return this
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    const chunk = this.#shift()
    if (chunk !== undefined) return Promise.resolve({ done: false, value: chunk })
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#ended) return Promise.resolve({ done: true, value: undefined })
    this.#cancelWatch = this.#clock.after(peerHttpLimits.stallMsMax, () => {
      this.#give(new KairoError('ERR_TIMEOUT', 'the other peer stopped in the middle of an answer'))
    })
    return new Promise((resolve) => {
      this.#reader = resolve
    })
  }

  /** The reader leaves early. */
  return(): Promise<IteratorResult<Uint8Array>> {
    this.#give(new KairoError('ERR_STOPPED', 'the answer was not read to its end'))
    return Promise.resolve({ done: true, value: undefined })
  }

  #shift(): Uint8Array | undefined {
    const chunk = this.#chunks[this.#first]
    if (chunk === undefined) return undefined
    const wasFull = this.#bytes >= peerHttpLimits.readQueueBytesMax
    this.#first += 1
    this.#bytes -= chunk.byteLength
    if (this.#first === this.#chunks.length) {
      this.#chunks = []
      this.#first = 0
    }
    if (wasFull && this.#bytes < peerHttpLimits.readQueueBytesMax) this.#source.resume()
    return chunk
  }

  #answer(result: IteratorResult<Uint8Array> | Promise<never>): void {
    this.#cancelWatch?.()
    this.#cancelWatch = undefined
    const reader = this.#reader
    this.#reader = undefined
    reader?.(result)
  }

  #give(reason: KairoError): void {
    if (this.#ended || this.#failure !== undefined) return
    this.#chunks = []
    this.#first = 0
    this.#bytes = 0
    this.fail(reason)
    this.#source.cancel(reason)
  }
}
