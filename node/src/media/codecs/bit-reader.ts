/**
 * Reads the bit fields of codec headers (ISO/IEC 14496-10 clause 9.1, ISO/IEC 14496-3 1.6.2.1), most significant bit first.
 */
import { KairoError } from '../../errors.ts'

/** Exp-Golomb codes with more leading zeros than this do not fit 32 bits. */
const GOLOMB_ZEROS_MAX = 31

/** A cursor over bits. Every read past the end throws KairoError `ERR_PROTOCOL`. */
export class BitReader {
  readonly #data: Uint8Array
  #position = 0

  constructor(data: Uint8Array) {
    this.#data = data
  }

  /** Bits not yet read. */
  get left(): number {
    return this.#data.byteLength * 8 - this.#position
  }

  /** One bit as a flag. */
  flag(): boolean {
    return this.bits(1) === 1
  }

  /** An unsigned number of `count` bits, 0 to 32. */
  bits(count: number): number {
    if (count > this.left) throw new KairoError('ERR_PROTOCOL', 'a codec header ends too early')
    let value = 0
    let wanted = count
    while (wanted > 0) {
      const byte = this.#data[this.#position >>> 3] ?? 0
      const available = 8 - (this.#position & 7)
      const taken = Math.min(available, wanted)
      const chunk = (byte >>> (available - taken)) & ((1 << taken) - 1)
      value = value * 2 ** taken + chunk
      this.#position += taken
      wanted -= taken
    }
    return value
  }

  /** Passes over `count` bits. */
  skip(count: number): void {
    if (count > this.left) throw new KairoError('ERR_PROTOCOL', 'a codec header ends too early')
    this.#position += count
  }

  /** Passes over the rest of the byte that is being read. */
  align(): void {
    this.#position = (this.#position + 7) & ~7
  }

  /** ue(v): an unsigned Exp-Golomb code. */
  unsigned(): number {
    let zeros = 0
    while (!this.flag()) {
      zeros += 1
      if (zeros > GOLOMB_ZEROS_MAX) {
        throw new KairoError('ERR_PROTOCOL', 'an Exp-Golomb code is longer than 32 bits')
      }
    }
    return 2 ** zeros - 1 + this.bits(zeros)
  }

  /** se(v): a signed Exp-Golomb code. */
  signed(): number {
    const code = this.unsigned()
    return code % 2 === 0 ? -code / 2 : (code + 1) / 2
  }
}
