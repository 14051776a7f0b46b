/** Records on their way to the disk: one piece of memory that is filled, written and filled again. */
import type { Bytes } from './crc32c.ts'
import { bytesOf } from './record.ts'
import { walLimits } from './wal-limits.ts'

/** Consecutive bytes of one segment: one write and one sync. */
export interface BufferPart<Segment> {
  readonly segment: Segment
  /** Place in the segment where the part goes. */
  readonly position: number
  /** Range of the buffer. */
  readonly from: number
  to: number
  /** There is room for a mark at the start. */
  readonly hasMark: boolean
}

/** A buffer that grows as needed and keeps its memory. */
export class AppendBuffer<Segment> {
  /** Parts that are not durable yet, in the order of writing. */
  readonly parts: BufferPart<Segment>[] = []
  length = 0
  #memory: Bytes = bytesOf(new Uint8Array(walLimits.bufferBytesFirst))

  /** The memory; another one after `reserve`. */
  get memory(): Bytes {
    return this.#memory
  }

  /** Begins a part at a place of a segment. */
  begin(segment: Segment, position: number, hasMark: boolean): BufferPart<Segment> {
    const part = { segment, position, from: this.length, to: this.length, hasMark }
    this.parts.push(part)
    return part
  }

  /** Room for `size` bytes at the end of a part, which must be the last. Returns where in the memory. */
  reserve(part: BufferPart<Segment>, size: number): number {
    const at = this.length
    const end = at + size
    if (end > this.#memory.bytes.length) this.#grow(end)
    this.length = end
    part.to = end
    return at
  }

  /** Empties the buffer; unusually much memory is given back. */
  clear(): void {
    this.length = 0
    this.parts.length = 0
    if (this.#memory.bytes.length > walLimits.bufferBytesKept)
      this.#memory = bytesOf(new Uint8Array(walLimits.bufferBytesFirst))
  }

  #grow(needed: number): void {
    let size = this.#memory.bytes.length
    while (size < needed) size *= 2
    const bytes = new Uint8Array(size)
    bytes.set(this.#memory.bytes.subarray(0, this.length))
    this.#memory = bytesOf(bytes)
  }
}
