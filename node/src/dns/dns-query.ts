/**
 * A DNS query read from the wire (RFC 1035, RFC 6891, RFC 7871): what is answered, and what is only refused. Pure; whatever
 * the bytes are, it returns.
 */
import { type DecodedPacket, decode, type OptAnswer } from 'dns-packet'
import { dnsLimits } from '../limits/dns.ts'
import { type ClientSubnetOption, readClientSubnet } from './client-subnet-option.ts'

/** Response codes, as numbers on the wire (RFC 1035 4.1.1, RFC 6891 9). */
export const rcodes = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
  badVersion: 16,
} as const

/** A response code. */
export type Rcode = (typeof rcodes)[keyof typeof rcodes]

/** The question, decoded and as it came: an answer repeats it byte for byte. */
export interface DnsQuestion {
  /** Lower case; bytes that are no letters of host names are kept as Latin-1. */
  readonly labels: readonly string[]
  /** `A`, or `UNKNOWN_65` for what has no name here. */
  readonly type: string
  readonly class: string
  readonly bytes: Buffer
}

/** What the asker says by EDNS. */
export interface Edns {
  /** Bytes that it takes in one UDP answer. */
  readonly udpBytes: number
  readonly isDnssecOk: boolean
  readonly clientSubnet: ClientSubnetOption | undefined
}

/** What is needed to answer at all. */
export interface DnsHead {
  readonly id: number
  readonly opcode: number
  readonly isRecursionDesired: boolean
  /** Undefined where it could not be read. */
  readonly question: DnsQuestion | undefined
  readonly edns: Edns | undefined
}

/** A query, or what it is refused with. */
export type DnsRequest =
  | (DnsHead & { readonly question: DnsQuestion; readonly rcode: typeof rcodes.noError })
  | (DnsHead & { readonly rcode: Exclude<Rcode, typeof rcodes.noError> })

const HEADER_BYTES = 12
const NAME_BYTES_MAX = 255
const OPCODE_QUERY = 0
const CLIENT_SUBNET_CODE = 8

/** Reads a message; undefined when it must not be answered: too short, too long, or itself an answer. */
export function readRequest(message: Buffer): DnsRequest | undefined {
  if (message.byteLength < HEADER_BYTES || message.byteLength > dnsLimits.queryBytesMax) {
    return undefined
  }
  const flags = message.readUInt16BE(2)
  // An answer to an answer would go round for ever.
  if ((flags & 0x8000) !== 0) return undefined
  const opcode = (flags >> 11) & 0xf
  const isRecursionDesired = (flags & 0x100) !== 0
  const head = { id: message.readUInt16BE(0), opcode, isRecursionDesired }
  const refuse = (rcode: Exclude<Rcode, 0>): DnsRequest => {
    return { ...head, question: undefined, edns: undefined, rcode }
  }
  if (opcode !== OPCODE_QUERY) return refuse(rcodes.notImplemented)
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((offset) =>
    message.readUInt16BE(offset),
  ) as [number, number, number, number]
  // One question (RFC 9619). What a query has no use for is not read, so that nobody can make it costly.
  if (questions !== 1 || answers !== 0 || authorities !== 0) return refuse(rcodes.formatError)
  if (additionals > dnsLimits.additionalsMax) return refuse(rcodes.formatError)
  const question = readQuestion(message)
  const packet = question === undefined ? undefined : decoded(message)
  if (question === undefined || packet === undefined) return refuse(rcodes.formatError)
  const { type = '', class: questionClass = '' } = packet.questions?.[0] ?? {}
  const whole = { ...head, question: { ...question, type, class: questionClass } }
  return withEdns(whole, packet)
}

function withEdns(
  head: Omit<DnsHead, 'edns'> & { readonly question: DnsQuestion },
  packet: DecodedPacket,
): DnsRequest {
  const options = (packet.additionals ?? []).filter((record) => record.type === 'OPT')
  const [option] = options as OptAnswer[]
  if (option === undefined) return { ...head, edns: undefined, rcode: rcodes.noError }
  const edns: Edns = {
    udpBytes: option.udpPayloadSize,
    isDnssecOk: option.flag_do,
    clientSubnet: undefined,
  }
  // One OPT, of the root (RFC 6891 6.1.1); a version that is not known here is told so (6.1.3).
  if (options.length > 1 || option.name !== '.') {
    return { ...head, edns, rcode: rcodes.formatError }
  }
  if (option.ednsVersion !== 0) return { ...head, edns, rcode: rcodes.badVersion }
  const subnets = option.options.filter(({ code }) => (code as number) === CLIENT_SUBNET_CODE)
  const [data] = subnets.map((subnet) => subnet.data)
  if (data === undefined) return { ...head, edns, rcode: rcodes.noError }
  const clientSubnet = readClientSubnet(data)
  if (clientSubnet === undefined || subnets.length > 1) {
    return { ...head, edns, rcode: rcodes.formatError }
  }
  return { ...head, edns: { ...edns, clientSubnet }, rcode: rcodes.noError }
}

/** The question's name and bytes; undefined when it is cut off, too long, or compressed, which the first name cannot be. */
function readQuestion(message: Buffer): Pick<DnsQuestion, 'labels' | 'bytes'> | undefined {
  const labels: string[] = []
  let offset = HEADER_BYTES
  for (;;) {
    const length = message[offset]
    if (length === undefined || length > 63) return undefined
    offset += 1
    if (length === 0) break
    labels.push(message.toString('latin1', offset, offset + length).toLowerCase())
    offset += length
  }
  const end = offset + 4
  if (offset - HEADER_BYTES > NAME_BYTES_MAX || end > message.byteLength) return undefined
  return { labels, bytes: Buffer.from(message.subarray(HEADER_BYTES, end)) }
}

function decoded(message: Buffer): DecodedPacket | undefined {
  try {
    return decode(message)
  } catch {
    // Whatever does not decode is a format error, whichever way it is broken.
    return undefined
  }
}
