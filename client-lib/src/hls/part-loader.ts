/**
 * What hls.js loads fragments and parts with (`fLoader`): media goes to the engine; init segments, subtitles, bandwidth tests and what has no place in the
 * swarm go to the loader that hls.js would use. Retries are hls.js's: a failure is told at once.
 */
import type {
  FragmentLoaderContext,
  HlsConfig,
  Loader,
  LoaderCallbacks,
  LoaderConfiguration,
  LoaderContext,
} from 'hls.js'
import type { CancelTimer, Clock } from '../clock.ts'
import type { PartArrival, PartEngine, PartSource } from '../engine/part-request.ts'
import { type Deadline, deadlineOf, type Playhead } from './deadline.ts'
import { hlsLimits as limits } from './limits.ts'
import { loadingOf, newStats, Progress } from './load-stats.ts'

/** How a load ended, for the page's listeners. */
export type LoadOutcome =
  | { readonly type: 'start' }
  | { readonly type: 'abort' }
  | { readonly type: 'loaded'; readonly arrival: PartArrival }
  | { readonly type: 'error'; readonly status: number; readonly text: string }

/** What loaders work with; one for all of a player. */
export interface LoaderHost {
  readonly clock: Clock
  /** Undefined while there is none: then hls.js loads by itself. */
  readonly engine: PartEngine | undefined
  /** Where a fragment or part lies; undefined when it is nothing for the swarm. */
  locate(context: FragmentLoaderContext): PartSource | undefined
  playhead(): Playhead | undefined
  /** Loaders under way, to be told of bytes and of a playhead that moved. */
  readonly loaders: Set<PartLoader>
  onLoad(context: FragmentLoaderContext, outcome: LoadOutcome): void
  /** Media came past the engine. */
  onPlain(bytes: number): void
}

/** A loader for one fragment or part. */
export class PartLoader implements Loader<FragmentLoaderContext> {
  context: FragmentLoaderContext | null = null
  stats = newStats()
  readonly #host: LoaderHost
  readonly #config: HlsConfig
  readonly #progress = new Progress()
  #callbacks: LoaderCallbacks<FragmentLoaderContext> | undefined
  #plain: Loader<LoaderContext> | undefined
  #source: PartSource | undefined
  #told: Deadline = { deadlineMs: 0, isUrgent: false }
  /** No deadline lies behind it; see `waitShare`. */
  #latestMs = Number.POSITIVE_INFINITY
  #policy: LoaderConfiguration['loadPolicy'] | undefined
  #hasBytes = false
  #cancelLoad: () => void = () => {}
  #cancelTimer: CancelTimer = () => {}

  constructor(host: LoaderHost, config: HlsConfig) {
    this.#host = host
    this.#config = config
  }

  load(
    context: FragmentLoaderContext,
    config: LoaderConfiguration,
    callbacks: LoaderCallbacks<FragmentLoaderContext>,
  ): void {
    const { engine, clock } = this.#host
    this.context = context
    const source = engine && this.#host.locate(context)
    if (engine === undefined || source === undefined) {
      this.#loadPlainly(context, config, callbacks)
      return
    }
    this.#callbacks = callbacks
    this.#source = source
    this.#policy = config.loadPolicy
    this.stats.loading.start = clock.nowMs()
    this.#watchTime(config.loadPolicy.maxTimeToFirstByteMs || config.loadPolicy.maxLoadTimeMs)
    this.#told = this.#deadline()
    this.#host.loaders.add(this)
    this.#host.onLoad(context, { type: 'start' })
    this.#cancelLoad = engine.load(
      { ...source, ...this.#told },
      {
        onArrival: (arrival) => this.#arrived(arrival),
        onFailure: (status, text) => this.#failed(status, text, config),
      },
    )
  }

  abort(): void {
    if (this.#plain !== undefined) {
      this.#plain.abort()
      return
    }
    const callbacks = this.#callbacks
    this.#end(true)
    if (callbacks === undefined || this.context === null) return
    callbacks.onAbort?.(this.stats, this.context, null)
  }

  destroy(): void {
    this.#plain?.destroy()
    this.#end(true)
  }

