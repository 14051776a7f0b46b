/** Lifetimes and ages. */
import { test } from 'tap'
import type { Fields, StoredHead } from '../../../src/cdn/message.ts'
import { freshnessLifetime, freshnessOf } from '../../../src/cdn/rules/freshness.ts'
import { after, dateAt, plainPolicy, reply, START_MS, stored } from '../../support/cdn-messages.ts'

const lifetime = (headers: Fields, status = 200, policy = plainPolicy): number =>
  freshnessLifetime(reply(headers, status), START_MS, policy).seconds

const currentAgeS = (head: StoredHead, nowMs: number): number =>
  freshnessOf(head, nowMs, plainPolicy).ageS

test('s-maxage comes before max-age, and that before Expires (RFC 9111 4.2.1)', async (t) => {
  const expires = dateAt(10)
  t.equal(lifetime({ 'cache-control': 'max-age=2, s-maxage=1', expires }), 1)
  t.equal(lifetime({ 'cache-control': 's-maxage=3600, max-age=1' }), 3600)
  t.equal(lifetime({ 'cache-control': 'max-age=2', expires }), 2)
  t.equal(lifetime({ 'cache-control': 'max-age=0', expires }), 0)
  t.equal(lifetime({ 'cache-control': 'max-age=5', expires: '0' }), 5)
  t.equal(lifetime({ expires }), 10)
})

test('Expires is reckoned from Date (RFC 9111 4.2.1, 5.3)', async (t) => {
  t.equal(lifetime({ date: dateAt(400), expires: dateAt(300) }), 0, 'older than Date')
  t.equal(lifetime({ date: dateAt(10), expires: dateAt(20) }), 10, 'a fast Date')
  t.equal(lifetime({ date: dateAt(0), expires: dateAt(0) }), 0)
  t.equal(lifetime({ date: 'foo', expires: dateAt(10) }), 10, 'no Date: from when it came')
  t.equal(lifetime({ expires: 'Thursday, 18-Aug-50 02:01:18 GMT' }) > 0, true, 'RFC 850')
})

test('an invalid Expires lies in the past (RFC 9111 5.3)', async (t) => {
  for (const expires of [
    '0',
    '-1',
    '',
    'Thu, 18 Aug 2050 02:01:18 UTC',
    `${dateAt(9)}, ${dateAt(9)}`,
  ]) {
    t.equal(lifetime({ expires, 'last-modified': dateAt(-86_400) }), 0, expires)
  }
})

test('a targeted field silences Expires (RFC 9213 2.2)', async (t) => {
  t.equal(lifetime({ 'cdn-cache-control': 'max-age=5', expires: '0' }), 5)
  t.equal(lifetime({ 'cdn-cache-control': 'public', expires: dateAt(99) }), 0)
})

test('without a word a tenth of the time since Last-Modified counts, up to a day (RFC 9111 4.2.2)', async (t) => {
  t.strictSame(
    freshnessLifetime(reply({ 'last-modified': dateAt(-1_000) }), START_MS, plainPolicy),
    {
      seconds: 100,
      source: 'heuristic',
    },
  )
  t.equal(lifetime({ 'last-modified': dateAt(-86_400 * 365) }), 86_400)
  t.equal(lifetime({ 'last-modified': dateAt(1_000) }), 0, 'from the future')
  t.equal(lifetime({ 'last-modified': 'yesterday' }), 0)
  t.equal(lifetime({}), 0)
})

test('heuristics are for the status codes that allow them, or with public (RFC 9111 4.2.2)', async (t) => {
  const headers = { 'last-modified': dateAt(-1_000) }
  for (const status of [200, 203, 204, 206, 300, 301, 308])
    t.equal(lifetime(headers, status), 100, `${status}`)
  for (const status of [201, 202, 302, 303, 307, 403, 500, 502, 503, 504, 599]) {
    t.equal(lifetime(headers, status), 0, `${status}`)
  }
  t.equal(lifetime({ ...headers, 'cache-control': 'public' }, 599), 100)
})

test('explicit lifetimes are for every status code (RFC 9111 3)', async (t) => {
  for (const status of [201, 302, 404, 499, 500, 503, 599]) {
    t.equal(lifetime({ 'cache-control': 'max-age=7' }, status), 7, `${status}`)
  }
})

test('a host rule gives a lifetime to what says nothing', async (t) => {
  const policy = { ...plainPolicy, defaultTtlS: 60, negativeTtlS: 10 }
  t.equal(lifetime({ 'last-modified': dateAt(-1_000) }, 200, policy), 60)
  t.equal(lifetime({ 'cache-control': 'max-age=1' }, 200, policy), 1)
  t.equal(lifetime({ expires: '0' }, 200, policy), 0)
  t.equal(lifetime({}, 500, policy), 0)
  for (const status of [404, 405, 410, 414, 501])
    t.equal(lifetime({}, status, policy), 10, `${status}`)
  t.equal(lifetime({ 'cache-control': 'max-age=99' }, 404, policy), 99)
})

test('Pragma: no-cache in a response keeps it from what it did not ask for (RFC 9111 5.4)', async (t) => {
  const policy = { ...plainPolicy, defaultTtlS: 60 }
  t.equal(lifetime({ pragma: 'no-cache' }, 200, policy), 0)
  t.equal(lifetime({ pragma: 'no-cache', 'cache-control': 'max-age=5' }, 200, policy), 5)
  t.equal(lifetime({ pragma: 'no-cache', 'cache-control': 'public' }, 200, policy), 60)
  t.equal(lifetime({ pragma: 'unknown' }, 200, policy), 60)
})

test('age is the larger of what Date and Age say, and grows here (RFC 9111 4.2.3)', async (t) => {
  t.equal(currentAgeS(stored(), after(5)), 5)
  t.equal(currentAgeS(stored({ date: dateAt(-30) }), after(5)), 35, 'apparent age')
  t.equal(currentAgeS(stored({ age: '20' }), after(5)), 25)
  t.equal(currentAgeS(stored({ age: '20', date: dateAt(-30) }), after(5)), 35)
  t.equal(currentAgeS(stored({ age: '40', date: dateAt(-30) }), after(5)), 45)
  t.equal(currentAgeS(stored({ date: dateAt(99) }), after(5)), 5, 'a Date ahead')
  t.equal(currentAgeS(stored({ age: '99999999999' }), after(5)), 2_147_483_648)
})

test('the time that a response took counts to its age (RFC 9111 4.2.3)', async (t) => {
  const slow = stored({ age: '10' }, { requestTimeMs: after(-4) })
  t.equal(currentAgeS(slow, after(0)), 14)
  t.equal(currentAgeS(stored({}, { requestTimeMs: after(-4) }), after(0)), 4)
})

test('of several Ages the first counts, and nonsense does not (RFC 9111 5.1)', async (t) => {
  t.equal(currentAgeS(stored({ age: '7200, 0' }), after(0)), 7_200)
  t.equal(currentAgeS(stored({ age: '0,7200' }), after(0)), 0)
  for (const age of ['abc', '-7200', '7200.0', ''])
    t.equal(currentAgeS(stored({ age }), after(0)), 0, age)
})

test('a clock that was set back makes a response older than any lifetime', async (t) => {
  t.equal(currentAgeS(stored(), after(-4)), 0, 'a small step')
  t.equal(currentAgeS(stored(), after(-3_600)), 2_147_483_648)
})
