/**
 * Peer adverts on the wire: encoded, signed by the peer's libp2p key, and read back with every field checked. The
 * signature covers the exact bytes, which are kept and passed on as they came (docs/protocol/peers.md).
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { KairoError } from '../errors.ts'
import { type PeerSigner, verifyPeerSignature } from '../host/peer-signature.ts'
import { coordinateLimits, nearestLimits } from '../limits/nearest.ts'
import {
  PeerAdvertSchema,
  SignedPeerAdvertSchema,
  type PeerAdvert as WireAdvert,
} from '../protocol/generated/peers_pb.js'
import { isHostAndPort } from '../urls.ts'
import { isBaseUrl } from './client-url.ts'
import type { NetworkCoordinate, PeerAdvert } from './peer-advert.ts'

const ADVERT_VERSION = 1
const SIGNATURE_CONTEXT = Buffer.from('kairo peer advert v1\n')
const DIGEST_BYTES = 32
const PEER_ID = /^[1-9A-HJ-NP-Za-km-z]{32,64}$/
const REGION = /^[a-z0-9-]{0,32}$/
const PERMILLE = 1_000

/** A signed advert as read from the wire, its fields checked and its signature not yet. */
export interface UncheckedAdvert {
  readonly advert: PeerAdvert
  /**
   * Checks the signature, the expensive half; skip it for adverts that are old news anyway.
   * @throws KairoError `ERR_VERIFICATION` when it is not the peer's.
   */
  verify(): void
}

/**
 * Signs an advert.
 * @returns the encoded SignedPeerAdvert.
 * @throws KairoError `ERR_INVALID_INPUT` when a field breaks its rule, `ERR_LIMIT` when the advert is too large.
 */
export function encodeSignedAdvert(signer: PeerSigner, advert: PeerAdvert): Uint8Array {
  try {
    checkAdvert(advert)
  } catch (cause) {
    throw new KairoError('ERR_INVALID_INPUT', (cause as Error).message, { cause })
  }
  const encoded = toBinary(PeerAdvertSchema, wireOf(advert))
  const signature = signer.sign(signedMessage(encoded))
  const bytes = toBinary(
    SignedPeerAdvertSchema,
    create(SignedPeerAdvertSchema, { advert: encoded, signature }),
  )
  limitBytes(bytes)
  return bytes
}

/**
 * Reads a SignedPeerAdvert and checks every field but the signature and the time.
 * @throws KairoError `ERR_PROTOCOL` when it is malformed, `ERR_LIMIT` when something in it is too large.
 */
export function decodeSignedAdvert(bytes: Uint8Array): UncheckedAdvert {
  limitBytes(bytes)
  const { advert: encoded, signature } = decode(() => fromBinary(SignedPeerAdvertSchema, bytes))
  const wire = decode(() => fromBinary(PeerAdvertSchema, encoded))
  if (wire.version !== ADVERT_VERSION) {
    throw new KairoError('ERR_PROTOCOL', `an advert of version ${wire.version} is not known here`)
  }
  const advert = advertOf(wire)
  checkAdvert(advert)
  return {
    advert,
    verify: () => {
      if (!verifyPeerSignature(advert.peerId, signedMessage(encoded), signature)) {
        throw new KairoError('ERR_VERIFICATION', `the advert of ${advert.peerId} is not its own`)
      }
    },
  }
}

function signedMessage(encoded: Uint8Array): Uint8Array {
  return Buffer.concat([SIGNATURE_CONTEXT, encoded])
}

function wireOf(advert: PeerAdvert): WireAdvert {
  const { position, height, error } = advert.coordinate
  return create(PeerAdvertSchema, {
    version: ADVERT_VERSION,
    peerId: advert.peerId,
    sequence: BigInt(advert.sequence),
    expiresAtMs: BigInt(advert.expiresAtMs),
    state: advert.state,
    clientUrls: [...advert.clientUrls],
    httpsAddresses: [...advert.httpsAddresses],
    certificateDigest: Buffer.from(advert.certificateDigest, 'hex'),
    region: advert.region,
    coordinate: { position: [...position], height, error },
    loadPermille: Math.round(advert.load * PERMILLE),
    freeBitsPerSecond: BigInt(advert.freeBitsPerSecond),
    ...(advert.latitude === undefined ? {} : { latitude: advert.latitude }),
    ...(advert.longitude === undefined ? {} : { longitude: advert.longitude }),
  })
}