  /** The playhead is elsewhere, or moves faster. */
  retime(): void {
    const { engine } = this.#host
    if (this.#source === undefined) return
    const next = this.#deadline()
    const movedMs = Math.abs(next.deadlineMs - this.#told.deadlineMs)
    if (next.isUrgent === this.#told.isUrgent && (next.isUrgent || movedMs < limits.hastenMs))
      return
    this.#told = next
    engine?.hasten(this.#source.key, next.deadlineMs, next.isUrgent)
  }

  /** Bytes of a part came, this one's or another's. */
  came(key: string, bytes: number, isHttp: boolean): void {
    if (key !== this.#source?.key) return
    const nowMs = this.#host.clock.nowMs()
    this.#progress.came(this.stats, bytes, isHttp, nowMs)
    if (this.#hasBytes || this.#policy === undefined) return
    this.#hasBytes = true
    // The time to the first byte is kept; what is left is that of the whole.
    this.#watchTime(this.#policy.maxLoadTimeMs)
    this.retime()
  }

  #loadPlainly(
    context: FragmentLoaderContext,
    config: LoaderConfiguration,
    callbacks: LoaderCallbacks<FragmentLoaderContext>,
  ): void {
    const plain = new this.#config.loader(this.#config)
    // hls.js has taken this loader's stats to be the fragment's already.
    plain.stats = this.stats
    this.#plain = plain
    const onSuccess: typeof callbacks.onSuccess = (response, stats, of, details) => {
      const { frag } = context
      if (frag.sn !== 'initSegment' && frag.type !== 'subtitle') this.#host.onPlain(stats.loaded)
      callbacks.onSuccess(response, stats, of, details)
    }
    plain.load(context, config, { ...callbacks, onSuccess } as LoaderCallbacks<LoaderContext>)
  }

  #deadline(): Deadline {
    const { clock } = this.#host
    const { frag, part } = this.context as FragmentLoaderContext
    const { start, duration } = part ?? frag
    const span = { startS: start, durationS: duration, isPart: part !== null }
    const { deadlineMs, isUrgent } = deadlineOf(span, this.#host.playhead(), clock.nowMs())
    return { deadlineMs: Math.min(deadlineMs, this.#latestMs), isUrgent }
  }

  /** Ends the load as timed out when it is not over (or has brought nothing) so long after its start, and has HTTP begin well before. */
  #watchTime(ms: number): void {
    const { clock } = this.#host
    const { start } = this.stats.loading
    this.#cancelTimer()
    this.#latestMs = Number.POSITIVE_INFINITY
    if (!Number.isFinite(ms)) return
    this.#latestMs = start + ms * limits.waitShare
    this.#cancelTimer = clock.after(Math.max(0, start + ms - clock.nowMs()), () => this.#timeOut())
  }

  #arrived(arrival: PartArrival): void {
    const { stats, context, ended: callbacks } = this.#ending()
    if (callbacks === undefined || context === null) return
    const { bytes } = arrival
    stats.loading = loadingOf(arrival, stats.loading.start, this.#host.clock.nowMs())
    stats.loaded = bytes.length
    stats.total = bytes.length
    stats.bwEstimate = arrival.bps
    this.#host.onLoad(context, { type: 'loaded', arrival })
    const data = wholeBuffer(bytes)
    callbacks.onProgress?.(stats, context, data, null)
    callbacks.onSuccess({ url: context.url, data, code: 200 }, stats, context, null)
  }

  /** What no server has refused (a part too large for the swarm, a page without room) hls.js loads by itself, as if there were no engine. */
  #failed(status: number, text: string, config: LoaderConfiguration): void {
    const { stats, context, ended: callbacks } = this.#ending()
    if (callbacks === undefined || context === null) return
    if (status === 0) {
      this.#host.onLoad(context, { type: 'abort' })
      this.#loadPlainly(context, config, callbacks)
      return
    }
    this.#host.onLoad(context, { type: 'error', status, text })
    callbacks.onError({ code: status, text }, context, null, stats)
  }

  #timeOut(): void {
    const cancelLoad = this.#cancelLoad
    const { stats, context, ended: callbacks } = this.#ending()
    cancelLoad()
    if (callbacks === undefined || context === null) return
    this.#host.onLoad(context, { type: 'error', status: 0, text: 'timeout' })
    callbacks.onTimeout(stats, context, null)
  }

  /** Ends it, with what is needed to tell so. hls.js destroys a loader within what it is told, so that comes last. */
  #ending(): Pick<PartLoader, 'stats' | 'context'> & {
    ended: LoaderCallbacks<FragmentLoaderContext> | undefined
  } {
    const { stats, context } = this
    const ended = this.#callbacks
    this.#cancelLoad = () => {}
    this.#end(false)
    return { stats, context, ended }
  }

  #end(isAborted: boolean): void {
    this.#cancelTimer()
    this.#host.loaders.delete(this)
    const isRunning = this.#source !== undefined && this.#callbacks !== undefined
    this.#callbacks = undefined
    this.#source = undefined
    if (!isAborted || !isRunning) return
    this.stats.aborted = true
    this.#cancelLoad()
    if (this.context !== null) this.#host.onLoad(this.context, { type: 'abort' })
  }
}

/** As a buffer of its own, which hls.js gives away to its worker. */
function wholeBuffer(bytes: Uint8Array<ArrayBuffer>): ArrayBuffer {
  const { buffer } = bytes
  return buffer.byteLength === bytes.byteLength ? buffer : bytes.slice().buffer
}
