/** An offer's body: for each object its digest (32 bytes) and its length (u32, big-endian). docs/protocol/replication.md */
import { KairoError } from '../../errors.ts'
import { replicationLimits } from '../../limits/replication.ts'
import { contentLimits } from '../../limits.ts'
import { type Digest, digestFromBytes } from '../digest.ts'

/** An object that a peer has and that is popular there. */
export interface OfferedObject {
  readonly digest: Digest
  readonly bytes: number
}

const ENTRY_BYTES = 36

/** Encodes an offer. */
export function encodeOffer(objects: readonly OfferedObject[]): Buffer {
  const body = Buffer.alloc(objects.length * ENTRY_BYTES)
  for (const [index, { digest, bytes }] of objects.entries()) {
    body.write(digest, index * ENTRY_BYTES, 'hex')
    body.writeUInt32BE(bytes, index * ENTRY_BYTES + 32)
  }
  return body
}

/**
 * Decodes an offer.
 * @throws KairoError `ERR_PROTOCOL` when it is none, or names too many objects or too large ones.
 */
export function decodeOffer(body: Uint8Array): OfferedObject[] {
  const count = body.byteLength / ENTRY_BYTES
  if (!Number.isInteger(count) || count < 1 || count > replicationLimits.offerObjectsMax) {
    throw new KairoError('ERR_PROTOCOL', 'an offer has 36 bytes an object, and not too many')
  }
  const view = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  return Array.from({ length: count }, (_, index) => {
    const at = index * ENTRY_BYTES
    const bytes = view.readUInt32BE(at + 32)
    if (bytes === 0 || bytes > contentLimits.objectBytesMax) {
      throw new KairoError('ERR_PROTOCOL', 'no object has this length')
    }
    return { digest: digestFromBytes(view.subarray(at, at + 32)), bytes }
  })
}
