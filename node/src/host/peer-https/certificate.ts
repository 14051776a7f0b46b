/**
 * Certificates that say which libp2p peer holds them: self-signed, with the peer's signature over their key in an extension
 * (libp2p TLS specification, https://github.com/libp2p/specs/blob/master/tls/tls.md). No authority and no host name is asked.
 */
import { strict as assert } from 'node:assert'
import { hash, X509Certificate } from 'node:crypto'
import type { PrivateKey } from '@libp2p/interface'
import { generateCertificate, verifyPeerCertificate } from '@libp2p/tls/utils'
import { KairoError } from '../../errors.ts'
import { peerHttpLimits } from '../../limits/peer-http.ts'

/** A certificate with its own key, bound to a peer. */
export interface PeerCertificate {
  /** PEM. */
  readonly certificate: string
  /** PEM, PKCS #8; it lives in memory only. */
  readonly key: string
  /** Hex SHA-256 of the certificate (DER), for the peer's advert. */
  readonly digest: string
}

/** Makes a certificate with a fresh P-256 key for the peer of this identity. */
export async function createCertificate(privateKey: PrivateKey): Promise<PeerCertificate> {
  const { cert, key } = await generateCertificate(privateKey)
  const digest = certificateDigest(new X509Certificate(cert).raw)
  assert.equal(digest.length, 64)
  return { certificate: cert, key, digest }
}

/** Hex SHA-256 of a certificate (DER). */
export function certificateDigest(der: Uint8Array): string {
  return hash('sha256', der, 'hex')
}

/**
 * The id (base58) of the peer that a certificate was made by. That its holder has the certificate's key is for TLS to prove.
 * @throws KairoError `ERR_VERIFICATION` when no peer vouches for it, or it is not valid now.
 */
export async function peerIdOfCertificate(der: Uint8Array): Promise<string> {
  if (der.byteLength > peerHttpLimits.certificateBytesMax) {
    throw new KairoError('ERR_VERIFICATION', `a certificate of ${der.byteLength} bytes`)
  }
  try {
    return (await verifyPeerCertificate(der)).toString()
  } catch (cause) {
    throw new KairoError('ERR_VERIFICATION', 'a certificate that no peer vouches for', { cause })
  }
}
