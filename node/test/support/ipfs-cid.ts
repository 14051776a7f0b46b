/** Names of IPFS blocks. */
import { CID } from 'multiformats/cid'
import { create } from 'multiformats/hashes/digest'
import { type Digest, digestToBytes } from '../../src/content/digest.ts'

const SHA2_256 = 0x12

/** The CIDv1 of a stored block under a codec. */
export function cidOfDigest(digest: Digest, codec: number): CID {
  return CID.createV1(codec, create(SHA2_256, digestToBytes(digest)))
}
