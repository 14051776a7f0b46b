/**
 * The head of a peer's list of videos on the wire: encoded, signed by the peer's libp2p key, and read back with every field checked.
 * The signature covers the exact bytes, which are kept and passed on as they came.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { isKairoError, KairoError } from '../../errors.ts'
import { type PeerSigner, verifyPeerSignature } from '../../host/peer-signature.ts'
import { videoLimits as limits } from '../../limits/videos.ts'
import { SignedRecordSchema } from '../../protocol/generated/records_pb.js'
import { VideoListSchema } from '../../protocol/generated/videos_pb.js'
import { type Digest, digestFromBytes, digestToBytes } from '../digest.ts'

const VERSION = 1
const SIGNATURE_CONTEXT = Buffer.from('kairo videos v1\n')
const PEER_ID = /^[1-9A-HJ-NP-Za-km-z]{32,64}$/

/** What a peer's list of videos is at one time. */
export interface VideoListHead {
  /** Peer id, base58. */
  readonly owner: string
  /** Wall milliseconds of signing, strictly increasing. */
  readonly sequence: number
  /** Wall milliseconds after which it is forgotten unless announced again. */
  readonly expiresAtMs: number
  /** SHA-256 of each page. */
  readonly pages: readonly Digest[]
}

/** A signed head as read from the wire, its fields checked and its signature not yet. */
export interface UncheckedListHead {
  readonly head: VideoListHead
  /**
   * Checks the signature, the expensive half; skip it for what is old news anyway.
   * @throws KairoError `ERR_VERIFICATION` when it is not the owner's.
   */
  verify(): void
}

/** Signs a head of this peer. @returns the encoded SignedRecord. */
export function encodeSignedList(
  signer: PeerSigner,
  head: Omit<VideoListHead, 'owner'>,
): Uint8Array {
  const record = toBinary(
    VideoListSchema,
    create(VideoListSchema, {
      ...{ version: VERSION, owner: signer.peerId, pages: head.pages.map(digestToBytes) },
      ...{ sequence: BigInt(head.sequence), expiresAtMs: BigInt(head.expiresAtMs) },
    }),
  )
  const signature = signer.sign(signedMessage(record))
  return toBinary(SignedRecordSchema, create(SignedRecordSchema, { record, signature }))
}

/**
 * Reads a head and checks every field but the signature and the time.
 * @throws KairoError `ERR_PROTOCOL` when it is malformed, `ERR_LIMIT` when something in it is too large.
 */
export function decodeSignedList(bytes: Uint8Array): UncheckedListHead {
  if (bytes.byteLength > limits.listBytesMax) {
    throw new KairoError('ERR_LIMIT', `a list of videos of ${bytes.byteLength} bytes is too large`)
  }
  const { record, signature } = decode(() => fromBinary(SignedRecordSchema, bytes))
  const wire = decode(() => fromBinary(VideoListSchema, record))
  check(wire.version === VERSION, 'the version')
  check(PEER_ID.test(wire.owner), 'the owner')
  const sequence = Number(wire.sequence)
  const expiresAtMs = Number(wire.expiresAtMs)
  check(Number.isSafeInteger(sequence) && sequence > 0, 'the sequence')
  check(Number.isSafeInteger(expiresAtMs) && expiresAtMs > sequence, 'the expiry')
  check(expiresAtMs - sequence <= limits.listTtlMsMax, 'the life')
  check(wire.pages.length <= limits.pagesMax, 'the number of pages')
  const pages = wire.pages.map(digestFromBytes)
  const { owner } = wire
  return {
    head: { owner, sequence, expiresAtMs, pages },
    verify: () => {
      if (!verifyPeerSignature(owner, signedMessage(record), signature)) {
        throw new KairoError('ERR_VERIFICATION', `the list of videos of ${owner} is not its own`)
      }
    },
  }
}

function signedMessage(record: Uint8Array): Uint8Array {
  return Buffer.concat([SIGNATURE_CONTEXT, record])
}

function check(fits: boolean, what: string): void {
  if (!fits) throw new KairoError('ERR_PROTOCOL', `${what} of a list of videos breaks its rule`)
}

function decode<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (isKairoError(cause)) throw cause
    throw new KairoError('ERR_PROTOCOL', 'not a list of videos', { cause })
  }
}
