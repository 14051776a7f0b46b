/** The content plane of one peer on a {@link MemoryNet}, with the parts that the rest of the peer would bring. */
import { Registry } from 'prom-client'
import { FeedServer } from '../../src/content/feed/server.ts'
import { Fetcher } from '../../src/content/fetch/fetch-client.ts'
import { FetchServer } from '../../src/content/fetch/fetch-server.ts'
import { Publication, type PublishedPart } from '../../src/content/publication/publication.ts'
import type { SequenceCursor } from '../../src/content/publication/sequence-store.ts'
import { Replicas, type ReplicasComponents } from '../../src/content/replica/replicas.ts'
import { ContentStore } from '../../src/content/store/store.ts'
import type { LiveStream, RenditionInfo, StreamId, StreamRecord } from '../../src/content/stream.ts'
import { generateStreamKey, type StreamKey } from '../../src/content/stream-key.ts'
import { PeerHttps } from '../../src/host/peer-https/peer-https.ts'
import { silentLogger } from '../../src/logger.ts'
import type { ManualClock } from './manual-clock.ts'
import type { MemoryNet } from './memory-transport.ts'

/** Time without a viewer after which these peers give a replica up. */
export const REPLICA_IDLE_MS = 60_000

/** Records and providers of a whole simulated network, known to all at once. */
export class SharedDirectory {
  readonly records = new Map<StreamId, StreamRecord>()
  readonly providers = new Map<StreamId, Set<string>>()
  lookups = 0

  /** What one peer sees of it. */
  seenBy(peerId: string): {
    get(id: StreamId): StreamRecord | undefined
    resolve(name: string): StreamRecord | undefined
    findProviders(id: StreamId): AsyncGenerator<string>
    provide(id: StreamId): void
    cancel(id: StreamId): void
  } {
    const { records, providers } = this
    const directory = this
    return {
      get: (id) => records.get(id),
      resolve: (name) =>
        records.get(name) ?? [...records.values()].find((record) => record.alias === name),
      findProviders: async function* (id) {
        directory.lookups += 1
        for (const peer of [...(providers.get(id) ?? [])]) if (peer !== peerId) yield peer
      },
      provide: (id) => {
        const known = providers.get(id) ?? new Set()
        providers.set(id, known.add(peerId))
      },
      cancel: (id) => {
        providers.get(id)?.delete(peerId)
      },
    }
  }
}

/** A numbering without a disk, carried from one session of a publisher to the next. */
export class MemorySequence implements SequenceCursor {
  nextMsn = 0
  discontinuitySequence = 0
  #used = { msn: 0, discontinuities: 0 }

  note(nextMsn: number, discontinuities: number): void {
    this.#used = { msn: nextMsn, discontinuities }
  }

  async close(): Promise<void> {}

  /** As the next process finds it: numbers reserved ahead are skipped. */
  restart(skipped: number): this {
    this.nextMsn = this.#used.msn + skipped
    this.discontinuitySequence = this.#used.discontinuities + skipped
    return this
  }
}

/** A 720p rendition. */
export const sourceInfo: RenditionInfo = {
  name: 'source',
  kind: 'video',
  codecs: 'avc1.64001f',
  bandwidthBps: 2_000_000,
  width: 1280,
  height: 720,
  frameRate: 30,
  channels: 0,
}

/** Stereo sound. */
export const audioInfo: RenditionInfo = {
  ...sourceInfo,
  name: 'audio',
  kind: 'audio',
  codecs: 'mp4a.40.2',
  width: 0,
  height: 0,
  frameRate: 0,
  channels: 2,
}

/** How a stream is published here. */
interface PublicationSettings {
  readonly key?: StreamKey
  readonly sequence?: SequenceCursor
  readonly windowSegments?: number
}

/** One peer's content plane. */
export class ContentPeer {
  readonly peerId: string
  readonly registry = new Registry()
  readonly store: ContentStore
  readonly replicas: Replicas
  readonly fetcher: Fetcher
  readonly #feedServer: FeedServer
  readonly #fetchServer: FetchServer
  readonly #http: PeerHttps
  readonly #clock: ManualClock
  readonly #directory: SharedDirectory

