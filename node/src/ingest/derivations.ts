/**
 * What is made of a session beside its own renditions: derived ones, and the publisher's further video tracks. They outlive the
 * publisher's connection by what an encoder still has to give.
 */
import type { Clock } from '../clock.ts'
import type { Publication } from '../content/publication/publication.ts'
import { LANGUAGE_TAG } from '../content/stream.ts'
import { isKairoError, KairoError } from '../errors.ts'
import { sessionLimits } from '../limits/packaging.ts'
import { packagingLimits, recordLimits } from '../limits.ts'
import type { Logger } from '../logger.ts'
import type { AccessUnit, TrackConfig } from '../media/access-unit.ts'
import { CaptionWriter } from '../media/captions/caption-track.ts'
import { CutLog } from '../media/packager/cut-log.ts'
import { DerivedWriter } from '../media/packager/derived-rendition.ts'
import type { PackagerMetrics } from '../media/packager/packager-metrics.ts'
import type { PackagedPart } from '../media/packager/rendition-writer.ts'
import type {
  CaptionTrack,
  DerivedInit,
  DerivedRendition,
  SegmentCut,
} from '../media/published-session.ts'
import { RenditionList } from './rendition-list.ts'

/** What derivations work with. */
export interface DerivationsInit {
  readonly clock: Clock
  readonly logger: Logger
  readonly publication: Publication
  readonly metrics: PackagerMetrics
  readonly partTargetMs: number
  readonly segmentTargetMs: number
}

/** Declared for a further video track until its first segment is measured. */
const FURTHER_VIDEO_BPS = 2_000_000

/** Everything derived in one session. */
export class Derivations {
  readonly list: RenditionList
  readonly cuts = new CutLog()
  readonly #init: DerivationsInit
  readonly #derived = new Set<Derived>()
  readonly #captions = new Set<CaptionWriter>()
  readonly #furtherVideo = new Map<number, Derived>()
  /** Pictures of further tracks that came before the main track's of their time. */
  #held: AccessUnit[] = []
  #mainDts = 0
  /** Newest presentation of the source, by kind; where derived renditions end. */
  readonly #newest = { video: 0, audio: 0 }
  #status: 'running' | 'draining' | 'closed' = 'running'

  constructor(init: DerivationsInit) {
    this.#init = init
    this.list = new RenditionList(init.publication)
  }

  /**
   * Adds a rendition.
   * @throws KairoError `ERR_INVALID_INPUT`, `ERR_NAME_TAKEN`, `ERR_LIMIT`.
   */
  derive(init: DerivedInit): DerivedRendition {
    return this.#derive(init, false)
  }

