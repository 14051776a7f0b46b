/**
 * The videos on demand of the network as this peer knows them. Each peer tells of its own in one list: a small signed head, which is
 * gossiped when the list changes and asked for on each new connection, and pages that are fetched by digest. Lists are kept over
 * restarts and while their owners are away, so that videos play on from copies; what an owner's newest list has no more is gone.
 */
import { strict as assert } from 'node:assert'
import { EventEmitter } from 'node:events'
import type { Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../../clock.ts'
import { isKairoError } from '../../errors.ts'
import { Announcements } from '../../host/announcements.ts'
import type { Gossip, GossipVerdict, PeerWatch } from '../../host/network.ts'
import type { PeerSigner } from '../../host/peer-signature.ts'
import { VIDEOS_PROTOCOL, VIDEOS_TOPIC } from '../../host/protocols.ts'
import type { Transport } from '../../host/transport.ts'
import { videoLimits as limits } from '../../limits/videos.ts'
import type { Logger } from '../../logger.ts'
import { type Digest, digestOf } from '../digest.ts'
import type { Fetcher } from '../fetch/fetch-client.ts'
import { RecordExchange } from '../records/record-exchange.ts'
import type { ContentStore, ObjectSource } from '../store/store.ts'
import { ListFiles } from './list-files.ts'
import { ListLoader } from './list-loader.ts'
import { decodeSignedList, encodeSignedList, type VideoListHead } from './signed-list.ts'
import { VideoDirectoryMetrics } from './video-metrics.ts'
import { encodeVideoPages } from './video-pages.ts'
import type { VideoRecord } from './video-record.ts'
import { bytesOf, type KnownList, type KnownVideo, VideoTable } from './video-table.ts'

/** What the directory works with. */
export interface VideoDirectoryComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly gossip: Gossip
  readonly transport: Transport
  readonly peers: PeerWatch
  readonly signer: PeerSigner
  readonly fetcher: Pick<Fetcher, 'fetch'>
  /** Hands out the pages of all lists; the directory adds itself as a source. */
  readonly store: Pick<ContentStore, 'read' | 'addSource'>
}

/** How the directory is set up. */
export interface VideoDirectoryInit {
  /** Folder of the lists of others. */
  readonly directory: string
}

/** Changes of what other peers have, told after they are made. */
export interface VideoDirectoryEvents {
  /** A video is new, or told otherwise than before. */
  'video:changed': [video: KnownVideo]
  /** Its owner has it no more. */
  'video:removed': [video: KnownVideo]
}

interface OwnList {
  readonly head: VideoListHead
  readonly signed: Uint8Array
  readonly pages: ReadonlyMap<Digest, Buffer>
  readonly videos: number
}

/** The directory of one peer. */
export class VideoDirectory implements ObjectSource {
  readonly events = new EventEmitter<VideoDirectoryEvents>()
  readonly #components: VideoDirectoryComponents
  readonly #logger: Logger
  readonly #metrics: VideoDirectoryMetrics
  readonly #table: VideoTable
  readonly #files: ListFiles
  readonly #loader: ListLoader
  readonly #exchange: RecordExchange
  readonly #announcements: Announcements
  /** Undefined while nobody has been told anything. */
  #own: OwnList | undefined
  /** What is to be told; undefined until it is known: nobody is to think before that that there is nothing any more. */
  #ownVideos: (() => readonly VideoRecord[]) | undefined
  /** Every video of others, the newest first; made when it is asked for. */
  #newest: readonly KnownVideo[] | undefined
  /** Own numbers seen in the network, of an earlier run for instance. */
  #sequence = 0
  #status: 'stopped' | 'started' = 'stopped'
  #cancelAnnounce: CancelTimer | undefined
  #cancelChange: CancelTimer | undefined
  #unwatch: (() => void) | undefined

