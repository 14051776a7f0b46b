/** The bytes of one part, in the pieces that they came in, in any order. */
import { assert } from '../errors.ts'
import { protocolLimits } from '../protocol/limits.ts'
import { ProtocolError } from '../protocol/protocol-error.ts'
import { type ByteRange, ByteRuns, firstBehind } from './byte-runs.ts'
import { memoryLimits as limits } from './limits.ts'

interface Piece extends ByteRange {
  readonly bytes: Uint8Array
}

/** The bytes of one part. */
export class PartBytes {
  #length: number | undefined
  readonly #runs = new ByteRuns()
  /** In order, and never over one another. */
  #pieces: Piece[] = []
  #isJoined = false
  #held = 0

  /** How long the part is, where that is known. */
  get length(): number | undefined {
    return this.#length
  }

  /** Bytes that are there. */
  get held(): number {
    return this.#held
  }

  get isComplete(): boolean {
    return this.#held === this.#length
  }

  /**
   * Sets how long the part is.
   * @returns false when it was known
   * @throws ProtocolError when it is not as was said before, or less than is there
   */
  setLength(bytes: number): boolean {
    if (this.#length === bytes) return false
    if (this.#length !== undefined) throw new ProtocolError('a part of two lengths')
    if (!Number.isInteger(bytes) || bytes < this.#runs.end || bytes > protocolLimits.partBytesMax) {
      throw new ProtocolError('bad length of a part')
    }
    this.#length = bytes
    return true
  }

  /**
   * Which of these bytes are new.
   * @throws ProtocolError when they are not all of the part, or would make too many holes in it
   */
  news(offset: number, count: number): ByteRange[] {
    const range = { from: offset, to: offset + count }
    const max = this.#length ?? protocolLimits.partBytesMax
    if (!Number.isInteger(offset) || offset < 0 || range.to > max) {
      throw new ProtocolError('bytes beyond a part')
    }
    const news = this.#runs.missing(offset, range.to)
    if (news.length > 0 && this.#runs.countWith(range) > limits.runsMax) {
      throw new ProtocolError('too many holes')
    }
    return news
  }

  /**
   * Keeps a range of bytes, which is new.
   * @param bytes what came; the range lies in it
   * @param offset where they belong
   */
  add(range: ByteRange, bytes: Uint8Array, offset: number): void {
    const [start, end] = [range.from - offset, range.to - offset]
    // A view keeps everything that it is a view of in memory.
    const isMost = (end - start) * 2 > bytes.buffer.byteLength
    const kept = isMost ? bytes.subarray(start, end) : bytes.slice(start, end)
    this.#runs.add(range)
    this.#held += kept.length
    this.#insert({ ...range, bytes: kept })
  }

  /** Bytes in a row from one on. */
  available(from: number): number {
    return this.#runs.available(from)
  }

  /** The holes; while the length is not known the last one has no end. */
  missing(): ByteRange[] {
    return this.#runs.missing(0, this.#length ?? Number.POSITIVE_INFINITY)
  }

  /** Up to so many of the bytes that are available from one on; a view where they lie in one piece. */
  read(from: number, bytesMax: number): Uint8Array {
    const count = Math.min(this.available(from), bytesMax)
    if (count <= 0) return new Uint8Array(0)
    let index = firstBehind(this.#pieces, from)
    const first = this.#pieces[index]
    const start = from - (first?.from ?? 0)
    if (first !== undefined && from + count <= first.to) {
      return first.bytes.subarray(start, start + count)
    }
    const copy = new Uint8Array(count)
    for (let at = 0; at < count; index += 1) {
      const { from: begin, bytes } = this.#pieces[index] as Piece
      const skipped = from + at - begin
      const some = bytes.subarray(skipped, skipped + count - at)
      copy.set(some, at)
      at += some.length
    }
    return copy
  }

  /** All bytes in one piece that is a buffer of its own; the same one each time. */
  join(): Uint8Array<ArrayBuffer> {
    assert(this.isComplete, 'a part that is joined is complete')
    const [first] = this.#pieces
    if (!this.#isJoined) {
      const joined = isWhole(first?.bytes, this.#held) ? first?.bytes : this.#copyAll()
      this.#pieces = [{ from: 0, to: this.#held, bytes: joined as Uint8Array }]
      this.#isJoined = true
    }
    return this.#pieces[0]?.bytes as Uint8Array<ArrayBuffer>
  }

  #copyAll(): Uint8Array {
    const copy = new Uint8Array(this.#held)
    for (const { from, bytes } of this.#pieces) copy.set(bytes, from)
    return copy
  }

  /** Puts a piece in its place, or together with a neighbour where both are small. */
  #insert(piece: Piece): void {
    const index = firstBehind(this.#pieces, piece.from)
    const left = this.#pieces[index - 1]
    const right = this.#pieces[index]
    if (left !== undefined && isNext(left, piece)) {
      this.#pieces[index - 1] = concat(left, piece)
    } else if (right !== undefined && isNext(piece, right)) {
      this.#pieces[index] = concat(piece, right)
    } else this.#pieces.splice(index, 0, piece)
  }
}

/** Whether bytes are all of a part, and nothing else is in their buffer. */
function isWhole(bytes: Uint8Array | undefined, length: number): boolean {
  return bytes?.length === length && bytes.buffer.byteLength === length
}

/** Whether a piece follows another one without a hole, and the two are small. */
function isNext(left: Piece, right: Piece): boolean {
  return left.to === right.from && right.to - left.from <= limits.pieceBytesMin
}

function concat(left: Piece, right: Piece): Piece {
  const { from } = left
  const bytes = new Uint8Array(right.to - from)
  bytes.set(left.bytes)
  bytes.set(right.bytes, left.bytes.length)
  return { from, to: right.to, bytes }
}
