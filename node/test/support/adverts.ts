/** Peer identities and adverts for tests of the catalog and of whoever chooses among peers. */
import { generateKeyPair } from '@libp2p/crypto/keys'
import { type PeerSigner, peerSigner } from '../../src/host/peer-signature.ts'
import type { KnownPeer, PeerAdvert } from '../../src/nearest/peer-advert.ts'
import { unknownCoordinate } from '../../src/nearest/vivaldi.ts'

/** A new identity. */
export async function newSigner(): Promise<PeerSigner> {
  return peerSigner(await generateKeyPair('Ed25519'))
}

/** An advert with sound defaults. */
export function advertOf(peerId: string, fields: Partial<PeerAdvert> = {}): PeerAdvert {
  const sequence = fields.sequence ?? 1_700_000_000_000
  return {
    peerId,
    sequence,
    expiresAtMs: sequence + 35_000,
    state: 'serving',
    clientUrls: ['http://192.0.2.7:8080'],
    httpsAddresses: ['192.0.2.7:4443'],
    certificateDigest: 'ab'.repeat(32),
    region: '',
    coordinate: unknownCoordinate,
    load: 0,
    freeBitsPerSecond: 1_000_000_000,
    latitude: undefined,
    longitude: undefined,
    ...fields,
  }
}

/** The same as the catalog tells it. */
export function knownPeer(peerId: string, fields: Partial<KnownPeer> = {}): KnownPeer {
  return { rttMs: undefined, reachable: true, ...advertOf(peerId, fields), ...fields }
}
