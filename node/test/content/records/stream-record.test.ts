/**
 * Stream records: what is signed comes back, what breaks a rule does not.
 */
import { create, toBinary } from '@bufbuild/protobuf'
import { test } from 'tap'
import {
  decodeSignedRecord,
  encodeSignedRecord,
} from '../../../src/content/records/stream-record.ts'
import type { StreamRecord } from '../../../src/content/stream.ts'
import { generateStreamKey } from '../../../src/content/stream-key.ts'
import {
  SignedRecordSchema,
  StreamRecordSchema,
} from '../../../src/protocol/generated/records_pb.js'
import { recordFields } from '../../support/records.ts'

const key = generateStreamKey()
const record: StreamRecord = {
  ...recordFields(),
  id: key.id,
  originPeer: '12D3KooWLxFaUbhMrtHhjXCsmqGHch9ZLdTFRNHXJiwF3xCWpUap',
  sequence: 1_700_000_000_000,
  expiresAtMs: 1_700_000_020_000,
}

/** A record whose wire form is changed after the rules of encoding, signed all the same. */
function forge(change: (wire: Record<string, unknown>) => void): Uint8Array {
  const wire: Record<string, unknown> = {
    ...record,
    version: 1,
    publicKey: key.raw,
    sequence: BigInt(record.sequence),
    startedAtMs: BigInt(record.startedAtMs),
    expiresAtMs: BigInt(record.expiresAtMs),
    renditions: record.renditions.map((rendition) => ({ ...rendition })),
  }
  change(wire)
  const { id: _, ...fields } = wire
  const body = toBinary(StreamRecordSchema, create(StreamRecordSchema, fields))
  const signature = key.sign(Buffer.concat([Buffer.from('kairo record v1\n'), body]))
  return toBinary(SignedRecordSchema, create(SignedRecordSchema, { record: body, signature }))
}

test('a signed record comes back as it was', async (t) => {
  const bytes = encodeSignedRecord(key, record)
  const unchecked = decodeSignedRecord(bytes)
  t.same(unchecked.record, record)
  t.equal(unchecked.bytes, bytes)
  unchecked.verify()
  decodeSignedRecord(forge(() => {})).verify()
})

test('the token of an owner comes back as it was, and one that cannot be is refused', async (t) => {
  const owned = { ...record, token: { term: 7, index: 123_456 } }
  t.same(decodeSignedRecord(encodeSignedRecord(key, owned)).record, owned)
  for (const token of [
    { term: 0n, index: 1n },
    { term: 1n, index: 0n },
    { term: 2n ** 63n, index: 1n },
    { term: 1n, index: 2n ** 60n },
  ]) {
    const bytes = forge((wire) => {
      wire.token = token
    })
    t.throws(() => decodeSignedRecord(bytes), { code: 'ERR_PROTOCOL', message: /the token/ })
  }
})

test('a signature by another key, or over other bytes, is refused', async (t) => {
  const foreign = encodeSignedRecord(generateStreamKey(), record)
  t.not(decodeSignedRecord(foreign).record.id, key.id, 'the id is the signer')
  const swapped = forge((wire) => {
    wire.publicKey = generateStreamKey().raw
  })
  t.throws(() => decodeSignedRecord(swapped).verify(), { code: 'ERR_VERIFICATION' })
  const bytes = encodeSignedRecord(key, record)
  const at = Buffer.from(bytes).indexOf('A test')
  bytes[at] = 'B'.charCodeAt(0)
  const unchecked = decodeSignedRecord(bytes)
  t.equal(unchecked.record.title, 'B test')
  t.throws(() => unchecked.verify(), { code: 'ERR_VERIFICATION' })
  const short = toBinary(
    SignedRecordSchema,
    create(SignedRecordSchema, {
      record: toBinary(
        StreamRecordSchema,
        create(StreamRecordSchema, {
          version: 1,
          publicKey: key.raw,
          alias: 'a',
          state: 'live',
          originPeer: record.originPeer,
          sequence: 1n,
        }),
      ),
      signature: new Uint8Array(10),
    }),
  )
  t.throws(() => decodeSignedRecord(short).verify(), { code: 'ERR_VERIFICATION' })
})

