/**
 * Transport packets (ISO/IEC 13818-1 2.4.3.2): 188 bytes of one elementary stream or table.
 */

/** Bytes of a transport packet. */
export const PACKET_BYTES = 188

/** First byte of every packet. */
export const SYNC_BYTE = 0x47

/** One packet, as far as a demuxer needs it. */
export interface TransportPacket {
  readonly pid: number
  /** A PES packet or a table section begins in it. */
  readonly unitStart: boolean
  readonly scrambled: boolean
  /** Counts packets with payload of one PID, 4 bits. */
  readonly counter: number
  /** The counter is allowed to jump here. */
  readonly discontinuity: boolean
  /** A view of the packet; undefined when it has no payload. */
  readonly payload: Buffer | undefined
}

const HEADER_BYTES = 4

/** Reads the packet at `offset`; undefined when it is marked as damaged or its adaptation field does not fit. */
export function readTransportPacket(bytes: Buffer, offset: number): TransportPacket | undefined {
  const head = bytes.readUInt32BE(offset)
  const transportError = (head & 0x80_0000) !== 0
  const adaptation = (head & 0x20) !== 0
  const hasPayload = (head & 0x10) !== 0
  if (transportError) return undefined
  const end = offset + PACKET_BYTES
  let start = offset + HEADER_BYTES
  let discontinuity = false
  if (adaptation) {
    const length = bytes.readUInt8(start)
    if (length > 0) discontinuity = (bytes.readUInt8(start + 1) & 0x80) !== 0
    start += 1 + length
    if (start > end) return undefined
  }
  return {
    pid: (head >>> 8) & 0x1fff,
    unitStart: (head & 0x40_0000) !== 0,
    scrambled: (head & 0xc0) !== 0,
    counter: head & 15,
    discontinuity,
    payload: hasPayload && start < end ? bytes.subarray(start, end) : undefined,
  }
}
