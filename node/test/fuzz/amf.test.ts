// AMF0 and AMF3 decoders against noise and against changed real messages.
import fc from 'fast-check'
import { test } from 'tap'
import type { AmfValue } from '../../src/ingest/rtmp/amf-value.ts'
import { decodeAmf0, encodeAmf0 } from '../../src/ingest/rtmp/amf0.ts'
import { rtmpLimits } from '../../src/limits.ts'
import { fuzzRuns, parseOrRefuse } from '../support/fuzz.ts'
import { mutate, mutations } from '../support/mutate.ts'

const SEEDS = [
  encodeAmf0([
    'connect',
    1,
    new Map<string, AmfValue>([
      ['app', 'live'],
      ['tcUrl', 'rtmp://h/live'],
    ]),
  ]),
  encodeAmf0([
    '@setDataFrame',
    'onMetaData',
    new Map<string, AmfValue>([
      ['width', 1280],
      ['list', [1, 'a', null]],
    ]),
  ]),
  // AMF3 in AMF0: an object with traits and references, an array, a vector, a dictionary, bytes, a date.
  Buffer.from('110a130343036104010a010402', 'hex'),
  Buffer.from('11090503036106000104010402', 'hex'),
  Buffer.from(
    '110d0500ffffffff000000011105000603610401060004020c0501020801427000000000000011080211',
    'hex',
  ),
  Buffer.from('0300016108000000010001620a0000000207000005000009000009', 'hex'),
]

/** Values in a decoded tree; each object counts once, since references may make it a graph. */
function count(value: AmfValue, seen = new Set<unknown>()): number {
  if (typeof value !== 'object' || value === null || seen.has(value)) return 1
  seen.add(value)
  const items = value instanceof Map ? [...value.values()] : Array.isArray(value) ? value : []
  return items.reduce<number>((sum, item) => sum + count(item, seen), 1)
}

function check(bytes: Uint8Array): void {
  const values = parseOrRefuse(() => decodeAmf0(bytes))
  if (values !== undefined && count(values) > rtmpLimits.amfItemsMax + 1) {
    throw new Error('more values than the limit')
  }
}

test('changed real messages', async () => {
  fc.assert(
    fc.property(fc.constantFrom(...SEEDS), mutations(), (seed, changes) => {
      check(mutate(seed, changes))
    }),
    { numRuns: fuzzRuns(20_000) },
  )
})

test('noise rich in markers', async () => {
  const byte = fc.oneof(fc.nat(0x12), fc.nat(255))
  const bytes = fc.array(byte, { maxLength: 64 }).map((list) => Uint8Array.from([0x11, ...list]))
  fc.assert(
    fc.property(bytes, fc.boolean(), (noise, amf3) => check(amf3 ? noise : noise.subarray(1))),
    { numRuns: fuzzRuns(20_000) },
  )
})

test('what is encoded is decoded', async (t) => {
  const { value } = fc.letrec<{ value: AmfValue }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.double({ noNaN: true }),
      fc.boolean(),
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom(null, undefined),
      fc.date({ noInvalidDate: true }),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.array(fc.tuple(fc.string(), tie('value')), { maxLength: 4 }).map((list) => new Map(list)),
    ),
  }))
  fc.assert(
    fc.property(value, (sent) => t.matchOnly(decodeAmf0(encodeAmf0([sent])), [sent]) || false),
    { numRuns: fuzzRuns(300) },
  )
})