  constructor(
    peerId: string,
    shared: {
      readonly net: MemoryNet
      readonly clock: ManualClock
      readonly directory: SharedDirectory
      readonly memoryBytesMax?: number
      readonly dvr?: ReplicasComponents['dvr']
    },
  ) {
    this.peerId = peerId
    this.#clock = shared.clock
    this.#directory = shared.directory
    const { registry } = this
    const transport = shared.net.peer(peerId)
    const base = { clock: shared.clock, logger: silentLogger, registry, transport }
    this.store = new ContentStore(base, {
      memoryBytesMax: shared.memoryBytesMax ?? 64 * 1024 * 1024,
      diskBytesMax: 0,
    })
    this.#http = new PeerHttps({ ...base, endpointsOf: () => undefined }, {})
    this.fetcher = new Fetcher({ ...base, http: this.#http, store: this.store })
    const seen = shared.directory.seenBy(peerId)
    this.replicas = new Replicas(
      {
        ...base,
        store: this.store,
        fetcher: this.fetcher,
        records: seen,
        providers: seen,
        random: shared.net.random,
        ...(shared.dvr !== undefined && { dvr: shared.dvr }),
      },
      { idleMs: REPLICA_IDLE_MS },
    )
    this.#feedServer = new FeedServer({ ...base, streams: this.replicas })
    this.#fetchServer = new FetchServer({ ...base, http: this.#http, store: this.store })
  }

  async start(): Promise<this> {
    await this.#feedServer.start()
    this.#fetchServer.start()
    await this.#http.start()
    this.replicas.start()
    return this
  }

  async stop(): Promise<void> {
    this.#fetchServer.stop()
    await this.#http.stop()
    await this.#feedServer.stop()
    this.replicas.stop()
    await this.store.stop()
  }

  /** Publishes a stream here. */
  publish(
    init: PublicationSettings & {
      readonly renditions?: readonly RenditionInfo[]
      readonly random?: () => number
    },
  ): TestPublisher {
    return new TestPublisher(this.prepare(init), init.renditions ?? [sourceInfo], init.random)
  }

  /** A stream whose key is here, before anybody publishes it. */
  prepare(init: PublicationSettings): Publication {
    const seen = this.#directory.seenBy(this.peerId)
    const publication = new Publication(
      {
        clock: this.#clock,
        registry: this.registry,
        store: this.store,
        sequence: init.sequence ?? new MemorySequence(),
      },
      {
        key: init.key ?? generateStreamKey(),
        alias: 'test',
        title: 'Test',
        peerId: this.peerId,
        onRecord: (record) => {
          this.#directory.records.set(record.id, record)
          if (record.state !== 'live') return
          this.replicas.beganHere(record.id)
          seen.provide(record.id)
        },
        windowSegments: init.windowSegments ?? 15,
      },
    )
    this.replicas.addPublication(publication)
    return publication
  }

  /** A metric's value, summed over its labels or for the given ones. */
  async metric(name: string, labels: Record<string, string> = {}): Promise<number> {
    const metric = await this.registry.getSingleMetric(name)?.get()
    let sum = 0
    for (const value of metric?.values ?? []) {
      const given = value.labels as Record<string, string | number | undefined>
      if (Object.entries(labels).every(([key, wanted]) => given[key] === wanted)) sum += value.value
    }
    return sum
  }
}

/** Makes parts as a packager would, with random bytes. */
export class TestPublisher {
  readonly publication: Publication
  readonly #renditions: readonly RenditionInfo[]
  readonly #random: () => number
  #init: Buffer
  #msn = 0
  #part = 0
  #discontinuity = false

  constructor(
    publication: Publication,
    renditions: readonly RenditionInfo[],
    random: () => number = Math.random,
  ) {
    this.publication = publication
    this.#renditions = renditions
    this.#random = random
    this.#init = this.#bytes(60)
    this.begin()
  }

  /** Begins a session; also again after {@link Publication.end}. */
  begin(): void {
    this.#msn = this.publication.nextMsn
    this.#part = 0
    this.publication.setRenditions(
      this.#renditions.map((info) => ({
        info,
        partTargetUs: 200_000,
        targetDurationS: 2,
        discontinuitiesBefore: 0,
      })),
    )
  }

  /** The next part of every rendition. */
  part(options: { readonly bytes?: number; readonly last?: boolean } = {}): void {
    const endOfSegment = options.last ?? this.#part === 9
    for (const { name, kind } of this.#renditions) {
      const part: PublishedPart = {
        rendition: name,
        msn: this.#msn,
        part: this.#part,
        data: this.#bytes(options.bytes ?? 200 + Math.floor(this.#random() * 800)),
        durationUs: 200_000,
        independent: kind === 'audio' || this.#part === 0,
        endOfSegment,
        programDateTimeMs: this.#part === 0 ? 1_700_000_000_000 + this.#msn * 2000 : undefined,
        discontinuity: this.#part === 0 && this.#discontinuity,
        init: this.#init,
      }
      this.publication.addPart(part)
    }
    if (this.#part === 0) this.#discontinuity = false
    this.#part = endOfSegment ? 0 : this.#part + 1
    if (endOfSegment) this.#msn += 1
  }

  /** Several parts. */
  parts(count: number, options: { readonly bytes?: number } = {}): void {
    for (let index = 0; index < count; index += 1) this.part(options)
  }

  /** The codec configuration changes with the next segment, which begins now. */
  reconfigure(): void {
    this.#init = this.#bytes(60)
    this.#discontinuity = true
    if (this.#part !== 0) this.#msn += 1
    this.#part = 0
  }

  #bytes(count: number): Buffer {
    const bytes = Buffer.alloc(count)
    for (let index = 0; index < count; index += 4) {
      bytes.writeUInt8(Math.floor(this.#random() * 256), index)
    }
    bytes.writeUInt32BE(Math.floor(this.#random() * 2 ** 32), 0)
    return bytes
  }
}

/** A signal that never fires. */
export const never = new AbortController().signal

/** Every object in the window of a followed rendition, read through the stream. */
export async function readWindow(stream: LiveStream, name: string): Promise<Buffer> {
  const rendition = await stream.rendition(name, { signal: never })
  const objects: Buffer[] = []
  for (const entry of rendition.entries) {
    objects.push(await stream.read(entry.initDigest, { signal: never }))
    objects.push(await stream.read(entry.digest, { signal: never }))
  }
  return Buffer.concat(objects)
}

/** A seeded source of numbers in [0, 1) (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
