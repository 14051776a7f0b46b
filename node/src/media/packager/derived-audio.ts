/**
 * Sound that was made out of the publisher's: on a sample-counted clock like the publisher's own, and cut where the source
 * was cut. A short gap that a new encoder leaves is filled with silence, a long one leaves segments out.
 */
import { sessionLimits } from '../../limits/packaging.ts'
import { type AccessUnit, type AudioConfig, TICKS_PER_MS } from '../access-unit.ts'
import type { SegmentCut } from '../published-session.ts'
import { AudioTrack } from './audio-track.ts'
import type { DerivedTrackInit } from './derived-rendition.ts'
import type { MediaTimeline } from './timeline.ts'

const SILENCE_TICKS = sessionLimits.silenceMsMax * TICKS_PER_MS
const LATE_TICKS = sessionLimits.gapMsMax * TICKS_PER_MS

/** Writes a derived rendition of sound. Times in 1/90000 s of the stream's timeline. */
export class DerivedAudio {
  readonly #options: DerivedTrackInit
  readonly #timeline: MediaTimeline
  #config: AudioConfig
  #track: AudioTrack | undefined
  /** The configuration that the next segment begins with. */
  #next: AudioConfig | undefined
  /** Newest segment whose cut the track knows. */
  #msn = -1
  #open = false

  constructor(options: DerivedTrackInit, config: AudioConfig) {
    this.#options = options
    this.#config = config
    this.#timeline = { out: (tick) => tick, wallMs: (tick) => options.cuts.wallMs(tick) }
  }

  get config(): AudioConfig {
    return this.#config
  }

  get target(): AudioTrack['target'] | undefined {
    return this.#track?.target
  }

  get writer(): AudioTrack['writer'] | undefined {
    return this.#track?.writer
  }

  /** End of the newest frame taken; undefined before the first. */
  get position(): number | undefined {
    return this.#track?.end
  }

  /** An encoder begins anew, with this configuration. */
  configure(config: AudioConfig, changed: boolean): void {
    this.#next = changed ? config : undefined
  }

  /** Takes a frame. */
  write(unit: AccessUnit): void {
    const track = this.#track
    if (track !== undefined && this.#open && unit.pts - track.end > SILENCE_TICKS) {
      this.finish()
    }
    if (track === undefined || !this.#open || this.#next !== undefined) {
      if (!this.#begin(unit)) {
        this.#options.metrics?.count('derived_dropped')
        return
      }
    }
    this.#announceCuts(unit.pts)
    this.#track?.write(unit, undefined)
  }

  /** What is there becomes the last parts of the segment. */
  finish(): void {
    const track = this.#track
    if (track?.writer.holds === true) track.finish(track.end)
    this.#open = false
  }

  /** Begins, or goes on after a hole or with another configuration, where a segment does. */
  #begin(unit: AccessUnit): boolean {
    const cut = this.#options.cuts.at(unit.pts)
    const running = this.#track
    const opened = this.#msn
    if (cut === undefined || cut.msn <= opened) return false
    if (unit.pts - cut.time > LATE_TICKS) return false
    if (running?.writer.holds === true) running.finish(Math.min(cut.time, unit.pts))
    if (running !== undefined && cut.msn > opened + 1) {
      this.#options.metrics?.count('derived_skipped')
    }
    if (this.#next !== undefined) this.#config = this.#next
    this.#next = undefined
    if (running === undefined) {
      this.#track = new AudioTrack(this.#options, this.#config, this.#timeline, cut)
    } else running.begin(this.#config, this.#timeline, cut)
    this.#msn = cut.msn
    this.#open = true
    return true
  }

  /** Tells the track of the cuts up to a time; not of later ones, so that a long gap does not fill them with silence. */
  #announceCuts(time: number): void {
    for (;;) {
      const cut: SegmentCut | undefined = this.#options.cuts.of(this.#msn + 1)
      if (cut === undefined || cut.time > time + LATE_TICKS) return
      this.#track?.announce(cut)
      this.#msn = cut.msn
    }
  }
}