function advertOf(wire: WireAdvert): PeerAdvert {
  const { coordinate } = wire
  check(coordinate !== undefined, 'the coordinate')
  const { position, height, error } = coordinate as NonNullable<typeof coordinate>
  return {
    peerId: wire.peerId,
    sequence: Number(wire.sequence),
    expiresAtMs: Number(wire.expiresAtMs),
    // Checked with all the rest.
    state: wire.state as PeerAdvert['state'],
    clientUrls: wire.clientUrls,
    httpsAddresses: wire.httpsAddresses,
    certificateDigest: Buffer.from(wire.certificateDigest).toString('hex'),
    region: wire.region,
    coordinate: { position, height, error },
    load: wire.loadPermille / PERMILLE,
    freeBitsPerSecond: Number(wire.freeBitsPerSecond),
    latitude: wire.latitude,
    longitude: wire.longitude,
  }
}

function checkAdvert(advert: PeerAdvert): void {
  check(PEER_ID.test(advert.peerId), 'the peer id')
  check(isWholeNumber(advert.sequence) && advert.sequence > 0, 'the sequence')
  check(isWholeNumber(advert.expiresAtMs), 'the expiry')
  check(advert.expiresAtMs > advert.sequence, 'the expiry')
  check(advert.state === 'serving' || advert.state === 'draining', 'the state')
  check(REGION.test(advert.region), 'the region')
  checkAddresses(advert.clientUrls, isBaseUrl, 'a client URL')
  checkAddresses(advert.httpsAddresses, isHostAndPort, 'an HTTPS address')
  check([0, DIGEST_BYTES * 2].includes(advert.certificateDigest.length), 'the certificate digest')
  check(/^[0-9a-f]*$/.test(advert.certificateDigest), 'the certificate digest')
  check(advert.load >= 0 && advert.load <= 1, 'the load')
  check(isWholeNumber(advert.freeBitsPerSecond), 'the free bandwidth')
  checkCoordinate(advert.coordinate)
  check((advert.latitude === undefined) === (advert.longitude === undefined), 'the place')
  check(Math.abs(advert.latitude ?? 0) <= 90, 'the latitude')
  check(Math.abs(advert.longitude ?? 0) <= 180, 'the longitude')
  if (advert.expiresAtMs - advert.sequence > nearestLimits.advertTtlMsMax) {
    throw new KairoError('ERR_LIMIT', `an advert lives ${nearestLimits.advertTtlMsMax} ms at most`)
  }
}

function checkCoordinate({ position, height, error }: NetworkCoordinate): void {
  const { dimensions, valueMsMax } = coordinateLimits
  check(position.length === dimensions, 'the coordinate')
  // NaN and infinities fail these comparisons.
  for (const value of position) check(Math.abs(value) <= valueMsMax, 'the coordinate')
  check(height >= 0 && height <= valueMsMax, 'the height')
  check(error >= 0 && error <= 1, "the coordinate's error")
}

function checkAddresses(
  addresses: readonly string[],
  isValid: (address: string) => boolean,
  what: string,
): void {
  const { addressesMax, addressCharsMax } = nearestLimits
  if (addresses.length > addressesMax) {
    throw new KairoError('ERR_LIMIT', `more than ${addressesMax} addresses in an advert`)
  }
  for (const address of addresses) {
    check(address.length <= addressCharsMax && isValid(address), what)
  }
}

function isWholeNumber(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function check(fits: boolean, what: string): void {
  if (!fits) throw new KairoError('ERR_PROTOCOL', `${what} of the peer advert breaks its rule`)
}

function limitBytes(bytes: Uint8Array): void {
  if (bytes.byteLength > nearestLimits.advertBytesMax) {
    throw new KairoError('ERR_LIMIT', `a peer advert of ${bytes.byteLength} bytes is too large`)
  }
}

function decode<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new KairoError('ERR_PROTOCOL', 'not a peer advert', { cause })
  }
}
