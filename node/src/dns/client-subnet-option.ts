/** The client subnet that a resolver tells of (RFC 7871): read strictly, and echoed with the prefix that the answer is for. Pure. */

/** A client's subnet, as the resolver shortened it. */
export interface ClientSubnetOption {
  /** Address with the bits behind the prefix zero; undefined when the client wants no part of its address used. */
  readonly address: string | undefined
  readonly family: 0 | 1 | 2
  readonly sourcePrefixLength: number
  /** The option's data as they came. */
  readonly data: Buffer
}

const HEADER_BYTES = 4
const addressBytes = { 0: 0, 1: 4, 2: 16 } as const

/** Reads the option's data; undefined when they break a rule of RFC 7871 section 6, which is answered with FORMERR. */
export function readClientSubnet(data: Buffer): ClientSubnetOption | undefined {
  if (data.byteLength < HEADER_BYTES) return undefined
  const family = data.readUInt16BE(0)
  if (family !== 0 && family !== 1 && family !== 2) return undefined
  const sourcePrefixLength = data.readUInt8(2)
  const scope = data.readUInt8(3)
  const bytes = data.subarray(HEADER_BYTES)
  // In queries the scope is 0; the address has just the bytes that the prefix needs, and zeros behind it.
  if (scope !== 0 || sourcePrefixLength > addressBytes[family] * 8) return undefined
  if (bytes.byteLength !== Math.ceil(sourcePrefixLength / 8)) return undefined
  const spare = bytes.byteLength * 8 - sourcePrefixLength
  if (((bytes.at(-1) ?? 0) & ((1 << spare) - 1)) !== 0) return undefined
  const address = sourcePrefixLength === 0 ? undefined : textOf(family, bytes)
  return { address, family, sourcePrefixLength, data: Buffer.from(data) }
}

/**
 * The option of the answer: all as it came, and the scope (RFC 7871 7.2.1).
 * @param scopePrefixLength leading bits of the address that the answer is for; 0 when it is for everybody.
 */
export function clientSubnetAnswer(option: ClientSubnetOption, scopePrefixLength: number): Buffer {
  const data = Buffer.from(option.data)
  // Who gave no address is not told of one (7.2.1: a source of 0 gets a scope of 0).
  data.writeUInt8(option.sourcePrefixLength === 0 ? 0 : scopePrefixLength, 3)
  return data
}

function textOf(family: 0 | 1 | 2, bytes: Buffer): string {
  const whole = Buffer.alloc(addressBytes[family])
  bytes.copy(whole)
  if (family === 1) return [...whole].join('.')
  const words = Array.from({ length: 8 }, (_, index) => whole.readUInt16BE(index * 2).toString(16))
  return words.join(':')
}
