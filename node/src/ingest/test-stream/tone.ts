/**
 * The sound of the test stream: a soft bell at each full second of the wall clock, so that ears can judge whether sound
 * and clock agree, and silence between. One second is computed once; a block of samples is a copy.
 */

import assert from 'node:assert/strict'

/** Sample rate of the sound, in hertz. */
export const audioSampleRate = 48_000

/** Peak of the bell; about -20 dBFS, loud enough to notice and quiet enough to leave on. */
const peak = 0.1

/** Fills blocks of samples in step with a wall clock. */
export class SecondBell {
  readonly #sampleRate: number
  readonly #bell: Float32Array
  /** Next sample of the bell to play; past its end there is silence. */
  #position: number

  /** `sampleRate` in hertz. */
  constructor(sampleRate: number) {
    assert(sampleRate >= 8_000)
    this.#sampleRate = sampleRate
    this.#bell = strike(sampleRate)
    this.#position = this.#bell.length
  }

  /**
   * Fills `samples` (full scale is 1). `wallMs` is the wall time of the first one, fractions allowed; a bell begins at
   * the sample where a second begins.
   */
  fill(samples: Float32Array, wallMs: number): void {
    const toSecond = Math.ceil(wallMs / 1_000) * 1_000 - wallMs
    const start = Math.round((toSecond * this.#sampleRate) / 1_000)
    if (start >= samples.length) {
      this.#copy(samples, 0, samples.length)
      return
    }
    this.#copy(samples, 0, start)
    this.#position = 0
    this.#copy(samples, start, samples.length)
  }

  #copy(samples: Float32Array, from: number, to: number): void {
    const count = Math.min(to - from, this.#bell.length - this.#position)
    samples.set(this.#bell.subarray(this.#position, this.#position + count), from)
    samples.fill(0, from + count, to)
    this.#position += count
  }
}

/** One stroke: a fifth over its base, each partial fading by itself, begun softly so that it does not click. */
function strike(sampleRate: number): Float32Array {
  const partials = [
    { hertz: 523.25, level: 0.6, fadeS: 0.22 },
    { hertz: 784, level: 0.3, fadeS: 0.14 },
    { hertz: 1_568, level: 0.1, fadeS: 0.06 },
  ]
  const bell = new Float32Array(Math.floor(sampleRate * 0.95))
  for (let i = 0; i < bell.length; i++) {
    const t = i / sampleRate
    let value = 0
    for (const { hertz, level, fadeS } of partials) {
      value += level * Math.exp(-t / fadeS) * Math.sin(2 * Math.PI * hertz * t)
    }
    const attack = Math.min(1, t / 0.003)
    const release = Math.min(1, (bell.length - i) / (sampleRate * 0.1))
    bell[i] = peak * attack * release * value
  }
  return bell
}
