/**
 * The peers protocol: a peer that is asked answers with every advert it holds, its own first, and closes; so a peer that
 * joins knows the others at once rather than after their next announcements. That it answers at all is what tells whether it
 * can be reached.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { Clock } from '../clock.ts'
import { deadline } from '../deadline.ts'
import { KairoError } from '../errors.ts'
import { PerPeerLimit } from '../host/per-peer-limit.ts'
import { PEERS_PROTOCOL } from '../host/protocols.ts'
import type { PeerStream, Transport } from '../host/transport.ts'
import { nearestLimits } from '../limits/nearest.ts'
import type { Logger } from '../logger.ts'
import { PeerAdvertListSchema, SignedPeerAdvertSchema } from '../protocol/generated/peers_pb.js'

/** Adverts judged in one turn; their signatures cost about 0.1 ms each. */
const ADVERTS_PER_TURN = 32
/** Field header of one advert in the list. */
const ENTRY_OVERHEAD_BYTES = 8

/** What the exchange needs. */
export interface AdvertExchangeComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly transport: Transport
  /** Encoded adverts that this peer holds, the most wanted first. */
  readonly adverts: () => readonly Uint8Array[]
  /** Takes one advert of another peer. */
  readonly accept: (bytes: Uint8Array) => void
}

/** Asks and answers on the peers protocol. */
export class AdvertExchange {
  readonly #components: AdvertExchangeComponents
  /** Peers being asked, and those that wait for it; one entry a peer. */
  readonly #asking = new Map<string, Promise<boolean>>()
  readonly #waiting: (() => void)[] = []
  #running = 0
  readonly #stopping = new AbortController()
  readonly #slots = new PerPeerLimit({ totalMax: nearestLimits.answersMax, perPeerMax: 1 })

  constructor(components: AdvertExchangeComponents) {
    this.#components = components
  }

  /**
   * Asks a peer for the adverts it holds, making the connection where there is none.
   * @returns true when the peer was reached, whatever it answered; undefined when this peer stops. A failure is logged here.
   */
  async ask(peerId: string, connectTimeoutMs: number): Promise<boolean | undefined> {
    if (this.#stopping.signal.aborted) return undefined
    let asking = this.#asking.get(peerId)
    if (asking === undefined) {
      asking = this.#inTurn(() => this.#query(peerId, connectTimeoutMs)).finally(() =>
        this.#asking.delete(peerId),
      )
      this.#asking.set(peerId, asking)
    }
    const reached = await asking
    return this.#stopping.signal.aborted ? undefined : reached
  }

  /**
   * Answers one stream.
   * @throws KairoError `ERR_LIMIT` when too many are being answered; the host breaks the stream and counts it.
   */
  async answer(stream: PeerStream): Promise<void> {
    const refusal = this.#slots.enter(stream.remotePeer)
    if (refusal !== undefined) throw new KairoError('ERR_LIMIT', refusal)
    try {
      await this.#answer(stream)
    } finally {
      this.#slots.leave(stream.remotePeer)
    }
  }

  /** Gives up what is being asked and waits for it to end. */
  async stop(): Promise<void> {
    this.#stopping.abort(new KairoError('ERR_STOPPED', 'the peer is shutting down'))
    await Promise.all(this.#asking.values())
  }

  async #answer(stream: PeerStream): Promise<void> {
    const adverts: Uint8Array[] = []
    let bytes = 0
    for (const advert of this.#components.adverts()) {
      bytes += advert.byteLength + ENTRY_OVERHEAD_BYTES
      if (bytes > nearestLimits.listBytesMax) break
      adverts.push(advert)
    }
    const list = create(PeerAdvertListSchema, {
      adverts: adverts.map((advert) => fromBinary(SignedPeerAdvertSchema, advert)),
    })
    const limit = deadline(this.#components.clock, nearestLimits.listTimeoutMs)
    limit.signal.addEventListener('abort', () => stream.abort(limit.signal.reason))
    try {
      await stream.write(toBinary(PeerAdvertListSchema, list))
    } finally {
      limit.clear()
    }
  }

  /** Does no more than `queriesMax` at once; the peers that wait are those of the catalog, and so bounded. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= nearestLimits.queriesMax) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    } else {
      this.#running += 1
    }
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running -= 1
      else next()
    }
  }

  async #query(peerId: string, connectTimeoutMs: number): Promise<boolean> {
    const { clock, transport, logger } = this.#components
    const stopping = this.#stopping.signal
    const limit = deadline(clock, nearestLimits.listTimeoutMs, stopping)
    const connect = deadline(clock, connectTimeoutMs, limit.signal)
    let reached = false
    try {
      const stream = await transport.open(peerId, PEERS_PROTOCOL, { signal: connect.signal })
      connect.clear()
      reached = true
      await this.#take(await readList(stream, limit.signal))
    } catch (error) {
      logger.debug({ err: error, peer: peerId }, 'could not ask a peer for the adverts it holds')
    } finally {
      connect.clear()
      limit.clear()
    }
    return reached
  }

  async #take(list: readonly Uint8Array[]): Promise<void> {
    for (const [index, advert] of list.entries()) {
      if (this.#stopping.signal.aborted) return
      this.#components.accept(advert)
      if (index % ADVERTS_PER_TURN === ADVERTS_PER_TURN - 1) {
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
  }
}

/** Reads a whole PeerAdvertList, bounded in size and by the signal; the stream is over afterwards either way. */
async function readList(stream: PeerStream, signal: AbortSignal): Promise<Uint8Array[]> {
  const onAbort = (): void => stream.abort(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    signal.throwIfAborted()
    await stream.close()
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of stream.incoming) {
      bytes += chunk.byteLength
      if (bytes > nearestLimits.listBytesMax) {
        throw new KairoError('ERR_LIMIT', 'the list of adverts is too long')
      }
      chunks.push(chunk)
    }
    const list = fromBinary(PeerAdvertListSchema, Buffer.concat(chunks))
    return list.adverts
      .slice(0, nearestLimits.peersMax)
      .map((advert) => toBinary(SignedPeerAdvertSchema, advert))
  } catch (error) {
    stream.abort(error instanceof Error ? error : new Error(String(error)))
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
