// Names of bytes: digests, their raw form, their CIDs.
import { createHash } from 'node:crypto'
import { test } from 'tap'
import {
  cidOf,
  digestFromBytes,
  digestOf,
  digestOfCid,
  digestToBytes,
} from '../../src/content/digest.ts'

test('a digest is the hex of SHA-256, and its CID is what IPFS calls the same bytes', async (t) => {
  const bytes = Buffer.from('hello world')
  const digest = digestOf(bytes)
  t.equal(digest, createHash('sha256').update(bytes).digest('hex'))
  t.equal(digestFromBytes(digestToBytes(digest)), digest)
  t.equal(cidOf(digest), 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e')
  t.equal(digestOfCid(cidOf(digest)), digest)
})

test('what is no digest or no CID of ours is refused', async (t) => {
  t.throws(() => digestFromBytes(Buffer.alloc(31)), { code: 'ERR_PROTOCOL' })
  const cid = cidOf(digestOf(Buffer.from('x')))
  for (const name of [
    '',
    'x',
    cid.toUpperCase(),
    `${cid}a`,
    cid.slice(0, -1),
    `b${'a'.repeat(58)}`,
  ]) {
    t.equal(digestOfCid(name), undefined, name)
  }
})
