/** Frames on a TCP connection: a length of 4 bytes, then so many. */

/** Bytes before a frame. */
export const frameHeaderBytes = 4

/** Writes the length before a frame. */
export function writeFrameHeader(target: Buffer, length: number): void {
  target.writeUInt32LE(length)
}

/** Cuts what comes into frames. */
export class FrameReader {
  readonly #onFrame: (frame: Uint8Array) => void
  #rest: Buffer | undefined

  constructor(onFrame: (frame: Uint8Array) => void) {
    this.#onFrame = onFrame
  }

  push(chunk: Buffer): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    while (bytes.length - at >= frameHeaderBytes) {
      const end = at + frameHeaderBytes + bytes.readUInt32LE(at)
      if (end > bytes.length) break
      this.#onFrame(bytes.subarray(at + frameHeaderBytes, end))
      at = end
    }
    this.#rest = at === bytes.length ? undefined : bytes.subarray(at)
  }
}
