/**
 * Mends the clock of files that were joined or damaged: transport streams and FLV recordings begin anew in the middle, skip hours, or have a
 * flipped bit in a time stamp. What follows such a jump goes on where the track was, in step with the other tracks.
 */
import { mediaFileLimits } from '../../../limits/vod.ts'
import { TICKS_PER_MS, TICKS_PER_SECOND } from '../../access-unit.ts'

const GAP_TICKS = mediaFileLimits.clockGapMsMax * TICKS_PER_MS
const BACK_TICKS = mediaFileLimits.clockBackMsMax * TICKS_PER_MS
/** Step of a track whose own is not known yet: a picture at 30 a second. */
const STEP_TICKS = TICKS_PER_SECOND / 30

/** One track's place. */
interface Track {
  offset: number
  /** Mended time of its last packet. */
  last: number
  step: number
}

/** The clock of one file. All times are 1/90000 s. */
export class ClockRepair {
  readonly #tracks = new Map<number, Track>()
  /** What was added to times so far, newest first: a track that jumps later than another goes by the same offset. */
  #offsets: readonly number[] = [0]
  #latest = Number.NEGATIVE_INFINITY
  #jumps = 0

  /** How often the clock jumped. */
  get jumps(): number {
    return this.#jumps
  }

  /** What is to be added to the times of a packet that is decoded at `dts`. */
  offsetFor(track: number, dts: number): number {
    const before = this.#tracks.get(track)
    if (before === undefined) return this.#begin(track, dts)
    if (!this.#follows(before, dts + before.offset)) this.#jump(before, dts)
    const time = dts + before.offset
    const step = time - before.last
    if (step > 0 && step < TICKS_PER_SECOND) before.step = step
    before.last = time
    this.#latest = Math.max(this.#latest, time)
    return before.offset
  }

  #begin(track: number, dts: number): number {
    // A track that begins later than the others is no jump.
    const isNear = (offset: number): boolean => Math.abs(dts + offset - this.#latest) < GAP_TICKS
    const offset = this.#offsets.find(isNear) ?? this.#offsets[0] ?? 0
    this.#tracks.set(track, { offset, last: dts + offset, step: STEP_TICKS })
    this.#latest = Math.max(this.#latest, dts + offset)
    return offset
  }

  #follows({ last }: Track, time: number): boolean {
    return time >= last - BACK_TICKS && time <= Math.max(last, this.#latest) + GAP_TICKS
  }

  #jump(track: Track, dts: number): void {
    this.#jumps += 1
    const known = this.#offsets.find((offset) => this.#follows(track, dts + offset))
    track.offset = known ?? track.last + track.step - dts
    const others = this.#offsets.filter((offset) => offset !== track.offset)
    this.#offsets = [track.offset, ...others].slice(0, mediaFileLimits.clockOffsetsMax)
  }
}
