/** The soft state as the program sees it: it tells what this peer holds and how busy it is, and asks who holds what and who watches. */
import type { CallOptions } from '../coordination.ts'
import type { TrackerErrorCode } from '../errors.ts'
import type { PeerLoad, SegmentRange } from './holding.ts'
import type { SoftQuestion, SoftReply } from './questions.ts'

/** What this peer holds of a stream (rendition '') or rendition, whole: it takes the place of what was said before. */
export interface ToldSubject {
  readonly stream: string
  readonly rendition: string
  /** Viewers that this peer serves; of a stream, not of its renditions. */
  readonly viewers: number
  /** Whole segments, ascending, with gaps between them. */
  readonly ranges: readonly SegmentRange[]
  /** Parts of segments that are not whole yet: segment and part number. */
  readonly parts: readonly (readonly [segment: number, part: number])[]
}

/** What has changed since it was told last. */
export interface SoftNews {
  readonly held: readonly ToldSubject[]
  /** Subjects of which this peer holds nothing any more. */
  readonly gone: readonly { readonly stream: string; readonly rendition: string }[]
  readonly load: PeerLoad
}

/** A question about one stream, whichever shard it lies in. */
export type StreamQuestion = Extract<SoftQuestion, { readonly stream: string }>

/** What a shard said, or why it did not. */
export type StreamReply =
  | Extract<SoftReply, { readonly type: StreamQuestion['type'] }>
  | { readonly type: 'unknown'; readonly code: TrackerErrorCode; readonly message: string }

/** All shards together. */
export interface SoftTotals {
  /** Of the shard that knows the most: a peer tells each shard in which it holds something. */
  readonly peers: number
  readonly subjects: number
  readonly entries: number
  readonly viewers: number
  /** Shards that answered, and those of them whose leader has had the time to hear of everybody. */
  readonly answered: number
  readonly complete: number
  readonly shards: number
}

/** The soft state of the region that this peer is in. */
export interface Swarms {
  /** Goes to the leaders within a second; told again by itself when another one leads. */
  tell(news: SoftNews): void
  /**
   * Asks the leaders of the shards in which the streams lie.
   * @returns a reply for each question, in their order
   * @throws TrackerError ERR_INVALID_INPUT for more questions than may be asked at once
   */
  ask(questions: readonly StreamQuestion[], options?: CallOptions): Promise<StreamReply[]>
  totals(options?: CallOptions): Promise<SoftTotals>
}
