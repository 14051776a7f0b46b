/** A stream of this peer with everything behind its publisher real: admission, packager, publication, store. */
import { Registry } from 'prom-client'
import type { Clock } from '../../src/clock.ts'
import { Publication } from '../../src/content/publication/publication.ts'
import { ContentStore } from '../../src/content/store/store.ts'
import { generateStreamKey } from '../../src/content/stream-key.ts'
import { PublishingService } from '../../src/ingest/publishing.ts'
import type { OwnedStream, StreamKeys } from '../../src/ingest/stream-keys.ts'
import { type Logger, silentLogger } from '../../src/logger.ts'
import { PackagerMetrics } from '../../src/media/packager/packager-metrics.ts'
import type { PublishedSession, SessionObserver } from '../../src/media/published-session.ts'
import type { PublicationSink } from '../../src/media/sink.ts'
import { type CheckedRendition, type CheckOptions, checkRenditions } from './cmaf-checker.ts'
import { MemorySequence } from './content-peer.ts'
import { ManualClock } from './manual-clock.ts'

/** How a stream is set up. */
export interface PublishedStreamInit {
  readonly logger?: Logger
  readonly observers?: readonly SessionObserver[]
  readonly endGraceMs?: number
  readonly windowSegments?: number
  /** Default: one that the test drives. */
  readonly realClock?: Clock
}

/** One stream, its door for publishers, and what was published. */
export class PublishedStream {
  readonly clock = new ManualClock()
  readonly registry = new Registry()
  readonly service: PublishingService
  readonly publication: Publication
  readonly store: ContentStore
  /** Sessions as observers were told of them. */
  readonly sessions: PublishedSession[] = []
  readonly endings: string[] = []

  constructor(init: PublishedStreamInit = {}) {
    const { registry } = this
    const clock = init.realClock ?? this.clock
    const logger = init.logger ?? silentLogger
    const key = generateStreamKey()
    const stream: OwnedStream = {
      name: 'main',
      title: 'main',
      streamKey: 'secret',
      key,
      builtIn: false,
    }
    this.store = new ContentStore(
      { clock, logger, registry },
      { memoryBytesMax: 1e9, diskBytesMax: 0 },
    )
    this.publication = new Publication(
      { clock, registry, store: this.store, sequence: new MemorySequence() },
      {
        key,
        alias: 'main',
        title: 'main',
        peerId: 'me',
        windowSegments: init.windowSegments ?? 1_000,
      },
    )
    // Only the look-up by secret is used, and files are no part of this.
    const keys = { bySecret: () => stream } as unknown as StreamKeys
    const recorder: SessionObserver = {
      sessionStarted: (session) => this.sessions.push(session),
      streamEnded: (name) => this.endings.push(name),
    }
    this.service = new PublishingService(
      {
        clock,
        logger,
        registry,
        keys,
        packagerMetrics: new PackagerMetrics(registry),
        publicationOf: () => this.publication,
        observers: [recorder, ...(init.observers ?? [])],
      },
      {
        partTargetMs: 200,
        segmentTargetMs: 2_000,
        takeover: 'replace',
        endGraceMs: init.endGraceMs ?? 10_000,
      },
    )
  }

  /** Admits a publisher. */
  publish(): PublicationSink {
    const sink = this.service.publish({
      streamKey: 'secret',
      protocol: 'rtmp',
      remote: '192.0.2.1:5000',
      disconnect: () => {},
    })
    if (sink instanceof Promise) throw new Error('nobody else is asked here')
    return sink
  }

  /** The newest session. */
  get session(): PublishedSession {
    const session = this.sessions.at(-1)
    if (session === undefined) throw new Error('no publisher was admitted')
    return session
  }

  /** What a rendition's index and store hold, in the form the checker takes. */
  async checked(name: string): Promise<CheckedRendition> {
    const rendition = await this.publication.rendition(name)
    const bytes = async (digest: string): Promise<Buffer> =>
      (await this.store.read(digest)) ?? Buffer.alloc(0)
    const parts = await Promise.all(
      rendition.entries.map(async (entry) => ({
        ...entry,
        data: await bytes(entry.digest),
        init: await bytes(entry.initDigest),
      })),
    )
    const { partTargetUs, targetDurationS } = rendition.head
    return { name, parts, partTargetUs, targetDurationS }
  }

  /** The rules that one rendition breaks; each is checked against the first name given. */
  async violations(names: readonly string[], options?: CheckOptions) {
    const all = await Promise.all(names.map(async (name) => await this.checked(name)))
    const [first, ...others] = all
    if (first === undefined) return []
    return [first, ...others].flatMap((one) =>
      one === first ? checkRenditions([first], options) : checkRenditions([one], options),
    )
  }
}
