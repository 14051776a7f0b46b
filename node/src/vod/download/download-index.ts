/** Makes the head of a planned file by reading every segment once, one at a time. */
import type { Digest } from '../../content/digest.ts'
import { KairoError } from '../../errors.ts'
import { downloadLimits } from '../../limits/upload.ts'
import { readInit } from '../../media/cmaf/fragment-reader.ts'
import type { DownloadPlan } from './download-plan.ts'
import { type MovieTrack, movieHead } from './movie-header.ts'
import { SampleTable } from './sample-table.ts'
import { readSegment } from './segment-samples.ts'

/** What is known of a file before its media are read. */
export interface DownloadIndex {
  /** Everything before the first sample. */
  readonly head: Buffer
  /** Bytes of each segment's samples, in the plan's order. */
  readonly pieces: readonly number[]
}

/** Reads an object of the presentation. */
export type ReadObject = (digest: Digest) => Promise<Buffer>

/**
 * The index of a file.
 * @throws KairoError `ERR_INVALID_INPUT` for media that Kairo did not write, `ERR_MEDIA` for tracks that no single file holds,
 * what `read` throws.
 */
export async function buildIndex(plan: DownloadPlan, read: ReadObject): Promise<DownloadIndex> {
  const builders = plan.tracks.map(({ info }) => new TrackBuilder(info.name))
  const offsets: number[][] = plan.tracks.map(() => [])
  const pieces: number[] = []
  let mediaBytes = 0
  for (const { track, segment } of plan.order) {
    const builder = builders[track] as TrackBuilder
    await builder.use(segment.initDigest, read)
    const bytes = builder.add(
      await read(segment.digest),
      segment.discontinuity ? segment.startUs : undefined,
    )
    offsets[track]?.push(mediaBytes)
    pieces.push(bytes)
    mediaBytes += bytes
  }
  const tracks = builders.map((builder, index) => builder.finish(offsets[index] ?? []))
  return { head: movieHead(tracks, mediaBytes), pieces }
}

/** One track while its segments are read. */
class TrackBuilder {
  readonly #name: string
  readonly #inits: Buffer[] = []
  readonly #descriptions = new Map<Digest, number>()
  readonly #table = new SampleTable()
  #timescale = 0
  #description = 0
  #isFirst = true

  constructor(name: string) {
    this.#name = name
  }

  /** Takes note of the init segment that the next segment needs. */
  async use(digest: Digest, read: ReadObject): Promise<void> {
    const known = this.#descriptions.get(digest)
    if (known !== undefined) {
      this.#description = known
      return
    }
    const init = await read(digest)
    const { timescale } = readInit(init)
    if (this.#inits.length === 0) this.#timescale = timescale
    if (timescale !== this.#timescale || this.#inits.length === downloadLimits.descriptionsMax) {
      throw new KairoError(
        'ERR_MEDIA',
        `${this.#name} changes its format on the way, which one file cannot hold; download another rendition`,
      )
    }
    this.#inits.push(init)
    this.#description = this.#inits.length
    this.#descriptions.set(digest, this.#description)
  }

  /** Adds a segment; the bytes of its samples. */
  add(segment: Buffer, jumpToUs: number | undefined): number {
    const jumpTo =
      jumpToUs === undefined || this.#isFirst
        ? undefined
        : Math.round((jumpToUs * this.#timescale) / 1e6)
    this.#isFirst = false
    this.#table.add(readSegment(segment), this.#description, jumpTo)
    return this.#table.chunks.at(-1)?.bytes ?? 0
  }

  finish(chunkOffsets: readonly number[]): MovieTrack {
    return { inits: this.#inits, table: this.#table, chunkOffsets }
  }
}
