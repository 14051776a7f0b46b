/**
 * A rendition that is made out of a publisher's while it is published: a transcoded rung, another codec of its sound, a
 * further video track. It has the segments of the source under the same numbers, later by whatever making it takes.
 */
import { strict as assert } from 'node:assert'
import type { AccessUnit, TrackConfig } from '../access-unit.ts'
import type { DerivedInit } from '../published-session.ts'
import { CaptionSearch } from './caption-search.ts'
import type { CutLog } from './cut-log.ts'
import { DerivedAudio } from './derived-audio.ts'
import { DerivedVideo } from './derived-video.ts'
import type { PackagerMetrics } from './packager-metrics.ts'
import type { PartTarget } from './part-target.ts'
import { type PackagerRendition, RenditionFacts } from './rendition-facts.ts'
import type { PackagedPart } from './rendition-writer.ts'

/** Fixed for a derived track's life. */
export interface DerivedTrackInit {
  /** Name of the rendition. */
  readonly name: string
  readonly partTargetMs: number
  readonly segmentTargetMs: number
  readonly cuts: CutLog
  readonly metrics: PackagerMetrics | undefined
  readonly onPart: (part: PackagedPart) => void
}

/** What a derived rendition is part of. */
export interface DerivedWriterInit extends Omit<DerivedTrackInit, 'name'> {
  /** EXT-X-TARGETDURATION of the stream, seconds. */
  readonly targetDurationS: () => number
  /** The rendition as players must know it, before its first part and before any part that changes it. */
  readonly onRendition: (rendition: PackagerRendition) => void
}

/** Packages a derived rendition. */
export class DerivedWriter {
  readonly name: string
  readonly #options: DerivedWriterInit
  readonly #derived: DerivedInit
  readonly #captionSearch = new CaptionSearch()
  #captioned = false
  #config: TrackConfig | undefined
  #track: DerivedVideo | DerivedAudio | undefined
  #facts: RenditionFacts | undefined

  constructor(options: DerivedWriterInit, derived: DerivedInit) {
    this.name = derived.name
    this.#options = options
    this.#derived = derived
  }

  get kind(): DerivedInit['kind'] {
    return this.#derived.kind
  }

  /** End of the newest unit taken, 1/90000 s; undefined before the first. */
  get position(): number | undefined {
    return this.#track?.position
  }

  /** Sets the configuration; one that differs from the one before takes effect with the next segment. */
  configure(config: TrackConfig): void {
    assert(config.kind === this.#derived.kind, 'the configuration is of the rendition’s kind')
    const before = this.#config
    this.#config = config
    const track = this.#track
    if (track === undefined) return
    const changed = before !== undefined && !sameConfig(track.config, config)
    if (track instanceof DerivedVideo && config.kind === 'video') track.configure(config, changed)
    if (track instanceof DerivedAudio && config.kind === 'audio') track.configure(config, changed)
  }

  /** Takes a unit on the stream's timeline, in decoding order. */
  write(unit: AccessUnit): void {
    assert(this.#config !== undefined, 'configure() comes first')
    assert(unit.kind === this.#derived.kind, 'the unit is of the rendition’s kind')
    assert(Number.isFinite(unit.dts) && Number.isFinite(unit.pts), 'timestamps are numbers')
    if (unit.data.byteLength === 0) return
    const config = this.#config
    if (config.kind === 'video' && this.#captionSearch.finds(unit, config)) this.#captioned = true
    this.#track ??= this.#newTrack(config)
    this.#track.write(unit)
  }

  /** What is there becomes the last parts. */
  finish(): void {
    this.#track?.finish()
  }

  #newTrack(config: TrackConfig): DerivedVideo | DerivedAudio {
    const init: DerivedTrackInit = {
      ...this.#options,
      name: this.name,
      onPart: (part) => this.#take(part),
    }
    return config.kind === 'video' ? new DerivedVideo(init, config) : new DerivedAudio(init, config)
  }

  #take(part: PackagedPart): void {
    const track = this.#track
    assert(track?.target !== undefined && track.writer !== undefined)
    this.#facts ??= this.#newFacts(track.target)
    this.#facts.note(part)
    this.#facts.closedCaptions = this.#captioned
    const seconds = Math.round(track.writer.segmentUs / 1e6)
    const targetDurationS = Math.max(this.#options.targetDurationS(), seconds)
    const description = this.#facts.describe(track.config, targetDurationS)
    if (this.#facts.changed(description)) this.#options.onRendition(description)
    this.#options.onPart(part)
  }

  #newFacts(target: PartTarget): RenditionFacts {
    const { name, bandwidthBps, language, label } = this.#derived
    return new RenditionFacts({
      name,
      target,
      // The publication counts by the renditions that are there already.
      discontinuitiesBefore: 0,
      declaredBps: bandwidthBps,
      ...(language === undefined ? {} : { language }),
      ...(label === undefined ? {} : { label }),
    })
  }
}

/** True when two configurations make the same init segment. */
export function sameConfig(a: TrackConfig, b: TrackConfig): boolean {
  return a.codecString === b.codecString && Buffer.compare(a.description, b.description) === 0
}
