/** What origins are asked and clients are told. */
import { parseList } from 'structured-headers'
import { test } from 'tap'
import type { CacheRequest, Fields } from '../../../src/cdn/message.ts'
import {
  answerFields,
  encodedFields,
  notModifiedFields,
} from '../../../src/cdn/rules/answer-fields.ts'
import { type CacheStatus, cacheStatus } from '../../../src/cdn/rules/cache-status.ts'
import { schemeOf } from '../../../src/cdn/rules/client-scheme.ts'
import {
  type OriginRequestInit,
  ownAnswer,
  requestForOrigin,
} from '../../../src/cdn/rules/request-for-origin.ts'
import { after, dateAt, get, reply } from '../../support/cdn-messages.ts'

const init: OriginRequestInit = { name: 'kairo-1', clientAddress: '192.0.2.1' }
const sent = (headers: Fields, changes: Partial<OriginRequestInit> = {}): Fields =>
  requestForOrigin(get(headers), { ...init, ...changes }).headers
const told = (
  headers: Fields,
  changes: Partial<Parameters<typeof answerFields>[1]> = {},
  status = 200,
): Fields =>
  answerFields(reply(headers, status), {
    name: 'kairo-1',
    nowMs: after(5),
    cacheStatus: { hit: true },
    ...changes,
  })

test('fields of the connection stay here, those that it names too (RFC 9110 7.6.1)', async (t) => {
  const headers = sent({
    ...{
      connection: 'close, X-Hop',
      'x-hop': '1',
      'keep-alive': '1',
      te: 'trailers',
      trailer: 'x',
    },
    ...{
      'transfer-encoding': 'chunked',
      upgrade: 'h2c',
      'http2-settings': 'x',
      'proxy-connection': 'x',
    },
    ...{ 'proxy-authorization': 'x', host: 'other.example', expect: '100-continue', 'x-end': '1' },
  })
  const own = [
    'via',
    'cdn-loop',
    'forwarded',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded-proto',
    'surrogate-capability',
  ]
  t.strictSame(Object.keys(headers).sort(), [...own, 'x-end'].sort())
})

test('a client cannot take away fields that protect the origin', async (t) => {
  const headers = sent({
    connection: 'authorization, cookie, x-forwarded-for',
    authorization: 'x',
    cookie: 'a=b',
  })
  t.match(headers, { authorization: 'x', cookie: 'a=b', 'x-forwarded-for': '192.0.2.1' })
})

test('Via and CDN-Loop name this peer behind the others (RFC 9110 7.6.3, RFC 8586)', async (t) => {
  t.match(sent({}), { via: '1.1 kairo-1', 'cdn-loop': 'kairo-1' })
  t.match(sent({ via: '1.0 a', 'cdn-loop': 'b; x=1' }), {
    via: '1.0 a, 1.1 kairo-1',
    'cdn-loop': 'b; x=1, kairo-1',
  })
})

test('who the client is, is said by this peer and believed of trusted proxies only (RFC 7239)', async (t) => {
  const claimed = {
    'x-forwarded-for': '203.0.113.9',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'evil',
    forwarded: 'for=evil',
    'x-real-ip': '1',
    'x-forwarded-prefix': '/x',
  }
  t.match(sent(claimed), {
    'x-forwarded-for': '192.0.2.1',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'site.example',
    forwarded: 'for=192.0.2.1;host="site.example";proto=https',
  })
  t.notOk('x-real-ip' in sent(claimed))
  t.notOk('x-forwarded-prefix' in sent(claimed))
  t.match(sent(claimed, { trusted: true }), {
    'x-forwarded-for': '203.0.113.9, 192.0.2.1',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'evil',
    forwarded: 'for=evil, for=192.0.2.1;host="site.example";proto=https',
  })
  const nameless = requestForOrigin(get({}, { host: '' }), init).headers
  t.match(nameless, { forwarded: 'for=192.0.2.1;proto=https' })
  t.notOk('x-forwarded-host' in nameless)
  t.match(sent({}, { clientAddress: '2001:db8::1' }).forwarded, /^for="\[2001:db8::1\]";/)
  t.match(sent({}, { clientAddress: '::ffff:192.0.2.7' }), {
    'x-forwarded-for': '192.0.2.7',
    forwarded: /^for=192\.0\.2\.7;/,
  })
})

test('of what is to be kept, host and scheme are those of the key, whoever says something else', async (t) => {
  const claimed = {
    'x-forwarded-for': '203.0.113.9',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'evil',
    'x-forwarded-port': '81',
    forwarded: 'for=203.0.113.9;host=evil;proto=http',
  }
  const fill = sent(claimed, { trusted: true, fill: {} })
  t.match(fill, {
    'x-forwarded-for': '203.0.113.9, 192.0.2.1',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'site.example',
    forwarded: 'for=192.0.2.1;host="site.example";proto=https',
  })
  t.notOk('x-forwarded-port' in fill)
})

