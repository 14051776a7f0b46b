// Names of bytes: digests, their raw form, their CIDs.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create } from 'multiformats/hashes/digest'
import { sha256 } from 'multiformats/hashes/sha2'
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

test('CIDs are those of the multiformats library, both ways', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const name = CID.createV1(raw.code, create(sha256.code, bytes)).toString()
      const digest = digestFromBytes(bytes)
      t.equal(cidOf(digest), name)
      t.equal(digestOfCid(name), digest)
    }),
    { numRuns: 200 },
  )
})

test('a name that would mean the same digest, or another hash, is refused', async (t) => {
  const cid = cidOf(digestOf(Buffer.from('x')))
  const last = 'abcdefghijklmnopqrstuvwxyz234567'.indexOf(cid.slice(-1))
  for (const filled of [1, 2, 3]) {
    const other = 'abcdefghijklmnopqrstuvwxyz234567'[last + filled] ?? ''
    t.equal(digestOfCid(`${cid.slice(0, -1)}${other}`), undefined)
  }
  const blake = CID.createV1(raw.code, create(0x1e, Buffer.alloc(32, 7))).toString()
  t.equal(digestOfCid(blake), undefined)
  const dagPb = CID.createV1(0x70, create(sha256.code, Buffer.alloc(32, 7))).toString()
  t.equal(digestOfCid(dagPb), undefined)
})
