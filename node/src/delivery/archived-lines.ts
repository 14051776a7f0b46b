/**
 * The lines of archived segments, kept in blocks: a window of six hours holds ten thousand segments, of which between two
 * playlists only the newest and the oldest change. Everything between is rendered once and shared.
 */
import type { ArchivedSegment } from '../content/archive/presentation.ts'
import { type Digest, digestOf } from '../content/digest.ts'
import { deliveryArchiveLimits } from '../limits/delivery-archive.ts'
import type { ArchivedRange } from './live-archive.ts'
import { type PlaylistFormat, segmentEnd, segmentTags } from './segment-lines.ts'

/** The lines of a range of archived segments. */
export interface RenderedRange {
  /** Text, one piece after the other. */
  readonly pieces: readonly Buffer[]
  /** Names the pieces: equal when they are. */
  readonly tag: string
  /** Discontinuities among the segments. */
  readonly discontinuities: number
}

interface Block {
  readonly firstMsn: number
  readonly lastMsn: number
  /** Begins the playlist, so that it names its init segment whatever stood before. */
  readonly begins: boolean
  readonly text: Buffer
  readonly digest: Digest
  readonly discontinuities: number
}

/** The rendered blocks of one rendition. */
export class ArchivedLines {
  readonly #format: PlaylistFormat
  readonly #blocks = new Map<number, Block>()

  constructor(format: PlaylistFormat) {
    this.#format = format
  }

  /** The lines of a range, of which `from` moves on as segments leave and `to` as they come. */
  render({ segments, from, to }: ArchivedRange): RenderedRange {
    const { blockSegments } = deliveryArchiveLimits
    const used = new Set<number>()
    const blocks: Block[] = []
    for (let at = from; at < to; ) {
      const number = Math.floor((segments[at]?.msn ?? 0) / blockSegments)
      const left = blockSegments - ((segments[at]?.msn ?? 0) % blockSegments)
      const end = Math.min(to, at + left)
      blocks.push(this.#block(number, segments, { at, end, begins: at === from }))
      used.add(number)
      at = end
    }
    for (const number of this.#blocks.keys()) if (!used.has(number)) this.#blocks.delete(number)
    return {
      pieces: blocks.map(({ text }) => text),
      tag: blocks.map(({ digest }) => digest).join(),
      discontinuities: blocks.reduce((sum, block) => sum + block.discontinuities, 0),
    }
  }

  #block(
    number: number,
    segments: readonly ArchivedSegment[],
    where: { readonly at: number; readonly end: number; readonly begins: boolean },
  ): Block {
    const { at, end, begins } = where
    const firstMsn = segments[at]?.msn ?? 0
    const lastMsn = segments[end - 1]?.msn ?? 0
    const known = this.#blocks.get(number)
    const isSame =
      known?.firstMsn === firstMsn && known.lastMsn === lastMsn && known.begins === begins
    if (known !== undefined && isSame) return known
    const init = begins ? undefined : segments[at - 1]?.initDigest
    const list = segments.slice(at, end)
    const text = Buffer.from(archivedText(list, init, this.#format))
    const discontinuities = list.filter((segment) => segment.discontinuity).length
    const block = { firstMsn, lastMsn, begins, text, digest: digestOf(text), discontinuities }
    this.#blocks.set(number, block)
    return block
  }
}

/** The lines of archived segments, each ended; `init` is the init segment in force before them. */
export function archivedText(
  segments: readonly ArchivedSegment[],
  init: Digest | undefined,
  format: PlaylistFormat,
): string {
  let before = init
  const lines = segments.flatMap((segment) => {
    const tags = segmentTags(segment, before, format)
    before = segment.initDigest
    return [...tags, ...segmentEnd(segment, format)]
  })
  return lines.map((line) => `${line}\n`).join('')
}
