/**
 * SRT packets (draft-sharabayko-srt-01 section 3): reads both kinds, and writes the control packets that a receiver sends.
 */
import { addSequence, SEQUENCE_MODULUS, sequenceDistance } from './sequence.ts'

/** Bytes of the header that every packet begins with. */
const HEADER_BYTES = 16

/** Control packet types (section 3.2). */
export const CONTROL = {
  handshake: 0,
  keepAlive: 1,
  ack: 2,
  nak: 3,
  congestionWarning: 4,
  shutdown: 5,
  ackAck: 6,
  dropRequest: 7,
  peerError: 8,
  userDefined: 0x7fff,
} as const

/** Media, or what the caller sends as such. */
export interface DataPacket {
  readonly kind: 'data'
  readonly sequence: number
  /** Which key encrypts it: 0 none, 1 even, 2 odd (section 3.1, KK). */
  readonly key: number
  readonly retransmitted: boolean
  readonly destination: number
  readonly payload: Buffer
}

/** Everything else. */
export interface ControlPacket {
  readonly kind: 'control'
  readonly type: number
  readonly subtype: number
  /** Acknowledgement or message number, by type. */
  readonly info: number
  /** Sender's time, microseconds, wrapping at 32 bits. */
  readonly timestamp: number
  readonly destination: number
  readonly payload: Buffer
}

/** A range of sequence numbers, both ends included. */
export interface SequenceRange {
  readonly first: number
  readonly last: number
}

/** What an acknowledgement tells the sender (section 3.2.4). */
export interface AckReport {
  /** The first packet that has not come. */
  readonly nextSequence: number
  readonly roundTripUs: number
  readonly roundTripVarianceUs: number
  /** Packets that may still be sent. */
  readonly freePackets: number
  readonly packetsPerSecond: number
  readonly bytesPerSecond: number
}

/** Header fields of a packet to send. */
export interface Outgoing {
  /** Socket id of the caller. */
  readonly destination: number
  /** Microseconds since the connection began, wrapping at 32 bits. */
  readonly timestamp: number
}

const CONTROL_BIT = 0x8000_0000
const RANGE_BIT = 0x8000_0000

/** Reads one datagram; undefined when it is too short for a header. The payload is a view of it. */
export function readPacket(datagram: Buffer): DataPacket | ControlPacket | undefined {
  if (datagram.byteLength < HEADER_BYTES) return undefined
  const word = datagram.readUInt32BE(0)
  const info = datagram.readUInt32BE(4)
  const destination = datagram.readUInt32BE(12)
  const payload = datagram.subarray(HEADER_BYTES)
  if ((word & CONTROL_BIT) === 0) {
    const key = (info >>> 27) & 3
    const retransmitted = (info & 0x0400_0000) !== 0
    return { kind: 'data', sequence: word, key, retransmitted, destination, payload }
  }
  return {
    kind: 'control',
    type: (word >>> 16) & 0x7fff,
    subtype: word & 0xffff,
    info,
    timestamp: datagram.readUInt32BE(8),
    destination,
    payload,
  }
}

/** A control packet with this payload. */
export function controlPacket(
  type: number,
  out: Outgoing,
  payload: Uint8Array = new Uint8Array(4),
  init: { readonly subtype?: number; readonly info?: number } = {},
): Buffer {
  const packet = Buffer.alloc(HEADER_BYTES + payload.byteLength)
  packet.writeUInt32BE((CONTROL_BIT | (type << 16) | (init.subtype ?? 0)) >>> 0, 0)
  packet.writeUInt32BE(init.info ?? 0, 4)
  packet.writeUInt32BE(out.timestamp, 8)
  packet.writeUInt32BE(out.destination, 12)
  packet.set(payload, HEADER_BYTES)
  return packet
}

/** A full acknowledgement, which the sender answers with an ACKACK of the same number. */
export function ackPacket(out: Outgoing, number: number, report: AckReport): Buffer {
  const payload = Buffer.alloc(28)
  const fields = [
    report.nextSequence,
    report.roundTripUs,
    report.roundTripVarianceUs,
    report.freePackets,
    report.packetsPerSecond,
    // The link's capacity is only known to be no less than what comes over it.
    report.packetsPerSecond,
    report.bytesPerSecond,
  ]
  for (const [index, field] of fields.entries()) {
    payload.writeUInt32BE(Math.min(Math.round(field), 0x7fff_ffff), index * 4)
  }
  return controlPacket(CONTROL.ack, out, payload, { info: number })
}

/** A light acknowledgement: the sequence number alone, without a number of its own and without an answer. */
export function lightAckPacket(out: Outgoing, nextSequence: number): Buffer {
  const payload = Buffer.alloc(4)
  payload.writeUInt32BE(nextSequence, 0)
  return controlPacket(CONTROL.ack, out, payload)
}

/** A report of loss (appendix A): single numbers as they are, ranges as two with the first marked. At most `wordsMax` words. */
export function nakPacket(
  out: Outgoing,
  ranges: Iterable<SequenceRange>,
  wordsMax: number,
): Buffer | undefined {
  const words: number[] = []
  for (const { first, last } of ranges) {
    if (words.length + 2 > wordsMax) break
    if (first === last) words.push(first)
    else words.push((first | RANGE_BIT) >>> 0, last)
  }
  if (words.length === 0) return undefined
  const payload = Buffer.alloc(words.length * 4)
  for (const [index, word] of words.entries()) payload.writeUInt32BE(word, index * 4)
  return controlPacket(CONTROL.nak, out, payload)
}

/** The range of a drop request (section 3.2.9); undefined when it is malformed or runs backwards. */
export function readDropRange(payload: Buffer): SequenceRange | undefined {
  if (payload.byteLength < 8) return undefined
  const first = payload.readUInt32BE(0)
  const last = payload.readUInt32BE(4)
  if (first >= SEQUENCE_MODULUS || last >= SEQUENCE_MODULUS) return undefined
  return sequenceDistance(addSequence(last, 1), first) > 0 ? { first, last } : undefined
}
