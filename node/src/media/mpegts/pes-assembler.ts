/**
 * PES packets out of the transport packets of one PID (ISO/IEC 13818-1 2.4.3.6).
 */
import { mpegtsLimits } from '../../limits/mpegts.ts'

/** A whole PES packet. */
export interface PesPacket {
  /** 33 bits of 1/90000 s; undefined when it says none. */
  readonly pts: number | undefined
  /** The same; equals `pts` when only that is said. */
  readonly dts: number | undefined
  /** Valid until the next call of the assembler. */
  readonly data: Buffer
}

/** Why a PES packet was thrown away. */
export type PesDropReason = 'lost' | 'damaged' | 'oversized'

/** Where packets go. */
export interface PesHandler {
  pes(packet: PesPacket): void
  pesDropped(reason: PesDropReason): void
}

const HEAD_BYTES = 6
const OPTIONAL_HEAD_BYTES = 9
const START_BYTES = 1_024
const TIMESTAMP_BYTES = 5
/** Payload of a transport packet without an adaptation field. */
const FULL_PAYLOAD_BYTES = 184
/** Stream ids without the optional header (table 2-21): maps, padding, private 2, ECM, EMM, directories, DSM-CC, H.222.1 E. */
const PLAIN_STREAM_IDS = new Set([0xbc, 0xbe, 0xbf, 0xf0, 0xf1, 0xf2, 0xf8, 0xff])

/**
 * Collects one PES packet at a time. One whose length is said comes out with its last byte; one without, as video has it, when
 * the next begins.
 */
export class PesAssembler {
  readonly #handler: PesHandler
  readonly #bytesMax: number
  #bytes: Buffer = Buffer.alloc(START_BYTES)
  #length = 0
  #open = false
  /** The last payload filled its transport packet. */
  #full = false

  /** Packets of more than `bytesMax` bytes are dropped. */
  constructor(handler: PesHandler, bytesMax: number = mpegtsLimits.pesBytesMax) {
    this.#handler = handler
    this.#bytesMax = bytesMax
  }

  /** Takes a packet's payload. */
  push(payload: Buffer, unitStart: boolean): void {
    if (unitStart) {
      this.flush()
      this.#open = true
      this.#length = 0
    }
    if (!this.#open) return
    const length = this.#length + payload.byteLength
    if (length > this.#bytesMax) {
      this.#abandon('oversized')
      return
    }
    this.#reserve(length)
    payload.copy(this.#bytes, this.#length)
    this.#length = length
    this.#full = payload.byteLength === FULL_PAYLOAD_BYTES
    const whole = this.#saidBytes()
    if (whole !== undefined && length >= whole) this.#finish(whole)
  }

  /** Packets were lost: what is being collected is of no use. */
  lost(): void {
    if (this.#open) this.#abandon('lost')
  }

  /**
   * The stream is over. A packet without a length is taken to be whole when its last transport packet was filled up by stuffing,
   * as multiplexers do with a packet's end; else the stream was cut off in it.
   */
  end(): void {
    if (this.#open && this.#full && this.#saidBytes() === undefined) this.#abandon('lost')
    else this.flush()
  }

  /** Another packet begins, or none of this PID comes any more: nothing is added to the one being collected. */
  flush(): void {
    if (!this.#open) return
    if (this.#saidBytes() === undefined) this.#finish(this.#length)
    else this.#abandon('damaged')
  }

  #abandon(reason: PesDropReason): void {
    this.#open = false
    this.#handler.pesDropped(reason)
  }

  /** Bytes of the whole packet, when it says how many. */
  #saidBytes(): number | undefined {
    if (this.#length < HEAD_BYTES) return undefined
    const said = this.#bytes.readUInt16BE(4)
    return said === 0 ? undefined : HEAD_BYTES + said
  }

  #finish(length: number): void {
    this.#open = false
    const packet = readPes(this.#bytes.subarray(0, length))
    if (packet === undefined) this.#handler.pesDropped('damaged')
    else this.#handler.pes(packet)
  }

  #reserve(length: number): void {
    if (length <= this.#bytes.byteLength) return
    const larger = Buffer.alloc(Math.max(length, this.#bytes.byteLength * 2))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}

function readPes(bytes: Buffer): PesPacket | undefined {
  if (bytes.byteLength < OPTIONAL_HEAD_BYTES || bytes.readUIntBE(0, 3) !== 1) return undefined
  if (PLAIN_STREAM_IDS.has(bytes.readUInt8(3)) || (bytes.readUInt8(6) & 0xc0) !== 0x80) {
    return undefined
  }
  const flags = bytes.readUInt8(7) >> 6
  const dataStart = OPTIONAL_HEAD_BYTES + bytes.readUInt8(8)
  const times = flags === 3 ? 2 : flags === 2 ? 1 : 0
  if (dataStart > bytes.byteLength) return undefined
  if (OPTIONAL_HEAD_BYTES + times * TIMESTAMP_BYTES > dataStart) return undefined
  const pts = times > 0 ? readTimestamp(bytes, OPTIONAL_HEAD_BYTES) : undefined
  const dts = times > 1 ? readTimestamp(bytes, OPTIONAL_HEAD_BYTES + TIMESTAMP_BYTES) : pts
  return { pts, dts, data: bytes.subarray(dataStart) }
}

/** 33 bits with marker bits between them (2.4.3.7). */
function readTimestamp(bytes: Buffer, offset: number): number {
  const high = (bytes.readUInt8(offset) >> 1) & 7
  const middle = bytes.readUInt16BE(offset + 1) >> 1
  const low = bytes.readUInt16BE(offset + 3) >> 1
  return high * 2 ** 30 + middle * 2 ** 15 + low
}
