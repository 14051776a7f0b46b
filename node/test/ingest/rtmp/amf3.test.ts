// AMF3: vectors by hand for every marker, reference tables, and the limits.
import { test } from 'tap'
import { AmfBudget, AmfCursor, type AmfValue } from '../../../src/ingest/rtmp/amf-value.ts'
import { Amf3Decoder } from '../../../src/ingest/rtmp/amf3.ts'
import { rtmpLimits } from '../../../src/limits.ts'

/** All values of these bytes, with one set of reference tables. */
function decode(bytes: Uint8Array): AmfValue[] {
  const cursor = new AmfCursor(bytes)
  const decoder = new Amf3Decoder(cursor, new AmfBudget())
  const values: AmfValue[] = []
  while (cursor.left > 0) values.push(decoder.value())
  return values
}
const decodeHex = (hex: string) => decode(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
const refused = { code: 'ERR_PROTOCOL' }

test('decodes scalars', async (t) => {
  t.same(decodeHex('00 01 02 03'), [undefined, null, false, true])
  t.same(decodeHex('04 00 04 7f 04 8100 04 ffff7f'), [0, 127, 128, 2 ** 21 - 1])
  t.same(decodeHex('04 80c08000 04 bfffffff'), [2 ** 21, 2 ** 28 - 1])
  t.same(decodeHex('04 c0808000 04 ffffffff'), [-(2 ** 28), -1], 'negative integers')
  t.same(decodeHex('05 3ff8000000000000'), [1.5])
  t.same(decodeHex('06 05 6869 06 00'), ['hi', 'hi'], 'a string reference')
  t.same(decodeHex('06 01 06 03 61 06 00'), ['', 'a', 'a'], 'the empty string is not in the table')
})

test('decodes what lives in the object table', async (t) => {
  t.same(decodeHex('08 01 4270000000000000 08 00'), [new Date(2 ** 40), new Date(2 ** 40)])
  t.same(decodeHex('0b 05 6869 07 05 6f6b'), ['hi', 'ok'])
  t.same(decodeHex('0c 05 0102 0c 00'), [Uint8Array.of(1, 2), Uint8Array.of(1, 2)])
  t.same(decodeHex('09 05 01 0401 0402'), [[1, 2]])
  t.same(decodeHex('09 03 03 61 0401 01 0402'), [
    new Map([
      ['a', 1],
      ['0', 2],
    ]),
  ])
  const [first, second] = decodeHex('09 01 01 09 00')
  t.equal(first, second)
})

test('decodes objects, their traits once and by reference', async (t) => {
  // Dynamic and anonymous; sealed with one name; the same traits again.
  t.same(decodeHex('0a 0b 01 03 61 0401 01'), [new Map([['a', 1]])])
  t.same(decodeHex('0a 13 03 43 03 61 0401 0a 01 0402'), [new Map([['a', 1]]), new Map([['a', 2]])])
  // Sealed and dynamic at once.
  t.same(decodeHex('0a 1b 01 03 61 0401 03 62 0402 01'), [
    new Map([
      ['a', 1],
      ['b', 2],
    ]),
  ])
  t.throws(() => decodeHex('0a 07 01'), refused, 'externalizable')
  t.throws(() => decodeHex('0a 05'), refused, 'unknown traits')
})

test('decodes vectors and dictionaries', async (t) => {
  t.same(decodeHex('0d 03 00 ffffffff'), [[-1]])
  t.same(decodeHex('0e 03 00 ffffffff'), [[2 ** 32 - 1]])
  t.same(decodeHex('0f 03 01 3ff8000000000000'), [[1.5]])
  t.same(decodeHex('10 05 00 01 0401 01'), [[1, null]])
  t.same(decodeHex('11 05 00 0603 61 0401 0901 01 0402'), [
    new Map([
      ['a', 1],
      ['#1', 2],
    ]),
  ])
})

test('refuses malformed bytes', async (t) => {
  for (const hex of [
    '12',
    'ff',
    '04',
    '04 80',
    '06 05 68',
    '06 00',
    '09 00',
    '0c 0f 00',
    '08 01',
  ]) {
    t.throws(() => decodeHex(hex), refused, hex)
  }
})

test('bounds nesting and count', async (t) => {
  const nested = (depth: number) => Buffer.from(`${'090301'.repeat(depth)}01`, 'hex')
  t.doesNotThrow(() => decode(nested(rtmpLimits.amfDepthMax)))
  t.throws(() => decode(nested(rtmpLimits.amfDepthMax + 1)), { code: 'ERR_LIMIT' })
  t.throws(() => decode(Buffer.alloc(rtmpLimits.amfItemsMax + 1, 1)), { code: 'ERR_LIMIT' })
  // 2^25 sealed names that all refer to one string: cheap to send, so they must count.
  const names = Buffer.concat([
    Buffer.from('06036101'.slice(0, 6), 'hex'),
    Buffer.from('0af0808083', 'hex'),
  ])
  t.throws(() => decode(Buffer.concat([names, Buffer.alloc(100_000)])), { code: /ERR_/ })
})
