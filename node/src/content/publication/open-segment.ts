/** The segment of a rendition that is being published: its hash over the parts, and what archives are told when it is whole. */
import { createHash, type Hash } from 'node:crypto'
import type { Digest } from '../digest.ts'
import type { IndexEntry, RenditionInfo } from '../stream.ts'

/** A whole segment of a rendition, for recordings and DVR windows. */
export interface SegmentNotice {
  readonly info: RenditionInfo
  /** Media sequence number. */
  readonly msn: number
  /** In order. */
  readonly entries: readonly IndexEntry[]
  /** The bytes of each entry; the segment is these one after the other. They must not be changed. */
  readonly parts: readonly Buffer[]
  /** The init segment; empty for captions. */
  readonly initBytes: Buffer
  /** Decoding time of its first sample, microseconds of the stream's timeline. */
  readonly startUs: number
  /** EXT-X-TARGETDURATION at that time, whole seconds. */
  readonly targetDurationS: number
}

/** Takes a notice; it must return at once. */
export type SegmentListener = (notice: SegmentNotice) => void

/** Collects the parts of one segment after the other. */
export class OpenSegment {
  #hash: Hash = createHash('sha256')
  #parts: Buffer[] = []
  #entries: IndexEntry[] = []
  #startUs = 0
  /** Where the parts so far end, for publishers that do not say where one begins. */
  #endUs = 0

  /** Takes the bytes of the next part, before its entry is known. */
  take(
    part: { readonly part: number; readonly startUs?: number; readonly durationUs: number },
    data: Buffer,
  ): void {
    const startUs = part.startUs ?? this.#endUs
    if (part.part === 0) {
      this.#hash = createHash('sha256')
      this.#parts = []
      this.#entries = []
      this.#startUs = startUs
    }
    this.#hash.update(data)
    this.#parts.push(data)
    this.#endUs = startUs + part.durationUs
  }

  /** SHA-256 of the parts; to be asked once a segment. */
  digest(): Digest {
    return this.#hash.digest('hex')
  }

  /** Takes the entry of the part taken last. */
  add(entry: IndexEntry): void {
    this.#entries.push(entry)
  }

  /** What is told of the segment, which is whole; undefined when its beginning was not seen. */
  notice(about: {
    readonly info: RenditionInfo
    readonly init: Buffer
    readonly targetDurationS: number
  }): SegmentNotice | undefined {
    const [first] = this.#entries
    if (first === undefined || this.#entries.length !== this.#parts.length) return undefined
    return {
      info: about.info,
      msn: first.msn,
      entries: this.#entries,
      parts: this.#parts,
      initBytes: about.init,
      startUs: this.#startUs,
      targetDurationS: about.targetDurationS,
    }
  }
}
