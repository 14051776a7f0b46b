/** Directives: how they are spelt, which field counts, and what becomes of nonsense. Cases follow the public cache test suites. */
import { test } from 'tap'
import { requestControl, responseControl } from '../../../src/cdn/rules/cache-control.ts'
import { get, reply } from '../../support/cdn-messages.ts'

const parseCacheControl = (text: string) => responseControl(reply({ 'cache-control': text }))
const maxAge = (text: string): number | undefined => parseCacheControl(text).maxAgeS
const AGE_MAX = 2_147_483_648

test('directives are read whatever their case, and unknown ones passed over (RFC 9111 5.2)', async (t) => {
  t.equal(maxAge('MaX-aGe=3600'), 3600)
  t.equal(maxAge('foobar, max-age=3600, x=y, z="1, 2"'), 3600)
  t.equal(parseCacheControl('No-StOrE').noStore, true)
  t.equal(parseCacheControl(' , ,no-store,, ').noStore, true, 'empty members')
  t.equal(parseCacheControl('no-storee, xno-store').noStore, false)
  t.equal(parseCacheControl('constructor, __proto__=1, max-age=1').maxAgeS, 1)
})

test('arguments come as tokens or quoted (RFC 9111 5.2)', async (t) => {
  t.equal(maxAge('max-age=3600'), 3600)
  t.equal(maxAge('max-age="3600"'), 3600)
  t.equal(maxAge('max-age="36\\00"'), 3600, 'with an escape')
  t.equal(maxAge("max-age='3600'"), 0, 'single quotes are none')
})

test('what looks like a directive in a quoted string is none (RFC 9111 5.2)', async (t) => {
  t.equal(maxAge('extension="max-age=3600", max-age=1'), 1)
  t.equal(maxAge('max-age=1, extension="max-age=3600"'), 1)
  t.equal(maxAge('extension="max-age=100, no-store", max-age="1"'), 1)
  t.equal(parseCacheControl('extension="\\", no-store, \\""').noStore, false)
  t.equal(parseCacheControl('extension="a", no-store').noStore, true)
})

test('of two values the first counts (RFC 9111 4.2.1)', async (t) => {
  t.equal(maxAge('max-age=1800, max-age=1'), 1800)
  t.equal(maxAge('max-age=1, max-age=1800'), 1)
  t.equal(maxAge('max-age=x, max-age=1800'), 0)
})

test('seconds are digits, and too many of them are 2^31 (RFC 9111 1.2.2)', async (t) => {
  t.equal(maxAge('max-age=003600'), 3600)
  t.equal(maxAge('max-age=0'), 0)
  t.equal(maxAge('max-age=2147483648'), AGE_MAX)
  t.equal(maxAge('max-age=99999999999'), AGE_MAX)
  t.equal(maxAge(`max-age=${'9'.repeat(500)}`), AGE_MAX)
})

test('an invalid lifetime is none at all (RFC 9111 4.2.1)', async (t) => {
  const invalid = ['a3600', '3600a', '-100', '+100', '3600.0', '3600.5', '', ' 3600', '"', '0x10']
  for (const value of invalid) t.equal(maxAge(`max-age=${value}`), 0, value)
  t.equal(maxAge('max-age =3600'), 0, 'white space before =')
  t.equal(maxAge('max-age'), 0, 'without a value')
  t.equal(maxAge('max-age=3600; public'), 0, 'another list separator')
  t.equal(maxAge('max-age="3600'), 0, 'an open quote')
  t.equal(maxAge('max-age="3600"x'), 0)
  t.equal(parseCacheControl('stale-while-revalidate').staleWhileRevalidateS, undefined)
  t.equal(parseCacheControl('stale-if-error=x').staleIfErrorS, undefined)
})

test('no-cache and private name fields in quotes only (RFC 9111 5.2.2.4, 5.2.2.7)', async (t) => {
  const qualified = parseCacheControl('no-cache="Set-Cookie, X-A", private="x-b"')
  t.equal(qualified.noCache, false)
  t.strictSame(qualified.noCacheFields, ['set-cookie', 'x-a'])
  t.equal(qualified.isPrivate, false)
  t.strictSame(qualified.privateFields, ['x-b'])
  for (const text of [
    'no-cache',
    'no-cache=""',
    'no-cache=a',
    'no-cache=1',
    'no-cache="a',
    'no-cache="a b"',
  ]) {
    t.equal(parseCacheControl(text).noCache, true, text)
  }
  for (const text of ['private', 'private=true', 'private="a", private']) {
    t.equal(parseCacheControl(text).isPrivate, true, text)
  }
})

test('a response that wants fields kept out by which it is judged is not reused at all', async (t) => {
  t.equal(parseCacheControl('no-cache="cache-control", max-age=9').noCache, true)
  t.equal(parseCacheControl('private="vary"').isPrivate, true)
})

