/**
 * H.264 samples in AVC format (ISO/IEC 14496-15 5.3.2): checks the NAL lengths of one access unit, finds out whether
 * decoding can start there, and brings shorter length fields to the 4 bytes that the rest of the peer expects.
 */

/** One checked access unit. */
export interface H264Sample {
  /** NAL units with 4-byte lengths; the input itself where it has them already. */
  readonly data: Uint8Array
  /** The picture is an IDR picture. */
  readonly idr: boolean
  /** A recovery point SEI says that decoding can start here without an IDR (open GOP, intra refresh). */
  readonly recoveryPoint: boolean
}

const NAL_TYPE_IDR = 5
const NAL_TYPE_SEI = 6
const SEI_RECOVERY_POINT = 6
const LENGTH_BYTES = 4

/**
 * Checks one access unit; undefined when it is empty or its NAL lengths do not add up.
 * `nalLengthBytes` comes from the track's configuration record.
 */
export function readH264Sample(data: Uint8Array, nalLengthBytes: number): H264Sample | undefined {
  let idr = false
  let recoveryPoint = false
  let count = 0
  let offset = 0
  while (offset < data.byteLength) {
    const start = offset + nalLengthBytes
    if (start >= data.byteLength) return undefined
    const length = readLength(data, offset, nalLengthBytes)
    const end = start + length
    if (length === 0 || end > data.byteLength) return undefined
    const type = (data[start] ?? 0) & 31
    if (type === NAL_TYPE_IDR) idr = true
    else if (type === NAL_TYPE_SEI && !recoveryPoint) {
      recoveryPoint = hasRecoveryPoint(data.subarray(start + 1, end))
    }
    count += 1
    offset = end
  }
  if (count === 0) return undefined
  const wide = nalLengthBytes === LENGTH_BYTES ? data : widen(data, nalLengthBytes, count)
  return { data: wide, idr, recoveryPoint }
}

function readLength(data: Uint8Array, offset: number, bytes: number): number {
  let length = 0
  for (let index = 0; index < bytes; index += 1) {
    length = length * 256 + (data[offset + index] ?? 0)
  }
  return length
}

function widen(data: Uint8Array, nalLengthBytes: number, count: number): Uint8Array {
  const out = new Uint8Array(data.byteLength + count * (LENGTH_BYTES - nalLengthBytes))
  const view = new DataView(out.buffer)
  let from = 0
  let to = 0
  while (from < data.byteLength) {
    const length = readLength(data, from, nalLengthBytes)
    const start = from + nalLengthBytes
    view.setUint32(to, length)
    out.set(data.subarray(start, start + length), to + LENGTH_BYTES)
    from = start + length
    to += LENGTH_BYTES + length
  }
  return out
}

/** Walks the SEI messages of one NAL unit (ISO/IEC 14496-10 7.3.2.3.1): types and sizes are sums of bytes ended by one below 255. */
function hasRecoveryPoint(payload: Uint8Array): boolean {
  let offset = 0
  // The last byte is the RBSP trailing bits.
  while (offset + 2 < payload.byteLength) {
    let type = 0
    while (payload[offset] === 255) {
      type += 255
      offset += 1
    }
    type += payload[offset] ?? 0
    offset += 1
    if (type === SEI_RECOVERY_POINT) return true
    let size = 0
    while (payload[offset] === 255) {
      size += 255
      offset += 1
    }
    size += payload[offset] ?? 0
    offset += 1 + size
  }
  return false
}
