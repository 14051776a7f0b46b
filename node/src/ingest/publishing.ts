/**
 * Who may publish, and what becomes of it: admits one publisher a stream by its stream key, paces it, packages what it
 * sends and hands the parts to the stream's publication. A stream outlives its publisher's connection by a grace time.
 */
import { strict as assert } from 'node:assert'
import { Counter, Gauge, type Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../clock.ts'
import type { Publication } from '../content/publication/publication.ts'
import { KairoError } from '../errors.ts'
import { publishingLimits } from '../limits.ts'
import type { Logger } from '../logger.ts'
import type { PackagerMetrics } from '../media/packager/packager-metrics.ts'
import type { SessionObserver } from '../media/published-session.ts'
import type { PublicationSink, Publishing, PublishRequest } from '../media/sink.ts'
import { PublisherSession, type SessionInit } from './publisher-session.ts'
import type { OwnedStream, StreamKeys } from './stream-keys.ts'
import type { StreamLease, StreamOwnership } from './stream-ownership.ts'

/** What publishing works with. */
export interface PublishingComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly keys: StreamKeys
  readonly packagerMetrics: PackagerMetrics
  /** The publication of an owned stream; the same one for the life of the process. */
  readonly publicationOf: (stream: OwnedStream) => Publication
  /** Says which peer may publish a stream; without it nobody is asked. */
  readonly ownership?: StreamOwnership
  /** Are told of publishers, in this order; read at each call, so that the wiring may add some later. Default none. */
  readonly observers?: readonly SessionObserver[]
}

/** How publishing behaves; see the settings of the same names. */
export interface PublishingInit {
  readonly partTargetMs: number
  readonly segmentTargetMs: number
  readonly endGraceMs: number
  readonly takeover: 'reject' | 'replace'
}

/** A publisher at work, for status pages. */
export interface PublisherInfo {
  /** Name of the stream. */
  readonly stream: string
  readonly protocol: string
  readonly remote: string
  /** Wall milliseconds. */
  readonly sinceMs: number
  /** Over the last few seconds. */
  readonly bitrateBps: number
}

interface LiveStreamState {
  readonly publication: Publication
  session: PublisherSession | undefined
  /** What the present session publishes with. */
  lease: StreamLease | undefined
  /** Set while a publisher waits for the lease; aborting it sends the publisher away. */
  admission: AbortController | undefined
  /** The last session that ended, while encoders may still have something of it. */
  draining: PublisherSession | undefined
  /** Set while the stream waits for its publisher to come back. */
  cancelEnd: CancelTimer | undefined
  /** True between a stream's first publisher and its end. */
  live: boolean
}

/** The door through which every ingest protocol publishes. */
export class PublishingService implements Publishing {
  readonly #components: PublishingComponents
  readonly #init: PublishingInit
  readonly #logger: Logger
  readonly #refused: Counter<'code'>
  readonly #streams = new Map<string, LiveStreamState>()
  #stopped = false

