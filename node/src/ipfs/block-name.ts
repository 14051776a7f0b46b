/**
 * Names of blocks. IPFS names a block by CID: codec and multihash; Kairo's store by SHA-256 alone, so one object answers under every
 * codec. Blocks with other hashes cannot be stored, those that are inline in their name need not be.
 */
import { base36 } from 'multiformats/bases/base36'
import { CID } from 'multiformats/cid'
import { type Digest, digestFromBytes } from '../content/digest.ts'
import { KairoError } from '../errors.ts'
import { ipfsLimits } from '../limits/ipfs.ts'

/** Codecs (https://github.com/multiformats/multicodec) whose links Kairo knows how to follow. */
export const codecs = { raw: 0x55, dagPb: 0x70, dagCbor: 0x71 } as const

const IDENTITY = 0x00
const SHA2_256 = 0x12

/** Where the bytes of a block are found. */
export type BlockPlace =
  | { readonly kind: 'stored'; readonly digest: Digest }
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }

/** The SHA-256 of no bytes. It needs no place in the store, which takes no empty objects. */
export const EMPTY_DIGEST: Digest =
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

/**
 * A CID from text: version 0, or version 1 in base32, base36 or base58 (https://github.com/multiformats/cid).
 * @throws KairoError `ERR_INVALID_INPUT`.
 */
export function parseCid(text: string): CID {
  if (text.length > ipfsLimits.cidCharsMax) {
    throw new KairoError('ERR_INVALID_INPUT', 'the CID is too long')
  }
  try {
    return text.startsWith('k') ? CID.parse(text, base36) : CID.parse(text)
  } catch (cause) {
    throw new KairoError('ERR_INVALID_INPUT', 'this is no CID that Kairo can read', { cause })
  }
}

/**
 * A CID from bytes, as links and archives hold it.
 * @throws KairoError `ERR_PROTOCOL`.
 */
export function decodeCid(bytes: Uint8Array): CID {
  try {
    return CID.decode(bytes)
  } catch (cause) {
    throw new KairoError('ERR_PROTOCOL', 'a link holds no CID', { cause })
  }
}

/**
 * Where a block is.
 * @throws KairoError `ERR_INVALID_INPUT` for a hash function other than SHA-256.
 */
export function placeOf(cid: CID): BlockPlace {
  const { code, digest } = cid.multihash
  if (code === SHA2_256 && digest.byteLength === 32) {
    return { kind: 'stored', digest: digestFromBytes(digest) }
  }
  if (code === IDENTITY && digest.byteLength <= ipfsLimits.inlineBytesMax) {
    return { kind: 'inline', bytes: digest }
  }
  throw new KairoError(
    'ERR_INVALID_INPUT',
    `Kairo stores blocks by sha2-256 and reads short identity CIDs; this one has the hash function 0x${code.toString(16)} with ${digest.byteLength} bytes`,
  )
}

/** A block that is nowhere to be had. Libraries know it by its name. */
export class BlockMissing extends KairoError {
  override readonly name: string = 'NotFoundError'

  constructor(cid: { toString(): string }) {
    super('ERR_NOT_FOUND', `the block ${cid} is not here`)
  }
}
