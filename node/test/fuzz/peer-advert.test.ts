/** Peer adverts of any kind: read with every field within its rule, or refused. */
import fc from 'fast-check'
import { test } from 'tap'
import { nearestLimits } from '../../src/limits/nearest.ts'
import { decodeSignedAdvert, encodeSignedAdvert } from '../../src/nearest/signed-advert.ts'
import { advertOf, newSigner } from '../support/adverts.ts'
import { fuzzRuns, parseOrRefuse } from '../support/fuzz.ts'
import { mutate, mutations } from '../support/mutate.ts'

test('changed adverts', async (t) => {
  const signer = await newSigner()
  const advert = advertOf(signer.peerId, { latitude: 1, longitude: 2, region: 'eu' })
  const seed = Buffer.from(encodeSignedAdvert(signer, advert))
  let forged = 0
  fc.assert(
    fc.property(mutations(), (changes) => {
      const bytes = mutate(seed, changes)
      const unchecked = parseOrRefuse(() => decodeSignedAdvert(bytes))
      if (unchecked === undefined) return
      const { sequence, expiresAtMs, load } = unchecked.advert
      t.ok(expiresAtMs - sequence <= nearestLimits.advertTtlMsMax && load <= 1)
      const isSame = JSON.stringify(unchecked.advert) === JSON.stringify(advert)
      const verified = parseOrRefuse(() => unchecked.verify() ?? true) === true
      if (verified && !isSame) forged += 1
    }),
    { numRuns: fuzzRuns(3_000) },
  )
  t.equal(forged, 0)
})

test('noise', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      parseOrRefuse(() => decodeSignedAdvert(bytes))
    }),
  )
  t.end()
})
