/**
 * Videos of other peers, played here. A viewer's first request learns the segments, by pages that are verified against the owner's
 * signed list; each object is then fetched by its digest when it is asked for, from the owner or from whoever has a copy, and kept in
 * the content store like everything that is cached. This peer tells the DHT of videos that it has copies of.
 */
import type { Registry } from 'prom-client'
import type { Clock } from '../../clock.ts'
import { deadline } from '../../deadline.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import { networkVideoLimits as limits } from '../../limits/videos.ts'
import type { Logger } from '../../logger.ts'
import type {
  ArchivedRendition,
  ArchivedSegment,
  ObjectReadOptions,
  PlayableSource,
  Presentation,
  PresentationOutline,
} from '../archive/presentation.ts'
import type { Digest } from '../digest.ts'
import type { Fetcher } from '../fetch/fetch-client.ts'
import type { ProviderService } from '../records/provider.ts'
import { rankByRendezvous } from '../rendezvous.ts'
import { SingleFlight } from '../single-flight.ts'
import type { ContentStore } from '../store/store.ts'
import { decodeSegmentPage } from './segment-pages.ts'
import type { VideoDirectory } from './video-directory.ts'
import { NetworkVideoMetrics } from './video-metrics.ts'
import type { PagedRendition, VideoRecord } from './video-record.ts'
import type { KnownVideo } from './video-table.ts'

/** What playing videos of others works with. */
export interface NetworkVideosComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly store: Pick<ContentStore, 'read' | 'peek' | 'ownerOf' | 'delete' | 'kept'>
  readonly fetcher: Pick<Fetcher, 'fetch'>
  readonly videos: Pick<VideoDirectory, 'get' | 'newest' | 'count' | 'events'>
  readonly providers: Pick<ProviderService, 'provide' | 'cancel' | 'findProviders'>
  /** Peers that can be asked now, in no order. */
  readonly alivePeers: () => readonly { readonly peerId: string }[]
  /** True for one of them. */
  readonly isAlive: (peerId: string) => boolean
}

/** Where a video of another peer is: played here, at a peer that can be asked, or nowhere that is known. */
export type NetworkVideoStatus = 'copied' | 'known' | 'away'

interface Opened {
  readonly video: VideoRecord
  readonly presentation: Presentation
  readonly segments: number
}

interface Found {
  readonly peers: readonly string[]
  /** Monotonic milliseconds until which it holds. */
  readonly untilMs: number
}

/** The videos of others that are played here. */
export class NetworkVideos implements PlayableSource {
  readonly #components: NetworkVideosComponents
  readonly #logger: Logger
  readonly #metrics: NetworkVideoMetrics
  /** The one used last at the end. */
  readonly #opened = new Map<string, Opened>()
  readonly #opening = new SingleFlight<Presentation>()
  readonly #found = new Map<string, Found>()
  readonly #finding = new SingleFlight<readonly string[]>()
  readonly #provided = new Set<string>()
  readonly #stopping = new AbortController()
  #segments = 0

