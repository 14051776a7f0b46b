/**
 * Tells what renditions there are and hands their parts out, in this order: no part goes before its rendition is known as it is. The
 * first parts wait until all renditions can be described.
 */
import type { AudioTrack } from './audio-track.ts'
import type { PackagerRendition, RenditionFacts } from './rendition-facts.ts'
import type { PackagedPart } from './rendition-writer.ts'
import type { VideoTrack } from './video-track.ts'

/** A rendition that is written, and what is said of it. */
export interface RunningRendition {
  readonly track: VideoTrack | AudioTrack
  readonly facts: RenditionFacts
}

/** Who is told. */
export interface AnnouncerInit {
  /** What a segment is meant to last, which players hold on to. */
  readonly segmentTargetMs: number
  readonly onRenditions: (renditions: readonly PackagerRendition[]) => void
  readonly onPart: (part: PackagedPart) => void
}

/** The announcements of one packager. */
export class Announcer {
  readonly #init: AnnouncerInit
  #targetDurationS: number
  /** Parts made before the first announcement. */
  #outbox: PackagedPart[] | undefined = []

  constructor(init: AnnouncerInit) {
    this.#init = init
    this.#targetDurationS = Math.max(1, Math.ceil(init.segmentTargetMs / 1_000))
  }

  /** Takes a part of one of the renditions, which are in the order in which they are told of. */
  take(part: PackagedPart, own: RunningRendition, renditions: readonly RunningRendition[]): void {
    own.facts.note(part)
    // EXT-X-TARGETDURATION is at least every segment's duration rounded to the nearest second (RFC 8216bis 4.4.3.1).
    const seconds = Math.round(own.track.writer.segmentUs / 1e6)
    if (seconds > this.#targetDurationS) this.#targetDurationS = seconds
    if (this.#outbox === undefined) {
      this.#announce(renditions)
      this.#init.onPart(part)
      return
    }
    this.#outbox.push(part)
    // All bitrates are worth a moment's wait, but not past a second part.
    const rated = part.part > 0 || renditions.every(({ facts }) => facts.rated)
    if (rated && renditions.every(({ facts }) => facts.settled)) this.#announce(renditions)
  }

  /** Nothing more comes: what still waits goes out. */
  end(renditions: readonly RunningRendition[]): void {
    if (this.#outbox !== undefined && this.#outbox.length > 0) this.#announce(renditions)
  }

  /** Tells of renditions that changed, and lets out the parts that waited for the first telling. */
  #announce(running: readonly RunningRendition[]): void {
    const renditions: PackagerRendition[] = []
    let changed = false
    for (const { track, facts } of running) {
      if (!facts.settled) continue
      const description = facts.describe(track.config, this.#targetDurationS)
      changed = facts.changed(description) || changed
      renditions.push(description)
    }
    if (changed) this.#init.onRenditions(renditions)
    const waiting = this.#outbox ?? []
    this.#outbox = undefined
    for (const part of waiting) this.#init.onPart(part)
  }
}
