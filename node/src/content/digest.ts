/**
 * Names of bytes. Inside the peer an object is named by the lower-case hex of its SHA-256 (64 characters); its
 * public name is the CIDv1 of the same hash with the raw codec.
 */
import { hash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createDigest } from 'multiformats/hashes/digest'
import { sha256 } from 'multiformats/hashes/sha2'
import { KairoError } from '../errors.ts'

/** Lower-case hex of a SHA-256. */
export type Digest = string

const CID_PATTERN = /^b[a-z2-7]{58}$/

/** SHA-256 of `bytes`. */
export function digestOf(bytes: Uint8Array): Digest {
  return hash('sha256', bytes, 'hex')
}

/** The 32 bytes of a digest. */
export function digestToBytes(digest: Digest): Buffer {
  return Buffer.from(digest, 'hex')
}

/**
 * The digest of 32 raw bytes.
 * @throws KairoError `ERR_PROTOCOL` when it is not 32 bytes long.
 */
export function digestFromBytes(bytes: Uint8Array): Digest {
  if (bytes.byteLength !== 32) {
    throw new KairoError('ERR_PROTOCOL', `a SHA-256 digest has 32 bytes, not ${bytes.byteLength}`)
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** The public name of an object: CIDv1, raw codec, SHA-256, base32 (https://github.com/multiformats/cid). */
export function cidOf(digest: Digest): string {
  return CID.createV1(raw.code, createDigest(sha256.code, digestToBytes(digest))).toString()
}

/** The digest in a name that {@link cidOf} made; undefined for every other text. */
export function digestOfCid(name: string): Digest | undefined {
  if (!CID_PATTERN.test(name)) return undefined
  try {
    const digest = digestFromBytes(CID.parse(name).multihash.digest)
    return cidOf(digest) === name ? digest : undefined
  } catch {
    // Base32 that is no CID of ours.
    return undefined
  }
}
