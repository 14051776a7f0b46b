/**
 * A libp2p stream as a {@link PeerStream}: back-pressure both ways, and a clear difference between the other side's
 * orderly end and a connection that went away.
 */
import type { MessageStreamEvents, Stream } from '@libp2p/interface'
import type { Clock } from '../clock.ts'
import { deadline } from '../deadline.ts'
import { KairoError } from '../errors.ts'
import { hostLimits } from '../limits.ts'
import type { PeerStream } from './transport.ts'

/** What a stream reports to its host. */
export interface PeerStreamComponents {
  readonly clock: Clock
  /** Called with the bytes that came in or went out. */
  readonly onBytes: (direction: 'in' | 'out', bytes: number) => void
}

/** One libp2p stream. Make it in the same turn in which libp2p hands the stream over, or its first bytes wait. */
export class Libp2pPeerStream implements PeerStream {
  readonly remotePeer: string
  readonly incoming: AsyncIterable<Uint8Array>
  readonly #components: PeerStreamComponents
  readonly #stream: Stream
  /** Chunks that came and were not yet consumed. */
  readonly #queue: Uint8Array[] = []
  #queuedBytes = 0
  #remoteClosed: boolean
  #ended = false
  #failure: Error | undefined
  /** Wakes the one reader that waits for the queue. */
  #wakeReader: (() => void) | undefined
  /** Wakes the one writer that waits for room. */
  #wakeWriter: (() => void) | undefined
  /** The write before, so that parallel writes keep their order and their bytes together. */
  #lastWrite: Promise<void> = Promise.resolve()

  constructor(components: PeerStreamComponents, stream: Stream, remotePeer: string) {
    this.#components = components
    this.#stream = stream
    this.remotePeer = remotePeer
    this.#remoteClosed = stream.remoteWriteStatus === 'closed' && stream.status === 'open'
    stream.addEventListener('remoteCloseWrite', () => {
      this.#remoteClosed = true
    })
    stream.addEventListener('end', () => this.#finish())
    stream.addEventListener('close', (event) => this.#onClose(event))
    stream.addEventListener('drain', () => this.#wakeWriter?.())
    stream.addEventListener('message', (event) => this.#onMessage(event))
    if (stream.status !== 'open') this.#failure = this.#broken('broke at once', undefined)
    if (stream.readableEnded) this.#finish()
    // One reader whoever iterates: leaving a loop early loses nothing, and the next loop goes on from there.
    const reader: AsyncIterator<Uint8Array> = { next: () => this.#next() }
    this.incoming = { [Symbol.asyncIterator]: () => reader }
  }

  async write(bytes: Uint8Array): Promise<void> {
    const previous = this.#lastWrite
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#lastWrite = promise
    await previous
    try {
      await this.#send(bytes)
    } finally {
      resolve()
    }
  }

  async close(): Promise<void> {
    await this.#lastWrite
    const limit = deadline(this.#components.clock, hostLimits.streamCloseTimeoutMs)
    try {
      await this.#stream.close({ signal: limit.signal })
    } catch (cause) {
      const error = this.#broken('did not take the last bytes', cause)
      this.#stream.abort(error)
      throw error
    } finally {
      limit.clear()
    }
  }

  abort(reason: Error): void {
    this.#queue.length = 0
    this.#queuedBytes = 0
    this.#failure ??= reason
    this.#stream.abort(reason)
    this.#wake()
  }

  /** Gives the stream up after its handler is done: what still comes is dropped, and a half left open is cut off. */
  release(): void {
    if (this.#remoteClosed || this.#stream.status !== 'open') return
    this.#queue.length = 0
    this.#queuedBytes = 0
    const cancel = this.#components.clock.after(hostLimits.streamCloseTimeoutMs, () =>
      this.abort(new KairoError('ERR_TIMEOUT', 'the other side did not close its half')),
    )
    this.#stream.addEventListener('close', cancel)
    // A no-op on yamux's wire; locally it drops what still comes.
    this.#stream.closeRead().catch((error: Error) => this.abort(error))
  }

  async #send(bytes: Uint8Array): Promise<void> {
    for (let offset = 0; offset < bytes.byteLength; offset += hostLimits.sendBytesMax) {
      const chunk = bytes.subarray(offset, offset + hostLimits.sendBytesMax)
      try {
        if (!this.#stream.send(chunk)) await this.#drained()
      } catch (cause) {
        throw this.#failure ?? this.#broken('is closed', cause)
      }
      this.#components.onBytes('out', chunk.byteLength)
    }
  }

  /** libp2p's own `onDrain` keeps its first promise for ever and so waits only once; this waits every time. */
  async #drained(): Promise<void> {
    const stream = this.#stream
    while (stream.writableNeedsDrain && stream.status === 'open') {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wakeWriter = resolve
      await promise
    }
    if (stream.writeStatus !== 'writable') throw this.#broken('broke', this.#failure)
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      const chunk = this.#queue.shift()
      if (chunk !== undefined) {
        this.#queuedBytes -= chunk.byteLength
        this.#resumeIfLow()
        return { done: false, value: chunk }
      }
      if (this.#failure !== undefined) throw this.#failure
      if (this.#ended) return { done: true, value: undefined }
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wakeReader = resolve
      this.#resumeIfLow()
      await promise
    }
  }

  #onMessage(event: MessageStreamEvents['message']): void {
    const data = event.data
    if (data instanceof Uint8Array) this.#queue.push(data)
    else for (const chunk of data) this.#queue.push(chunk)
    this.#queuedBytes += data.byteLength
    this.#components.onBytes('in', data.byteLength)
    if (
      this.#queuedBytes >= hostLimits.readQueueBytesMax &&
      this.#stream.readStatus === 'readable'
    ) {
      this.#stream.pause()
    }
    this.#wake()
  }

  #resumeIfLow(): void {
    if (this.#stream.readStatus !== 'paused') return
    if (this.#queuedBytes > hostLimits.readQueueBytesMax / 2) return
    try {
      // Delivers what libp2p held back, in this turn; then tells the other side to go on, which throws on a dead connection.
      this.#stream.resume()
    } catch (cause) {
      if (this.#stream.status === 'open') throw cause
    }
  }

  /** The readable end is over: in good order only if the other side said so. */
  #finish(): void {
    this.#ended = true
    if (!this.#remoteClosed) this.#failure ??= this.#broken('went away', undefined)
    this.#wake()
  }

  #onClose(event: MessageStreamEvents['close']): void {
    // After the other side's orderly end a late reset says nothing about what was read; libp2p may still hold some of it.
    if (event.error !== undefined && !this.#remoteClosed) {
      this.#failure ??= this.#broken('broke', event.error)
    }
    this.#wakeWriter?.()
    this.#wake()
  }

  #wake(): void {
    this.#wakeReader?.()
    this.#wakeReader = undefined
  }

  #broken(what: string, cause: unknown): KairoError {
    return new KairoError('ERR_NO_PROVIDER', `the stream to ${this.remotePeer} ${what}`, { cause })
  }
}
