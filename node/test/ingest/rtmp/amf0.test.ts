// AMF0: vectors by hand for every marker, round trips, and the limits.
import { test } from 'tap'
import type { AmfValue } from '../../../src/ingest/rtmp/amf-value.ts'
import { decodeAmf0, encodeAmf0 } from '../../../src/ingest/rtmp/amf0.ts'
import { rtmpLimits } from '../../../src/limits.ts'

const decodeHex = (hex: string) => decodeAmf0(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
const refused = { code: 'ERR_PROTOCOL' }

test('decodes every marker', async (t) => {
  t.same(decodeHex('00 3ff0000000000000'), [1])
  t.same(decodeHex('01 01 01 00'), [true, false])
  t.same(decodeHex('02 0004 6c697665'), ['live'])
  t.same(decodeHex('05 06 0d'), [null, undefined, undefined])
  t.same(decodeHex('0b 4270000000000000 0000'), [new Date(2 ** 40)])
  t.same(decodeHex('0c 00000002 6869'), ['hi'])
  t.same(decodeHex('0f 00000002 6869'), ['hi'])
  t.same(decodeHex('0a 00000002 05 0101'), [[null, true]])
  const object = new Map([['a', 1]])
  t.same(decodeHex('03 0001 61 00 3ff0000000000000 0000 09'), [object])
  t.same(decodeHex('08 000000ff 0001 61 00 3ff0000000000000 0000 09'), [object], 'wrong count')
  t.same(decodeHex('10 0003 466f6f 0001 61 00 3ff0000000000000 0000 09'), [object])
  t.same(decodeHex('11 0405 11 0603 62'), [5, 'b'], 'AMF3 inside')
  t.same(decodeHex(''), [])
})

test('an empty property name is not the end of an object', async (t) => {
  t.same(decodeHex('03 0000 05 0000 09'), [new Map([['', null]])])
})

test('decodes references', async (t) => {
  const [first, second] = decodeHex('03 0000 09 07 0000')
  t.equal(first, second)
  const [list] = decodeHex('0a 00000001 07 0000') as [AmfValue[]]
  t.equal(list[0], list, 'even to what is being read')
  t.throws(() => decodeHex('07 0000'), refused)
})

test('an object may be named like a prototype without becoming one', async (t) => {
  const [object] = decodeHex('03 0009 5f5f70726f746f5f5f 03 0001 61 0101 0000 09 0000 09')
  t.ok(object instanceof Map)
  t.equal(Object.getPrototypeOf(object), Map.prototype)
  t.equal(({} as Record<string, unknown>).a, undefined)
})

test('refuses malformed bytes', async (t) => {
  for (const hex of [
    '00 3ff0',
    '02 0004 6c',
    '03 0001',
    '0a 00000001',
    '04',
    '0e',
    'ff',
    '0b 00',
  ]) {
    t.throws(() => decodeHex(hex), refused, hex)
  }
})

test('bounds nesting and count', async (t) => {
  const nested = (depth: number) => Buffer.from(`${'0a00000001'.repeat(depth)}05`, 'hex')
  t.doesNotThrow(() => decodeAmf0(nested(rtmpLimits.amfDepthMax)))
  t.throws(() => decodeAmf0(nested(rtmpLimits.amfDepthMax + 1)), { code: 'ERR_LIMIT' })
  t.throws(() => decodeAmf0(nested(100_000)), { code: 'ERR_LIMIT' })
  const nulls = (count: number) => Buffer.alloc(count, 5)
  t.doesNotThrow(() => decodeAmf0(nulls(rtmpLimits.amfItemsMax)))
  t.throws(() => decodeAmf0(nulls(rtmpLimits.amfItemsMax + 1)), { code: 'ERR_LIMIT' })
  t.throws(() => decodeHex('0a ffffffff 05'), refused, 'a count that is not there')
})

test('encodes what it decodes', async (t) => {
  const values: AmfValue[] = [
    'onStatus',
    -1.5,
    true,
    null,
    undefined,
    new Date(86_400_000),
    ['a', [1, new Map([['b', false]])]],
    new Map<string, AmfValue>([
      ['', 'empty name'],
      ['ä', 'ü€😀'],
    ]),
    'x'.repeat(70_000),
  ]
  t.same(decodeAmf0(encodeAmf0(values)), values)
  t.equal(encodeAmf0(['live', 1]).toString('hex'), '0200046c697665003ff0000000000000')
  t.throws(() => encodeAmf0([new Uint8Array(1)]))
  t.throws(() => encodeAmf0([new Map([['x'.repeat(70_000), 1]])]))
})
