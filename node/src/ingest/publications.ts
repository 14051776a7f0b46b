/**
 * The publications of the streams that this peer owns, ready before anyone may publish: each with its numbering
 * opened, announced in the directory while live, provided in the DHT.
 */
import { strict as assert } from 'node:assert'
import type { Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import { Publication } from '../content/publication/publication.ts'
import type { SequenceStore } from '../content/publication/sequence-store.ts'
import type { Directory } from '../content/records/directory.ts'
import type { ProviderService } from '../content/records/provider.ts'
import type { Replicas } from '../content/replica/replicas.ts'
import type { ContentStore } from '../content/store/store.ts'
import type { StreamRecord } from '../content/stream.ts'
import type { Logger } from '../logger.ts'
import type { OwnedStream } from './stream-keys.ts'

/** What publications are made of. */
export interface PublicationsComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly store: ContentStore
  readonly sequences: SequenceStore
  readonly directory: Directory
  readonly providers: ProviderService
  readonly replicas: Replicas
  /** This peer's id. */
  readonly peerId: string
}

/** Settings that hold for every publication. */
export interface PublicationsInit {
  readonly windowSegments: number
  readonly partTargetMs: number
  readonly segmentTargetMs: number
}

/** One publication an owned stream, for the life of the process. */
export class Publications {
  readonly #components: PublicationsComponents
  readonly #logger: Logger
  readonly #init: PublicationsInit
  /** By stream id. */
  readonly #publications = new Map<string, Publication>()

  constructor(components: PublicationsComponents, init: PublicationsInit) {
    this.#components = components
    this.#logger = components.logger.child({ name: 'kairo:ingest' })
    this.#init = init
  }

  /**
   * Opens the numbering of a stream, so that it can be published without waiting.
   * @throws KairoError `ERR_STORAGE` when its state cannot be read or written.
   */
  async prepare(stream: OwnedStream): Promise<void> {
    const { clock, registry, store, sequences, peerId } = this.#components
    const sequence = await sequences.open(stream.key.id)
    const publication = new Publication(
      { clock, registry, store, sequence },
      {
        key: stream.key,
        alias: stream.name,
        title: stream.title,
        peerId,
        windowSegments: this.#init.windowSegments,
        onRecord: (record) => this.#onRecord(stream, record),
        onYield: () => this.#onYield(stream),
        onListenerError: (error) => {
          this.#logger.error(
            { err: error, stream: stream.name },
            'a listener of whole segments failed and is not told any more',
          )
        },
      },
    )
    this.#publications.set(stream.key.id, publication)
    this.#components.replicas.addPublication(publication)
  }

  /** The publication of a stream that was prepared. */
  of(stream: OwnedStream): Publication {
    const publication = this.#publications.get(stream.key.id)
    assert(publication !== undefined, `${stream.name} was not prepared`)
    return publication
  }

  /** Ends a stream for good and lets go of its objects. */
  async forget(stream: OwnedStream): Promise<void> {
    const publication = this.#publications.get(stream.key.id)
    if (publication === undefined) return
    this.#publications.delete(stream.key.id)
    this.#components.replicas.removePublication(publication)
    await publication.close()
  }

  /** The stream goes on at another peer. */
  #onYield(stream: OwnedStream): void {
    const { directory, providers } = this.#components
    providers.cancel(stream.key.id)
    directory.yieldOwn(stream.key.id)
  }

  #onRecord(stream: OwnedStream, record: StreamRecord): void {
    const { directory, providers, replicas } = this.#components
    if (record.state === 'ended') {
      directory.withdraw(record.id)
      providers.cancel(record.id)
      return
    }
    directory.publishOwn(stream.key, {
      alias: record.alias,
      title: record.title,
      state: record.state,
      renditions: record.renditions,
      startedAtMs: record.startedAtMs,
      ...(record.token === undefined ? {} : { token: record.token }),
    })
    // Before it is provided: what a replica provided is cancelled with it.
    replicas.beganHere(record.id)
    providers.provide(record.id)
  }
}
