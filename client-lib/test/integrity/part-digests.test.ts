/** What is known of parts, and the digests of bytes. */
import { createHash } from 'node:crypto'
import { test } from 'tap'
import { integrityLimits } from '../../src/integrity/limits.ts'
import { canDigest, digestOf, PartDigests } from '../../src/integrity/part-digests.ts'

test('a digest is the SHA-256 in base64url', async (t) => {
  for (const length of [0, 1, 2, 3, 4, 5, 55, 64, 100_000]) {
    const bytes = new Uint8Array(length).map((_, at) => at * 7)
    const digest = createHash('sha256').update(bytes).digest('base64url')
    t.equal(await digestOf(bytes), digest)
  }
  const view = new Uint8Array(10).fill(3).subarray(2, 5)
  t.equal(await digestOf(view), createHash('sha256').update(view).digest('base64url'), 'of a view')
})

test('without WebCrypto there are none', async (t) => {
  t.ok(canDigest())
  const before = Object.getOwnPropertyDescriptor(globalThis, 'crypto') as PropertyDescriptor
  t.teardown(() => Object.defineProperty(globalThis, 'crypto', before))
  Object.defineProperty(globalThis, 'crypto', { configurable: true, value: {} })
  t.notOk(canDigest())
  await t.rejects(digestOf(new Uint8Array(1)), { code: 'ERR_UNSUPPORTED' })
})

test('what was told last holds, and what is new is said', async (t) => {
  const digests = new PartDigests()
  const [one, other] = ['A'.repeat(43), `${'B'.repeat(42)}A`]
  t.equal(digests.get('m/1'), undefined)
  const parts = [
    { key: 'm/1', bytes: 5, digest: one },
    { key: 'm/2', bytes: 5, digest: one },
  ]
  t.strictSame(digests.add(parts), ['m/1', 'm/2'])
  t.strictSame(digests.add(parts), [])
  t.strictSame(digests.get('m/1'), { bytes: 5, digest: one })
  t.strictSame(digests.add([{ key: 'm/1', bytes: 5, digest: other }]), ['m/1'])
  t.strictSame(digests.add([{ key: 'm/2', bytes: 6, digest: one }]), ['m/2'])
  t.strictSame(digests.get('m/1'), { bytes: 5, digest: other })
})

test('the parts told longest ago are forgotten', async (t) => {
  const digests = new PartDigests()
  const tell = (at: number): readonly string[] =>
    digests.add([{ key: `m/${at}`, bytes: 1, digest: 'A'.repeat(43) }])
  for (let at = 0; at < integrityLimits.digestsMax; at += 1) tell(at)
  tell(0)
  tell(-1)
  t.equal(digests.get('m/1'), undefined)
  t.ok(digests.get('m/0') && digests.get('m/-1'))
  t.equal(digests.forgotten, 1)
})
