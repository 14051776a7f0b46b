/** Answers other peers that want one object by its digest; only what the store holds, never by asking others. */
import { create } from '@bufbuild/protobuf'
import { Counter, type Registry } from 'prom-client'
import type { Clock } from '../../clock.ts'
import { type ErrorCode, isKairoError, KairoError } from '../../errors.ts'
import { PerPeerLimit } from '../../host/per-peer-limit.ts'
import { FETCH_PROTOCOL } from '../../host/protocols.ts'
import type { PeerStream, Transport } from '../../host/transport.ts'
import { contentLimits } from '../../limits.ts'
import type { Logger } from '../../logger.ts'
import { encodeFrameHeader } from '../../protocol/frame-codec.ts'
import { FetchRequestSchema, FetchResponseSchema } from '../../protocol/generated/feed_pb.js'
import { digestFromBytes } from '../digest.ts'
import { readRequest } from '../read-request.ts'
import type { ContentStore } from '../store/store.ts'

/** What a fetch server works with. */
export interface FetchServerComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly transport: Transport
  readonly store: ContentStore
}

/** The version of the protocol that requests must carry. */
export const FETCH_VERSION = 1

/** Serves single objects to other peers. */
export class FetchServer {
  readonly #components: FetchServerComponents
  readonly #logger: Logger
  readonly #slots = new PerPeerLimit({
    totalMax: contentLimits.fetchesServedMax,
    perPeerMax: contentLimits.fetchesPerPeerMax,
  })
  readonly #answers: Counter<'code'>
  readonly #sentBytes: Counter
  #stopped = false

  constructor(components: FetchServerComponents) {
    this.#components = components
    this.#logger = components.logger.child({ name: 'kairo:fetch' })
    const registers = [components.registry]
    this.#answers = new Counter({
      name: 'kairo_fetch_served_total',
      help: 'Fetches of other peers answered, by error code or ok',
      labelNames: ['code'],
      registers,
    })
    this.#sentBytes = new Counter({
      name: 'kairo_fetch_sent_bytes_total',
      help: 'Bytes of objects sent to peers that fetched them',
      registers,
    })
  }

  /** Begins to answer. */
  async start(): Promise<void> {
    await this.#components.transport.handle(FETCH_PROTOCOL, (stream) => this.#serve(stream))
  }

  /** Refuses what still comes; answers under way end by themselves. */
  stop(): void {
    this.#stopped = true
  }

  async #serve(stream: PeerStream): Promise<void> {
    const full = this.#slots.enter(stream.remotePeer)
    if (full !== undefined) return await this.#reply(stream, 'ERR_LIMIT', undefined)
    const cancel = this.#components.clock.after(contentLimits.feedWriteMsMax, () => {
      stream.abort(new KairoError('ERR_TIMEOUT', 'the answer to a fetch was not taken in time'))
    })
    try {
      await this.#answer(stream)
    } finally {
      cancel()
      this.#slots.leave(stream.remotePeer)
    }
  }

  async #answer(stream: PeerStream): Promise<void> {
    let bytes: Buffer | undefined
    try {
      const request = await readRequest(stream, FetchRequestSchema, this.#components.clock)
      if (request.version !== FETCH_VERSION) {
        throw new KairoError('ERR_PROTOCOL', `version ${request.version} is not spoken here`)
      }
      const digest = digestFromBytes(request.digest)
      if (!this.#stopped) bytes = await this.#components.store.read(digest)
    } catch (error) {
      if (!isKairoError(error)) throw error
      this.#logger.debug({ peer: stream.remotePeer, err: error }, 'a fetch was refused')
      await this.#reply(stream, error.code, undefined)
      return
    }
    await this.#reply(stream, bytes === undefined ? 'ERR_NOT_FOUND' : undefined, bytes)
  }

  async #reply(
    stream: PeerStream,
    code: ErrorCode | undefined,
    bytes: Buffer | undefined,
  ): Promise<void> {
    this.#answers.inc({ code: code ?? 'ok' })
    const header = encodeFrameHeader(
      FetchResponseSchema,
      create(FetchResponseSchema, { code: code ?? '', payloadBytes: bytes?.byteLength ?? 0 }),
    )
    await stream.write(header)
    if (bytes !== undefined) {
      await stream.write(bytes)
      this.#sentBytes.inc(bytes.byteLength)
    }
    await stream.close()
  }
}
