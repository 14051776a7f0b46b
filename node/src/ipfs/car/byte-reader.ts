/** Reads exact numbers of bytes from a stream of pieces, holding no more than was asked for and one piece. */
import { KairoError } from '../../errors.ts'

/** A stream that is read by counts. */
export class ByteReader {
  readonly #pieces: AsyncIterator<Uint8Array>
  readonly #what: string
  #held: Uint8Array = Buffer.alloc(0)

  /** `what` names the stream in errors. */
  constructor(source: AsyncIterable<Uint8Array>, what: string) {
    this.#pieces = source[Symbol.asyncIterator]()
    this.#what = what
  }

  /** True when nothing comes any more. */
  async isAtEnd(): Promise<boolean> {
    while (this.#held.byteLength === 0) {
      const next = await this.#pieces.next()
      if (next.done === true) return true
      this.#held = next.value
    }
    return false
  }

  /**
   * The next bytes; the caller has checked that it wants so many.
   * @throws KairoError `ERR_PROTOCOL` when the stream ends before.
   */
  async take(count: number): Promise<Buffer> {
    const pieces: Uint8Array[] = []
    let missing = count
    while (missing > 0) {
      const piece = await this.some(missing)
      if (piece === undefined) throw this.cutOff()
      pieces.push(piece)
      missing -= piece.byteLength
    }
    return Buffer.concat(pieces, count)
  }

  /** Up to `count` of the next bytes, as they come; undefined at the end. */
  async some(count: number): Promise<Uint8Array | undefined> {
    if (await this.isAtEnd()) return undefined
    const piece = this.#held.subarray(0, count)
    this.#held = this.#held.subarray(piece.byteLength)
    return piece
  }

  /** Goes over bytes. */
  async skip(count: number): Promise<void> {
    for (let missing = count; missing > 0; ) {
      const piece = await this.some(missing)
      if (piece === undefined) throw this.cutOff()
      missing -= piece.byteLength
    }
  }

  /** An unsigned LEB128 number of at most `max`. */
  async varint(max: number): Promise<number> {
    let value = 0
    let factor = 1
    for (let count = 0; count < 8; count += 1) {
      const [byte] = await this.take(1)
      value += ((byte as number) & 0x7f) * factor
      if (value > max) break
      if ((byte as number) < 0x80) return value
      factor *= 128
    }
    throw new KairoError('ERR_PROTOCOL', `a length in the ${this.#what} is beyond ${max}`)
  }

  /** The error of a stream that ends too early. */
  cutOff(): KairoError {
    return new KairoError('ERR_PROTOCOL', `the ${this.#what} is cut off`)
  }
}
