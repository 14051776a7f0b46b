/**
 * Fetches the pages of lists of which a peer has heard: those that are not known yet, from the owner and from whoever told of it, a
 * few lists at once. A list counts when all of its pages are here and each video on them is its owner's.
 */
import type { CancelTimer, Clock } from '../../clock.ts'
import { deadline } from '../../deadline.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import { videoLimits as limits } from '../../limits/videos.ts'
import type { Logger } from '../../logger.ts'
import type { Digest } from '../digest.ts'
import type { Fetcher } from '../fetch/fetch-client.ts'
import type { ContentStore } from '../store/store.ts'
import type { VideoListHead } from './signed-list.ts'
import { decodeVideoPage } from './video-pages.ts'
import type { KnownList, KnownPage } from './video-table.ts'

/** What loading works with. */
export interface ListLoaderComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly fetcher: Pick<Fetcher, 'fetch'>
  readonly store: Pick<ContentStore, 'read'>
  /** The list of an owner that is here already; another owner's pages say nothing of this one's videos. */
  readonly listOf: (owner: string) => KnownList | undefined
  /** A list is whole. */
  readonly onLoaded: (list: KnownList) => void
  /** `ok`, or the code of what went wrong, for metrics. */
  readonly onOutcome: (outcome: string) => void
}

interface Wanted {
  readonly head: VideoListHead
  readonly signed: Uint8Array
  /** Peers that have it, the newest last. */
  readonly sources: Set<string>
  state: 'queued' | 'running' | 'resting'
  retryMs: number
  cancelRetry: CancelTimer | undefined
}

/** Lists on their way. */
export class ListLoader {
  readonly #components: ListLoaderComponents
  readonly #wanted = new Map<string, Wanted>()
  readonly #running = new Set<Promise<void>>()
  readonly #stopping = new AbortController()

  constructor(components: ListLoaderComponents) {
    this.#components = components
  }

  /** Lists that are not here yet. */
  get size(): number {
    return this.#wanted.size
  }

  /** The head of an owner's list that is being fetched. */
  headOf(owner: string): VideoListHead | undefined {
    return this.#wanted.get(owner)?.head
  }

  /** Fetches a list in place of an older one of the same owner. */
  want(head: VideoListHead, signed: Uint8Array, source: string): void {
    const before = this.#wanted.get(head.owner)
    before?.cancelRetry?.()
    const wanted: Wanted = {
      ...{ head, signed, sources: new Set([head.owner, source]) },
      ...{ state: 'queued', retryMs: limits.retryMsMin, cancelRetry: undefined },
    }
    this.#wanted.set(head.owner, wanted)
    this.#next()
  }

  /** Another peer has the list that is wanted. */
  alsoAt(owner: string, source: string): void {
    const wanted = this.#wanted.get(owner)
    if (wanted === undefined || wanted.sources.has(source)) return
    const [oldest] = [...wanted.sources].filter((peer) => peer !== owner)
    if (wanted.sources.size >= limits.sourcesMax && oldest !== undefined) {
      wanted.sources.delete(oldest)
    }
    wanted.sources.add(source)
    if (wanted.state !== 'resting') return
    wanted.cancelRetry?.()
    this.#queue(wanted)
  }

  /** Gives up what is under way. */
  async stop(): Promise<void> {
    this.#stopping.abort(new KairoError('ERR_STOPPED', 'the peer is shutting down'))
    for (const { cancelRetry } of this.#wanted.values()) cancelRetry?.()
    this.#wanted.clear()
    await Promise.all(this.#running)
  }

  #queue(wanted: Wanted): void {
    wanted.state = 'queued'
    this.#next()
  }

  #next(): void {
    for (const wanted of this.#wanted.values()) {
      if (this.#running.size >= limits.loadsMax) return
      if (wanted.state !== 'queued') continue
      wanted.state = 'running'
      const done: Promise<void> = this.#load(wanted).finally(() => {
        this.#running.delete(done)
        this.#next()
      })
      this.#running.add(done)
    }
  }

  /** Never rejects. */
  async #load(wanted: Wanted): Promise<void> {
    const { logger, onLoaded, onOutcome } = this.#components
    const { head, signed } = wanted
    try {
      const pages = await this.#pages(wanted)
      if (this.#wanted.get(head.owner) !== wanted) return
      this.#wanted.delete(head.owner)
      onOutcome('ok')
      onLoaded({ head, signed, pages })
    } catch (error) {
      if (this.#stopping.signal.aborted) return
      const code = isKairoError(error) ? error.code : 'bug'
      onOutcome(code)
      const isBad = code === 'ERR_PROTOCOL' || code === 'ERR_LIMIT' || code === 'bug'
      const context = { err: error, owner: head.owner }
      if (isBad) logger.warn(context, 'the list of videos of a peer is none')
      else logger.debug(context, 'the list of videos of a peer did not come')
      if (this.#wanted.get(head.owner) !== wanted) return
      // What its owner has signed does not become better by asking again.
      if (isBad) this.#wanted.delete(head.owner)
      else this.#retryLater(wanted)
    }
  }

  #retryLater(wanted: Wanted): void {
    wanted.state = 'resting'
    wanted.cancelRetry = this.#components.clock.after(wanted.retryMs, () => this.#queue(wanted))
    wanted.retryMs = Math.min(wanted.retryMs * 2, limits.retryMsMax)
  }

  async #pages({ head, sources }: Wanted): Promise<Map<Digest, KnownPage>> {
    const { clock, listOf } = this.#components
    const limit = deadline(clock, limits.loadMsMax, this.#stopping.signal)
    const pages = new Map<Digest, KnownPage>()
    const ids = new Set<string>()
    let bytes = 0
    try {
      for (const digest of head.pages) {
        const known = listOf(head.owner)?.pages.get(digest)
        const page = known ?? (await this.#page(head.owner, digest, [...sources], limit.signal))
        pages.set(digest, page)
        bytes += page.bytes.byteLength
        for (const { id } of page.videos) {
          if (ids.has(id)) throw new KairoError('ERR_PROTOCOL', 'a video is on a list twice')
          ids.add(id)
        }
        if (bytes > limits.ownerBytesMax) {
          throw new KairoError('ERR_LIMIT', 'the list of videos of a peer is too long')
        }
      }
      return pages
    } finally {
      limit.clear()
    }
  }

  async #page(
    owner: string,
    digest: Digest,
    sources: readonly string[],
    signal: AbortSignal,
  ): Promise<KnownPage> {
    const { fetcher, store } = this.#components
    // A copy is here when an earlier attempt brought some of the pages.
    const here = await store.read(digest, { signal })
    const bytes = here ?? (await fetcher.fetch(digest, sources, { signal }))
    return { bytes, videos: readPage(owner, bytes) }
  }
}

/** Whoever signs a page with another's video on it breaks the protocol. */
function readPage(owner: string, bytes: Buffer): KnownPage['videos'] {
  try {
    return decodeVideoPage(owner, bytes)
  } catch (error) {
    if (!isKairoError(error, 'ERR_VERIFICATION')) throw error
    throw new KairoError('ERR_PROTOCOL', error.message, { cause: error })
  }
}
