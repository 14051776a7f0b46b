/** Answers other peers that want to follow a stream: checks their request and serves each from a session of its own. */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { Clock } from '../../clock.ts'
import { deadline } from '../../deadline.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import { PerPeerLimit } from '../../host/per-peer-limit.ts'
import { FEED_PROTOCOL } from '../../host/protocols.ts'
import type { PeerStream, Transport } from '../../host/transport.ts'
import { contentLimits } from '../../limits.ts'
import type { Logger } from '../../logger.ts'
import { type FeedRequest, FeedRequestSchema } from '../../protocol/generated/feed_pb.js'
import { isRenditionName } from '../index/index-codec.ts'
import type { Position } from '../index/index-window.ts'
import type { WindowedRendition } from '../index/live-rendition.ts'
import { readRequest } from '../read-request.ts'
import type { ServedStream, ServedStreams } from '../served-stream.ts'
import { streamPublicKey } from '../stream-key.ts'
import { FeedSession, refuseFeed } from './session.ts'

/** What a feed server works with. */
export interface FeedServerComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly transport: Transport
  readonly streams: ServedStreams
}

/** The version of the protocol that requests must carry. */
export const FEED_VERSION = 1

/** Serves feeds to other peers. */
export class FeedServer {
  readonly #components: FeedServerComponents
  readonly #logger: Logger
  readonly #sessions = new Set<FeedSession>()
  readonly #slots = new PerPeerLimit({
    totalMax: contentLimits.feedsServedMax,
    perPeerMax: contentLimits.feedsPerPeerMax,
  })
  readonly #sentBytes: Counter
  readonly #ended: Counter<'code'>
  #stopped = false

  constructor(components: FeedServerComponents) {
    this.#components = components
    this.#logger = components.logger.child({ name: 'kairo:feed' })
    const registers = [components.registry]
    const sessions = this.#sessions
    new Gauge({
      name: 'kairo_feed_served',
      help: 'Feeds that this peer serves to others now',
      registers,
      collect() {
        this.set(sessions.size)
      },
    })
    this.#sentBytes = new Counter({
      name: 'kairo_feed_sent_bytes_total',
      help: 'Bytes sent in feeds',
      registers,
    })
    this.#ended = new Counter({
      name: 'kairo_feed_served_ended_total',
      help: 'Feeds to others that ended, by error code; ok when the subscriber left',
      labelNames: ['code'],
      registers,
    })
  }

  /** Begins to answer. */
  async start(): Promise<void> {
    await this.#components.transport.handle(FEED_PROTOCOL, (stream) => this.#serve(stream))
  }

  /** Tells every subscriber to go elsewhere. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const session of this.#sessions) {
      session.end(new KairoError('ERR_STOPPED', 'this peer is shutting down'))
    }
  }

  async #serve(stream: PeerStream): Promise<void> {
    const refusal = this.#slots.enter(stream.remotePeer)
    if (refusal !== undefined) {
      return await this.#refuse(stream, new KairoError('ERR_LIMIT', refusal))
    }
    try {
      await this.#answer(stream)
    } finally {
      this.#slots.leave(stream.remotePeer)
    }
  }

  async #answer(stream: PeerStream): Promise<void> {
    let after: Position | undefined
    let resolved: { served: ServedStream; rendition: WindowedRendition }
    try {
      const request = await readRequest(stream, FeedRequestSchema, this.#components.clock)
      after = positionOf(request)
      resolved = await this.#resolve(stream.remotePeer, request)
    } catch (error) {
      if (!isKairoError(error)) throw error
      return await this.#refuse(stream, error)
    }
    const error = await this.#runSession(stream, resolved, after)
    this.#count(stream, error)
  }

  async #runSession(
    stream: PeerStream,
    resolved: { served: ServedStream; rendition: WindowedRendition },
    after: Position | undefined,
  ): Promise<KairoError | undefined> {
    const session = new FeedSession({
      clock: this.#components.clock,
      stream,
      ...resolved,
      onSent: (bytes) => this.#sentBytes.inc(bytes),
    })
    this.#sessions.add(session)
    try {
      return await session.run(after)
    } finally {
      this.#sessions.delete(session)
    }
  }

  async #refuse(stream: PeerStream, error: KairoError): Promise<void> {
    this.#count(stream, error)
    try {
      await refuseFeed(stream, error)
    } catch {
      // The stream broke before the reason was sent; whoever was there knows by that.
      stream.abort(error)
    }
  }

  #count(stream: PeerStream, error: KairoError | undefined): void {
    this.#ended.inc({ code: error?.code ?? 'ok' })
    this.#logger.debug({ peer: stream.remotePeer, err: error }, 'a feed to another peer ended')
  }

  /** The rendition that a request names, if it may be served to this peer. */
  async #resolve(
    remotePeer: string,
    request: FeedRequest,
  ): Promise<{ served: ServedStream; rendition: WindowedRendition }> {
    if (this.#stopped) throw new KairoError('ERR_STOPPED', 'this peer is shutting down')
    if (request.version !== FEED_VERSION) {
      throw new KairoError(
        'ERR_PROTOCOL',
        `version ${request.version} of the feed is not spoken here`,
      )
    }
    if (!isRenditionName(request.rendition)) {
      throw new KairoError('ERR_PROTOCOL', 'a feed request with a malformed rendition name')
    }
    const { id } = streamPublicKey(request.publicKey)
    const served = this.#components.streams.served(id)
    if (served === undefined) {
      throw new KairoError('ERR_NOT_FOUND', 'this peer does not have the stream')
    }
    served.touch()
    const limit = deadline(this.#components.clock, contentLimits.feedOpenMsMax)
    try {
      const rendition = await served.rendition(request.rendition, { signal: limit.signal })
      const route = served.route(request.rendition)
      if (!rendition.head.ended && (route.length === 0 || route.includes(remotePeer))) {
        throw new KairoError(
          'ERR_NO_PROVIDER',
          'this peer itself depends on another for the stream',
        )
      }
      return { served, rendition }
    } finally {
      limit.clear()
    }
  }
}

function positionOf(request: FeedRequest): Position | undefined {
  if (!request.resume) return undefined
  const msn = Number(request.afterMsn)
  if (!Number.isSafeInteger(msn) || request.afterPart >= contentLimits.segmentPartsMax) {
    throw new KairoError('ERR_PROTOCOL', 'a feed request with a position out of range')
  }
  return { msn, part: request.afterPart }
}