test('whether a client came by HTTPS is said by proxies that are trusted (RFC 7239 5.4)', async (t) => {
  t.equal(schemeOf({ 'x-forwarded-proto': 'https' }, false), 'http')
  const cases: [Fields, string][] = [
    [{}, 'http'],
    [{ 'x-forwarded-proto': 'https' }, 'https'],
    [{ 'x-forwarded-proto': 'HTTPS, http' }, 'https'],
    [{ 'x-forwarded-proto': 'http, https' }, 'http'],
    [{ 'x-forwarded-proto': 'wss' }, 'http'],
    [{ forwarded: 'for=192.0.2.1;proto=https;by=_x, for=a;proto=http' }, 'https'],
    [{ forwarded: 'proto="https"' }, 'https'],
    [{ forwarded: 'for=192.0.2.1, proto=https' }, 'http'],
    [{ 'x-forwarded-proto': 'http', forwarded: 'proto=https' }, 'http'],
  ]
  for (const [fields, scheme] of cases) t.equal(schemeOf(fields, true), scheme)
})

test('conditions and ranges of clients are left out of what is to be kept, the cache has its own', async (t) => {
  const client = {
    range: 'bytes=0-1',
    'if-none-match': '"x"',
    'if-range': '"x"',
    'if-match': '"x"',
    'if-modified-since': dateAt(0),
    'if-unmodified-since': dateAt(0),
  }
  t.match(sent(client), client)
  const fill = sent(client, { fill: { 'if-none-match': '"own"' } })
  t.equal(fill['if-none-match'], '"own"')
  for (const name of ['range', 'if-range', 'if-match', 'if-modified-since', 'if-unmodified-since'])
    t.notOk(name in fill, name)
})

test('what is to be kept is asked for in the words of its key (RFC 9111 4.1)', async (t) => {
  t.equal(
    sent({ 'accept-encoding': 'deflate, gzip;q=0.5, br' }, { fill: {} })['accept-encoding'],
    'br, gzip',
  )
  t.equal(sent({}, { fill: {} })['accept-encoding'], 'identity')
  t.equal(
    sent({ 'accept-encoding': 'deflate' })['accept-encoding'],
    'deflate',
    'a request that passes through',
  )
})

test('fields that make origins answer another request do not reach what is kept', async (t) => {
  for (const name of ['x-original-url', 'x-rewrite-url', 'x-http-method-override', 'x-host']) {
    t.notOk(name in sent({ [name]: '/admin' }, { fill: {} }), name)
  }
  t.ok('x-http-method-override' in sent({ 'x-http-method-override': 'PUT' }))
})

test('Max-Forwards is counted down for OPTIONS and TRACE (RFC 9110 7.6.2)', async (t) => {
  const options = get({ 'max-forwards': '5' }, { method: 'OPTIONS' })
  t.equal(requestForOrigin(options, init).headers['max-forwards'], '4')
  t.equal(sent({ 'max-forwards': '5' })['max-forwards'], '5')
})

test('a chain that grew too long loses its oldest members', async (t) => {
  const via =
    sent({ via: Array.from({ length: 9_000 }, (_, index) => `1.1 p${index}`).join(', ') }).via ?? ''
  t.ok(via.length < 6_000)
  t.ok(via.endsWith('1.1 p8999, 1.1 kairo-1'))
})

test('some requests are answered here (RFC 9110 7.6.2, 9.3.6, 9.3.7, 9.3.8, 10.1.1, RFC 9112 3.2, 6.1, RFC 8586)', async (t) => {
  const answer = (changes: Partial<CacheRequest>) => ownAnswer(get({}, changes), 'kairo-1')
  t.equal(answer({}), undefined)
  t.equal(answer({ method: 'CONNECT' }), 501)
  t.equal(answer({ method: 'TRACE' }), 405)
  t.equal(answer({ method: 'OPTIONS' }), undefined)
  t.equal(answer({ method: 'OPTIONS', headers: { 'max-forwards': '0' } }), 204)
  t.equal(answer({ method: 'OPTIONS', headers: { 'max-forwards': '1' } }), undefined)
  t.equal(answer({ method: 'OPTIONS', target: '*' }), 204)
  t.equal(answer({ target: '*' }), 400)
  t.equal(answer({ target: '/a#b' }), 400)
  t.equal(answer({ headers: { 'transfer-encoding': 'Chunked' } }), undefined)
  t.equal(answer({ headers: { 'transfer-encoding': 'gzip, chunked' } }), 501)
  t.equal(answer({ headers: { 'max-forwards': '0' } }), undefined, 'a GET goes on')
  t.equal(answer({ headers: { expect: '100-Continue' } }), undefined)
  t.equal(answer({ headers: { expect: 'x' } }), 417)
  t.equal(answer({ headers: { 'cdn-loop': 'other, kairo-1; v=1' } }), 508)
  t.equal(answer({ headers: { 'cdn-loop': 'kairo-11, xkairo-1' } }), undefined)
})

