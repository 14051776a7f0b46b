/**
 * DNS answers written to the wire (RFC 1035 4.1): the question as it came, owner names as pointers into it, so that an answer is
 * hardly larger than what asked for it. Pure.
 */
import { isIPv4 } from 'node:net'
import { dnsLimits } from '../limits/dns.ts'
import { clientSubnetAnswer } from './client-subnet-option.ts'
import { type DnsHead, rcodes } from './dns-query.ts'
import { type Resolution, SERVER_LABEL, type ZoneRecord } from './zone.ts'

/** What the zone's own records say. */
export interface ZoneFacts {
  /** Labels of the zone's name. */
  readonly labels: readonly string[]
  /** Of the SOA; grows with every change. */
  readonly serial: number
}

const HEADER_BYTES = 12
const POINTER = 0xc000
const types = { A: 1, NS: 2, SOA: 6, HINFO: 13, AAAA: 28, OPT: 41 } as const
const CLASS_IN = 1
const CLIENT_SUBNET_CODE = 8
const DNSSEC_OK = 0x8000
/** Mailbox of whoever is responsible (RFC 2142). */
const MAILBOX_LABEL = 'hostmaster'
/** Times for secondaries, which this zone has none of, seconds. */
const SOA_REFRESH_S = 3_600
const SOA_RETRY_S = 600
const SOA_EXPIRE_S = 86_400

/**
 * Encodes an answer. One that does not fit is sent without records and with TC set, so that it is asked for again by TCP.
 * @param isCut sends it so in any case.
 */
export function encodeResponse(
  head: DnsHead,
  resolution: Resolution,
  zone: ZoneFacts,
  limit: { readonly bytesMax: number; readonly isCut?: boolean },
): Buffer {
  const whole = encode(head, resolution, zone, false)
  if (limit.isCut !== true && whole.byteLength <= limit.bytesMax) return whole
  return encode(head, { ...resolution, answers: [], authorities: [] }, zone, true)
}

/** The largest answer that may be sent to who asked so by UDP (RFC 6891 6.2.3: less than 512 counts as 512). */
export function udpBytesMax(head: DnsHead): number {
  const { plainAnswerBytesMax, ednsAnswerBytesMax } = dnsLimits
  const asked = head.edns?.udpBytes ?? plainAnswerBytesMax
  return Math.min(ednsAnswerBytesMax, Math.max(plainAnswerBytesMax, asked))
}

function encode(
  head: DnsHead,
  resolution: Resolution,
  zone: ZoneFacts,
  isTruncated: boolean,
): Buffer {
  const { rcode, isAuthoritative, answers, authorities } = resolution
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt16BE(head.id, 0)
  const flags =
    0x8000 |
    (head.opcode << 11) |
    (isAuthoritative ? 0x400 : 0) |
    (isTruncated ? 0x200 : 0) |
    (head.isRecursionDesired ? 0x100 : 0) |
    (rcode & 0xf)
  header.writeUInt16BE(flags, 2)
  header.writeUInt16BE(head.question === undefined ? 0 : 1, 4)
  header.writeUInt16BE(answers.length, 6)
  header.writeUInt16BE(authorities.length, 8)
  header.writeUInt16BE(head.edns === undefined ? 0 : 1, 10)
  const question = head.question?.bytes ?? Buffer.alloc(0)
  const zonePointer = pointerTo(HEADER_BYTES + zoneOffset(question, zone))
  const record = (owner: Buffer) => (one: ZoneRecord) =>
    encodeRecord(owner, one, zonePointer, zone.serial)
  return Buffer.concat([
    header,
    question,
    ...answers.map(record(pointerTo(HEADER_BYTES))),
    ...authorities.map(record(zonePointer)),
    ...(head.edns === undefined ? [] : [encodeEdns(head.edns, resolution)]),
  ])
}

/** Where the zone's name begins within the question: it is the end of the question's name. */
function zoneOffset(question: Buffer, { labels }: ZoneFacts): number {
  const zoneBytes = labels.reduce((sum, label) => sum + label.length + 1, 1)
  return question.byteLength - 4 - zoneBytes
}

