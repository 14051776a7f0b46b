/**
 * Makes the library's queued videos, one after the other, each with several children side by side. Live streams come first: a child
 * begins only when admission leaves room for it.
 */
import type { Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import { isKairoError, KairoError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { MediaJobs } from '../media/child/media-run.ts'
import type { LadderPlan, LadderSource } from '../media/ladder/plan.ts'
import type { Asset } from './asset.ts'
import type { VodLibrary } from './library.ts'
import { Making } from './making.ts'
import { PipelineMetrics } from './pipeline-metrics.ts'

/** What the pipeline works with. */
export interface VodPipelineComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly library: VodLibrary
  readonly media: MediaJobs
  /** Plans the renditions of a source by the peer's preset and encoders. */
  readonly ladder: (source: LadderSource) => LadderPlan
  /** False while live streams leave no room for another child. */
  readonly canStart: () => boolean
}

/** How the pipeline is set up. */
export interface VodPipelineInit {
  /** Children that work side by side; one a core is fastest. */
  readonly parallel: number
  /** False encodes the source's own size instead of copying it. Default true. */
  readonly copySource?: boolean
  /** False makes no pictures for scrubbing. Default true. */
  readonly storyboard?: boolean
}

/** Makes videos. */
export class VodPipeline {
  readonly #components: VodPipelineComponents & { readonly metrics: PipelineMetrics }
  readonly #init: Required<VodPipelineInit>
  readonly #stopping = new AbortController()
  readonly #onChanged = (): void => this.#wake()
  #working: Promise<void> | undefined

  constructor(components: VodPipelineComponents, init: VodPipelineInit) {
    const logger = components.logger.child({ name: 'kairo:vod' })
    const metrics = new PipelineMetrics(components.registry)
    this.#components = { ...components, logger, metrics }
    this.#init = { copySource: true, storyboard: true, ...init }
  }

  /** Begins with what is queued, and goes on with what comes. */
  start(): void {
    this.#components.library.events.on('vod:changed', this.#onChanged)
    this.#wake()
  }

  /** Ends all children. What they have finished is kept for the next start. */
  async stop(): Promise<void> {
    this.#components.library.events.off('vod:changed', this.#onChanged)
    this.#stopping.abort(new KairoError('ERR_STOPPED', 'the peer is shutting down'))
    await this.#working
  }

  #wake(): void {
    if (this.#working !== undefined || this.#stopping.signal.aborted) return
    const [asset] = this.#components.library.queued()
    if (asset === undefined) return
    this.#working = this.#make(asset).then(() => {
      this.#working = undefined
      this.#wake()
    })
  }

  /** Never rejects: a video that cannot be made is the library's to tell. */
  async #make(asset: Asset): Promise<void> {
    const { library, logger, metrics } = this.#components
    const signal = AbortSignal.any([this.#stopping.signal, asset.removal.signal])
    try {
      await new Making(this.#components, this.#init, asset, signal).run()
      metrics.seconds.inc(asset.manifest.durationUs / 1e6)
      logger.info({ vod: asset.manifest.id }, 'a video is ready')
    } catch (cause) {
      if (asset.removal.signal.aborted) return
      // Interrupted by a stop: the next start finds it as it is, and goes on.
      if (this.#stopping.signal.aborted) return
      const error = isKairoError(cause)
        ? cause
        : new KairoError('ERR_WORKER', `the video could not be made: ${String(cause)}`, { cause })
      await library.fail(asset, error)
    }
  }
}
