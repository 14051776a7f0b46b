/** Rows of a few 32-bit words each, in chunks, with the free ones used again: a table without an object for each row. */

/** Rows of a chunk, as a power of two. */
const CHUNK_BITS = 12
const CHUNK_ROWS = 1 << CHUNK_BITS
const CHUNK_MASK = CHUNK_ROWS - 1

/** A table that holds little takes little. */
const CHUNK_ROWS_FIRST = 64

/** The table. A row is known by its number, from 0; its words are zero when it is made. */
export class RowTable {
  readonly #stride: number
  readonly #rowsMax: number
  readonly #chunks: Uint32Array[] = []
  /** Free rows, linked by their first word, plus 1; 0 is none. */
  #free = 0
  /** Rows that were ever used. */
  #fresh = 0
  /** Rows in use. */
  size = 0

  /** @param stride words of a row */
  constructor(stride: number, rowsMax: number) {
    this.#stride = stride
    this.#rowsMax = rowsMax
  }

  /** Bytes that the table takes. */
  get bytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
  }

  /** The array in which a row lies; do not keep it over a call of {@link add}. */
  chunk(row: number): Uint32Array {
    return this.#chunks[row >>> CHUNK_BITS] as Uint32Array
  }

  /** Where in its array a row starts. */
  offset(row: number): number {
    return (row & CHUNK_MASK) * this.#stride
  }

  /** A new row, or -1 when there are as many as may be. */
  add(): number {
    if (this.size === this.#rowsMax) return -1
    this.size += 1
    if (this.#free !== 0) {
      const row = this.#free - 1
      const offset = this.offset(row)
      this.#free = this.chunk(row)[offset] as number
      this.chunk(row)[offset] = 0
      return row
    }
    const row = this.#fresh++
    this.#grow(row)
    return row
  }

  /** Frees a row. */
  remove(row: number): void {
    const chunk = this.chunk(row)
    const offset = this.offset(row)
    chunk.fill(0, offset, offset + this.#stride)
    chunk[offset] = this.#free
    this.#free = row + 1
    this.size -= 1
  }

  #grow(row: number): void {
    const index = row >>> CHUNK_BITS
    const chunk = this.#chunks[index]
    const first = index === 0 ? CHUNK_ROWS_FIRST : CHUNK_ROWS
    if (chunk === undefined) {
      this.#chunks.push(new Uint32Array(first * this.#stride))
    } else if (this.offset(row) === chunk.length) {
      const grown = new Uint32Array(chunk.length * 2)
      grown.set(chunk)
      this.#chunks[index] = grown
    }
  }
}