  /**
   * Adds captions.
   * @throws KairoError `ERR_INVALID_INPUT`, `ERR_NAME_TAKEN`, `ERR_LIMIT`.
   */
  captions(language: string, label: string): CaptionTrack {
    if (!LANGUAGE_TAG.test(language) || label.length > recordLimits.labelLengthMax) {
      throw new KairoError(
        'ERR_INVALID_INPUT',
        `captions need a language like en or pt-BR, and a label of up to ${recordLimits.labelLengthMax} characters`,
      )
    }
    const name = `captions-${language.toLowerCase()}`
    const { publication, metrics, segmentTargetMs } = this.#init
    this.list.reserve(name)
    const writer = new CaptionWriter({
      ...{ name, language, label, segmentTargetMs, metrics },
      targetDurationS: () => this.list.targetDurationS,
      onRendition: (rendition) => this.list.set(rendition),
      onPart: (part) => publication.addPart(part),
      onRemove: () => {
        this.#captions.delete(writer)
        if (this.#status !== 'closed') this.list.remove(name)
      },
    })
    this.#captions.add(writer)
    if (this.#status !== 'running') writer.end(0)
    return writer
  }

  /** Notes where a segment begins; before the unit that opens it. */
  cut(cut: SegmentCut): void {
    this.cuts.add(cut)
    for (const writer of this.#captions) writer.cut(cut)
  }

  /** Takes the configuration of one of the publisher's tracks. */
  configured(config: TrackConfig): void {
    const track = config.track ?? 0
    if (config.kind === 'audio' || track === 0) return
    const derived = this.#furtherVideo.get(track) ?? this.#deriveVideo(track)
    derived?.configure(config)
  }

  /** Takes a unit of one of the publisher's tracks, on the stream's timeline. */
  unit(unit: AccessUnit): void {
    this.#newest[unit.kind] = Math.max(this.#newest[unit.kind], unit.pts)
    if (unit.kind === 'audio') return
    if ((unit.track ?? 0) > 0) this.#held.push(unit)
    else this.#mainDts = unit.dts
    // A picture waits for the main track's of the same time, which may bring the cut that it opens a segment at.
    while (this.#held.length > 0) {
      const next = this.#held[0]
      const reached = this.#held.length > packagingLimits.startupUnitsMax
      if (next === undefined || (next.dts > this.#mainDts && !reached)) return
      this.#held.shift()
      this.#furtherVideo.get(next.track ?? 0)?.write(next)
    }
  }

  /** The publisher is gone: each rendition ends when it has come as far as the source. */
  drain(): void {
    if (this.#status !== 'running') return
    this.#status = 'draining'
    const end = Math.max(this.#newest.video, this.#newest.audio)
    for (const writer of this.#captions) writer.end(end)
    for (const unit of this.#held) this.#furtherVideo.get(unit.track ?? 0)?.write(unit)
    this.#held = []
    for (const derived of this.#furtherVideo.values()) derived.close()
    for (const derived of this.#derived) this.#closeAtEnd(derived)
  }

  /** Ends every rendition with what there is. */
  close(): void {
    this.#status = 'closed'
    for (const derived of this.#derived) derived.close()
  }

  #deriveVideo(track: number): Derived | undefined {
    const init: DerivedInit = {
      name: `source-${track + 1}`,
      kind: 'video',
      bandwidthBps: FURTHER_VIDEO_BPS,
    }
    try {
      const derived = this.#derive(init, true)
      this.#furtherVideo.set(track, derived)
      return derived
    } catch (error) {
      if (!isKairoError(error, 'ERR_LIMIT')) throw error
      this.#init.metrics.count('track_refused')
      return undefined
    }
  }

  #derive(init: DerivedInit, isSource: boolean): Derived {
    const { publication, partTargetMs, segmentTargetMs, metrics } = this.#init
    this.list.reserve(init.name, isSource)
    const writer = new DerivedWriter(
      {
        ...{ partTargetMs, segmentTargetMs, metrics },
        cuts: this.cuts,
        targetDurationS: () => this.list.targetDurationS,
        onRendition: (rendition) => this.list.set(rendition),
        onPart: (part: PackagedPart) => publication.addPart(part),
      },
      init,
    )
    const derived = new Derived(writer, {
      wrote: () => {
        if (this.#status === 'draining') this.#closeAtEnd(derived)
      },
      removed: () => {
        this.#derived.delete(derived)
        if (this.#status !== 'closed') this.list.remove(init.name)
      },
    })
    this.#derived.add(derived)
    if (this.#status === 'closed') derived.close()
    return derived
  }

  #closeAtEnd(derived: Derived): void {
    const { position, kind } = derived
    if (position === undefined || position < this.#newest[kind]) return
    // Pictures that are shown before the last one may come behind it.
    this.#init.clock.after(sessionLimits.drainMs, () => this.#guardedClose(derived))
  }

  #guardedClose(derived: Derived): void {
    try {
      derived.close()
    } catch (error) {
      this.#init.logger.error({ err: error }, 'the last parts of a derived rendition are lost')
    }
  }
}

/** One derived rendition as its maker holds it. */
class Derived implements DerivedRendition {
  readonly name: string
  readonly #writer: DerivedWriter
  readonly #events: { readonly wrote: () => void; readonly removed: () => void }
  #status: 'open' | 'closed' | 'removed' = 'open'

  constructor(
    writer: DerivedWriter,
    events: { readonly wrote: () => void; readonly removed: () => void },
  ) {
    this.name = writer.name
    this.#writer = writer
    this.#events = events
  }

  get kind(): DerivedInit['kind'] {
    return this.#writer.kind
  }

  get position(): number | undefined {
    return this.#writer.position
  }

  configure(config: TrackConfig): void {
    if (this.#status === 'open') this.#writer.configure(config)
  }

  write(unit: AccessUnit): void {
    if (this.#status !== 'open') return
    this.#writer.write(unit)
    this.#events.wrote()
  }

  remove(): void {
    if (this.#status === 'removed') return
    this.#status = 'removed'
    this.#events.removed()
  }

  /** No more is taken; what is there becomes the last parts. */
  close(): void {
    if (this.#status !== 'open') return
    this.#status = 'closed'
    this.#writer.finish()
  }
}
