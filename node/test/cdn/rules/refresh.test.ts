/** What a 304 does to what is stored. */
import { test } from 'tap'
import type { Fields, StoredHead } from '../../../src/cdn/message.ts'
import { freshnessOf } from '../../../src/cdn/rules/freshness.ts'
import { mergedHead, refreshed, validatedBy } from '../../../src/cdn/rules/refresh.ts'
import { after, dateAt, get, plainPolicy, reply, stored } from '../../support/cdn-messages.ts'

const strong = stored({ etag: '"a"', 'cache-control': 'max-age=1' })
const weak = stored({ etag: 'W/"a"' })
const other = stored({ etag: '"b"' })
const dated = stored({ 'last-modified': dateAt(-500) })
const currentAgeS = (head: StoredHead, nowMs: number): number =>
  freshnessOf(head, nowMs, plainPolicy).ageS
const times = { requestTimeMs: after(100), responseTimeMs: after(101) }
const update = (headers: Fields) =>
  refreshed(strong, get(), reply({ date: dateAt(100), ...headers }, 304), times, plainPolicy)

test('a strong tag in a 304 names all responses that have it (RFC 9111 4.3.4)', async (t) => {
  t.strictSame(validatedBy([other, strong, weak, strong], reply({ etag: '"a"' }, 304)), [
    strong,
    strong,
  ])
})

test('a weak validator in a 304 names the first that matches (RFC 9111 4.3.4)', async (t) => {
  t.strictSame(validatedBy([other, weak, strong], reply({ etag: 'W/"a"' }, 304)), [weak])
  t.strictSame(validatedBy([weak], reply({ etag: '"a"' }, 304)), [weak], 'made strong on the way')
  t.strictSame(validatedBy([dated, dated], reply({ 'last-modified': dateAt(-500) }, 304)), [dated])
})

test('a 304 for something else than was asked about updates nothing (RFC 9111 4.3.4)', async (t) => {
  t.strictSame(validatedBy([strong], reply({ etag: '"x"' }, 304)), [])
  t.strictSame(validatedBy([dated], reply({ 'last-modified': dateAt(-1) }, 304)), [])
})

test('a 304 without validators is about the only candidate (RFC 9111 4.3.4)', async (t) => {
  t.strictSame(validatedBy([strong], reply({}, 304)), [strong])
  t.strictSame(validatedBy([strong, other], reply({}, 304)), [])
})

test('a response validated by its date takes the tag that came with the 304', async (t) => {
  const response = reply({ etag: '"new"', 'last-modified': dateAt(-500) }, 304)
  t.strictSame(validatedBy([dated], response), [dated])
})

test('fields of the 304 replace the stored ones, others stay (RFC 9111 3.2)', async (t) => {
  const head = stored({
    etag: '"a"',
    'cache-control': 'max-age=1',
    'content-type': 'text/plain',
    'x-a': '1',
    'x-b': '1',
  })
  const response = reply(
    {
      date: dateAt(100),
      etag: '"a"',
      'cache-control': 'max-age=3600',
      'content-type': 'text/plain;charset=utf-8',
      'x-a': '2',
    },
    304,
  )
  t.match(refreshed(head, get(), response, times, plainPolicy), {
    status: 200,
    headers: {
      'cache-control': 'max-age=3600',
      'content-type': 'text/plain;charset=utf-8',
      'x-a': '2',
      'x-b': '1',
      date: dateAt(100),
    },
    requestTimeMs: after(100),
    responseTimeMs: after(101),
  })
})

test('what describes the stored bytes stays (RFC 9111 3.2)', async (t) => {
  const head = stored({
    etag: '"a"',
    'content-length': '5',
    'content-encoding': 'br',
    'cache-control': 'max-age=1',
  })
  const response = reply(
    {
      'content-length': '0',
      'content-encoding': 'gzip',
      'content-range': 'bytes 0-1/2',
      connection: 'x-a',
      'x-a': '1',
    },
    304,
  )
  const merged = mergedHead(head, get(), response, times)
  t.match(merged.headers, { 'content-length': '5', 'content-encoding': 'br' })
  t.notOk('content-range' in merged.headers)
  t.notOk('x-a' in merged.headers)
  t.notOk('connection' in merged.headers)
})

test('age is counted from the 304 on (RFC 9111 4.2.3)', async (t) => {
  const aged = stored({ etag: '"a"', age: '500', 'cache-control': 'max-age=600' })
  const without = mergedHead(aged, get(), reply({ date: dateAt(101) }, 304), times)
  t.equal(currentAgeS(without, after(111)), 11)
  const withAge = mergedHead(aged, get(), reply({ date: dateAt(101), age: '20' }, 304), times)
  t.equal(currentAgeS(withAge, after(111)), 31)
  const undated = mergedHead(aged, get(), { status: 304, headers: {} }, times)
  t.equal(undated.headers.date, dateAt(101), 'a 304 without a date')
})

test('a 304 that forbids keeping ends it (RFC 9111 3)', async (t) => {
  t.ok(update({ 'cache-control': 'max-age=5' }))
  for (const text of ['no-store', 'private'])
    t.equal(update({ 'cache-control': text }), undefined, text)
  t.equal(update({ vary: '*' }), undefined)
  t.equal(update({ 'set-cookie': 'a=b' }), undefined)
  t.ok(update({ 'set-cookie': 'a=b', 'cache-control': 'max-age=5, public' }))
})

test('the variant is keyed anew when Vary came with the 304 (RFC 9111 4.1)', async (t) => {
  const response = reply({ vary: 'foo' }, 304)
  t.strictSame(mergedHead(strong, get({ foo: '1' }), response, times).varyFields, { foo: '1' })
})

test('a soft purge ends with a 304 that was asked for after it', async (t) => {
  const before = { ...strong, purgedMs: after(99) }
  t.notOk('purgedMs' in mergedHead(before, get(), reply({}, 304), times))
  for (const purgedMs of [after(100), after(100.5)]) {
    t.equal(mergedHead({ ...strong, purgedMs }, get(), reply({}, 304), times).purgedMs, purgedMs)
  }
})
