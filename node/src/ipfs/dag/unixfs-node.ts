/** What the data of a UnixFS block says (https://specs.ipfs.tech/unixfs/). */
import { malformed, ProtobufReader } from './protobuf.ts'

const types = ['raw', 'directory', 'file', 'metadata', 'symlink', 'shard'] as const

/** A UnixFS block without its links. */
export interface UnixFsNode {
  readonly type: (typeof types)[number]
  /** Bytes of the file, as the block claims. */
  readonly fileBytes: number
  /** Bytes of the file below each link, in the links' order. */
  readonly blockBytes: readonly number[]
  /** What of the file is in this block. */
  readonly content: Uint8Array
  /** Children of a shard; a link's name begins with the child's number in hexadecimal. */
  readonly fanout: number
}

/** @throws KairoError `ERR_PROTOCOL` for data that is no UnixFS. */
export function decodeUnixFs(data: Uint8Array): UnixFsNode {
  const reader = new ProtobufReader(data)
  const blockBytes: number[] = []
  let type: UnixFsNode['type'] | undefined
  let content: Uint8Array = Buffer.alloc(0)
  let [fileBytes, fanout] = [0, 0]
  while (!reader.done) {
    const { field, wire } = reader.tag()
    if (field === 1 && wire === 0) type = types[reader.varint()]
    else if (field === 2 && wire === 2) content = reader.bytes()
    else if (field === 3 && wire === 0) fileBytes = reader.varint()
    else if (field === 4 && wire === 0) blockBytes.push(reader.varint())
    else if (field === 4 && wire === 2) readPacked(reader.bytes(), blockBytes)
    else if (field === 6 && wire === 0) fanout = reader.varint()
    else reader.skip(wire)
  }
  if (type === undefined) throw malformed('UnixFS data without a type')
  return { type, fileBytes, blockBytes, content, fanout }
}

function readPacked(bytes: Uint8Array, into: number[]): void {
  const reader = new ProtobufReader(bytes)
  while (!reader.done) into.push(reader.varint())
}