function encodeRecord(
  owner: Buffer,
  record: ZoneRecord,
  zonePointer: Buffer,
  serial: number,
): Buffer {
  const data = recordData(record, zonePointer, serial)
  const isAddress = record.type === 'A' || record.type === 'AAAA'
  const fields = Buffer.alloc(10)
  fields.writeUInt16BE(types[record.type], 0)
  fields.writeUInt16BE(CLASS_IN, 2)
  fields.writeUInt32BE(isAddress ? dnsLimits.ttlS : dnsLimits.negativeTtlS, 4)
  fields.writeUInt16BE(data.byteLength, 8)
  return Buffer.concat([owner, fields, data])
}

function recordData(record: ZoneRecord, zonePointer: Buffer, serial: number): Buffer {
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return addressBytes(record.address)
    case 'NS':
      return Buffer.concat([characters(SERVER_LABEL), zonePointer])
    case 'HINFO':
      return Buffer.concat([characters('RFC8482'), characters('')])
    case 'SOA': {
      const times = [serial, SOA_REFRESH_S, SOA_RETRY_S, SOA_EXPIRE_S, dnsLimits.negativeTtlS]
      const numbers = Buffer.alloc(times.length * 4)
      for (const [index, value] of times.entries()) numbers.writeUInt32BE(value >>> 0, index * 4)
      const server = Buffer.concat([characters(SERVER_LABEL), zonePointer])
      return Buffer.concat([server, characters(MAILBOX_LABEL), zonePointer, numbers])
    }
  }
}

/** The OPT record (RFC 6891 6.1.2): what is taken here, the upper bits of the code, and the client subnet where one came. */
function encodeEdns(edns: NonNullable<DnsHead['edns']>, resolution: Resolution): Buffer {
  const { clientSubnet } = edns
  const option =
    clientSubnet === undefined
      ? Buffer.alloc(0)
      : clientSubnetAnswer(clientSubnet, scopeOf(clientSubnet.family, resolution))
  const fields = Buffer.alloc(11)
  fields.writeUInt16BE(types.OPT, 1)
  fields.writeUInt16BE(dnsLimits.queryBytesMax, 3)
  fields.writeUInt8(resolution.rcode >> 4, 5)
  // The version stays 0.
  fields.writeUInt16BE(edns.isDnssecOk ? DNSSEC_OK : 0, 7)
  if (clientSubnet === undefined || resolution.rcode === rcodes.badVersion) return fields
  fields.writeUInt16BE(option.byteLength + 4, 9)
  const optionHead = Buffer.alloc(4)
  optionHead.writeUInt16BE(CLIENT_SUBNET_CODE, 0)
  optionHead.writeUInt16BE(option.byteLength, 2)
  return Buffer.concat([fields, optionHead, option])
}

/** How much of the address the answer is for: none where everybody is answered so. */
function scopeOf(family: 0 | 1 | 2, { isTailored }: Resolution): number {
  if (!isTailored) return 0
  return family === 2 ? dnsLimits.ipv6PrefixBits : dnsLimits.ipv4PrefixBits
}

function pointerTo(offset: number): Buffer {
  const pointer = Buffer.alloc(2)
  pointer.writeUInt16BE(POINTER | (offset & 0x3fff))
  return pointer
}

/** A label, or a character string: its length, then its characters. */
function characters(text: string): Buffer {
  return Buffer.concat([Buffer.of(text.length), Buffer.from(text, 'latin1')])
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail = ''] = address.split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === '' ? [] : tail.split(':')
  const zeros = Array<string>(address.includes('::') ? 8 - front.length - back.length : 0).fill('0')
  const bytes = Buffer.alloc(16)
  for (const [index, word] of [...front, ...zeros, ...back].entries()) {
    bytes.writeUInt16BE(Number.parseInt(word, 16), index * 2)
  }
  return bytes
}
