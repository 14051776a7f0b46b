/**
 * A bitswap stream of another peer. Helia resets one that has been quiet for a while, and Kubo, which keeps a single stream for all it will
 * ever ask, then holds us for unresponsive and asks no more until we ask it something. Here a stream may be quiet for as long as its
 * connection lasts: what is bounded is the time that a message takes once its first byte has come.
 */
import type { withBitswap } from '@helia/bitswap'
import type { CancelTimer, Clock } from '../../clock.ts'
import { KairoError } from '../../errors.ts'
import { bitswapLimits } from '../../limits/ipfs.ts'

type Handler = Parameters<Parameters<typeof withBitswap>[0]['libp2p']['handle']>[1]
type Stream = Parameters<Handler>[0]

/** What a stream carries: messages, each behind its length as an unsigned varint. */
class MessageBounds {
  /** Bytes of the message that have not come. */
  #missing = 0
  /** The length as far as it has come, and how many bits of it. */
  #length = 0
  #bits = 0

  /** True when a message has begun and not ended. */
  get isWithin(): boolean {
    return this.#missing > 0 || this.#bits > 0
  }

  take(bytes: Uint8Array): void {
    for (let offset = 0; offset < bytes.byteLength; ) {
      if (this.#missing > 0) {
        const taken = Math.min(this.#missing, bytes.byteLength - offset)
        this.#missing -= taken
        offset += taken
        continue
      }
      const byte = bytes[offset] as number
      offset += 1
      this.#length += (byte & 0x7f) * 2 ** this.#bits
      this.#bits += 7
      if (byte < 0x80) {
        this.#missing = this.#length
        this.#length = 0
        this.#bits = 0
      }
    }
  }
}

/**
 * Lets a stream be quiet between messages, whatever its reader thinks of that, and ends it when a message takes longer than
 * {@link bitswapLimits.messageTimeoutMs}. To be called before anybody listens to the stream. What is wrong with a length is its reader's.
 */
export function letBeQuiet(stream: Stream, clock: Clock): void {
  const bounds = new MessageBounds()
  const listen = stream.addEventListener.bind(stream)
  const abort = stream.abort.bind(stream)
  let isWatched = false
  let late: CancelTimer | undefined
  const rest = (): void => {
    late?.()
    late = undefined
  }
  const watch = ({ data }: { readonly data: { subarray(): Uint8Array } }): void => {
    bounds.take(data.subarray())
    if (!bounds.isWithin) rest()
    else late ??= clock.after(bitswapLimits.messageTimeoutMs, tooLate)
  }
  const tooLate = (): void =>
    abort(new KairoError('ERR_TIMEOUT', 'a bitswap message did not come in time'))
  stream.abort = (error) => {
    if (error.name !== 'TimeoutError') abort(error)
  }
  // Bytes flow when the first listener comes, so this one comes with it.
  stream.addEventListener = ((...args: Parameters<typeof listen>) => {
    listen(...args)
    if (args[0] !== 'message' || isWatched) return
    isWatched = true
    listen('message', watch)
    listen('close', rest)
  }) as typeof stream.addEventListener
}
