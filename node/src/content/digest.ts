/**
 * Names of bytes. Inside the peer an object is named by the lower-case hex of its SHA-256 (64 characters); its
 * public name is the CIDv1 of the same hash with the raw codec.
 */
import { hash } from 'node:crypto'
import { KairoError } from '../errors.ts'

/** Lower-case hex of a SHA-256. */
export type Digest = string

const CID_PATTERN = /^b[a-z2-7]{58}$/
const CID_CHARS = 59
const CID_BYTES = 36
/** Version 1, raw codec, SHA-256, 32 bytes. */
const CID_PREFIX = 0x01551220
/** RFC 4648 6, lower case, without padding; written out because a library takes 60 us a name, and a start reads them all. */
const BASE32 = Buffer.from('abcdefghijklmnopqrstuvwxyz234567', 'latin1')
const MULTIBASE_BASE32 = 0x62
const LETTER_A = 0x61
const DIGIT_2 = 0x32

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
  const bytes = Buffer.allocUnsafe(CID_BYTES)
  bytes.writeUInt32BE(CID_PREFIX)
  bytes.write(digest, 4, 'hex')
  const text = Buffer.allocUnsafe(CID_CHARS)
  text[0] = MULTIBASE_BASE32
  let at = 1
  let bits = 0
  let value = 0
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff
    for (bits += 8; bits >= 5; bits -= 5) text[at++] = BASE32[(value >> (bits - 5)) & 31] as number
  }
  text[at] = BASE32[(value << (5 - bits)) & 31] as number
  return text.toString('latin1')
}

/** The digest in a name that {@link cidOf} made; undefined for every other text. */
export function digestOfCid(name: string): Digest | undefined {
  if (!CID_PATTERN.test(name)) return undefined
  const bytes = Buffer.allocUnsafe(CID_BYTES)
  let at = 0
  let bits = 0
  let value = 0
  for (let index = 1; index < CID_CHARS; index += 1) {
    const code = name.charCodeAt(index)
    value = ((value << 5) | (code >= LETTER_A ? code - LETTER_A : code - DIGIT_2 + 26)) & 0xfff
    bits += 5
    if (bits < 8) continue
    bits -= 8
    bytes[at++] = (value >> bits) & 0xff
  }
  // The bits that fill the last character up are zero, or two names would mean one digest.
  if ((value & ((1 << bits) - 1)) !== 0) return undefined
  return bytes.readUInt32BE(0) === CID_PREFIX ? bytes.toString('hex', 4) : undefined
}
