/** Purges on the wire: signed, checked field by field, and in one form. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { test } from 'tap'
import { normaliseSelector } from '../../../src/cdn/purge/normalise-selector.ts'
import {
  type Purge,
  readPurge,
  signPurge,
  verifyPurge,
} from '../../../src/cdn/purge/purge-message.ts'
import { decodeState, encodeState } from '../../../src/cdn/purge/purge-wire.ts'
import type { PurgeSelector } from '../../../src/cdn/purge-selector.ts'
import { peerSigner } from '../../../src/host/peer-signature.ts'
import { purgeLimits } from '../../../src/limits/purge.ts'
import {
  PurgeOriginSchema,
  PurgeSchema,
  PurgeStateSchema,
  SignedPurgeSchema,
  type Purge as WirePurge,
} from '../../../src/protocol/generated/purge_pb.js'

const signer = peerSigner(await generateKeyPair('Ed25519'))
const purge: Purge = {
  ...{ issuer: signer.peerId, epoch: '0123456789abcdef', sequence: 7, issuedAtMs: 1_000 },
  ...{ selector: { by: 'tag', tag: 'news', host: 'cdn.example' }, mode: 'soft' },
}

test('a purge is read back as it was signed', async (t) => {
  const selectors: PurgeSelector[] = [
    { by: 'url', url: 'https://cdn.example/a?b=%20&c' },
    { by: 'tag', tag: 'news' },
    { by: 'tag', tag: 'news', host: 'cdn.example' },
    { by: 'prefix', prefix: 'https://cdn.example/' },
    { by: 'host', host: 'cdn.example:8080' },
    { by: 'everything' },
  ]
  for (const selector of selectors) {
    for (const mode of ['hard', 'soft'] as const) {
      const signed = signPurge(signer, { ...purge, selector, mode })
      const read = readPurge(
        fromBinary(SignedPurgeSchema, toBinary(SignedPurgeSchema, signed.wire)),
      )
      t.strictSame(read.purge, { ...purge, selector, mode })
      verifyPurge(read)
    }
  }
})

test('a purge of another key, or a changed one, is not signed', async (t) => {
  const other = peerSigner(await generateKeyPair('Ed25519'))
  t.throws(() => verifyPurge(signPurge(other, purge)), { code: 'ERR_VERIFICATION' })
  const { wire } = signPurge(signer, purge)
  const changed = fromBinary(PurgeSchema, wire.purge)
  changed.by = 'everything'
  changed.value = changed.host = ''
  const forged = create(SignedPurgeSchema, { ...wire, purge: toBinary(PurgeSchema, changed) })
  t.throws(() => verifyPurge(readPurge(forged)), { code: 'ERR_VERIFICATION' })
})

test('a field that breaks its rule is refused', async (t) => {
  const whole = fromBinary(PurgeSchema, signPurge(signer, purge).wire.purge)
  const broken: Partial<WirePurge>[] = [
    ...[{ version: 2 }, { issuer: 'nobody' }, { epoch: 'short' }, { sequence: 0n }],
    ...[{ sequence: 2n ** 60n }, { issuedAtMs: 2n ** 60n }, { by: 'nothing' }, { value: '' }],
    ...[{ value: 'two words' }, { by: 'everything' }, { by: 'url', value: 'ftp://a/', host: '' }],
    ...[{ by: 'host' }, { by: 'host', value: 'no host', host: '' }, { value: 'x'.repeat(3_000) }],
  ]
  for (const fields of broken) {
    const body = toBinary(PurgeSchema, create(PurgeSchema, { ...whole, ...fields } as WirePurge))
    const wire = create(SignedPurgeSchema, { purge: body })
    t.throws(() => readPurge(wire), { code: 'ERR_PROTOCOL' }, JSON.stringify(fields, bigText))
  }
  const large = create(SignedPurgeSchema, { purge: new Uint8Array(purgeLimits.purgeBytesMax + 1) })
  t.throws(() => readPurge(large), { code: 'ERR_LIMIT' })
  const junk = create(SignedPurgeSchema, { purge: Uint8Array.of(0xff) })
  t.throws(() => readPurge(junk), { code: 'ERR_PROTOCOL' })
})

test('a state that breaks its rule is refused', async (t) => {
  const origin = { issuer: purge.issuer, epoch: purge.epoch, through: 3, beyond: [5, 7], floor: 2 }
  t.strictSame(decodeState(encodeState([origin])), [{ ...origin, ignored: false }])
  t.strictSame(decodeState(undefined), [])
  const broken = [
    ...[{ floor: 4n }, { beyond: [5n, 5n] }, { beyond: [3n] }, { issuer: '' }, { epoch: '' }],
    ...[{ through: 2n ** 60n }, { beyond: Array.from({ length: 3_000 }, (_, n) => BigInt(n + 9)) }],
  ]
  for (const fields of broken) {
    const [wire] = encodeState([origin]).origins
    const origins = [create(PurgeOriginSchema, { ...wire, ...fields } as typeof wire)]
    t.throws(() => decodeState(create(PurgeStateSchema, { origins })), { code: 'ERR_PROTOCOL' })
  }
  t.throws(() => decodeState(encodeState([origin, origin])), { code: 'ERR_PROTOCOL' }, 'twice')
  const many = Array.from({ length: 6_000 }, () => origin)
  t.throws(() => decodeState(encodeState(many)), { code: 'ERR_LIMIT' })
})

test('selectors are brought to the form of the cache', async (t) => {
  const url = (text: string): string =>
    (normaliseSelector({ by: 'url', url: text }) as { url: string }).url
  t.equal(url('HTTPS://CDN.Example:443/A/../b?C=%7e#part'), 'https://cdn.example/A/../b?C=%7e')
  t.equal(url('http://cdn.example:8080'), 'http://cdn.example:8080/')
  t.equal(url('http://cdn.example?a'), 'http://cdn.example/?a')
  t.strictSame(normaliseSelector({ by: 'prefix', prefix: 'https://cdn.example' }), {
    ...{ by: 'prefix', prefix: 'https://cdn.example/' },
  })
  t.strictSame(normaliseSelector({ by: 'host', host: 'CDN.example' }), {
    ...{ by: 'host', host: 'cdn.example' },
  })
  for (const text of [
    'https://a b/',
    'https://a/ b',
    'https://a\\b/',
    'https:///x',
    'https://u:p@a/',
  ]) {
    t.throws(() => url(text), { code: 'ERR_INVALID_INPUT' }, text)
  }
})

function bigText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}