test('each field has its rule', async (t) => {
  const [video] = record.renditions
  const cases: Record<string, (wire: Record<string, unknown>) => void> = {
    version: (wire) => (wire.version = 2),
    'short key': (wire) => (wire.publicKey = new Uint8Array(31)),
    'upper-case alias': (wire) => (wire.alias = 'Test'),
    'path alias': (wire) => (wire.alias = '../x'),
    'id as alias': (wire) => (wire.alias = generateStreamKey().id),
    'no alias': (wire) => (wire.alias = ''),
    state: (wire) => (wire.state = 'paused'),
    origin: (wire) => (wire.originPeer = 'http://x'),
    'no sequence': (wire) => (wire.sequence = 0n),
    'huge sequence': (wire) => (wire.sequence = 2n ** 60n),
    'huge start': (wire) => (wire.startedAtMs = 2n ** 63n),
    'huge expiry': (wire) => (wire.expiresAtMs = 2n ** 63n),
    'rendition name': (wire) => (wire.renditions = [{ ...video, name: 'a/b' }]),
    'rendition kind': (wire) => (wire.renditions = [{ ...video, kind: 'text' }]),
    codecs: (wire) => (wire.renditions = [{ ...video, codecs: 'avc1"\n' }]),
    'long codecs': (wire) => (wire.renditions = [{ ...video, codecs: 'a'.repeat(201) }]),
    width: (wire) => (wire.renditions = [{ ...video, width: 70_000 }]),
    height: (wire) => (wire.renditions = [{ ...video, height: 70_000 }]),
    channels: (wire) => (wire.renditions = [{ ...video, channels: 256 }]),
    'frame rate': (wire) => (wire.renditions = [{ ...video, frameRate: Number.NaN }]),
    'negative frame rate': (wire) => (wire.renditions = [{ ...video, frameRate: -1 }]),
    'same name twice': (wire) => (wire.renditions = [{ ...video }, { ...video }]),
  }
  for (const [name, change] of Object.entries(cases)) {
    t.throws(() => decodeSignedRecord(forge(change)), { code: 'ERR_PROTOCOL' }, name)
  }
  const limits: Record<string, (wire: Record<string, unknown>) => void> = {
    'a life too long': (wire) => (wire.expiresAtMs = BigInt(record.sequence + 11 * 60_000)),
    'too many renditions': (wire) => {
      wire.renditions = Array.from({ length: 33 }, (_, i) => ({ ...video, name: `r${i}` }))
    },
    'too large': (wire) => (wire.title = 'x'.repeat(20_000)),
  }
  for (const [name, change] of Object.entries(limits)) {
    t.throws(() => decodeSignedRecord(forge(change)), { code: 'ERR_LIMIT' }, name)
  }
  t.throws(() => decodeSignedRecord(Buffer.from('junk')), { code: 'ERR_PROTOCOL' })
  t.throws(() => decodeSignedRecord(Buffer.alloc(0)), { code: 'ERR_PROTOCOL' })
})

test('own records are held to the same rules', async (t) => {
  t.throws(() => encodeSignedRecord(key, { ...record, alias: 'No Good' }), {
    code: 'ERR_INVALID_INPUT',
  })
  t.throws(() => encodeSignedRecord(key, { ...record, expiresAtMs: record.sequence + 1e9 }), {
    code: 'ERR_INVALID_INPUT',
  })
})

test('titles are plain text of limited length', async (t) => {
  const titles: [string, string][] = [
    ['  a\u0000\u001b[31m b\n\nc\u202e ', 'a [31m b c'],
    ['\ud800x', '\ufffdx'],
    ['é'.repeat(300), 'é'.repeat(200)],
    ['😀'.repeat(300), '😀'.repeat(200)],
  ]
  for (const [title, clean] of titles) {
    t.equal(decodeSignedRecord(encodeSignedRecord(key, { ...record, title })).record.title, clean)
  }
  const forged = forge((wire) => {
    wire.title = 'a\u0007b'
  })
  t.equal(decodeSignedRecord(forged).record.title, 'a b', 'strangers are cleaned here too')
})
