/**
 * One caller's media: its transport stream taken apart and handed to the stream's sink, in a bounded queue where the sink asks
 * to wait. A live source cannot be asked to wait, so what does not fit is dropped and counted.
 */
import { KairoError } from '../../errors.ts'
import { srtLimits } from '../../limits/srt.ts'
import type { Logger } from '../../logger.ts'
import type { AccessUnit, TrackConfig } from '../../media/access-unit.ts'
import { TransportDemuxer } from '../../media/mpegts/demuxer.ts'
import type { TransportDropReason } from '../../media/mpegts/track-reader.ts'
import type { PublicationSink } from '../../media/sink.ts'
import type { SrtMetrics } from './metrics.ts'

/** What a feed needs. */
export interface MediaFeedComponents {
  readonly logger: Logger
  readonly metrics: SrtMetrics
  readonly sink: PublicationSink
}

type Item =
  | { readonly config: TrackConfig; readonly unit?: never }
  | { readonly unit: AccessUnit; readonly config?: never }

/** From bytes to access units. */
export class MediaFeed {
  readonly #logger: Logger
  readonly #metrics: SrtMetrics
  readonly #sink: PublicationSink
  readonly #onFailure: (error: unknown) => void
  readonly #demuxer: TransportDemuxer
  readonly #queue: Item[] = []
  #queuedBytes = 0
  #waiting = false
  /** Video was dropped from the queue: what follows it, up to a keyframe, is of no use. */
  #awaitsKeyframe = false
  #ended = false
  readonly #reported = new Set<string>()

  /** `onFailure` hears of a failure that comes while no call runs; the feed is of no use after it. */
  constructor(components: MediaFeedComponents, onFailure: (error: unknown) => void) {
    this.#logger = components.logger
    this.#metrics = components.metrics
    this.#sink = components.sink
    this.#onFailure = onFailure
    this.#demuxer = new TransportDemuxer({
      tracks: (kinds) => this.#sink.expect(kinds),
      configure: (config) => this.#put({ config }),
      unit: (unit) => this.#put({ unit }),
      dropped: (reason) => this.#dropped(reason),
    })
  }

  /**
   * Takes the caller's next bytes; `lostBytes` before them are missing.
   * @throws KairoError `ERR_UNSUPPORTED_CODEC`, `ERR_PROTOCOL`, and what the sink throws.
   */
  push(bytes: Buffer, lostBytes: number): void {
    if (lostBytes > 0) this.#demuxer.gap(lostBytes)
    this.#demuxer.push(bytes)
  }

  /** Hands on all that is left, and ends the publication with this reason. */
  end(reason: string): void {
    if (this.#ended) return
    try {
      this.#demuxer.end()
      this.#waiting = false
      for (const item of this.#queue.splice(0)) this.#hand(item)
    } catch (error) {
      if (!(error instanceof KairoError)) throw error
      // The stream ends anyway; what its last bytes were not fit for is worth a line, not another reason.
      this.#logger.warn({ code: error.code }, `the end of an SRT stream is lost: ${error.message}`)
    } finally {
      this.abandon(reason)
    }
  }

  /** Ends the publication without the rest. */
  abandon(reason: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#queue.length = 0
    this.#sink.end(reason)
  }

  #put(item: Item): void {
    if (item.unit !== undefined && this.#mustDrop(item.unit)) return
    if (!this.#waiting) {
      this.#hand(item)
      return
    }
    this.#queue.push(item)
    this.#queuedBytes += item.unit?.data.byteLength ?? 0
  }

  #mustDrop(unit: AccessUnit): boolean {
    const full =
      this.#queue.length >= srtLimits.queueUnitsMax ||
      this.#queuedBytes + unit.data.byteLength > srtLimits.queueBytesMax
    const video = unit.kind === 'video'
    if (video && this.#awaitsKeyframe && unit.keyframe && !full) this.#awaitsKeyframe = false
    if (!full && !(video && this.#awaitsKeyframe)) return false
    if (video) this.#awaitsKeyframe = true
    this.#metrics.queueFull.inc()
    this.#report('queue', 'an SRT publisher is too far ahead of real time: frames are dropped')
    return true
  }

  #hand(item: Item): void {
    if (item.config !== undefined) {
      this.#sink.configure(item.config)
      return
    }
    this.#metrics.accessUnits.inc({ kind: item.unit.kind })
    const wait = this.#sink.write(item.unit)
    if (wait === undefined) return
    this.#waiting = true
    wait.then(
      () => this.#proceed(),
      (error: unknown) => this.#onFailure(error),
    )
  }

  #proceed(): void {
    if (this.#ended) return
    this.#waiting = false
    try {
      while (!this.#waiting) {
        const item = this.#queue.shift()
        if (item === undefined) return
        this.#queuedBytes -= item.unit?.data.byteLength ?? 0
        this.#hand(item)
      }
    } catch (error) {
      this.#onFailure(error)
    }
  }

  #dropped(reason: TransportDropReason): void {
    this.#metrics.unitsDropped.inc({ reason })
    this.#report(reason, 'parts of a transport stream over SRT are dropped')
  }

  /** Logs the first of each kind. */
  #report(reason: string, message: string): void {
    if (this.#reported.has(reason)) return
    this.#reported.add(reason)
    this.#logger.warn({ reason, stream: this.#sink.streamName }, message)
  }
}
