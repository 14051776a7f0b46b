/** Ranges, and the answers that are made of them. */
import fc from 'fast-check'
import { test } from 'tap'
import {
  type ByteRange,
  parseContentRange,
  selectRanges,
} from '../../../src/cdn/rules/byte-ranges.ts'
import { partialAnswer } from '../../../src/cdn/rules/multipart.ts'
import { stored } from '../../support/cdn-messages.ts'

const pairs = (field: string, length: number): string | undefined => {
  const ranges = selectRanges(field, length)
  return typeof ranges === 'object' ? ranges.map((r) => `${r.first}-${r.last}`).join(' ') : ranges
}

test('one range, its end cut to what there is (RFC 9110 14.1.2)', async (t) => {
  t.equal(pairs('bytes=0-499', 10_000), '0-499')
  t.equal(pairs('Bytes = 9500-', 10_000), '9500-9999')
  t.equal(pairs('bytes=-500', 10_000), '9500-9999')
  t.equal(pairs('bytes=-99999', 100), '0-99')
  t.equal(pairs('bytes=5-99999', 100), '5-99')
  t.equal(pairs('bytes=0-0', 1), '0-0')
})

test('several ranges stay in the order they were asked for (RFC 9110 14.2)', async (t) => {
  t.equal(pairs('bytes=500-600,0-99', 10_000), '500-600 0-99')
  t.equal(pairs('bytes= 0-0 , , -1', 10_000), '0-0 9999-9999')
  t.equal(pairs('bytes=0-0, 20000-', 10_000), '0-0', 'those that exist')
})

test('ranges that overlap or lie close become one (RFC 9110 15.3.7.2)', async (t) => {
  t.equal(pairs('bytes=0-99,50-149', 10_000), '0-149')
  t.equal(pairs('bytes=200-299,0-149', 10_000), '0-299')
  t.equal(pairs('bytes=0-,0-,0-', 10_000), '0-9999')
  t.equal(pairs('bytes=0-9,91-99', 10_000), '0-9 91-99')
  t.equal(pairs('bytes=0-9,89-99', 10_000), '0-99')
})

test('a range flood gets the whole (RFC 9110 17.15)', async (t) => {
  const flood = (count: number): string =>
    `bytes=${Array.from({ length: count }, (_, index) => `${index * 100}-${index * 100}`).join(',')}`
  t.equal(selectRanges(flood(16), 10_000)?.length, 16)
  t.equal(selectRanges(flood(17), 10_000), undefined)
  t.equal(selectRanges(flood(10_000), 10_000), undefined)
})

test('what is malformed or of another unit is ignored (RFC 9110 14.2)', async (t) => {
  const invalid = [
    '',
    'bytes',
    'bytes=',
    'bytes=,',
    'items=0-1',
    'bytes=a-b',
    'bytes=5-4',
    'bytes=-',
  ]
  for (const field of [
    ...invalid,
    'bytes=0-1;2-3',
    'bytes=--1',
    'bytes=0-1, x',
    'bytes=1',
    'bytes=0x1-2',
  ]) {
    t.equal(selectRanges(field, 100), undefined, field)
  }
})

test('a range of which nothing exists cannot be satisfied (RFC 9110 15.5.17)', async (t) => {
  for (const field of ['bytes=100-', 'bytes=100-200', 'bytes=-0', 'bytes=999-,-0']) {
    t.equal(selectRanges(field, 100), 'unsatisfiable', field)
  }
  t.equal(selectRanges('bytes=0-', 0), 'unsatisfiable')
  t.equal(selectRanges('bytes=-5', 0), 'unsatisfiable')
})

test('all bytes that were asked for are selected, and few others (model)', async () => {
  const range = fc.tuple(fc.nat(300), fc.nat(300)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)])
  fc.assert(
    fc.property(
      fc.array(range, { minLength: 1, maxLength: 16 }),
      fc.integer({ min: 1, max: 200 }),
      (list, length) => {
        const field = `bytes=${list.map(([a, b]) => `${a}-${b}`).join(',')}`
        const wanted = new Set<number>()
        for (const [a = 0, b = 0] of list)
          for (let at = a; at <= b && at < length; at += 1) wanted.add(at)
        const ranges = selectRanges(field, length)
        if (wanted.size === 0) return ranges === 'unsatisfiable'
        if (typeof ranges !== 'object') return false
        const got = ranges.flatMap((r) =>
          Array.from({ length: r.last - r.first + 1 }, (_, i) => r.first + i),
        )
        return new Set(got).size === got.length && [...wanted].every((at) => got.includes(at))
      },
    ),
  )
})

test('a Content-Range says a part of what (RFC 9110 14.4)', async (t) => {
  t.strictSame(parseContentRange('bytes 0-9/100'), { first: 0, last: 9, length: 100 })
  t.strictSame(parseContentRange('bytes 0-9/*'), { first: 0, last: 9 })
  for (const text of [
    'bytes */100',
    'bytes 9-0/100',
    'bytes 0-100/100',
    'bytes 0-9',
    'x 0-9/10',
    'bytes 0-9/10, bytes 0-9/10',
  ]) {
    t.equal(parseContentRange(text), undefined, text)
  }
})

const content = Buffer.from('0123456789'.repeat(20))

/** The body that the pieces make. */
function bodyOf(ranges: readonly ByteRange[]): { headers: Record<string, string>; body: string } {
  const head = stored({ 'content-type': 'text/plain', etag: '"a"', 'content-length': '200' })
  const { headers, pieces } = partialAnswer(head, ranges, content.length, 'edge')
  const body = pieces.map((piece) =>
    piece.kind === 'text' ? piece.text : content.subarray(piece.first, piece.last + 1).toString(),
  )
  return { headers, body: body.join('') }
}

test('an answer with one range says which (RFC 9110 15.3.7.1)', async (t) => {
  const { headers, body } = bodyOf([{ first: 5, last: 9 }])
  t.equal(body, '56789')
  t.match(headers, {
    'content-range': 'bytes 5-9/200',
    'content-length': '5',
    'content-type': 'text/plain',
    etag: '"a"',
  })
})

test('an answer with several is multipart/byteranges (RFC 9110 15.3.7.2, 14.6)', async (t) => {
  const { headers, body } = bodyOf([
    { first: 100, last: 102 },
    { first: 0, last: 1 },
  ])
  t.equal(headers['content-type'], 'multipart/byteranges; boundary=edge')
  t.notOk('content-range' in headers)
  t.equal(headers['content-length'], String(body.length))
  const parts = body.split('\r\n--edge').slice(1)
  t.strictSame(parts, [
    '\r\nContent-Type: text/plain\r\nContent-Range: bytes 100-102/200\r\n\r\n012',
    '\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/200\r\n\r\n01',
    '--\r\n',
  ])
})
