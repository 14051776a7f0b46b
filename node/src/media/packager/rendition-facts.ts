/**
 * What playlists and the stream record say about a rendition, gathered while its parts are made. The target
 * duration, which players hold on to, only grows, and small changes of bitrate are not worth a new record.
 */
import type { RenditionInfo } from '../../content/stream.ts'
import type { TrackConfig, VideoConfig } from '../access-unit.ts'
import { videoRangeOf } from '../codecs/video-signal.ts'
import type { PartTarget } from './part-target.ts'
import type { PackagedPart } from './rendition-writer.ts'

/** The measured peak is announced again when it has grown by this share. */
const BANDWIDTH_STEP = 1.1

/** Announced for audio that has sent nothing yet. */
const UNRATED_BPS = 128_000

/** A rendition as the packager announces it. */
export interface PackagerRendition {
  readonly info: RenditionInfo
  /** What its parts are cut to, microseconds; fixed. A picture that stays longer makes a longer part. */
  readonly partTargetUs: number
  /** EXT-X-TARGETDURATION in seconds, the same for all renditions; only grows. */
  readonly targetDurationS: number
  /**
   * Discontinuities of the session before this rendition's first part: 0 for one that is there from the start. A rendition
   * that appears late begins its index with this discontinuity sequence, so that the counts of both agree.
   */
  readonly discontinuitiesBefore: number
}

/** What is known of a rendition before anything of it is made. */
export interface RenditionFactsInit {
  readonly name: string
  readonly target: PartTarget
  readonly discontinuitiesBefore: number
  /** Bits a second to announce until a whole segment is measured; measured from the first part on where it is absent. */
  readonly declaredBps?: number
  /** Instead of what the track's configuration says. */
  readonly language?: string
  readonly label?: string
}

/** Gathers the facts of one rendition. */
export class RenditionFacts {
  /** Pictures were seen to carry CEA-608 captions. */
  closedCaptions = false
  readonly #init: RenditionFactsInit
  readonly #target: PartTarget
  #segmentBytes = 0
  #segmentUs = 0
  #peakBps = 0
  #measured = false
  #announced: PackagerRendition | undefined

  constructor(init: RenditionFactsInit) {
    this.#init = init
    this.#target = init.target
  }

  get name(): string {
    return this.#init.name
  }

  /** True once its PART-TARGET is settled, so that it can be announced. */
  get settled(): boolean {
    return this.#target.us > 0
  }

  /** True once a part was made, so that its bitrate is known. */
  get rated(): boolean {
    return this.#peakBps > 0
  }

  /** Notes a part. The first segment's rate counts from its first part on; later only whole segments do. */
  note(part: PackagedPart): void {
    this.#segmentBytes += part.data.byteLength
    this.#segmentUs += part.durationUs
    const bps = Math.round((this.#segmentBytes * 8e6) / this.#segmentUs)
    if (!this.#measured && this.#peakBps === 0) this.#peakBps = bps
    if (!part.endOfSegment) return
    if (!this.#measured || bps > this.#peakBps * BANDWIDTH_STEP) this.#peakBps = bps
    this.#measured = true
    this.#segmentBytes = 0
    this.#segmentUs = 0
  }

  /** The rendition as it is now. */
  describe(config: TrackConfig, targetDurationS: number): PackagerRendition {
    const { name, discontinuitiesBefore } = this.#init
    const pictures = config.kind === 'video'
    const range = videoRangeOf(pictures ? config.colour?.transfer : undefined)
    const language = this.#init.language ?? (pictures ? undefined : config.language)
    const label = this.#init.label ?? (pictures ? undefined : config.label)
    return {
      info: {
        name,
        kind: config.kind,
        codecs: config.codecString,
        bandwidthBps: this.#bandwidthBps(),
        width: pictures ? config.width : 0,
        height: pictures ? config.height : 0,
        frameRate: pictures ? this.#frameRate(config) : 0,
        channels: pictures ? 0 : config.channels,
        ...(range === 'SDR' ? {} : { videoRange: range }),
        ...(language === undefined ? {} : { language }),
        ...(label === undefined ? {} : { label }),
        ...(this.closedCaptions ? { closedCaptions: true } : {}),
      },
      partTargetUs: this.#target.us,
      targetDurationS,
      discontinuitiesBefore,
    }
  }

  #bandwidthBps(): number {
    const { declaredBps } = this.#init
    if (declaredBps !== undefined && !this.#measured) return declaredBps
    return this.#peakBps || UNRATED_BPS
  }

  /** True when the description differs from the last one that this was asked about. */
  changed(description: PackagerRendition): boolean {
    const before = this.#announced
    this.#announced = description
    return before === undefined || !sameDescription(before, description)
  }

  #frameRate(config: VideoConfig): number {
    if (config.frameRate !== undefined) return config.frameRate
    return this.#target.frameUs > 0 ? Math.round(1e8 / this.#target.frameUs) / 100 : 0
  }
}

/** Compares field by field, because it is asked with every part. */
function sameDescription(a: PackagerRendition, b: PackagerRendition): boolean {
  return (
    a.partTargetUs === b.partTargetUs &&
    a.targetDurationS === b.targetDurationS &&
    a.discontinuitiesBefore === b.discontinuitiesBefore &&
    sameFields(a.info, b.info)
  )
}

/** Fields that are absent on one side only are found too: no value is undefined. */
function sameFields(a: RenditionInfo, b: RenditionInfo): boolean {
  let fields = 0
  for (const key in a) {
    if (a[key as keyof RenditionInfo] !== b[key as keyof RenditionInfo]) return false
    fields += 1
  }
  for (const _key in b) fields -= 1
  return fields === 0
}
