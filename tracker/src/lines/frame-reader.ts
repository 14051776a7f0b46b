/** Cuts a stream of bytes into frames behind their lengths. It never holds more than came of the one frame that is not whole. */
import { frameLimits } from './line-limits.ts'

/** Bytes of a length: four of them reach 256 MiB. */
const LENGTH_BYTES_MAX = 4

/** Why a stream of frames cannot be read on. */
export class FrameError extends Error {
  override readonly name = 'FrameError'
  /** `protocol`: nobody writes that; `too-large`: the frame is larger than its lane takes. */
  readonly reason: 'protocol' | 'too-large'

  constructor(reason: FrameError['reason'], message: string) {
    super(message)
    this.reason = reason
  }
}

/** The frames of one stream. */
export class FrameReader {
  readonly #frameBytesMax: number
  readonly #onFrame: (frame: Uint8Array) => void
  #length = 0
  #lengthBytes = 0
  /** Undefined while the length is read. */
  #frameBytes: number | undefined
  #buffer: Uint8Array | undefined
  #filled = 0

  /** @param onFrame gets each frame in a buffer of its own. */
  constructor(frameBytesMax: number, onFrame: (frame: Uint8Array) => void) {
    this.#frameBytesMax = frameBytesMax
    this.#onFrame = onFrame
  }

  /** Bytes held for the frame that is not whole. */
  get heldBytes(): number {
    return this.#buffer?.byteLength ?? 0
  }

  /** True between two frames. */
  get isBetweenFrames(): boolean {
    return this.#lengthBytes === 0 && this.#frameBytes === undefined
  }

  /**
   * Takes bytes as they come.
   * @throws FrameError for a length that nobody writes or that is too large; the reader is of no further use
   */
  push(chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.byteLength) {
      if (this.#frameBytes === undefined) {
        at = this.#readLength(chunk, at)
      } else at = this.#readFrame(chunk, at, this.#frameBytes)
    }
  }

  #readLength(chunk: Uint8Array, start: number): number {
    for (let at = start; at < chunk.byteLength; at += 1) {
      const byte = chunk[at] as number
      this.#length += (byte & 0x7f) * 2 ** (7 * this.#lengthBytes)
      this.#lengthBytes += 1
      if (byte < 0x80) {
        if (byte === 0) {
          throw new FrameError('protocol', 'a frame is empty or has a padded length')
        }
        if (this.#length > this.#frameBytesMax) {
          throw new FrameError('too-large', `a frame of ${this.#length} bytes is too large`)
        }
        this.#frameBytes = this.#length
        this.#length = 0
        this.#lengthBytes = 0
        return at + 1
      }
      if (this.#lengthBytes >= LENGTH_BYTES_MAX) {
        throw new FrameError('protocol', 'the length of a frame is too long')
      }
    }
    return chunk.byteLength
  }

  #readFrame(chunk: Uint8Array, start: number, frameBytes: number): number {
    const missing = frameBytes - this.#filled
    const end = Math.min(chunk.byteLength, start + missing)
    if (this.#filled === 0 && end - start === frameBytes) {
      // The usual case: it came whole. A view would share its memory with its neighbours.
      this.#frameBytes = undefined
      const frame = new Uint8Array(frameBytes)
      frame.set(chunk.subarray(start, end))
      this.#onFrame(frame)
      return end
    }
    const filled = this.#filled + end - start
    const buffer = this.#bufferFor(filled, frameBytes)
    buffer.set(chunk.subarray(start, end), this.#filled)
    this.#filled = filled
    if (filled === frameBytes) {
      this.#frameBytes = undefined
      this.#buffer = undefined
      this.#filled = 0
      this.#onFrame(buffer)
    }
    return end
  }

  /** Room grows with what came, not with what was said. */
  #bufferFor(filled: number, frameBytes: number): Uint8Array {
    const old = this.#buffer
    if (old !== undefined && old.byteLength >= filled) return old
    const wanted = Math.max(filled, 2 * (old?.byteLength ?? 0), frameLimits.firstBufferBytesMax)
    const buffer = new Uint8Array(Math.min(frameBytes, wanted))
    if (old !== undefined) buffer.set(old.subarray(0, this.#filled))
    this.#buffer = buffer
    return buffer
  }
}
