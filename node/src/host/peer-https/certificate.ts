/**
 * Certificates that say which libp2p peer holds them: self-signed, with the peer's signature over their key in an extension
 * (libp2p TLS specification, https://github.com/libp2p/specs/blob/master/tls/tls.md). No authority and no host name is asked.
 * They are made by libp2p's own code; its check of them takes 8 ms of CPU, which every stranger could cause, so the check here is
 * written on Node's and takes a sixth.
 */
import { strict as assert } from 'node:assert'
import { hash, X509Certificate } from 'node:crypto'
import type { PrivateKey } from '@libp2p/interface'
import { generateCertificate } from '@libp2p/tls/utils'
import { base58btc } from 'multiformats/bases/base58'
import { isKairoError, KairoError } from '../../errors.ts'
import { peerHttpLimits } from '../../limits/peer-http.ts'
import { verifyPeerSignature } from '../peer-signature.ts'
import { type CertificateExtension, readExtensions, readTwoOctetStrings } from './der.ts'

/** A certificate with its own key, bound to a peer. */
export interface PeerCertificate {
  /** PEM. */
  readonly certificate: string
  /** PEM, PKCS #8; it lives in memory only. */
  readonly key: string
  /** Hex SHA-256 of the certificate (DER), for the peer's advert. */
  readonly digest: string
}

const PEER_EXTENSION = '1.3.6.1.4.1.53594.1.1'
const SIGNATURE_CONTEXT = Buffer.from('libp2p-tls-handshake:')
/** A libp2p PublicKey message of an Ed25519 key: type 1, 32 bytes of data. Identities of Kairo are Ed25519. */
const ED25519_MESSAGE = Buffer.from([0x08, 0x01, 0x12, 0x20])
const ED25519_MESSAGE_BYTES = 36
/** A peer id is the identity multihash of that message. */
const IDENTITY_MULTIHASH = Buffer.from([0x00, ED25519_MESSAGE_BYTES])

/** Makes a certificate with a fresh P-256 key for the peer of this identity. */
export async function createCertificate(privateKey: PrivateKey): Promise<PeerCertificate> {
  assert.equal(privateKey.type, 'Ed25519', 'identities are Ed25519')
  const { cert, key } = await generateCertificate(privateKey)
  return { certificate: cert, key, digest: certificateDigest(new X509Certificate(cert).raw) }
}

/** Hex SHA-256 of a certificate (DER). */
export function certificateDigest(der: Uint8Array): string {
  return hash('sha256', der, 'hex')
}

/**
 * The id (base58) of the peer that a certificate was made by. That its holder has the certificate's key is for TLS to prove.
 * @param nowMs wall milliseconds.
 * @throws KairoError `ERR_VERIFICATION` when no peer vouches for it, or it is not valid now.
 */
export function peerIdOfCertificate(der: Uint8Array, nowMs: number): string {
  if (der.byteLength > peerHttpLimits.certificateBytesMax) {
    throw new KairoError('ERR_VERIFICATION', `a certificate of ${der.byteLength} bytes`)
  }
  try {
    const certificate = new X509Certificate(der)
    const isTimely =
      certificate.validFromDate.getTime() <= nowMs && nowMs <= certificate.validToDate.getTime()
    if (!isTimely) throw new KairoError('ERR_VERIFICATION', 'a certificate that is not valid now')
    if (!certificate.verify(certificate.publicKey)) {
      throw new KairoError('ERR_VERIFICATION', 'a certificate that is not signed by itself')
    }
    // The key as TLS uses it, not as it is read a second time from the bytes.
    const publicKey = certificate.publicKey.export({ type: 'spki', format: 'der' })
    return voucherOf(publicKey, readExtensions(der))
  } catch (cause) {
    if (isKairoError(cause)) throw cause
    throw new KairoError('ERR_VERIFICATION', 'a certificate is malformed', { cause })
  }
}

function voucherOf(publicKey: Buffer, extensions: readonly CertificateExtension[]): string {
  const [extension, ...more] = extensions.filter(({ oid }) => oid === PEER_EXTENSION)
  // A critical extension that is not understood makes the certificate invalid (RFC 5280 4.2).
  const isForeign = extensions.some(({ oid, isCritical }) => isCritical && oid !== PEER_EXTENSION)
  if (extension === undefined || more.length > 0 || isForeign) {
    throw new KairoError('ERR_VERIFICATION', 'a certificate that no peer vouches for')
  }
  const [key, signature] = readTwoOctetStrings(extension.value)
  const isEd25519 =
    key.byteLength === ED25519_MESSAGE_BYTES &&
    ED25519_MESSAGE.equals(key.subarray(0, ED25519_MESSAGE.byteLength))
  if (!isEd25519) throw new KairoError('ERR_VERIFICATION', 'a peer whose key is not Ed25519')
  const peerId = base58btc.baseEncode(Buffer.concat([IDENTITY_MULTIHASH, key]))
  if (!verifyPeerSignature(peerId, Buffer.concat([SIGNATURE_CONTEXT, publicKey]), signature)) {
    throw new KairoError('ERR_VERIFICATION', 'a certificate that its peer did not sign')
  }
  return peerId
}
