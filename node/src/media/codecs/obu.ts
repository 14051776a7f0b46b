/**
 * AV1's open bitstream units in the low-overhead format (AV1 bitstream specification 5.3).
 */
import { codecLimits } from '../../limits/codecs.ts'

/** One OBU. */
export interface Obu {
  readonly type: number
  /** With its header and size field, as it came. */
  readonly bytes: Uint8Array
  readonly payload: Uint8Array
  /** Only the last OBU of a sample may be without its size. */
  readonly sized: boolean
}

/** OBU types that matter here (6.2.2). */
export const OBU = {
  sequenceHeader: 1,
  temporalDelimiter: 2,
  frameHeader: 3,
  metadata: 5,
  frame: 6,
  tileList: 8,
  padding: 15,
} as const

const LEB128_BYTES_MAX = 8

/** The OBUs of `data`; undefined when they do not add up or are more than `codecLimits.obusMax`. */
export function readObus(data: Uint8Array): readonly Obu[] | undefined {
  const obus: Obu[] = []
  let offset = 0
  while (offset < data.byteLength) {
    if (obus.length === codecLimits.obusMax) return undefined
    const obu = readObu(data, offset)
    if (obu === undefined) return undefined
    obus.push(obu)
    offset += obu.bytes.byteLength
  }
  return obus
}

function readObu(data: Uint8Array, offset: number): Obu | undefined {
  const header = data[offset] ?? 0
  const extended = (header & 4) !== 0
  const sized = (header & 2) !== 0
  // The forbidden bit is what tells an OBU from noise.
  if ((header & 0x80) !== 0) return undefined
  let start = offset + (extended ? 2 : 1)
  let end = data.byteLength
  if (sized) {
    const size = readLeb128(data, start)
    if (size === undefined) return undefined
    start = size.end
    end = start + size.value
  }
  if (start > end || end > data.byteLength) return undefined
  return {
    type: (header >> 3) & 15,
    bytes: data.subarray(offset, end),
    payload: data.subarray(start, end),
    sized,
  }
}

/** A `leb128()` number and the offset behind it (4.10.5); undefined when it is cut or does not fit 32 bits. */
export function readLeb128(
  data: Uint8Array,
  start: number,
): { readonly value: number; readonly end: number } | undefined {
  let value = 0
  for (let index = 0; index < LEB128_BYTES_MAX; index += 1) {
    const byte = data[start + index]
    if (byte === undefined) return undefined
    value += (byte & 0x7f) * 2 ** (7 * index)
    if ((byte & 0x80) === 0) return value < 2 ** 32 ? { value, end: start + index + 1 } : undefined
  }
  return undefined
}

/** An OBU with its size field, whether it had one or not. */
export function sizedObu(obu: Obu): Uint8Array {
  if (obu.sized) return obu.bytes
  const header = obu.bytes.subarray(0, obu.bytes.byteLength - obu.payload.byteLength)
  const marked = Uint8Array.from(header)
  marked[0] = (marked[0] ?? 0) | 2
  const size: number[] = []
  let left = obu.payload.byteLength
  do {
    size.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0))
    left >>>= 7
  } while (left > 0)
  return Buffer.concat([marked, Uint8Array.from(size), obu.payload])
}
