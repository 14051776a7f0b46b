/** The pieces of a CAR, version 1 (https://ipld.io/specs/transport/car/carv1/). */
import type { CID } from 'multiformats/cid'
import { encodeUvarint } from '../../protocol/uvarint.ts'
import type { Block } from '../dag/walk.ts'

/** `{roots: [` and `], version: 1}` in DAG-CBOR, whose map keys go by length. */
const BEFORE_ROOTS = Buffer.from('a265726f6f747381', 'hex')
const AFTER_ROOTS = Buffer.from('6776657273696f6e01', 'hex')

/** The head of a CAR with one root. */
export function carHead(root: CID): Buffer {
  // Tag 42 around a byte string that begins with a zero.
  const length = root.bytes.byteLength + 1
  const size = length < 24 ? [0x40 + length] : [0x58, length]
  const tag = Buffer.from([0xd8, 0x2a, ...size, 0])
  const head = Buffer.concat([BEFORE_ROOTS, tag, root.bytes, AFTER_ROOTS])
  return Buffer.concat([encodeUvarint(head.byteLength), head])
}

/** The pieces of one block's section. */
export function carSection({ cid, bytes }: Block): Uint8Array[] {
  return [encodeUvarint(cid.bytes.byteLength + bytes.byteLength), cid.bytes, bytes]
}
