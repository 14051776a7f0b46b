/** Asks a DNS server, with EDNS and a client subnet where a test wants them. */
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { type Answer, type DecodedPacket, decode, encode, type OptAnswer } from 'dns-packet'

/** One question. */
export interface DnsAsk {
  readonly name: string
  readonly type?: string
  readonly class?: string
  /** `192.0.2.0/24`; brings EDNS with it. */
  readonly subnet?: string
  /** Bytes that fit one answer; brings EDNS with it. */
  readonly udpBytes?: number
  readonly ednsVersion?: number
}

/** A query's bytes. */
export function dnsQuery(ask: DnsAsk): Buffer {
  const { name, type = 'A', class: questionClass = 'IN', subnet, udpBytes, ednsVersion = 0 } = ask
  const isEdns = subnet !== undefined || udpBytes !== undefined || ednsVersion !== 0
  const [ip = '', prefix = '0'] = subnet?.split('/') ?? []
  const option = {
    ...{ type: 'OPT', name: '.', udpPayloadSize: udpBytes ?? 1_232, extendedRcode: 0 },
    ...{ ednsVersion, flags: 0, flag_do: false },
    options:
      subnet === undefined
        ? []
        : [{ code: 8, ip, sourcePrefixLength: Number(prefix), scopePrefixLength: 0 }],
  } as OptAnswer
  return encode({
    type: 'query',
    id: 4_711,
    flags: 0x100,
    questions: [{ name, type: type as 'A', class: questionClass as 'IN' }],
    additionals: isEdns ? [option] : [],
  })
}

/** An answer, with what tests look at taken out. */
export interface DnsReply {
  readonly packet: DecodedPacket
  readonly rcode: string
  /** What A and AAAA records say, in order. */
  readonly addresses: readonly string[]
  readonly edns: OptAnswer | undefined
  /** Scope prefix of the client subnet; undefined without one. */
  readonly scope: number | undefined
  readonly bytes: number
}

/** Reads an answer. */
export function dnsReply(bytes: Buffer): DnsReply {
  const packet = decode(bytes) as DecodedPacket & { rcode: string }
  const edns = packet.additionals?.find((record) => record.type === 'OPT') as OptAnswer | undefined
  const subnet = edns?.options.find(({ code }) => (code as number) === 8)
  return {
    ...{ packet, rcode: packet.rcode, edns, bytes: bytes.byteLength },
    addresses: (packet.answers ?? [])
      .filter((record: Answer) => record.type === 'A' || record.type === 'AAAA')
      .map((record) => (record as { data: string }).data),
    scope: (subnet as { scopePrefixLength?: number } | undefined)?.scopePrefixLength,
  }
}

/** Sends bytes by UDP; resolves with the first answer. */
export async function askUdp(port: number, query: Buffer): Promise<Buffer> {
  const socket = createSocket('udp4')
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      socket.once('error', reject)
      socket.once('message', resolve)
      socket.send(query, port, '127.0.0.1')
    })
  } finally {
    socket.close()
  }
}

/** Sends bytes by TCP as they are; resolves with the answers, once there are `count` or the server closes. */
export async function askTcp(port: number, bytes: Buffer, count = 1): Promise<Buffer[]> {
  const socket = connect(port, '127.0.0.1')
  const answers: Buffer[] = []
  let received: Buffer = Buffer.alloc(0)
  socket.write(bytes)
  try {
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk as Buffer])
      while (received.byteLength >= 2 && received.byteLength >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0)
        answers.push(received.subarray(2, end))
        received = received.subarray(end)
      }
      if (answers.length >= count) break
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error
  }
  socket.destroy()
  return answers
}

/** A message behind its length, as TCP carries it. */
export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(message.byteLength)
  return Buffer.concat([length, message])
}
