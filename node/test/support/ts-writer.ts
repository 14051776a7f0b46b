/**
 * A small MPEG-TS multiplexer for tests: tables and PES packets, with every field at hand so that a test can break it.
 */
import { crc32Mpeg } from '../../src/media/mpegts/crc32.ts'

const PACKET_BYTES = 188
const MAP_PID = 0x1000

/** An elementary stream of the program. */
export interface TsStream {
  readonly pid: number
  readonly type: number
  readonly descriptors?: Uint8Array
}

/** A PES packet to write. */
export interface TsPes {
  readonly pid: number
  readonly data: Uint8Array
  /** 1/90000 s; undefined writes none. */
  readonly pts?: number | undefined
  readonly dts?: number | undefined
  /** Leaves the length open, as video does. */
  readonly open?: boolean
  readonly streamId?: number
  readonly scrambled?: boolean
}

/** A 320x240 H.264 sequence parameter set. */
export const H264_SPS = Buffer.from('6764000dacd94141fb0110000003001000000303c0f1429960', 'hex')
/** Its picture parameter set. */
export const H264_PPS = Buffer.from('68ebe3cb22c0', 'hex')
const START_CODE = Uint8Array.of(0, 0, 0, 1)
const DELIMITER = Uint8Array.of(0, 0, 0, 1, 9, 0xf0)

/** An H.264 picture with start codes; a keyframe has its parameter sets in front. */
export function h264Picture(keyframe: boolean, bytes = 30, fill = 0xab): Buffer {
  const slice = Buffer.alloc(bytes, fill)
  slice[0] = keyframe ? 0x65 : 0x41
  const sets = keyframe ? [START_CODE, H264_SPS, START_CODE, H264_PPS] : []
  return Buffer.concat([DELIMITER, ...sets, START_CODE, slice])
}

/** An ADTS frame of AAC-LC, 48 kHz, stereo. */
export function adtsFrame(bytes: number, fill = 0x21): Buffer {
  const frame = Buffer.alloc(7 + bytes, fill)
  const length = frame.byteLength
  frame.set([
    0xff,
    0xf1,
    0x4c,
    0x80 | (length >> 11),
    (length >> 3) & 255,
    ((length & 7) << 5) | 31,
    0xfc,
  ])
  return frame
}

/** Opus in its control header. */
export function opusUnit(packet: Uint8Array): Buffer {
  const sizes = [
    ...new Array(Math.floor(packet.byteLength / 255)).fill(255),
    packet.byteLength % 255,
  ]
  return Buffer.concat([Uint8Array.of(0x7f, 0xe0, ...sizes), packet])
}

/** A tag with its content. */
export function descriptor(tag: number, content: Uint8Array | string): Buffer {
  const bytes = Buffer.from(content as string, 'latin1')
  return Buffer.concat([Uint8Array.of(tag, bytes.byteLength), bytes])
}

/** Writes one stream; the continuity counters go on from call to call. */
export class TsWriter {
  readonly #counters = new Map<number, number>()
  #version = 0

  /** PAT and PMT of program 1. */
  tables(...streams: readonly TsStream[]): Buffer {
    const pat = section(
      0,
      1,
      this.#version,
      Uint8Array.of(0, 1, 0xe0 | (MAP_PID >> 8), MAP_PID & 255),
    )
    const body = streams.flatMap(({ pid, type, descriptors = new Uint8Array(0) }) => [
      Uint8Array.of(type, 0xe0 | (pid >> 8), pid & 255, 0xf0, descriptors.byteLength),
      descriptors,
    ])
    const head = Uint8Array.of(0xe1, 0, 0xf0, 0)
    const pmt = section(2, 1, this.#version, Buffer.concat([head, ...body]))
    this.#version = (this.#version + 1) % 32
    const table = (pid: number, bytes: Buffer): Buffer =>
      this.packets(pid, Buffer.concat([Uint8Array.of(0), bytes]))
    return Buffer.concat([table(0, pat), table(MAP_PID, pmt)])
  }

  /** One PES packet. */
  pes(pes: TsPes): Buffer {
    return this.packets(pes.pid, pesBytes(pes), pes.scrambled)
  }

  /** Bytes in packets of one PID, the last one filled up by an adaptation field. */
  packets(pid: number, bytes: Uint8Array, scrambled = false): Buffer {
    const packets: Buffer[] = []
    for (let offset = 0; offset < bytes.byteLength; ) {
      const packet = Buffer.alloc(PACKET_BYTES, 0xff)
      const taken = Math.min(PACKET_BYTES - 4, bytes.byteLength - offset)
      const stuffing = PACKET_BYTES - 4 - taken
      const counter = this.#counters.get(pid) ?? 0
      this.#counters.set(pid, (counter + 1) & 15)
      const flags = (scrambled ? 0x80 : 0) | (stuffing > 0 ? 0x30 : 0x10) | counter
      packet.set([0x47, (offset === 0 ? 0x40 : 0) | (pid >> 8), pid & 255, flags])
      if (stuffing > 0) packet[4] = stuffing - 1
      if (stuffing > 1) packet[5] = 0
      packet.set(bytes.subarray(offset, offset + taken), PACKET_BYTES - taken)
      packets.push(packet)
      offset += taken
    }
    return Buffer.concat(packets)
  }
}

/** A table section with its CRC. */
function section(table: number, id: number, version: number, body: Uint8Array): Buffer {
  const head = Buffer.alloc(8)
  head[0] = table
  head.writeUInt16BE(0xb000 | (5 + body.byteLength + 4), 1)
  head.writeUInt16BE(id, 3)
  head[5] = 0xc1 | (version << 1)
  const checked = Buffer.concat([head, body])
  const crc = Buffer.alloc(4)
  crc.writeUInt32BE(crc32Mpeg(checked), 0)
  return Buffer.concat([checked, crc])
}

/** The bytes of a PES packet. */
export function pesBytes({ data, pts, dts, open = false, streamId = 0xe0 }: TsPes): Buffer {
  const times: Uint8Array[] = []
  if (pts !== undefined) times.push(timestamp(pts, dts === undefined ? 2 : 3))
  if (dts !== undefined) times.push(timestamp(dts, 1))
  const optional = Buffer.concat(times)
  const length = 3 + optional.byteLength + data.byteLength
  const head = Buffer.alloc(9)
  head.set([0, 0, 1, streamId])
  head.writeUInt16BE(open ? 0 : length, 4)
  head.set([0x80, pts === undefined ? 0 : dts === undefined ? 0x80 : 0xc0, optional.byteLength], 6)
  return Buffer.concat([head, optional, data])
}

function timestamp(ticks: number, prefix: number): Buffer {
  const value = BigInt(ticks) & 0x1_ffff_ffffn
  const bits = (from: bigint, count: bigint): number =>
    Number((value >> from) & ((1n << count) - 1n))
  const bytes = Buffer.alloc(5)
  bytes[0] = (prefix << 4) | (bits(30n, 3n) << 1) | 1
  bytes.writeUInt16BE((bits(15n, 15n) << 1) | 1, 1)
  bytes.writeUInt16BE((bits(0n, 15n) << 1) | 1, 3)
  return bytes
}
