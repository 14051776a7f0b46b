/**
 * Streams to other peers on which purges are sent, one a peer, kept open for a while: opening one costs several times as much as a purge.
 */
import type { MessageInitShape } from '@bufbuild/protobuf'
import type { CancelTimer, Clock } from '../../clock.ts'
import { deadline, unlessAborted } from '../../deadline.ts'
import { type ErrorCode, errorStatus, isKairoError, KairoError } from '../../errors.ts'
import { PURGE_PROTOCOL } from '../../host/protocols.ts'
import type { PeerStream, Transport } from '../../host/transport.ts'
import { purgeLimits } from '../../limits/purge.ts'
import type { PurgeAnswer, PurgeRequestSchema } from '../../protocol/generated/purge_pb.js'
import { readAnswers, writeRequest } from './purge-wire.ts'

type Request = MessageInitShape<typeof PurgeRequestSchema>

interface Pending {
  readonly number: number
  readonly resolve: (answer: PurgeAnswer) => void
  readonly reject: (error: Error) => void
}

/** One stream: requests go out as they come, answers come back in the same order. */
class Channel {
  readonly #stream: PeerStream
  readonly #pending: Pending[] = []
  #failure: Error | undefined
  #lastNumber = 0
  /** Has answered before: a failure now may only mean that it is old. */
  wasUsed = false

  constructor(stream: PeerStream, onEnd: () => void) {
    this.#stream = stream
    void this.#read().then(onEnd)
  }

  async call(request: Request, signal: AbortSignal): Promise<PurgeAnswer> {
    if (this.#failure !== undefined) throw this.#failure
    const { promise, resolve, reject } = Promise.withResolvers<PurgeAnswer>()
    // Whoever gives up waiting does not hear of what comes later.
    promise.catch(() => {})
    this.#lastNumber += 1
    const number = this.#lastNumber
    this.#pending.push({ number, resolve, reject })
    try {
      const answer = unlessAborted(promise, signal)
      // Both may fail at once; the answer's failure is the one that tells.
      answer.catch(() => {})
      await unlessAborted(writeRequest(this.#stream, { ...request, number }), signal)
      return await answer
    } catch (error) {
      // A stream on which one answer is late is as good as dead, and answers come in order.
      this.end(error as Error)
      throw error
    }
  }

  end(reason: Error): void {
    if (this.#failure !== undefined) return
    this.#failure = reason
    this.#stream.abort(reason)
    for (const { reject } of this.#pending.splice(0)) reject(reason)
  }

  async #read(): Promise<void> {
    try {
      for await (const answer of readAnswers(this.#stream)) {
        const pending = this.#pending.shift()
        if (pending?.number !== answer.number) {
          pending?.reject(new KairoError('ERR_PROTOCOL', 'an answer to another request'))
          throw new KairoError('ERR_PROTOCOL', 'an answer to no request')
        }
        this.wasUsed = true
        pending.resolve(answer)
      }
      this.end(new KairoError('ERR_NO_PROVIDER', 'the other side has closed'))
    } catch (error) {
      this.end(error as Error)
    }
  }
}

interface Kept {
  readonly opening: Promise<Channel>
  cancelIdle: CancelTimer | undefined
}

/** Channels by peer. */
export class PurgeChannels {
  readonly #clock: Clock
  readonly #transport: Transport
  readonly #kept = new Map<string, Kept>()

  constructor(components: { readonly clock: Clock; readonly transport: Transport }) {
    this.#clock = components.clock
    this.#transport = components.transport
  }

  /**
   * Sends a request and waits for its answer.
   * @param onOpen called once the other side can be reached.
   * @throws KairoError the code that the other side answers with, `ERR_NO_PROVIDER`, `ERR_TIMEOUT`, `ERR_PROTOCOL`, `ERR_LIMIT`.
   */
  async call(
    peerId: string,
    request: Request,
    signal: AbortSignal,
    onOpen: () => void = () => {},
  ): Promise<PurgeAnswer> {
    const channel = await this.#open(peerId, signal)
    onOpen()
    const { wasUsed } = channel
    try {
      return checked(await channel.call(request, signal))
    } catch (error) {
      // A stream from before a connection was made anew breaks at its next use. Asking twice does no harm.
      if (!wasUsed || signal.aborted || !isKairoError(error, 'ERR_NO_PROVIDER')) throw error
      return checked(await (await this.#open(peerId, signal)).call(request, signal))
    }
  }

  /** Closes every stream. */
  stop(): void {
    for (const peerId of [...this.#kept.keys()]) this.#close(peerId)
  }

  async #open(peerId: string, signal: AbortSignal): Promise<Channel> {
    signal.throwIfAborted()
    const kept = this.#kept.get(peerId) ?? this.#start(peerId)
    kept.cancelIdle?.()
    kept.cancelIdle = this.#clock.after(purgeLimits.channelIdleMs, () => this.#close(peerId))
    return await unlessAborted(kept.opening, signal)
  }

  #start(peerId: string): Kept {
    const limit = deadline(this.#clock, purgeLimits.deadlineMs)
    const forget = (): void => {
      if (this.#kept.get(peerId) !== kept) return
      kept.cancelIdle?.()
      this.#kept.delete(peerId)
    }
    const opening = this.#transport
      .open(peerId, PURGE_PROTOCOL, { signal: limit.signal })
      .then((stream) => new Channel(stream, forget))
      .finally(() => limit.clear())
    const kept: Kept = { opening, cancelIdle: undefined }
    opening.catch(forget)
    this.#kept.set(peerId, kept)
    return kept
  }

  #close(peerId: string): void {
    const kept = this.#kept.get(peerId)
    if (kept === undefined) return
    kept.cancelIdle?.()
    this.#kept.delete(peerId)
    kept.opening.then(
      (channel) => channel.end(new KairoError('ERR_STOPPED', 'not needed any more')),
      () => {},
    )
  }
}

function checked(answer: PurgeAnswer): PurgeAnswer {
  if (answer.code === '') return answer
  const code = Object.hasOwn(errorStatus, answer.code) ? (answer.code as ErrorCode) : 'ERR_PROTOCOL'
  throw new KairoError(code, `the other peer refuses: ${code}`)
}
