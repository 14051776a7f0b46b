/** DAG-PB blocks (https://ipld.io/specs/codecs/dag-pb/spec/): links with names, and data. */
import type { CID } from 'multiformats/cid'
import { decodeCid } from '../block-name.ts'
import { malformed, ProtobufReader } from './protobuf.ts'

/** A link of a block. */
export interface PbLink {
  readonly cid: CID
  readonly name: string
  /** Bytes of everything below, as whoever made the block says. */
  readonly totalBytes: number
}

/** A block taken apart. */
export interface PbNode {
  readonly links: readonly PbLink[]
  readonly data: Uint8Array | undefined
}

const DATA = 1
const LINKS = 2
const BYTES = 2

/** @throws KairoError `ERR_PROTOCOL` for bytes that are no DAG-PB. */
export function decodePbNode(block: Uint8Array): PbNode {
  const reader = new ProtobufReader(block)
  const links: PbLink[] = []
  let data: Uint8Array | undefined
  while (!reader.done) {
    const { field, wire } = reader.tag()
    if (wire !== BYTES) throw malformed('DAG-PB knows fields of bytes only')
    if (field === LINKS) links.push(decodeLink(reader.bytes()))
    else if (field === DATA && data === undefined) data = reader.bytes()
    else throw malformed(`DAG-PB has no field ${field} here`)
  }
  return { links, data }
}

function decodeLink(bytes: Uint8Array): PbLink {
  const reader = new ProtobufReader(bytes)
  let cid: CID | undefined
  let name = ''
  let totalBytes = 0
  while (!reader.done) {
    const { field, wire } = reader.tag()
    if (field === 1 && wire === BYTES) cid = decodeCid(reader.bytes())
    else if (field === 2 && wire === BYTES) name = Buffer.from(reader.bytes()).toString('utf8')
    else if (field === 3 && wire === 0) totalBytes = reader.varint()
    else throw malformed(`a link has no field ${field}`)
  }
  if (cid === undefined) throw malformed('a link names nothing')
  return { cid, name, totalBytes }
}