test('what is no host is refused (RFC 9110 7.2)', async (t) => {
  const answer = (host: string) => ownAnswer(get({}, { host }), 'kairo-1')
  for (const host of [
    'site.example',
    'site.example:8080',
    '192.0.2.1',
    '[2001:db8::1]:80',
    'a_b',
    '',
  ]) {
    t.equal(answer(host), undefined, host)
  }
  for (const host of [
    'a b',
    'a/b',
    'a?b',
    'a#b',
    'a@b',
    'a,b',
    '"',
    'a:999999',
    '[::1',
    'a:b',
    'é',
  ]) {
    t.equal(answer(host), 400, host)
  }
})

test('a stored response has its Age, and Date as the origin said (RFC 9111 5.1)', async (t) => {
  t.match(told({ age: '3' }, { ageS: 8 }), { age: '8', date: dateAt(0) })
  t.match(told({ age: '3' }), { age: '3' }, 'one straight from the origin keeps its own')
  t.equal(told({ date: 'foo' }).date, dateAt(5))
  t.notOk('warning' in told({}, { ageS: 99 }))
})

test('words between origin and cache are not for clients', async (t) => {
  const headers = told({
    'surrogate-key': 'a',
    'cache-tag': 'b',
    'kairo-cdn-cache-control': 'max-age=1',
    'surrogate-control': 'max-age=1',
    'cdn-cache-control': 'max-age=2',
    connection: 'x',
    x: '1',
    'cache-control': 'max-age=3',
  })
  t.strictSame(Object.keys(headers).sort(), [
    'cache-control',
    'cache-status',
    'cdn-cache-control',
    'date',
    'via',
  ])
})

test('a peer that keeps the answer gets the words for caches, tags above all', async (t) => {
  const words = {
    ...{ 'surrogate-key': 'a', 'cache-tag': 'b' },
    ...{ 'kairo-cdn-cache-control': 'max-age=1', 'surrogate-control': 'max-age=1' },
  }
  t.match(told(words, { toPeer: true }), words)
})

test('what is encoded here says nothing of other bytes, and its tag is weak (RFC 9110 8.8.1)', async (t) => {
  const fields = {
    ...{ etag: '"1"', 'content-length': '9', 'accept-ranges': 'bytes', 'content-type': 'x' },
    ...{ 'content-digest': 'x', 'repr-digest': 'x', digest: 'x', 'content-md5': 'x' },
  }
  const coded = { etag: 'W/"1"', 'content-type': 'x', 'content-encoding': 'br' }
  t.strictSame(encodedFields(fields, { coding: 'br' }), coded)
  t.equal(encodedFields(fields, { coding: 'br', length: 4 })['content-length'], '4')
  t.equal(encodedFields({ etag: 'W/"1"' }, { coding: 'br' }).etag, 'W/"1"')
})

test('Content-Length stands only where there can be a body (RFC 9110 8.6)', async (t) => {
  t.equal(told({ 'content-length': '5' })['content-length'], '5')
  t.notOk('content-length' in told({ 'content-length': '5' }, {}, 204))
})

test('a 304 has the fields that tell a client what it has (RFC 9110 15.4.5)', async (t) => {
  const kept = {
    etag: '"a"',
    date: dateAt(0),
    vary: 'x',
    'cache-control': 'x',
    expires: 'x',
    'content-location': '/',
    age: '1',
  }
  t.strictSame(
    notModifiedFields({
      ...kept,
      'content-length': '5',
      'content-type': 'x',
      'content-encoding': 'br',
    }),
    kept,
  )
})

test('Cache-Status says how the request was dealt with (RFC 9211 2)', async (t) => {
  const cases: [CacheStatus, string][] = [
    [{ hit: true, ttlS: 376 }, 'kairo; hit; ttl=376'],
    [{ hit: true, ttlS: -412.5 }, 'kairo; hit; ttl=-412'],
    [{ hit: true, ttlS: -0 }, 'kairo; hit; ttl=0'],
    [{ fwd: 'uri-miss', stored: true, collapsed: true }, 'kairo; fwd=uri-miss; stored; collapsed'],
    [{ fwd: 'stale', fwdStatus: 304, ttlS: 60 }, 'kairo; fwd=stale; fwd-status=304; ttl=60'],
    [
      { fwd: 'stale', fwdStatus: 503, detail: 'stale-if-error' },
      'kairo; fwd=stale; fwd-status=503; detail=stale-if-error',
    ],
    [{ fwd: 'method' }, 'kairo; fwd=method'],
    [{ hit: true, fwd: 'stale' }, 'kairo; hit'],
  ]
  for (const [status, expected] of cases) {
    t.equal(cacheStatus(status), expected)
    t.doesNotThrow(() => parseList(expected))
  }
})

test('Cache-Status and Via go behind those of caches nearer to the origin (RFC 9211 2, RFC 9110 7.6.3)', async (t) => {
  t.match(told({ 'cache-status': 'Origin; hit', via: '1.1 o' }), {
    'cache-status': 'Origin; hit, kairo; hit',
    via: '1.1 o, 1.1 kairo-1',
  })
})
