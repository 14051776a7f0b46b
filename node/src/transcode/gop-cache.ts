/**
 * The newest units of a source, from a keyframe on, so that a child that takes over can decode from there. Bounded in time and
 * bytes; groups go whole, the oldest first, and a source whose one group is too large waits for its next keyframe.
 */
import { transcodeLimits as limits } from '../limits/transcode.ts'
import { type AccessUnit, TICKS_PER_MS, type TrackConfig } from '../media/access-unit.ts'

/** A unit and what a decoder must know for it. */
export interface CachedUnit {
  readonly unit: AccessUnit
  readonly config: TrackConfig
}

interface Group {
  /** Presentation time of its keyframe. */
  readonly time: number
  readonly units: CachedUnit[]
  bytes: number
}

/** Groups of pictures of one source, with the sound between them. */
export class GopCache {
  readonly #lead: 'video' | 'audio'
  #groups: Group[] = []
  #bytes = 0

  /** @param lead the kind whose keyframes begin groups. */
  constructor(lead: 'video' | 'audio') {
    this.#lead = lead
  }

  /** Bytes kept. */
  get bytes(): number {
    return this.#bytes
  }

  /** True while a child could begin. */
  get ready(): boolean {
    return this.#groups.length > 0
  }

  /** Takes a unit. Before the first keyframe there is no use for it. */
  add(unit: AccessUnit, config: TrackConfig): void {
    const begins = unit.kind === this.#lead && unit.keyframe && this.#mayBegin(unit)
    if (begins) this.#groups.push({ time: unit.pts, units: [], bytes: 0 })
    const group = this.#groups.at(-1)
    if (group === undefined) return
    group.units.push({ unit, config })
    group.bytes += unit.data.byteLength
    this.#bytes += unit.data.byteLength
    this.#bound(unit)
  }

  /**
   * The units to begin with so as to go on at `time`: from the last keyframe that is not after it (or hardly), else from the
   * first there is.
   */
  from(time: number): CachedUnit[] {
    const latest = time + limits.resumeToleranceMs * TICKS_PER_MS
    const index = this.#groups.findLastIndex((group) => group.time <= latest)
    return this.#groups.slice(Math.max(0, index)).flatMap(({ units }) => units)
  }

  /** The first keyframe that is not before `time`, else the last there is; undefined when there is none. */
  keyframeFrom(time: number): number | undefined {
    return (this.#groups.find((group) => group.time >= time) ?? this.#groups.at(-1))?.time
  }

  /** Lets go of what nobody needs who goes on at `time` or later. */
  prune(time: number): void {
    while ((this.#groups[1]?.time ?? Number.POSITIVE_INFINITY) <= time) this.#dropFirst()
  }

  /** Lets go of everything. */
  clear(): void {
    this.#groups = []
    this.#bytes = 0
  }

  #mayBegin(unit: AccessUnit): boolean {
    const group = this.#groups.at(-1)
    if (this.#lead === 'video' || group === undefined) return true
    return unit.pts - group.time >= limits.audioGroupMs * TICKS_PER_MS
  }

  #bound({ dts }: AccessUnit): void {
    const isOver = (): boolean =>
      this.#bytes > limits.cacheBytesMax ||
      dts - (this.#groups[0]?.time ?? dts) > limits.cacheMsMax * TICKS_PER_MS
    while (this.#groups.length > 0 && isOver()) this.#dropFirst()
  }

  #dropFirst(): void {
    this.#bytes -= this.#groups.shift()?.bytes ?? 0
  }
}
