/**
 * The Ed25519 key of a stream: its public half is the stream's name, its private half signs the record and every index
 * window (RFC 8032; name format: libp2p-key CIDv1 in base36, as used by IPNS).
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { base36 } from 'multiformats/bases/base36'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { KairoError } from '../errors.ts'
import type { StreamId } from './stream.ts'

const LIBP2P_KEY_CODEC = 0x72
const IDENTITY_HASH = 0x00
/** Protobuf header of a libp2p PublicKey message: type Ed25519 (1), 32 bytes of data. */
const PUBLIC_KEY_PREFIX = Uint8Array.of(0x08, 0x01, 0x12, 0x20)
const PUBLIC_KEY_BYTES = 32

/** The public half: verifies. */
export interface StreamPublicKey {
  readonly id: StreamId
  /** Raw Ed25519 public key, 32 bytes. */
  readonly raw: Uint8Array
  /** True when `signature` is this key's over `message`. */
  verify(message: Uint8Array, signature: Uint8Array): boolean
}

/** The whole key: signs too. */
export interface StreamKey extends StreamPublicKey {
  /** Ed25519 signature, 64 bytes. */
  sign(message: Uint8Array): Uint8Array
  /** PKCS #8 in PEM, to be stored with mode 0600. */
  toPem(): string
}

/** A new random stream key. */
export function generateStreamKey(): StreamKey {
  return streamKeyFrom(generateKeyPairSync('ed25519').privateKey)
}

/**
 * Reads a key written by {@link StreamKey.toPem}.
 * @throws KairoError `ERR_CONFIG` when the text is not an Ed25519 private key.
 */
export function streamKeyFromPem(pem: string): StreamKey {
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch (cause) {
    throw new KairoError('ERR_CONFIG', 'the stream key file holds no readable private key', {
      cause,
    })
  }
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new KairoError('ERR_CONFIG', `a stream key is Ed25519, not ${key.asymmetricKeyType}`)
  }
  return streamKeyFrom(key)
}

/**
 * The key with these raw bytes.
 * @throws KairoError `ERR_PROTOCOL` when they are not 32 bytes long.
 */
export function streamPublicKey(raw: Uint8Array): StreamPublicKey {
  if (raw.byteLength !== PUBLIC_KEY_BYTES) {
    throw new KairoError(
      'ERR_PROTOCOL',
      `an Ed25519 public key has 32 bytes, not ${raw.byteLength}`,
    )
  }
  const key = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(raw).toString('base64url') },
    format: 'jwk',
  })
  return {
    id: streamIdOf(raw),
    raw: Uint8Array.from(raw),
    verify: (message, signature) => verify(null, message, key, signature),
  }
}

/**
 * The key a stream id names.
 * @throws KairoError `ERR_INVALID_INPUT` when the text is no stream id.
 */
export function streamPublicKeyOf(id: StreamId): StreamPublicKey {
  const raw = parseStreamId(id)
  if (raw === undefined) {
    throw new KairoError(
      'ERR_INVALID_INPUT',
      'not a stream id: expected a libp2p-key CID in base36',
    )
  }
  return streamPublicKey(raw)
}

/** The raw public key in a stream id, or undefined when the text is none. */
export function parseStreamId(text: string): Uint8Array | undefined {
  if (!/^k[0-9a-z]{50,80}$/.test(text)) return undefined
  try {
    const cid = CID.parse(text, base36)
    const bytes = cid.multihash.digest
    const wellFormed =
      cid.code === LIBP2P_KEY_CODEC &&
      cid.multihash.code === IDENTITY_HASH &&
      bytes.byteLength === PUBLIC_KEY_PREFIX.byteLength + PUBLIC_KEY_BYTES &&
      PUBLIC_KEY_PREFIX.every((byte, index) => bytes[index] === byte)
    return wellFormed ? bytes.subarray(PUBLIC_KEY_PREFIX.byteLength) : undefined
  } catch {
    // Not a CID at all: the caller decides what that means.
    return undefined
  }
}

/** The libp2p-key CID of a raw public key. The DHT takes no identity hash: provider.ts derives its key. */
function streamCid(raw: Uint8Array): CID {
  const key = new Uint8Array(PUBLIC_KEY_PREFIX.byteLength + raw.byteLength)
  key.set(PUBLIC_KEY_PREFIX)
  key.set(raw, PUBLIC_KEY_PREFIX.byteLength)
  return CID.createV1(LIBP2P_KEY_CODEC, createDigest(IDENTITY_HASH, key))
}

function streamIdOf(raw: Uint8Array): StreamId {
  return streamCid(raw).toString(base36)
}

function streamKeyFrom(key: KeyObject): StreamKey {
  const jwk = createPublicKey(key).export({ format: 'jwk' })
  const publicKey = streamPublicKey(Buffer.from(jwk.x ?? '', 'base64url'))
  return {
    ...publicKey,
    sign: (message) => sign(null, message, key),
    toPem: () => key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}