test('forbidding directives count with any argument (RFC 9111 4.2.1)', async (t) => {
  t.equal(parseCacheControl('no-store=0').noStore, true)
  t.equal(parseCacheControl('must-revalidate="x"').mustRevalidate, true)
})

test('requests say their wishes (RFC 9111 5.2.1)', async (t) => {
  const text = 'max-age=1, min-fresh=2, max-stale=3, only-if-cached, stale-if-error=4'
  const control = requestControl(get({ 'cache-control': text }))
  t.match(control, { maxAgeS: 1, minFreshS: 2, maxStaleS: 3, onlyIfCached: true, staleIfErrorS: 4 })
  t.equal(requestControl(get({ 'cache-control': 'max-stale' })).maxStaleS, AGE_MAX)
})

test('Pragma: no-cache counts in requests without Cache-Control (RFC 9111 5.4)', async (t) => {
  t.equal(requestControl(get({ pragma: 'No-Cache' })).noCache, true)
  t.equal(requestControl(get({ pragma: 'foo, no-cache' })).noCache, true)
  t.equal(requestControl(get({ pragma: 'foo' })).noCache, false)
  t.equal(requestControl(get({ pragma: 'no-cache', 'cache-control': 'max-age=9' })).noCache, false)
})

test('the nearest target that is valid and not empty counts alone (RFC 9213 2.2)', async (t) => {
  const all = {
    'kairo-cdn-cache-control': 'max-age=3',
    'cdn-cache-control': 'max-age=2',
    'cache-control': 'no-store, max-age=1',
  }
  t.match(responseControl(reply(all)), { maxAgeS: 3, noStore: false, targeted: true })
  const without = { ...all, 'kairo-cdn-cache-control': '' }
  t.match(responseControl(reply(without)), { maxAgeS: 2, noStore: false, targeted: true })
  t.match(responseControl(reply({ 'cache-control': 'max-age=1' })), { maxAgeS: 1, targeted: false })
})

test('a targeted field that is no structured dictionary is ignored (RFC 9213 2.1)', async (t) => {
  const fallback = (text: string) =>
    responseControl(reply({ 'cdn-cache-control': text, 'cache-control': 'max-age=1' }))
  const invalid = [
    ...['max-age=10000, &&&&&', 'max-age="10000"', 'max-age=1.5', 'max-age=?1', 'max-age'],
    ...['max-age =100', 'max-age= 100', 'MaX-aGe=3600', 'max-age=100,', 'max-age=1000000000000000'],
    ...['max-age=(1 2)', 's-maxage=x'],
  ]
  for (const text of invalid) t.match(fallback(text), { maxAgeS: 1, targeted: false }, text)
})

test('a targeted field says what Cache-Control says (RFC 9213 2.1)', async (t) => {
  const targeted = (text: string) => responseControl(reply({ 'cdn-cache-control': text }))
  t.match(targeted('foobar, max-age=3600;x=y'), { maxAgeS: 3600 }, 'parameters are passed over')
  t.match(targeted('max-age=99999999999'), { maxAgeS: AGE_MAX })
  t.match(targeted('max-age=-5'), { maxAgeS: 0 })
  t.match(targeted('max-age=1, max-age=2'), { maxAgeS: 2 }, 'the last of a dictionary')
  t.match(targeted('private, no-cache, no-store'), {
    isPrivate: true,
    noCache: true,
    noStore: true,
  })
  t.match(targeted('no-store=?0, max-age=1'), { noStore: false })
  t.strictSame(targeted('no-cache="x-a"').noCacheFields, ['x-a'])
})

test('Surrogate-Control counts where no targeted field does', async (t) => {
  const said = (text: string, more = {}) =>
    responseControl(reply({ 'surrogate-control': text, 'cache-control': 'max-age=1', ...more }))
  t.match(said('no-store'), { noStore: true, targeted: true, surrogate: true })
  t.equal(said('no-store').maxAgeS, undefined)
  t.match(said('MAX-AGE=3600+60, content="ESI/1.0"'), { maxAgeS: 3600 })
  t.match(said('max-age=3600;Kairo'), { maxAgeS: 3600 })
  t.match(said('max-age=1;other, max-age=3600'), { maxAgeS: 3600 })
  for (const text of ['', 'max-age=3600;other', 'content="ESI/1.0"', 'x="max-age=9, no-store"']) {
    t.match(said(text), { maxAgeS: 1, targeted: false }, text)
  }
  t.match(said('max-age=x'), { maxAgeS: 0 })
  t.match(said('max-age=2', { 'cdn-cache-control': 'max-age=3' }), { maxAgeS: 3, surrogate: false })
})
