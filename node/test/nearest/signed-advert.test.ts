/** Peer adverts on the wire: what is written is read again, and every field has a rule. */
import { create, toBinary } from '@bufbuild/protobuf'
import { test } from 'tap'
import { nearestLimits } from '../../src/limits/nearest.ts'
import { decodeSignedAdvert, encodeSignedAdvert } from '../../src/nearest/signed-advert.ts'
import { PeerAdvertSchema, SignedPeerAdvertSchema } from '../../src/protocol/generated/peers_pb.js'
import { advertOf, newSigner } from '../support/adverts.ts'

test('an advert is read as it was written', async (t) => {
  const signer = await newSigner()
  const advert = advertOf(signer.peerId, {
    state: 'draining',
    clientUrls: ['https://edge-1.cdn.example', 'http://[2001:db8::1]:8080'],
    region: 'eu-west',
    load: 0.25,
    latitude: 52.52,
    longitude: -13.4,
    coordinate: { position: [1.5, -2, 3], height: 0.5, error: 0.2 },
  })
  const unchecked = decodeSignedAdvert(encodeSignedAdvert(signer, advert))
  t.same(unchecked.advert, advert)
  t.doesNotThrow(() => unchecked.verify())
})

test('every field has a rule', async (t) => {
  const signer = await newSigner()
  const good = advertOf(signer.peerId)
  const coordinate = good.coordinate
  const broken = [
    { peerId: 'nobody' },
    { sequence: 0 },
    { expiresAtMs: good.sequence },
    { state: 'asleep' as 'serving' },
    { region: 'EU' },
    { clientUrls: ['javascript:alert(1)'] },
    { clientUrls: ['http://user@192.0.2.7'] },
    { clientUrls: ['http://192.0.2.7/path'] },
    { clientUrls: [`http://${'a'.repeat(300)}.example`] },
    { httpsAddresses: ['192.0.2.7'] },
    { httpsAddresses: ['192.0.2.7:99999'] },
    { certificateDigest: 'abcd' },
    { coordinate: { ...coordinate, position: [0, 0] } },
    { coordinate: { ...coordinate, position: [0, 0, Number.NaN] } },
    { coordinate: { ...coordinate, height: -1 } },
    { coordinate: { ...coordinate, error: 2 } },
    { latitude: 1 },
    { latitude: 91, longitude: 0 },
    { latitude: 0, longitude: 181 },
    { clientUrls: Array(nearestLimits.addressesMax + 1).fill('http://192.0.2.7') },
    { expiresAtMs: good.sequence + nearestLimits.advertTtlMsMax + 1 },
  ]
  for (const fields of broken) {
    t.throws(
      () => encodeSignedAdvert(signer, { ...good, ...fields }),
      { code: 'ERR_INVALID_INPUT' },
      JSON.stringify(fields),
    )
  }
})

test('what is read is checked as what is written', async (t) => {
  const signer = await newSigner()
  const signed = (fields: Parameters<typeof create<typeof PeerAdvertSchema>>[1]) => {
    const advert = toBinary(PeerAdvertSchema, create(PeerAdvertSchema, fields))
    const signature = new Uint8Array(64)
    return toBinary(SignedPeerAdvertSchema, create(SignedPeerAdvertSchema, { advert, signature }))
  }
  t.throws(() => decodeSignedAdvert(signed({ version: 2 })), { code: 'ERR_PROTOCOL' })
  t.throws(() => decodeSignedAdvert(signed({ version: 1 })), { code: 'ERR_PROTOCOL' })
  const { peerId } = signer
  const unsigned = signed({
    ...{ version: 1, peerId, sequence: 5n, expiresAtMs: 6n, state: 'serving' },
    coordinate: { position: [0, 0, 0], height: 1, error: 1 },
  })
  const unchecked = decodeSignedAdvert(unsigned)
  t.throws(() => unchecked.verify(), { code: 'ERR_VERIFICATION' })
})
