/**
 * One admitted SRT publisher: its connection, its media and its publication, ended together whoever ends first.
 */
import { type ErrorCode, KairoError } from '../../errors.ts'
import type { PublicationSink } from '../../media/sink.ts'
import { Connection, type ConnectionComponents, type ConnectionInit } from './connection.ts'
import { MediaFeed } from './media-feed.ts'
import type { SrtEndReason } from './metrics.ts'

/** The server's side of a publisher. */
export interface PublisherPort {
  /** Sends a packet to the caller. */
  send(packet: Buffer): void
  /** True when all publishers together hold too much to hold `bytes` more. */
  isFull(bytes: number): boolean
  /** Told of every change of what is held. */
  held(bytes: number): void
  /** The publisher is gone; called once. */
  ended(): void
}

const REASONS: Partial<Record<ErrorCode, SrtEndReason>> = {
  ERR_PROTOCOL: 'protocol',
  ERR_MEDIA: 'protocol',
  ERR_LIMIT: 'limit',
  ERR_UNSUPPORTED_CODEC: 'unsupported-codec',
  ERR_STOPPED: 'stopped',
}
/** Ends that are everyday life, not a fault of either side; a sink knows them by the same words. */
const QUIET_REASONS = new Set<SrtEndReason>(['closed', 'replaced', 'stopped'])
/** Ends after which the stream still takes what came before. */
const FLUSHED_REASONS = new Set<SrtEndReason>(['closed', 'timeout', 'stopped'])

/** Runs one publisher. No method throws on what a caller sends: a fault ends it with a reason. */
export class SrtPublisher {
  readonly #components: ConnectionComponents
  readonly #port: PublisherPort
  readonly #connection: Connection
  readonly #feed: MediaFeed
  readonly #sink: PublicationSink
  #ended = false

  constructor(
    components: ConnectionComponents,
    init: ConnectionInit,
    sink: PublicationSink,
    port: PublisherPort,
  ) {
    this.#components = components
    this.#port = port
    this.#sink = sink
    const { logger, metrics } = components
    this.#feed = new MediaFeed({ logger, metrics, sink }, (error) => this.#fail(error))
    this.#connection = new Connection(components, init, {
      send: (packet) => port.send(packet),
      isFull: (bytes) => port.isFull(bytes),
      held: (bytes) => port.held(bytes),
      deliver: (payload, lostBytes) => this.#run(() => this.#feed.push(payload, lostBytes)),
      ended: (reason, detail) => this.end(reason, detail),
    })
  }

  /** Takes a packet of the caller. */
  receive(packet: Parameters<Connection['receive']>[0]): void {
    this.#run(() => this.#connection.receive(packet))
  }

  /** Does what time asks for; called every `srtLimits.tickMs`. */
  tick(): void {
    this.#run(() => this.#connection.tick())
  }

  /** Ends connection and publication. Later calls do nothing. */
  end(reason: SrtEndReason, detail: string, cause?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    const { logger, metrics } = this.#components
    this.#connection.close()
    const word = QUIET_REASONS.has(reason) || reason === 'timeout' ? reason : 'error'
    try {
      if (FLUSHED_REASONS.has(reason)) this.#feed.end(word)
      else this.#feed.abandon(word)
    } catch (error) {
      logger.error(
        { err: error, stream: this.#sink.streamName },
        'an SRT publication did not end well',
      )
    }
    metrics.disconnects.inc({ reason })
    const level = reason === 'internal' ? 'error' : QUIET_REASONS.has(reason) ? 'info' : 'warn'
    // A caller's fault is told by its code and words; a stack trace helps only with the rest.
    const blame = cause instanceof KairoError ? { code: cause.code } : { err: cause }
    const fields = { reason, stream: this.#sink.streamName, ...blame }
    logger[level](fields, `an SRT connection ended: ${detail}`)
    this.#port.ended()
  }

  #run(action: () => void): void {
    try {
      action()
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    if (error instanceof KairoError) {
      this.end(REASONS[error.code] ?? 'protocol', error.message, error)
    } else {
      this.end('internal', 'an unexpected failure in this peer', error)
    }
  }
}
