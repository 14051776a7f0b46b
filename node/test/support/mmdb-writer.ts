/** Writes small MaxMind DB files (MMDB format specification 2.0): networks and where they are. */
import { isIPv4 } from 'node:net'

/** One network of the file. */
export interface MmdbEntry {
  /** `192.0.2.0/24` or `2001:db8::/32`. */
  readonly network: string
  readonly latitude: number
  readonly longitude: number
}

type Node = [Node | number | undefined, Node | number | undefined]

const SEPARATOR = Buffer.alloc(16)
const METADATA_MARK = Buffer.concat([Buffer.of(0xab, 0xcd, 0xef), Buffer.from('MaxMind.com')])

/** A file of IP version 6, in which IPv4 networks stand at `::/96`. */
export function writeMmdb(entries: readonly MmdbEntry[], builtAtMs = 1_700_000_000_000): Buffer {
  const root: Node = [undefined, undefined]
  const data: Buffer[] = []
  let dataBytes = 0
  for (const { network, latitude, longitude } of entries) {
    const value = map({
      location: map({ latitude: double(latitude), longitude: double(longitude) }),
    })
    insert(root, bitsOf(network), dataBytes)
    data.push(value)
    dataBytes += value.byteLength
  }
  const nodes: Node[] = []
  const number = (node: Node): void => {
    nodes.push(node)
    for (const child of node) if (Array.isArray(child)) number(child)
  }
  number(root)
  const indexes = new Map(nodes.map((node, index) => [node, index]))
  const record = (child: Node | number | undefined): number => {
    if (child === undefined) return nodes.length
    return Array.isArray(child)
      ? (indexes.get(child) as number)
      : nodes.length + SEPARATOR.byteLength + child
  }
  const tree = Buffer.alloc(nodes.length * 6)
  for (const [index, [left, right]] of nodes.entries()) {
    tree.writeUIntBE(record(left), index * 6, 3)
    tree.writeUIntBE(record(right), index * 6 + 3, 3)
  }
  const metadata = map({
    binary_format_major_version: unsigned(5, 2),
    binary_format_minor_version: unsigned(5, 0),
    build_epoch: extended(9, bytesOf(Math.floor(builtAtMs / 1_000))),
    database_type: text('Test-City'),
    description: map({ en: text('made by a test') }),
    ip_version: unsigned(5, 6),
    languages: extended(11, Buffer.alloc(0)),
    node_count: unsigned(6, nodes.length),
    record_size: unsigned(5, 24),
  })
  return Buffer.concat([tree, SEPARATOR, ...data, METADATA_MARK, metadata])
}

function insert(root: Node, bits: readonly (0 | 1)[], offset: number): void {
  let node = root
  for (const bit of bits.slice(0, -1)) {
    let next = node[bit]
    if (!Array.isArray(next)) {
      next = [undefined, undefined]
      node[bit] = next
    }
    node = next
  }
  node[bits.at(-1) as 0 | 1] = offset
}

function bitsOf(network: string): (0 | 1)[] {
  const [address = '', length = '0'] = network.split('/')
  const bytes = Buffer.alloc(16)
  if (isIPv4(address)) Buffer.from(address.split('.').map(Number)).copy(bytes, 12)
  else {
    const [head = '', tail = ''] = address.split('::')
    const [front, back] = [head, tail].map((part) => part.split(':').filter(Boolean)) as [
      string[],
      string[],
    ]
    for (const [index, word] of front.entries()) bytes.writeUInt16BE(Number(`0x${word}`), index * 2)
    for (const [index, word] of back.entries()) {
      bytes.writeUInt16BE(Number(`0x${word}`), 16 - (back.length - index) * 2)
    }
  }
  const count = Number(length) + (isIPv4(address) ? 96 : 0)
  return Array.from({ length: count }, (_, at) => {
    return (((bytes[at >> 3] as number) >> (7 - (at & 7))) & 1) as 0 | 1
  })
}

function control(type: number, size: number): Buffer {
  return Buffer.of((type << 5) | size)
}

function extended(type: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.of(content.byteLength, type - 7), content])
}

function text(value: string): Buffer {
  return Buffer.concat([control(2, value.length), Buffer.from(value)])
}

function double(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(value)
  return Buffer.concat([control(3, 8), bytes])
}

function unsigned(type: 5 | 6, value: number): Buffer {
  const bytes = bytesOf(value)
  return Buffer.concat([control(type, bytes.byteLength), bytes])
}

function bytesOf(value: number): Buffer {
  const hex = value === 0 ? '' : value.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
}

function map(fields: Readonly<Record<string, Buffer>>): Buffer {
  const entries = Object.entries(fields)
  return Buffer.concat([
    control(7, entries.length),
    ...entries.flatMap(([key, value]) => [text(key), value]),
  ])
}
