/**
 * The loop of the test stream's child: draw, encode, send, and wait for the next frame's time. Frame times are computed
 * from the start, never from the last frame, so that the stream does not drift from real time.
 */

import type { Clock } from '../../clock.ts'
import { testStreamLimits } from '../../limits.ts'
import type { Encoder } from './encoder.ts'
import type { RtmpOutput } from './output.ts'
import type { TestPicture } from './picture.ts'
import { audioSampleRate, type SecondBell } from './tone.ts'

/** What the loop drives. */
export interface GeneratorComponents {
  readonly clock: Clock
  readonly picture: TestPicture
  readonly bell: SecondBell
  readonly video: Encoder
  readonly audio: Encoder & { readonly samples: readonly [Float32Array, Float32Array] }
  readonly output: Pick<RtmpOutput, 'writeVideo' | 'writeAudio'>
}

/** The first group of pictures is short, so that the first segment is soon whole and players can begin. */
const FIRST_GROUP_S = 0.5

/** Counters of a running generator. */
export interface GeneratorProgress {
  /** Frames sent. */
  readonly frames: number
  /** Frames left out because the loop came too late for them. */
  readonly skipped: number
}

/** Makes the stream frame by frame; {@link Generator.step} is called by {@link Generator.start}'s timer. */
export class Generator {
  readonly #components: GeneratorComponents
  readonly #frameRate: number
  #startMs = 0
  #index = 0
  #sent = 0
  #skipped = 0
  #audioSamples = 0
  #wallOffsetMs = 0
  #cancel: (() => void) | undefined

  constructor(components: GeneratorComponents, init: { readonly frameRate: number }) {
    this.#components = components
    this.#frameRate = init.frameRate
  }

  get progress(): GeneratorProgress {
    return { frames: this.#sent, skipped: this.#skipped }
  }

  /** Begins with a keyframe at once. `onError` is called at most once, after which the loop stands. */
  start(onError: (error: unknown) => void): void {
    this.#startMs = this.#components.clock.monotonicMs()
    const tick = () => {
      try {
        const waitMs = this.step()
        this.#cancel = this.#components.clock.after(waitMs, tick)
      } catch (error) {
        onError(error)
      }
    }
    tick()
  }

  /** Ends the loop; the frame in work is done already, as every step is synchronous. */
  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  /** Sends the frame that is due and the sound up to it; returns the milliseconds until the next one. */
  step(): number {
    const { clock, picture, video, output } = this.#components
    const nowMs = clock.monotonicMs() - this.#startMs
    const dueMs = (this.#index * 1_000) / this.#frameRate
    if (nowMs - dueMs > testStreamLimits.lateMsMax) {
      // A suspended machine or a stalled receiver: go on at the present instead of racing through the past.
      const next = Math.floor((nowMs * this.#frameRate) / 1_000)
      this.#skipped += next - this.#index
      this.#index = next
    }
    const wallMs = clock.now()
    this.#wallOffsetMs = wallMs - nowMs
    this.#sendAudio(((this.#index + 1) * 1_000) / this.#frameRate)
    picture.draw(this.#index, wallMs)
    const early = this.#index === Math.round(FIRST_GROUP_S * this.#frameRate)
    video.encode(this.#index, (packet) => output.writeVideo(packet), early)
    this.#index++
    this.#sent++
    const nextMs = (this.#index * 1_000) / this.#frameRate
    return Math.max(0, nextMs - (clock.monotonicMs() - this.#startMs))
  }

  /** Encodes whole blocks of sound that begin before `untilMs` of media time. */
  #sendAudio(untilMs: number): void {
    const { audio, bell, output } = this.#components
    const [left, right] = audio.samples
    const block = left.length
    const toMs = 1_000 / audioSampleRate
    if (untilMs - this.#audioSamples * toMs > testStreamLimits.lateMsMax) {
      const target = Math.floor(untilMs / toMs / block) * block
      this.#audioSamples = Math.max(this.#audioSamples, target)
    }
    while (this.#audioSamples * toMs < untilMs) {
      bell.fill(left, this.#audioSamples * toMs + this.#wallOffsetMs)
      right.set(left)
      audio.encode(this.#audioSamples, (packet) => output.writeAudio(packet))
      this.#audioSamples += block
    }
  }
}
