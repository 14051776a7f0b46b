/**
 * All streams that this peer can serve: those published here, and replicas of others' while somebody watches them. A stream whose key
 * this peer holds is one or the other, at each request by what is known then: published here, or gone on at another peer.
 */
import { Counter, Gauge } from 'prom-client'
import type { CancelTimer } from '../../clock.ts'
import { KairoError } from '../../errors.ts'
import { contentLimits } from '../../limits.ts'
import type { Logger } from '../../logger.ts'
import { FeedMetrics } from '../feed/feed-metrics.ts'
import type { Publication } from '../publication/publication.ts'
import type { ServedStream, ServedStreams } from '../served-stream.ts'
import type { StreamId, StreamSource } from '../stream.ts'
import { Replica, type ReplicaComponents } from './replica.ts'

/** What replicas work with. */
export type ReplicasComponents = Omit<ReplicaComponents, 'feedMetrics'>

/** Finds streams for viewers and for feeds. */
export class Replicas implements StreamSource, ServedStreams {
  readonly #components: ReplicaComponents
  readonly #logger: Logger
  readonly #publications = new Map<StreamId, Publication>()
  /** The same by alias; every request of a viewer looks here. */
  readonly #publicationsByAlias = new Map<string, Publication>()
  readonly #replicas = new Map<StreamId, Replica>()
  readonly #refused: Counter
  readonly #idleMs: number
  #cancelSweep: CancelTimer | undefined
  #stopped = false

  /** @param init `idleMs`: a replica that nobody asked for this long is given up, milliseconds. */
  constructor(components: ReplicasComponents, init: { readonly idleMs: number }) {
    this.#idleMs = init.idleMs
    this.#components = { ...components, feedMetrics: new FeedMetrics(components.registry) }
    this.#logger = components.logger.child({ name: 'kairo:replica' })
    const replicas = this.#replicas
    new Gauge({
      name: 'kairo_content_replicas',
      help: 'Streams replicated from other peers now',
      registers: [components.registry],
      collect() {
        this.set(replicas.size)
      },
    })
    this.#refused = new Counter({
      name: 'kairo_content_replicas_refused_total',
      help: 'Streams not opened because too many are replicated already',
      registers: [components.registry],
    })
  }

  /** Begins to give up replicas that nobody watches. */
  start(): void {
    this.#sweepLater()
  }

  /** Gives up every replica. Publications are their owners' to close. */
  stop(): void {
    this.#stopped = true
    this.#cancelSweep?.()
    for (const replica of this.#replicas.values()) replica.stop()
    this.#replicas.clear()
  }

  /** Serves a stream whose key is here, unless another peer is the one that publishes it. */
  addPublication(publication: Publication): void {
    const { id, alias } = publication.record
    this.#publications.set(id, publication)
    this.#publicationsByAlias.set(alias, publication)
  }

  /** A stream that was added is published here from now on: a replica of it, if there was one, is given up. */
  beganHere(id: StreamId): void {
    this.#giveUp(id)
  }

  /** Serves it no more. */
  removePublication(publication: Publication): void {
    const { id, alias } = publication.record
    this.#publications.delete(id)
    this.#publicationsByAlias.delete(alias)
  }

  get(name: string): ServedStream | undefined {
    const publication = this.#publicationsByAlias.get(name) ?? this.#publications.get(name)
    if (publication !== undefined && this.#isHere(publication)) return publication
    const id = this.#components.records.resolve(name)?.id ?? name
    const replica = this.#replicas.get(id)
    if (replica !== undefined) return replica
    for (const candidate of this.#replicas.values()) {
      // Its record has run out; whoever watches it goes on.
      if (candidate.record.alias === name) return candidate
    }
    return undefined
  }

  served(id: string): ServedStream | undefined {
    const publication = this.#publications.get(id)
    if (publication !== undefined && this.#isHere(publication)) return publication
    return this.#replicas.get(id)
  }

  /** Every stream that can be served now. */
  *all(): Generator<ServedStream, void, undefined> {
    for (const publication of this.#publications.values()) {
      if (this.#isHere(publication)) yield publication
    }
    for (const replica of this.#replicas.values()) yield replica
  }

  async open(name: string, options: { readonly signal: AbortSignal }): Promise<ServedStream> {
    if (options.signal.aborted)
      throw new KairoError('ERR_TIMEOUT', 'gave up before the stream was open')
    if (this.#stopped) throw new KairoError('ERR_STOPPED', 'this peer is shutting down')
    const known = this.get(name)
    if (known !== undefined) {
      known.touch()
      return known
    }
    const record = this.#components.records.resolve(name)
    if (record === undefined) throw new KairoError('ERR_NOT_FOUND', `no stream is called ${name}`)
    this.#makeRoom()
    const replica = new Replica({ ...this.#components, logger: this.#logger }, record)
    this.#replicas.set(record.id, replica)
    this.#logger.info({ stream: record.id, alias: record.alias }, 'replicating a stream')
    return replica
  }

  touch(name: string): void {
    this.get(name)?.touch()
  }

  /** The record of a stream is new: a replica that waits for a provider tries again at once. */
  recordChanged(id: StreamId): void {
    this.#replicas.get(id)?.hurry()
  }

  /** Nobody publishes a stream here that another peer's record holds of, nor one that is replicated though no record is left of it. */
  #isHere({ record: { id, state }, sourcePeer }: Publication): boolean {
    if (state === 'live') return true
    const known = this.#components.records.get(id)
    return known === undefined ? !this.#replicas.has(id) : known.originPeer === sourcePeer
  }

  #makeRoom(): void {
    if (this.#replicas.size < contentLimits.replicasMax) return
    let idlest: Replica | undefined
    for (const replica of this.#replicas.values()) {
      if (idlest === undefined || replica.idleMs > idlest.idleMs) idlest = replica
    }
    if (idlest === undefined || idlest.idleMs < this.#idleMs / 4) {
      this.#refused.inc()
      throw new KairoError('ERR_LIMIT', 'this peer replicates as many streams as it can')
    }
    this.#giveUp(idlest.id)
  }

  #sweepLater(): void {
    this.#cancelSweep = this.#components.clock.after(this.#idleMs / 4, () => {
      for (const replica of this.#replicas.values()) {
        if (replica.idleMs >= this.#idleMs) this.#giveUp(replica.id)
      }
      this.#sweepLater()
    })
  }

  #giveUp(id: StreamId): void {
    const replica = this.#replicas.get(id)
    if (replica === undefined) return
    this.#replicas.delete(id)
    replica.stop()
    this.#logger.info({ stream: id }, 'the stream is no longer replicated')
  }
}
