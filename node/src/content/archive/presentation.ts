/**
 * A finished or growing set of renditions on disk: what a recording, a DVR window and a video on demand have in common.
 * Segments are whole CMAF segments, named by their SHA-256 like everything in the content plane.
 */
import type { Digest } from '../digest.ts'
import type { RenditionInfo } from '../stream.ts'

/** One whole segment. */
export interface ArchivedSegment {
  /** Media sequence number; grows by one from segment to segment. */
  readonly msn: number
  /** SHA-256 of its bytes. */
  readonly digest: Digest
  readonly bytes: number
  readonly durationUs: number
  /** Decoding time of its first sample, microseconds of the presentation's timeline. */
  readonly startUs: number
  /** Wall time of its first presentation, Unix milliseconds; undefined for a file. */
  readonly programDateTimeMs: number | undefined
  readonly discontinuity: boolean
  /** SHA-256 of the init segment that it needs. */
  readonly initDigest: Digest
}

/** One rendition of a presentation. */
export interface ArchivedRendition {
  readonly info: RenditionInfo
  /** In order. Treat as read-only: it grows while a recording runs. */
  readonly segments: readonly ArchivedSegment[]
  /** At least every segment's duration rounded, whole seconds. */
  readonly targetDurationS: number
}

/** A WebVTT file that belongs to a presentation as a whole. */
export interface CaptionFile {
  /** `captions-en`. */
  readonly name: string
  /** BCP 47; `und` when unknown. */
  readonly language: string
  readonly label: string
  readonly digest: Digest
}

/** Pictures for scrubbing: JPEG sprites of `columns` x `rows` pictures, one every `intervalMs`. */
export interface Storyboard {
  readonly intervalMs: number
  readonly width: number
  readonly height: number
  readonly columns: number
  readonly rows: number
  /** Pictures in all; the last sprite may not be full. */
  readonly count: number
  /** SHA-256 of each sprite, in order. */
  readonly sprites: readonly Digest[]
}

/** Everything that players need of a video on demand. */
export interface Presentation {
  readonly id: string
  readonly title: string
  /** Wall milliseconds when it was made or the recording began. */
  readonly createdAtMs: number
  readonly durationUs: number
  /** False while a recording or a transcode still adds segments. */
  readonly complete: boolean
  readonly renditions: readonly ArchivedRendition[]
  readonly captions: readonly CaptionFile[]
  readonly storyboard: Storyboard | undefined
}

/** Presentations and the bytes of their objects, for delivery. */
export interface PresentationSource {
  get(id: string): Presentation | undefined
  list(): readonly Presentation[]
  /**
   * The bytes of an object of the presentation `id`, verified against its digest.
   * @throws KairoError `ERR_NOT_FOUND`, `ERR_VERIFICATION`, `ERR_STORAGE`, `ERR_TIMEOUT` when the signal fires.
   */
  read(digest: Digest, options: ObjectReadOptions): Promise<Buffer>
  /** The bytes if they are in RAM. */
  peek(digest: Digest): Buffer | undefined
}

/** Which presentation's object, and for how long somebody waits. */
export interface ObjectReadOptions {
  readonly id: string
  readonly signal: AbortSignal
}

/** What is known of a presentation before its segments are. */
export type PresentationOutline = Pick<Presentation, 'durationUs' | 'storyboard'>

/** Presentations that play here: those that are kept here at once, those of other peers once they were asked. */
export interface PlayableSource extends PresentationSource {
  /** What pictures need. */
  outline(id: string): PresentationOutline | undefined
  /**
   * A presentation with its segments.
   * @throws KairoError `ERR_NOT_FOUND` when there is none of the name, `ERR_NO_PROVIDER` when nobody who has it can be asked,
   * `ERR_TIMEOUT`.
   */
  open(id: string, options: { readonly signal: AbortSignal }): Promise<Presentation>
}