  constructor(components: PublishingComponents, init: PublishingInit) {
    this.#components = components
    this.#init = init
    this.#logger = components.logger.child({ name: 'kairo:ingest' })
    const registers = [components.registry]
    this.#refused = new Counter({
      name: 'kairo_ingest_refused_total',
      help: 'Publishers refused, by error code',
      labelNames: ['code'],
      registers,
    })
    const publishers = (): number => this.publishers().length
    new Gauge({
      name: 'kairo_ingest_publishers',
      help: 'Publishers at work',
      registers,
      collect() {
        this.set(publishers())
      },
    })
  }

  publish(request: PublishRequest): PublicationSink | Promise<PublicationSink> {
    try {
      const sink = this.#admit(request)
      if (!(sink instanceof Promise)) return sink
      return sink.catch((error: unknown) => {
        this.#noteRefusal(request, error)
        throw error
      })
    } catch (error) {
      this.#noteRefusal(request, error)
      throw error
    }
  }

  /** Publishers at work. */
  publishers(): PublisherInfo[] {
    return [...this.#streams.values()].flatMap(({ session }) => session?.info() ?? [])
  }

  /** What the region says of a stream that is published here; undefined for one that is not, and where no region is asked. */
  leaseOf(name: string): 'confirmed' | 'unconfirmed' | undefined {
    const lease = this.#streams.get(name)?.lease
    if (lease === undefined) return undefined
    return lease.isConfirmed ? 'confirmed' : 'unconfirmed'
  }

  /** Another peer owns a stream by now: one that waits for its publisher here goes on there. */
  yieldTo(name: string, peerId: string): void {
    const state = this.#streams.get(name)
    // Whoever publishes, or is about to, is told by the region and not by hearsay.
    if (state?.live !== true || state.session !== undefined || state.admission !== undefined) return
    this.#logger.info({ stream: name, peerId }, 'the stream goes on at another peer')
    this.#goElsewhere(name, state)
  }

  /**
   * Ends the publisher of a stream; without waiting for it, the stream goes on as after any lost publisher.
   * @throws KairoError `ERR_NOT_FOUND` when the stream has none.
   */
  disconnect(name: string, reason: string): void {
    const session = this.#streams.get(name)?.session
    if (session === undefined) throw new KairoError('ERR_NOT_FOUND', `${name} has no publisher`)
    session.disconnect(reason)
  }

  /** Ends a stream at once, its publisher too; for a stream whose key is removed. */
  remove(name: string): void {
    const state = this.#streams.get(name)
    if (state === undefined) return
    state.admission?.abort(new KairoError('ERR_NOT_FOUND', 'the stream was removed'))
    state.session?.disconnect('removed')
    this.#endStream(name, state)
    this.#streams.delete(name)
  }

  /**
   * Ends every publisher. Streams are not ended: a peer that comes back goes on with them, and players of its
   * followers wait for that.
   */
  stop(): void {
    this.#stopped = true
    for (const state of this.#streams.values()) {
      state.cancelEnd?.()
      state.admission?.abort(stopped())
      state.session?.disconnect('stopping')
    }
  }

  #admit(request: PublishRequest): PublicationSink | Promise<PublicationSink> {
    if (this.#stopped) throw stopped()
    const stream = this.#components.keys.bySecret(request.streamKey)
    if (stream === undefined) {
      throw new KairoError('ERR_STREAM_KEY', 'this stream key opens no stream of this peer')
    }
    const state = this.#stateOf(stream)
    const kept = this.#makeWay(stream, state)
    try {
      this.#requireRoom()
      const { ownership } = this.#components
      if (ownership !== undefined && kept === undefined) {
        return this.#take(ownership, stream, state, request)
      }
      return this.#begin(stream, state, request, kept)
    } catch (error) {
      kept?.release()
      throw error
    }
  }

  /** Sends whoever is or waits in a publisher's place away; returns the lease that goes over to the next. */
  #makeWay(stream: OwnedStream, state: LiveStreamState): StreamLease | undefined {
    if (state.admission !== undefined) {
      if (this.#init.takeover === 'reject') throw hasPublisher(stream)
      state.admission.abort(new KairoError('ERR_PUBLISHER_ACTIVE', 'a new publisher came'))
    }
    if (state.session === undefined) return undefined
    this.#requireTakeOver(stream, state.session)
    const { lease } = state
    state.lease = undefined
    state.session.disconnect('replaced')
    return lease
  }

  #requireRoom(): void {
    const admissions = [...this.#streams.values()].filter(({ admission }) => admission)
    if (this.publishers().length + admissions.length >= publishingLimits.publishersMax) {
      throw new KairoError(
        'ERR_LIMIT',
        `this peer takes at most ${publishingLimits.publishersMax} publishers`,
      )
    }
  }

  /** Asks for the stream before its publisher is taken. */
  async #take(
    ownership: StreamOwnership,
    stream: OwnedStream,
    state: LiveStreamState,
    request: PublishRequest,
  ): Promise<PublicationSink> {
    const admission = new AbortController()
    state.admission = admission
    const signals = [admission.signal, ...(request.signal === undefined ? [] : [request.signal])]
    const signal = AbortSignal.any(signals)
    try {
      const lease = await ownership.take(stream.key.id, {
        signal,
        numbers: state.publication.numbers,
        waitMsMax: publishingLimits.admissionMsMax,
        onChange: () => {
          if (state.lease !== undefined) state.publication.setToken(state.lease.token)
        },
      })
      try {
        signal.throwIfAborted()
        lease.lost.throwIfAborted()
        return this.#begin(stream, state, request, lease)
      } catch (error) {
        lease.release()
        throw error
      }
    } finally {
      if (state.admission === admission) state.admission = undefined
    }
  }

  #begin(
    stream: OwnedStream,
    state: LiveStreamState,
    request: PublishRequest,
    lease: StreamLease | undefined,
  ): PublicationSink {
    state.cancelEnd?.()
    state.cancelEnd = undefined
    this.#drained(state)
    if (lease !== undefined) this.#publishWith(stream, state, lease)
    const session = this.#beginSession(stream, state, request)
    state.session = session
    state.live = true
    this.#observe((observer) => observer.sessionStarted(session))
    return session
  }

  #publishWith(stream: OwnedStream, state: LiveStreamState, lease: StreamLease): void {
    const { publication } = state
    if (lease.numbers.nextMsn > publication.numbers.nextMsn) state.live = false
    publication.continueFrom(lease.numbers)
    publication.setToken(lease.token)
    state.lease = lease
    lease.lost.addEventListener('abort', () => this.#onLost(stream.name, state, lease), {
      once: true,
    })
  }

  /** Another peer owns the stream: there must not be two that write it. */
  #onLost(name: string, state: LiveStreamState, lease: StreamLease): void {
    if (state.lease !== lease) return
    const reason = (lease.lost.reason as Error).message
    this.#logger.warn({ stream: name }, `the publication ends: ${reason}`)
    // No end, and no grace before one.
    state.live = false
    state.session?.disconnect(reason)
    this.#goElsewhere(name, state)
  }

  /** A present publisher gives way where it may be replaced, or is silent. */
  #requireTakeOver(stream: OwnedStream, session: PublisherSession): void {
    const silentMs = session.silentMs()
    const silent = silentMs > publishingLimits.silentPublisherMs
    if (this.#init.takeover === 'reject' && !silent) {
      throw hasPublisher(stream)
    }
    this.#logger.info(
      { stream: stream.name, silentMs: Math.round(silentMs) },
      'a new publisher replaces the present one',
    )
  }

  #stateOf(stream: OwnedStream): LiveStreamState {
    const known = this.#streams.get(stream.name)
    if (known !== undefined) return known
    const state: LiveStreamState = {
      publication: this.#components.publicationOf(stream),
      session: undefined,
      lease: undefined,
      admission: undefined,
      draining: undefined,
      cancelEnd: undefined,
      live: false,
    }
    this.#streams.set(stream.name, state)
    return state
  }

  #beginSession(
    stream: OwnedStream,
    state: LiveStreamState,
    request: PublishRequest,
  ): PublisherSession {
    this.#logger.info(
      { stream: stream.name, remote: request.remote, protocol: request.protocol },
      'publisher accepted',
    )
    const init: SessionInit = {
      streamName: stream.name,
      request,
      publication: state.publication,
      continues: state.live,
      partTargetMs: this.#init.partTargetMs,
      segmentTargetMs: this.#init.segmentTargetMs,
      onPart: () => state.lease?.use(state.publication.numbers),
      onEnd: (session, reason) => this.#onSessionEnd(stream.name, state, session, reason),
    }
    return new PublisherSession(this.#components, init)
  }

  #onSessionEnd(
    name: string,
    state: LiveStreamState,
    session: PublisherSession,
    reason: string,
  ): void {
    assert(state.session === session, 'a session ends once, and before the next begins')
    state.session = undefined
    state.draining = session
    state.lease?.release()
    state.lease = undefined
    this.#logger.info({ stream: name, reason }, 'publisher gone')
    if (this.#stopped) {
      this.#drained(state)
      return
    }
    if (this.#init.endGraceMs === 0) {
      this.#endStream(name, state)
      return
    }
    state.cancelEnd = this.#components.clock.after(this.#init.endGraceMs, () =>
      this.#endStream(name, state),
    )
  }

  #endStream(name: string, state: LiveStreamState): void {
    state.cancelEnd?.()
    state.cancelEnd = undefined
    if (!state.live) return
    state.live = false
    this.#drained(state)
    state.publication.end()
    this.#logger.info({ stream: name }, 'stream ended')
    this.#observe((observer) => observer.streamEnded?.(name))
  }

  /** The stream ends at this peer, and nowhere else. */
  #goElsewhere(name: string, state: LiveStreamState): void {
    state.cancelEnd?.()
    state.cancelEnd = undefined
    state.live = false
    this.#drained(state)
    state.publication.yield()
    this.#observe((observer) => observer.streamEnded?.(name))
  }

  #noteRefusal(request: PublishRequest, error: unknown): void {
    if (!(error instanceof KairoError)) return
    this.#refused.inc({ code: error.code })
    this.#logger.warn(
      { remote: request.remote, protocol: request.protocol, code: error.code },
      `publisher refused: ${error.message}`,
    )
  }

  /** The stream goes on without what encoders may still have of its last session. */
  #drained(state: LiveStreamState): void {
    state.draining?.close()
    state.draining = undefined
  }

  /** Tells every observer; one that fails is its own trouble, not the publisher's. */
  #observe(tell: (observer: SessionObserver) => void): void {
    for (const observer of this.#components.observers ?? []) {
      try {
        tell(observer)
      } catch (error) {
        this.#logger.error({ err: error }, 'an observer of publishers failed')
      }
    }
  }
}

function stopped(): KairoError {
  return new KairoError('ERR_STOPPED', 'the peer is shutting down')
}

function hasPublisher({ name }: OwnedStream): KairoError {
  return new KairoError('ERR_PUBLISHER_ACTIVE', `${name} already has a publisher`)
}
