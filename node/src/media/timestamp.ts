/**
 * Turns a wrapping counter (RTMP: 32 bits of milliseconds; MPEG-TS: 33 bits of 90 kHz) into times that go on growing.
 */
import assert from 'node:assert/strict'

/** Counter widths above this leave no room in a double for the wraps. */
const BITS_MAX = 48

/**
 * Unwraps one counter by serial arithmetic (RFC 1982): each value is taken as the nearest one, before or after, to the
 * value before it. A step back stays a step back, so a caller still sees a publisher whose clock was set.
 */
export class TimestampUnwrapper {
  readonly #modulus: number
  #last: number | undefined

  /** `bits`: width of the counter, 1 to 48. */
  constructor(bits: number) {
    assert(Number.isInteger(bits) && bits > 0 && bits <= BITS_MAX)
    this.#modulus = 2 ** bits
  }

  /**
   * The unwrapped time of `value`, in the counter's own unit. The first is returned as it is; later ones may be negative
   * when they lie before a first value near zero.
   */
  unwrap(value: number): number {
    assert(Number.isInteger(value) && value >= 0 && value < this.#modulus)
    if (this.#last === undefined) {
      this.#last = value
      return value
    }
    const lastWrapped = modulo(this.#last, this.#modulus)
    let step = modulo(value - lastWrapped, this.#modulus)
    if (step >= this.#modulus / 2) step -= this.#modulus
    this.#last += step
    return this.#last
  }
}

function modulo(value: number, modulus: number): number {
  const rest = value % modulus
  return rest < 0 ? rest + modulus : rest
}
