/**
 * Signatures by a peer's libp2p key, checked against nothing but the peer's id: an Ed25519 id carries its public key
 * (libp2p peer-ids spec; RFC 8032).
 */
import { strict as assert } from 'node:assert'
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'

const SEED_BYTES = 32
const SIGNATURE_BYTES = 64

/** Signs for one peer. */
export interface PeerSigner {
  /** Base58. */
  readonly peerId: string
  /** Ed25519 signature, 64 bytes. The message should begin with a context that no other signature has. */
  sign(message: Uint8Array): Uint8Array
}

/** The signer of an identity. */
export function peerSigner(privateKey: PrivateKey): PeerSigner {
  assert.equal(privateKey.type, 'Ed25519', 'identities are Ed25519')
  const { raw } = privateKey
  const key = createPrivateKey({
    key: {
      kty: 'OKP',
      crv: 'Ed25519',
      d: Buffer.from(raw.subarray(0, SEED_BYTES)).toString('base64url'),
      x: Buffer.from(raw.subarray(SEED_BYTES)).toString('base64url'),
    },
    format: 'jwk',
  })
  return {
    peerId: peerIdFromPrivateKey(privateKey).toString(),
    sign: (message) => sign(null, message, key),
  }
}

/** True when the signature is that peer's over the message; false too for ids that are none, or carry no Ed25519 key. */
export function verifyPeerSignature(
  peerId: string,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const raw = publicKeyOf(peerId)
  if (raw === undefined || signature.byteLength !== SIGNATURE_BYTES) return false
  const key = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(raw).toString('base64url') },
    format: 'jwk',
  })
  return verify(null, message, key, signature)
}

function publicKeyOf(peerId: string): Uint8Array | undefined {
  try {
    const { publicKey } = peerIdFromString(peerId)
    return publicKey?.type === 'Ed25519' ? publicKey.raw : undefined
  } catch {
    // No peer id at all, which signs nothing.
    return undefined
  }
}
