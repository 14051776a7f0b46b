// The disk cache's catalog against noise and against changed real files: it is read as far as it makes sense, and never throws.
import fc from 'fast-check'
import { test } from 'tap'
import { digestOf } from '../../src/content/digest.ts'
import {
  BATCH_HEAD_BYTES,
  CatalogEncoder,
  CatalogImage,
  isWhole,
  readBatchHead,
} from '../../src/content/store/catalog-codec.ts'
import { contentLimits } from '../../src/limits.ts'
import { mutate, mutations } from '../support/mutate.ts'

function aBatch(): Buffer {
  const encoder = new CatalogEncoder()
  for (let seed = 0; seed < 8; seed += 1) {
    const digest = digestOf(Buffer.from([seed]))
    const owner = seed % 3 === 0 ? undefined : { tenant: `t${seed}`, stream: 's' }
    encoder.object({ digest, bytes: 100 + seed, owner, isMain: seed % 2 === 0, uses: seed % 4 })
    if (seed % 3 === 1) encoder.kept(digest, seed)
    if (seed % 3 === 2) encoder.gone(digest)
  }
  return Buffer.concat(encoder.take())
}

function check(records: Buffer): void {
  const image = new CatalogImage()
  image.apply(records)
  for (const [digest, object] of image.objects) {
    if (!/^[0-9a-f]{64}$/.test(digest)) throw new Error('no digest')
    if (object.bytes < 1 || object.bytes > contentLimits.objectBytesMax) throw new Error('size')
  }
}

test('records that were changed', async () => {
  const records = aBatch().subarray(BATCH_HEAD_BYTES)
  fc.assert(
    fc.property(mutations(), (changes) => check(mutate(records, changes))),
    { numRuns: 10_000 },
  )
})

test('noise', async () => {
  fc.assert(
    fc.property(fc.nat(6), fc.uint8Array({ maxLength: 120 }), (kind, noise) =>
      check(Buffer.from([kind, ...noise])),
    ),
    { numRuns: 10_000 },
  )
})

test('a batch that was changed is not believed', async (t) => {
  const batch = aBatch()
  fc.assert(
    fc.property(mutations(), (changes) => {
      const changed = mutate(batch, changes)
      const head = readBatchHead(changed)
      if (head === undefined) return
      const records = changed.subarray(BATCH_HEAD_BYTES, BATCH_HEAD_BYTES + head.bytes)
      if (!isWhole(records, head.checksum)) return
      t.ok(records.equals(batch.subarray(BATCH_HEAD_BYTES)))
    }),
    { numRuns: 5_000 },
  )
})
