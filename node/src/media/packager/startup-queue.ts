/**
 * Holds access units until a stretch of the stream can begin: until every expected track has its configuration and the
 * first IDR is there, or media time or the queue's size say that waiting longer is no use.
 */
import { packagingLimits } from '../../limits.ts'
import { type AccessUnit, TICKS_PER_MS } from '../access-unit.ts'
import type { PackagerMetrics } from './packager-metrics.ts'

/** Which tracks there are. */
export interface TrackPresence {
  /** Its configuration is known. */
  readonly configured: boolean
  /** The publisher said that it will not come. */
  readonly excluded: boolean
}

/** What the queue knows of both tracks when it is asked whether to begin. */
export interface TracksPresence {
  readonly video: TrackPresence
  readonly audio: TrackPresence
}

/** A unit's decoding time and the wall time (Unix milliseconds) of its arrival. */
export interface Arrival {
  readonly dts: number
  readonly wallMs: number
}

/** The units of a stretch that has not begun, in order of arrival. */
export class StartupQueue {
  readonly #metrics: PackagerMetrics | undefined
  #units: AccessUnit[] = []
  #first: { video?: Arrival; audio?: Arrival } = {}
  #newestDts = 0

  constructor(metrics: PackagerMetrics | undefined) {
    this.#metrics = metrics
  }

  /** The first arrival of a kind, dropped or not: the anchor of wall time. */
  firstOf(kind: AccessUnit['kind']): Arrival | undefined {
    return this.#first[kind]
  }

  /** True when pictures have come for as long as a start waits, and decoding can begin at none of them. */
  get lacksKeyframe(): boolean {
    const first = this.#first.video
    if (first === undefined || this.#keyframe() !== undefined) return false
    return (this.#newestDts - first.dts) / TICKS_PER_MS >= packagingLimits.startupWaitMs
  }

  /** Takes a unit. Pictures before the first IDR are dropped; the oldest audio goes when the queue is full. */
  push(unit: AccessUnit, wallMs: number): void {
    if (isMain(unit)) {
      this.#first[unit.kind] ??= { dts: unit.dts, wallMs }
      this.#newestDts = unit.dts
    }
    if (isMain(unit) && !unit.keyframe && this.#keyframe() === undefined) {
      this.#metrics?.count('before_keyframe_dropped')
      return
    }
    this.#units.push(unit)
    if (this.#units.length > packagingLimits.startupUnitsMax) {
      this.#units.shift()
      this.#metrics?.count('startup_dropped')
    }
  }

  /** Drops the units of a track whose configuration was replaced. */
  forget(kind: AccessUnit['kind'], track: number): void {
    this.#units = this.#units.filter((unit) => unit.kind !== kind || (unit.track ?? 0) !== track)
  }

  /** The unit to begin with, or undefined while waiting is right. `impatient` skips the wait for another track. */
  ready(tracks: TracksPresence, impatient: boolean): AccessUnit | undefined {
    const { video, audio } = tracks
    if (!video.configured && !audio.configured) return undefined
    const missing = (!video.configured && !video.excluded) || (!audio.configured && !audio.excluded)
    if (missing && !impatient && !this.#waitedEnough()) return undefined
    return video.configured ? this.#keyframe() : this.#units.find(isMain)
  }

  /** Hands out what follows from `start` on and what precedes it of the other track; the queue is empty then. */
  drain(start: AccessUnit): readonly AccessUnit[] {
    const from = this.#units.indexOf(start)
    const units = this.#units.filter((unit, index) => index >= from || unit.pts >= start.pts)
    this.#units = []
    this.#first = {}
    return units
  }

  #keyframe(): AccessUnit | undefined {
    return this.#units.find((unit) => unit.kind === 'video' && isMain(unit) && unit.keyframe)
  }

  #waitedEnough(): boolean {
    if (this.#units.length >= packagingLimits.startupUnitsMax) return true
    const first = this.#first.video ?? this.#first.audio
    if (first === undefined) return false
    return (this.#newestDts - first.dts) / TICKS_PER_MS >= packagingLimits.startupWaitMs
  }
}

/** True for what a stretch may begin with: any sound, and pictures of the main track. */
function isMain(unit: AccessUnit): boolean {
  return unit.kind === 'audio' || (unit.track ?? 0) === 0
}
