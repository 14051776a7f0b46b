/**
 * Captions of a live stream as a rendition: each segment of the source becomes one WebVTT segment of one part, made when the
 * source's segment has ended. A cue that spans segments is in each of them; one that comes too late for its segment is in the next.
 */
import { captionLimits } from '../../limits/captions.ts'
import { TICKS_PER_MS } from '../access-unit.ts'
import type { PackagerMetrics } from '../packager/packager-metrics.ts'
import type { PackagerRendition } from '../packager/rendition-facts.ts'
import type { PackagedPart } from '../packager/rendition-writer.ts'
import type { CaptionCue, CaptionTrack, SegmentCut } from '../published-session.ts'
import { cleanCue, serialiseWebVtt, type VttCue } from './webvtt.ts'

/** Announced for captions, which are a few words a second. */
const CAPTIONS_BPS = 2_000
/** Bits of the MPEG clock that X-TIMESTAMP-MAP counts in. */
const MPEG_TS_MODULUS = 2 ** 33
/** Captions need no init segment. */
const NO_INIT = Buffer.alloc(0)

/** What a caption track is part of. */
export interface CaptionWriterInit {
  /** `captions-en`. */
  readonly name: string
  /** BCP 47. */
  readonly language: string
  readonly label: string
  readonly segmentTargetMs: number
  readonly metrics: PackagerMetrics | undefined
  /** EXT-X-TARGETDURATION of the stream, seconds. */
  readonly targetDurationS: () => number
  readonly onRendition: (rendition: PackagerRendition) => void
  readonly onPart: (part: PackagedPart) => void
  readonly onRemove: () => void
}

/** Writes the captions of one language. */
export class CaptionWriter implements CaptionTrack {
  readonly name: string
  readonly #init: CaptionWriterInit
  /** Cues on the stream's timeline in order of arrival, until their time has passed. */
  #cues: VttCue[] = []
  /** Cues on the wall clock that came before the stream's first segment. */
  #early: VttCue[] = []
  #open: SegmentCut | undefined
  #announcedS = 0
  #status: 'open' | 'ended' = 'open'

  constructor(init: CaptionWriterInit) {
    this.name = init.name
    this.#init = init
  }

  addCues(cues: readonly CaptionCue[], clock: 'media' | 'wall' = 'media'): void {
    // All or none: whoever sends cues is told of the first that is wrong.
    const clean = cues.map((cue) => this.#bounded(cue, clock))
    if (this.#status === 'ended') return
    for (const cue of clean) this.#add(cue, clock)
  }

  /** A segment begins: the one before is whole. */
  cut(cut: SegmentCut): void {
    this.#close(cut.time)
    this.#open = cut
    const early = this.#early
    this.#early = []
    for (const cue of early) this.#add(cue, 'wall')
  }

  /** The source ends at a time of the stream's timeline, 1/90000 s. */
  end(time: number): void {
    if (this.#status === 'ended') return
    this.#close(time)
    this.#status = 'ended'
  }

  remove(): void {
    this.#status = 'ended'
    this.#init.onRemove()
  }

  #bounded(cue: CaptionCue, clock: 'media' | 'wall'): VttCue {
    // Wall times are far beyond what a file may hold; they are checked from zero.
    const originMs = clock === 'wall' ? cue.startMs : 0
    const checked = cleanCue({
      ...cue,
      startMs: cue.startMs - originMs,
      endMs: Math.min(cue.endMs, cue.startMs + captionLimits.liveCueMsMax) - originMs,
    })
    return { ...checked, startMs: checked.startMs + originMs, endMs: checked.endMs + originMs }
  }

  #add(cue: VttCue, clock: 'media' | 'wall'): void {
    const open = this.#open
    const list = clock === 'wall' && open === undefined ? this.#early : this.#cues
    if (list === this.#cues && clock === 'wall' && open !== undefined) {
      const offsetMs = open.time / TICKS_PER_MS - open.wallMs
      const startMs = Math.max(0, Math.round(cue.startMs + offsetMs))
      list.push({ ...cue, startMs, endMs: Math.max(startMs + 1, Math.round(cue.endMs + offsetMs)) })
    } else list.push(cue)
    if (list.length <= captionLimits.liveCuesMax) return
    list.shift()
    this.#init.metrics?.count('caption_dropped')
  }

  /** Publishes the open segment, which ends at `time`. */
  #close(time: number): void {
    const open = this.#open
    this.#open = undefined
    if (open === undefined || time <= open.time) return
    const endMs = time / TICKS_PER_MS
    const shown = this.#cues.filter((cue) => cue.startMs < endMs)
    // What ends in this segment, or ended before it and came late, is said for the last time.
    this.#cues = this.#cues.filter((cue) => cue.endMs > endMs || cue.startMs >= endMs)
    const localMs = Math.floor(open.time / TICKS_PER_MS)
    const data = serialiseWebVtt(
      shown.toSorted((a, b) => a.startMs - b.startMs),
      { mpegTs: (localMs * TICKS_PER_MS) % MPEG_TS_MODULUS, localMs },
    )
    this.#announce()
    const startUs = Math.round((open.time * 1_000) / TICKS_PER_MS)
    this.#init.onPart({
      rendition: this.name,
      msn: open.msn,
      part: 0,
      data,
      durationUs: Math.max(1, Math.round((time * 1_000) / TICKS_PER_MS) - startUs),
      startUs,
      independent: true,
      endOfSegment: true,
      programDateTimeMs: Math.round(open.wallMs),
      discontinuity: open.discontinuity,
      init: NO_INIT,
      sampleCount: shown.length,
    })
  }

  #announce(): void {
    const targetDurationS = this.#init.targetDurationS()
    if (targetDurationS === this.#announcedS) return
    this.#announcedS = targetDurationS
    const { language, label, segmentTargetMs } = this.#init
    this.#init.onRendition({
      info: {
        name: this.name,
        kind: 'captions',
        codecs: 'wvtt',
        bandwidthBps: CAPTIONS_BPS,
        width: 0,
        height: 0,
        frameRate: 0,
        channels: 0,
        language,
        label,
      },
      partTargetUs: segmentTargetMs * 1_000,
      targetDurationS,
      discontinuitiesBefore: 0,
    })
  }
}