  constructor(components: NetworkVideosComponents) {
    this.#components = components
    this.#logger = components.logger.child({ name: 'kairo:videos' })
    this.#metrics = new NetworkVideoMetrics(components.registry, () => ({
      ...{ open: this.#opened.size, segments: this.#segments },
    }))
    components.videos.events.on('video:removed', (known) => this.#onRemoved(known))
  }

  /** Gives up what is under way. */
  stop(): void {
    this.#stopping.abort(new KairoError('ERR_STOPPED', 'the peer is shutting down'))
  }

  /** A video whose segments are known here. */
  get(id: string): Presentation | undefined {
    const video = this.known(id)?.video
    const opened = this.#opened.get(id)
    if (video === undefined || opened === undefined) return undefined
    if (opened.video !== video) {
      // The list is a newer one; what it says of this video may be the same.
      if (pagesOf(opened.video) !== pagesOf(video)) return undefined
      const { renditions } = opened.presentation
      return this.#keep(video, renditions).presentation
    }
    this.#opened.delete(id)
    this.#opened.set(id, opened)
    return opened.presentation
  }

  /** Videos that other peers tell of. */
  get count(): number {
    return this.#components.videos.count
  }

  /** What is told of one of them. */
  known(id: string): KnownVideo | undefined {
    return this.#components.videos.get(id)
  }

  /** Up to `count` of them, the newest first. */
  newest(count: number): readonly KnownVideo[] {
    return this.#components.videos.newest(count)
  }

  /** How a video of another peer stands here. */
  status(id: string): NetworkVideoStatus {
    if (this.#opened.has(id)) return 'copied'
    const owner = this.known(id)?.owner
    const isAlive = owner !== undefined && this.#components.isAlive(owner)
    return isAlive || this.#foundNow(id).length > 0 ? 'known' : 'away'
  }

  /** Those whose segments are known here. */
  list(): readonly Presentation[] {
    return [...this.#opened.keys()].flatMap((id) => this.get(id) ?? [])
  }

  outline(id: string): PresentationOutline | undefined {
    return this.known(id)?.video
  }

  /**
   * A video with its segments, from others if they are not known here.
   * @throws KairoError `ERR_NOT_FOUND` when nobody tells of such a video, `ERR_NO_PROVIDER` when nobody who has it can be asked,
   * `ERR_PROTOCOL` when it is not what its owner said, `ERR_TIMEOUT`.
   */
  async open(id: string, options: { readonly signal: AbortSignal }): Promise<Presentation> {
    const known = this.get(id)
    if (known !== undefined) return known
    const video = this.known(id)
    if (video === undefined) throw new KairoError('ERR_NOT_FOUND', 'no such video')
    return await this.#opening.run(id, options.signal, (signal) => this.#open(video, signal))
  }

  /**
   * The bytes of an object of a video, verified.
   * @throws KairoError as {@link NetworkVideos.open}.
   */
  async read(digest: Digest, { id, signal }: ObjectReadOptions): Promise<Buffer> {
    const known = this.known(id)
    if (known === undefined) throw new KairoError('ERR_NOT_FOUND', 'no such video')
    const bytes = await this.#object(known, digest, signal)
    this.#provide(id)
    return bytes
  }

  /** The bytes of an object if they are in RAM. */
  peek(digest: Digest): Buffer | undefined {
    return this.#components.store.peek(digest)
  }

  async #open(known: KnownVideo, outer: AbortSignal): Promise<Presentation> {
    const { clock } = this.#components
    const signal = AbortSignal.any([outer, this.#stopping.signal])
    const limit = deadline(clock, limits.openMsMax, signal)
    try {
      const renditions: ArchivedRendition[] = []
      for (const rendition of known.video.renditions) {
        renditions.push(await this.#rendition(known, rendition, limit.signal))
      }
      const { presentation } = this.#keep(known.video, renditions)
      this.#metrics.opens.inc({ outcome: 'ok' })
      return presentation
    } catch (error) {
      this.#metrics.opens.inc({ outcome: isKairoError(error) ? error.code : 'bug' })
      throw error
    } finally {
      limit.clear()
    }
  }

  async #rendition(
    known: KnownVideo,
    { info, targetDurationS, segments: count, pages }: PagedRendition,
    signal: AbortSignal,
  ): Promise<ArchivedRendition> {
    const parts: ArchivedRendition['segments'][] = []
    for (let at = 0; at < pages.length; at += limits.pagesAtOnce) {
      const some = pages.slice(at, at + limits.pagesAtOnce)
      const read = async (digest: Digest) =>
        decodeSegmentPage(await this.#object(known, digest, signal))
      parts.push(...(await Promise.all(some.map(read))))
    }
    const segments = parts.flat()
    const first = segments[0]?.msn ?? 0
    const isWhole =
      segments.length === count && segments.every(({ msn }, index) => msn === first + index)
    if (!isWhole) {
      throw new KairoError(
        'ERR_VERIFICATION',
        'the segments of a video are not what its owner said',
      )
    }
    return { info, targetDurationS, segments }
  }

  #keep(video: VideoRecord, renditions: readonly ArchivedRendition[]): Opened {
    const { id, title, createdAtMs, durationUs, captions, storyboard } = video
    this.#forget(id)
    const opened: Opened = {
      video,
      presentation: {
        ...{ id, title, createdAtMs, durationUs, complete: true },
        ...{ renditions, captions, storyboard },
      },
      segments: renditions.reduce((sum, { segments }) => sum + segments.length, 0),
    }
    this.#opened.set(id, opened)
    this.#segments += opened.segments
    for (const oldest of this.#opened.keys()) {
      const isOver = this.#opened.size > limits.openMax || this.#segments > limits.segmentsMax
      if (!isOver || oldest === id) break
      this.#forget(oldest)
      this.#withdraw(oldest)
    }
    return opened
  }

  #forget(id: string): void {
    this.#segments -= this.#opened.get(id)?.segments ?? 0
    this.#opened.delete(id)
  }

  /** From here, from the owner and those that the DHT named, else from whoever is likely to have it. */
  async #object(known: KnownVideo, digest: Digest, signal: AbortSignal): Promise<Buffer> {
    const { store } = this.#components
    const here = await store.read(digest, { signal })
    if (here !== undefined) return here
    try {
      const bytes = await this.#fetch(known, digest, signal)
      this.#metrics.fetches.inc({ outcome: 'ok' })
      return bytes
    } catch (error) {
      this.#metrics.fetches.inc({ outcome: isKairoError(error) ? error.code : 'bug' })
      throw error
    }
  }

  async #fetch(known: KnownVideo, digest: Digest, signal: AbortSignal): Promise<Buffer> {
    const { fetcher, alivePeers, isAlive } = this.#components
    const { owner, video } = known
    const options = { signal, owner: { tenant: owner, stream: video.id } }
    const likely = [owner, ...this.#foundNow(video.id)].filter(isAlive)
    if (likely.length > 0) {
      try {
        return await fetcher.fetch(digest, likely, options)
      } catch (error) {
        if (signal.aborted || !isKairoError(error)) throw error
        this.#logger.debug(
          { err: error, vod: video.id },
          'an object of a video is sought elsewhere',
        )
      }
    }
    const asked = new Set(likely)
    const found = await this.#find(video.id, signal)
    const guessed = rankByRendezvous(digest, alivePeers()).slice(0, limits.guessedPeersMax)
    const others = [...found, ...guessed, owner].filter((peer) => !asked.has(peer))
    if (others.length === 0) {
      throw new KairoError('ERR_NO_PROVIDER', 'nobody who has this video can be reached')
    }
    return await fetcher.fetch(digest, [...new Set(others)], { ...options, keepOrder: true })
  }

  #foundNow(id: string): readonly string[] {
    const found = this.#found.get(id)
    if (found === undefined) return []
    if (found.untilMs > this.#components.clock.monotonicMs()) return found.peers
    this.#found.delete(id)
    return []
  }

  /** Who the DHT says has copies, asked once in a while for each video. */
  async #find(id: string, signal: AbortSignal): Promise<readonly string[]> {
    const { clock, providers } = this.#components
    const known = this.#found.get(id)
    if (known !== undefined && known.untilMs > clock.monotonicMs()) return known.peers
    return await this.#finding.run(id, signal, async (inner) => {
      const peers: string[] = []
      for await (const peer of providers.findProviders(id, { signal: inner })) peers.push(peer)
      this.#found.delete(id)
      this.#found.set(id, { peers, untilMs: clock.monotonicMs() + limits.providersMs })
      for (const oldest of this.#found.keys()) {
        if (this.#found.size <= limits.openMax) break
        this.#found.delete(oldest)
      }
      return peers
    })
  }

  #provide(id: string): void {
    if (this.#provided.has(id) || !this.#opened.has(id)) return
    try {
      this.#components.providers.provide(id)
      this.#provided.add(id)
    } catch (error) {
      if (!isKairoError(error, 'ERR_LIMIT')) throw error
      this.#logger.debug({ err: error, vod: id }, 'the DHT is not told of a copy')
    }
  }

  #withdraw(id: string): void {
    if (this.#provided.delete(id)) this.#components.providers.cancel(id)
  }

  /** Its owner has removed it: copies go too, but for what is kept here. */
  #onRemoved(known: KnownVideo): void {
    const { video } = known
    const opened = this.#opened.get(video.id)?.presentation
    this.#forget(video.id)
    this.#found.delete(video.id)
    this.#withdraw(video.id)
    this.#dropCopies(known, opened).catch((error: Error) => {
      this.#logger.warn({ err: error, vod: video.id }, 'copies of a removed video may be left')
    })
  }

  /** Only what came here for this video: a list may name any object, such as a part of somebody's live stream. */
  async #dropCopies(
    { owner: tenant, video }: KnownVideo,
    opened: Presentation | undefined,
  ): Promise<void> {
    const { store } = this.#components
    const digests = new Set([
      ...video.captions.map(({ digest }) => digest),
      ...(video.storyboard?.sprites ?? []),
    ])
    const segments = opened?.renditions.flatMap((rendition) => rendition.segments)
    for (const { digest, initDigest } of segments ?? (await this.#segmentsHere(video))) {
      digests.add(digest).add(initDigest)
    }
    for (const { pages } of video.renditions) for (const page of pages) digests.add(page)
    let dropped = 0
    for (const digest of digests) {
      const owner = store.ownerOf(digest)
      const isOfVideo = owner?.tenant === tenant && owner.stream === video.id
      if (!isOfVideo || store.kept.has(digest)) continue
      store.delete(digest)
      dropped += 1
    }
    this.#metrics.dropped.inc(dropped)
    this.#logger.info({ vod: video.id, dropped }, 'a video of another peer was removed there')
  }

  /** Segments of which this peer still has the pages. */
  async #segmentsHere({ renditions }: VideoRecord): Promise<ArchivedSegment[]> {
    const segments: ArchivedSegment[] = []
    for (const page of renditions.flatMap(({ pages }) => pages)) {
      const bytes = await this.#components.store.read(page)
      if (bytes !== undefined) segments.push(...decodeSegmentPage(bytes))
    }
    return segments
  }
}

function pagesOf({ renditions }: VideoRecord): string {
  return renditions.map(({ info, pages }) => `${JSON.stringify(info)} ${pages.join()}`).join()
}
