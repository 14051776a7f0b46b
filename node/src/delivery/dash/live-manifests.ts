/**
 * The live manifests of one peer, rendered once for each state of a stream. Between two parts of the same segment nothing in a
 * manifest changes, so players that look again get 304.
 */
import type { Clock } from '../../clock.ts'
import type { LiveRendition, LiveStream, RenditionInfo } from '../../content/stream.ts'
import { deadline } from '../../deadline.ts'
import { KairoError } from '../../errors.ts'
import type { PreparedResponse } from '../../http/prepared-response.ts'
import { archivedBefore, type LiveArchive } from '../live-archive.ts'
import { textResponse } from '../responses.ts'
import { availabilityStartMs, renderLiveManifest } from './live-manifest.ts'
import { MediaTimes, type TimedWindow } from './media-times.ts'
import { type Period, periodsOf } from './periods.ts'

/** RFC 6838 registration of ISO/IEC 23009-1 Annex C. */
export const MANIFEST_TYPE = 'application/dash+xml'

/** What manifests are made from. */
export interface LiveManifestsComponents {
  readonly archive?: LiveArchive | undefined
  readonly clock: Clock
  /** Called for each rendering. */
  readonly rendered: () => void
}

/** How manifests are made. */
export interface LiveManifestsInit {
  /** Longest time to read the times of a stream, milliseconds. */
  readonly readTimeoutMs: number
}

interface Kept {
  key: string
  answer: Promise<PreparedResponse>
  periods: readonly Period[]
}

/** Renders and keeps manifests; a stream that is forgotten takes its own with it. */
export class LiveManifests {
  readonly #times: MediaTimes
  readonly #archive: LiveArchive | undefined
  readonly #clock: Clock
  readonly #readTimeoutMs: number
  readonly #rendered: () => void
  readonly #kept = new WeakMap<LiveStream, Kept>()

  constructor(components: LiveManifestsComponents, init: LiveManifestsInit) {
    this.#clock = components.clock
    this.#readTimeoutMs = init.readTimeoutMs
    this.#times = new MediaTimes({ archive: components.archive })
    this.#archive = components.archive
    this.#rendered = components.rendered
  }

  /**
   * The manifest of a stream as it is now. `lead` is the rendition whose segments it goes by, which must have parts.
   * @throws KairoError what {@link LiveStream.read} throws.
   */
  manifest(stream: LiveStream, lead: LiveRendition): Promise<PreparedResponse> {
    const kept = this.#kept.get(stream)
    const key = this.#keyOf(stream, lead)
    if (kept?.key === key) return kept.answer
    const next: Kept = {
      key,
      periods: kept?.periods ?? [],
      answer: this.#render(stream, lead).catch((error: unknown) => {
        // The next request tries again; those that share this one hear of it.
        if (this.#kept.get(stream) === next) next.key = ''
        throw error
      }),
    }
    this.#kept.set(stream, next)
    return next.answer
  }

  /** Changes when a segment begins or ends, a rendition comes or goes, or the archive does. */
  #keyOf(stream: LiveStream, lead: LiveRendition): string {
    const states = stream.followed().map((rendition) => {
      const last = rendition.entries.at(-1)
      const archived = archivedBefore(this.#archive, stream, rendition)
      const before = `${archived.segments[archived.from]?.msn}+${archived.to - archived.from}`
      const { firstMsn, ended, targetDurationS } = rendition.head
      const edge = `${last?.msn}${last?.endOfSegment === true ? '.' : ''}`
      return [rendition.info.name, before, firstMsn, edge, ended, targetDurationS].join(':')
    })
    return [lead.info.name, JSON.stringify(stream.record.renditions), ...states].join(' ')
  }

  async #render(stream: LiveStream, lead: LiveRendition): Promise<PreparedResponse> {
    const { record } = stream
    const windows = await this.#windows(stream)
    const leading = windows.get(lead.info.name)
    if (leading === undefined || leading.segments.length === 0) {
      throw new KairoError('ERR_NO_PROVIDER', 'the stream has not started yet')
    }
    const others = [...windows].filter(([name]) => name !== lead.info.name)
    const firstMsn = lead.entries[0]?.msn ?? lead.head.firstMsn
    const archivedCuts = leading.segments.filter(
      ({ msn, discontinuity }) => msn < firstMsn && discontinuity,
    ).length
    const kept = this.#kept.get(stream)
    const periods = periodsOf({
      lead: leading.segments,
      discontinuitySequence: lead.head.discontinuitySequence - archivedCuts,
      others: others.map(([, { segments }]) => segments),
      earliestMs: availabilityStartMs(record),
      before: kept?.periods ?? [],
    })
    if (kept !== undefined) kept.periods = periods
    this.#rendered()
    const text = renderLiveManifest({
      record,
      renditions: record.renditions.map((info) => ({
        info,
        window: windows.get(info.name),
        lastMsn: lastCaptions(stream, info),
      })),
      lead: leading,
      periods,
      targetDurationS: lead.head.targetDurationS,
      partTargetUs: lead.head.partTargetUs,
      ended: lead.head.ended,
    })
    return textResponse(MANIFEST_TYPE, text)
  }

  /** The times of every rendition that is followed. All who share the manifest wait for it, so it outlives each of them. */
  async #windows(stream: LiveStream): Promise<ReadonlyMap<string, TimedWindow>> {
    const followed = stream.followed().filter(({ info }) => info.kind !== 'captions')
    const limit = deadline(this.#clock, this.#readTimeoutMs)
    try {
      const windows = await Promise.all(
        followed.map((each) => this.#times.window(stream, each, { signal: limit.signal })),
      )
      return new Map(followed.map(({ info }, index) => [info.name, windows[index] as TimedWindow]))
    } finally {
      limit.clear()
    }
  }
}

/** The last whole segment of captions that are followed. */
function lastCaptions(stream: LiveStream, info: RenditionInfo): number | undefined {
  if (info.kind !== 'captions') return undefined
  const followed = stream.followed().find((each) => each.info.name === info.name)
  return followed?.entries.findLast(({ endOfSegment }) => endOfSegment)?.msn
}