  constructor(components: VideoDirectoryComponents, init: VideoDirectoryInit) {
    const { clock, registry, transport, fetcher, store } = components
    const logger = components.logger.child({ name: 'kairo:videos' })
    this.#components = components
    this.#logger = logger
    this.#files = new ListFiles({ logger }, init.directory)
    this.#table = new VideoTable(clock, (owner) => {
      this.#files.remove(owner)
      this.#newest = undefined
    })
    this.#metrics = new VideoDirectoryMetrics(registry, () => ({
      ...{ owners: this.#table.owners, videos: this.#table.videos, bytes: this.#table.bytes },
      own: this.#own?.videos ?? 0,
    }))
    this.#announcements = new Announcements(
      {
        gossip: components.gossip,
        logger: this.#logger,
        announcements: this.#metrics.announcements,
      },
      VIDEOS_TOPIC,
      'could not announce the own videos',
    )
    this.#loader = new ListLoader({
      ...{ clock, logger, fetcher, store },
      listOf: (owner) => this.#table.of(owner),
      onLoaded: (list) => this.#loaded(list),
      onOutcome: (outcome) => this.#metrics.loads.inc({ outcome }),
    })
    this.#exchange = new RecordExchange({
      ...{ clock, logger, transport, protocol: VIDEOS_PROTOCOL },
      records: () => this.#heads(),
      accept: (bytes, peerId) => this.#hear(bytes, peerId),
    })
    store.addSource(this)
  }

  /**
   * Takes over what an earlier run knew, listens, and begins to tell of own videos. The host must be running.
   * @throws KairoError `ERR_STORAGE` when the folder cannot be used.
   */
  async start(): Promise<void> {
    assert.equal(this.#status, 'stopped', 'the directory is started once')
    this.#status = 'started'
    const { clock, gossip, transport, peers } = this.#components
    for (const list of await this.#files.load()) {
      const isOver = list.head.expiresAtMs + limits.clockSkewMsMax <= clock.now()
      const isOurs = list.head.owner === transport.peerId
      if (isOver || isOurs) this.#files.remove(list.head.owner)
      else if (this.#table.hasRoom(list.head.owner, bytesOf(list))) this.#table.put(list)
    }
    gossip.subscribe(VIDEOS_TOPIC, (data, from) => this.#hear(data, from))
    await transport.handle(VIDEOS_PROTOCOL, (stream) => this.#exchange.answer(stream))
    this.#unwatch = peers.watch(VIDEOS_PROTOCOL, (peerId) => this.#exchange.ask(peerId))
    this.#tell()
    this.#announceLater(limits.announceIntervalMs)
  }

  /** Stops listening and telling; the own list stays known to others. Must come before the host's stop. */
  async stop(): Promise<void> {
    if (this.#status === 'stopped') return
    this.#status = 'stopped'
    this.#cancelAnnounce?.()
    this.#cancelChange?.()
    this.#unwatch?.()
    this.#components.gossip.unsubscribe(VIDEOS_TOPIC)
    this.#table.stop()
    await Promise.all([this.#announcements.settled(), this.#exchange.stop(), this.#loader.stop()])
    await this.#files.stop()
  }

  /** Tells others, soon, that own videos have changed; `videos` is asked for those there are then. */
  ownChanged(videos: () => readonly VideoRecord[]): void {
    this.#ownVideos = videos
    if (this.#status === 'stopped' || this.#cancelChange !== undefined) return
    this.#cancelChange = this.#components.clock.after(limits.announceDelayMs, () => {
      this.#cancelChange = undefined
      this.#tell()
    })
  }

  /** A video of another peer. */
  get(id: string): KnownVideo | undefined {
    return this.#table.video(id)
  }

  /** Videos of other peers. */
  get count(): number {
    return this.#table.videos
  }

  /** Up to `count` videos of other peers, the newest first. */
  newest(count: number): readonly KnownVideo[] {
    this.#newest ??= this.#table
      .list()
      .toSorted((a, b) => b.video.createdAtMs - a.video.createdAtMs)
    return this.#newest.slice(0, count)
  }

  /** True for a page of a list. */
  has(digest: Digest): boolean {
    return this.#own?.pages.has(digest) === true || this.#table.page(digest) !== undefined
  }

  async read(digest: Digest): Promise<Buffer | undefined> {
    return this.#own?.pages.get(digest) ?? this.#table.page(digest)?.bytes
  }

  /** Own list first: nobody else may have it. */
  #heads(): Uint8Array[] {
    const others = this.#table.lists().map(({ signed }) => signed)
    return this.#own === undefined ? others : [this.#own.signed, ...others]
  }

  /** Makes the own list anew and announces it, if it differs from what others know. */
  #tell(): void {
    if (this.#ownVideos === undefined) return
    const { transport } = this.#components
    const { videos, pages, leftOut } = encodeVideoPages(transport.peerId, this.#ownVideos())
    for (const { video, error } of leftOut) {
      this.#metrics.leftOut.inc({ code: error.code })
      this.#logger.warn({ err: error, vod: video.id }, 'other peers are not told of a video')
    }
    const named = new Map(pages.map((page) => [digestOf(page), page]))
    const digests = [...named.keys()]
    // A peer that never had a video has nothing to say.
    if (this.#own === undefined && digests.length === 0 && this.#sequence === 0) return
    if (this.#own?.head.pages.join() === digests.join()) return
    this.#announce(named, videos.length)
    const [first = 0, ...later] = limits.announceAgainMs
    this.#announceLater(first, ...later, limits.announceIntervalMs)
  }

  #announce(pages: ReadonlyMap<Digest, Buffer>, videos: number): void {
    const { clock, signer } = this.#components
    const sequence = Math.max(Math.floor(clock.now()), this.#sequence + 1)
    const fields = { sequence, expiresAtMs: sequence + limits.listTtlMs, pages: [...pages.keys()] }
    const signed = encodeSignedList(signer, fields)
    this.#sequence = sequence
    this.#own = { head: { ...fields, owner: signer.peerId }, signed, pages, videos }
    this.#announcements.send(signed)
  }

  /** Says the same again after each of these times, and anew when there are none left. */
  #announceLater(delayMs: number, ...later: readonly number[]): void {
    this.#cancelAnnounce?.()
    this.#cancelAnnounce = this.#components.clock.after(delayMs, () => {
      const [next, ...rest] = later
      if (next === undefined) {
        if (this.#own !== undefined) this.#announce(this.#own.pages, this.#own.videos)
        this.#announceLater(limits.announceIntervalMs)
        return
      }
      if (this.#own !== undefined) this.#announcements.send(this.#own.signed)
      this.#announceLater(next, ...rest)
    })
  }

  /** Judges a head that came from another peer, and fetches what it names if it is news. */
  #hear(bytes: Uint8Array, from: string): GossipVerdict {
    let outcome: string
    try {
      outcome = this.#consider(bytes, from)
    } catch (error) {
      if (!isKairoError(error)) throw error
      this.#metrics.heard.inc({ outcome: error.code })
      this.#logger.debug({ err: error }, 'dropped a list of videos')
      return 'reject'
    }
    this.#metrics.heard.inc({ outcome })
    return outcome === 'kept' ? 'accept' : 'ignore'
  }

  #consider(
    bytes: Uint8Array,
    from: string,
  ): 'kept' | 'old' | 'expired' | 'early' | 'full' | 'own' {
    const unchecked = decodeSignedList(bytes)
    const { head } = unchecked
    const { owner } = head
    const now = this.#components.clock.now()
    if (owner === this.#components.transport.peerId) return this.#hearOwn(unchecked)
    const loaded = this.#table.of(owner)?.head
    const wanted = this.#loader.headOf(owner)
    const known = Math.max(loaded?.sequence ?? 0, wanted?.sequence ?? 0)
    if (head.sequence === wanted?.sequence) this.#loader.alsoAt(owner, from)
    if (head.sequence <= known) return 'old'
    if (head.expiresAtMs + limits.clockSkewMsMax <= now) return 'expired'
    if (head.sequence > now + limits.clockSkewMsMax) return 'early'
    if (!this.#table.hasRoom(owner, 0)) return 'full'
    unchecked.verify()
    const signed = Uint8Array.from(bytes)
    if (loaded !== undefined && loaded.pages.join() === head.pages.join()) {
      this.#table.refresh(head, signed)
      const list = this.#table.of(owner)
      if (list !== undefined) this.#files.save(list)
    } else this.#loader.want(head, signed, from)
    return 'kept'
  }

  /** A list of an earlier run of this peer, or one signed when the clock was ahead: the next one goes above it. */
  #hearOwn({ head, verify }: ReturnType<typeof decodeSignedList>): 'own' | 'old' {
    if (head.sequence <= this.#sequence) return 'old'
    verify()
    this.#sequence = head.sequence
    this.#own = undefined
    this.#tell()
    return 'own'
  }

  #loaded(list: KnownList): void {
    const { owner } = list.head
    if (!this.#table.hasRoom(owner, bytesOf(list))) {
      this.#metrics.heard.inc({ outcome: 'full' })
      this.#logger.warn({ owner }, 'no room for the list of videos of a peer')
      return
    }
    const { changed, removed } = this.#table.put(list)
    this.#newest = undefined
    this.#files.save(list)
    for (const video of removed) this.events.emit('video:removed', video)
    for (const video of changed) this.events.emit('video:changed', video)
  }
}
