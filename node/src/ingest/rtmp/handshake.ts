/**
 * The server's side of the RTMP handshake (Adobe RTMP 1.0 section 5.2). Clients that try the undocumented digest form
 * (FFmpeg, Flash) fall back to the plain one when the server's version field is zero.
 */
import { randomBytes } from 'node:crypto'
import { KairoError } from '../../errors.ts'

const VERSION = 3
const BLOCK_BYTES = 1536
const CLIENT_BYTES = 1 + 2 * BLOCK_BYTES
const FIRST_BYTES = 1 + BLOCK_BYTES

/** Takes C0, C1 and C2 and says what to answer. */
export class ServerHandshake {
  #received = Buffer.alloc(0)
  #answered = false

  /** True when C2 is complete: the next byte belongs to the chunk stream. */
  get done(): boolean {
    return this.#received.byteLength === CLIENT_BYTES
  }

  /**
   * Takes bytes from `data` at `offset`; returns how many were used and what to send now.
   * C2 is not compared with S1, since several encoders send there whatever they like.
   * @throws KairoError `ERR_PROTOCOL` when the first byte is not version 3.
   */
  receive(data: Buffer, offset: number): { used: number; answer: Buffer | undefined } {
    const version = this.#received[0] ?? data[offset]
    if (version !== undefined && version !== VERSION) {
      throw new KairoError('ERR_PROTOCOL', `not RTMP: the first byte is ${version}, not ${VERSION}`)
    }
    const used = Math.min(CLIENT_BYTES - this.#received.byteLength, data.byteLength - offset)
    this.#received = Buffer.concat([this.#received, data.subarray(offset, offset + used)])
    if (this.#answered || this.#received.byteLength < FIRST_BYTES)
      return { used, answer: undefined }
    this.#answered = true
    const serverBlock = Buffer.concat([Buffer.alloc(8), randomBytes(BLOCK_BYTES - 8)])
    const echo = this.#received.subarray(1, FIRST_BYTES)
    return { used, answer: Buffer.concat([Buffer.of(VERSION), serverBlock, echo]) }
  }
}
