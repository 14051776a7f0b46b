/** What is kept, and in what form. */
import { test } from 'tap'
import type { CacheRequest, Fields } from '../../../src/cdn/message.ts'
import {
  isRequestsDoing,
  storable,
  storedHead,
  unsharedFields,
} from '../../../src/cdn/rules/storable.ts'
import { after, dateAt, get, plainPolicy, reply, START_MS } from '../../support/cdn-messages.ts'

/** `'stored'`, or the reason why not. */
function verdict(headers: Fields, request: CacheRequest = get(), status = 200): string {
  const result = storable(request, reply(headers, status), START_MS, plainPolicy)
  return result.store ? 'stored' : result.reason
}

const fresh = { 'cache-control': 'max-age=60' }
const times = { requestTimeMs: after(0), responseTimeMs: after(1) }

test('only responses to GET and HEAD are kept (RFC 9111 3)', async (t) => {
  t.equal(verdict(fresh), 'stored')
  t.equal(verdict(fresh, get({}, { method: 'HEAD' })), 'stored')
  for (const method of ['POST', 'PUT', 'OPTIONS', 'get', 'PROPFIND']) {
    t.equal(verdict(fresh, get({}, { method })), 'method', method)
  }
})

test('only final responses are kept, and a 304 is none of its own (RFC 9111 3)', async (t) => {
  for (const status of [100, 103, 304, 600]) t.equal(verdict(fresh, get(), status), 'status')
  const statuses = [
    200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499, 500, 502, 503, 504, 599,
  ]
  for (const status of statuses) t.equal(verdict(fresh, get(), status), 'stored', `${status}`)
})

test('no-store in the response forbids (RFC 9111 5.2.2.5)', async (t) => {
  t.equal(verdict({ 'cache-control': 'max-age=60, No-Store', expires: dateAt(99) }), 'no-store')
  t.equal(verdict({ ...fresh, 'cdn-cache-control': 'no-store' }), 'no-store')
})

test('a targeted lifetime overrules no-store for others (RFC 9213 2.2)', async (t) => {
  t.equal(verdict({ 'cache-control': 'no-store', 'cdn-cache-control': 'max-age=60' }), 'stored')
})

test('no-store in the request forbids (RFC 9111 5.2.1.5)', async (t) => {
  t.equal(verdict(fresh, get({ 'cache-control': 'no-store' })), 'no-store')
})

test('must-understand: no-store is for those who do not know the status (RFC 9111 5.2.2.3)', async (t) => {
  const headers = { 'cache-control': 'max-age=60, must-understand, no-store' }
  t.equal(verdict(headers), 'stored')
  t.equal(verdict(headers, get(), 299), 'status')
  t.equal(verdict({ 'cache-control': 'max-age=60, must-understand' }, get(), 499), 'status')
})

test('private forbids a shared cache (RFC 9111 5.2.2.7)', async (t) => {
  t.equal(verdict({ 'cache-control': 'private, max-age=60' }), 'private')
  t.equal(verdict({ ...fresh, 'cdn-cache-control': 'private' }), 'private')
  t.equal(verdict({ 'cache-control': 'private="x-a", max-age=60' }), 'stored')
})

test('a request with Authorization needs public, must-revalidate or s-maxage (RFC 9111 3.5)', async (t) => {
  const request = get({ authorization: 'Basic Zm9v' })
  t.equal(verdict(fresh, request), 'authorization')
  t.equal(verdict({ expires: dateAt(60) }, request), 'authorization')
  for (const word of ['public', 'must-revalidate', 's-maxage=60']) {
    t.equal(verdict({ 'cache-control': `max-age=60, ${word}` }, request), 'stored', word)
  }
})

test('a response with Set-Cookie is kept only where sharing is said in so many words', async (t) => {
  const cookie = { 'set-cookie': 'a=b' }
  t.equal(verdict({ ...fresh, ...cookie }), 'set-cookie')
  t.equal(verdict({ 'last-modified': dateAt(-9_999), ...cookie }), 'set-cookie')
  for (const text of ['public, max-age=60', 's-maxage=60', 'max-age=60, no-cache="set-cookie"']) {
    t.equal(verdict({ 'cache-control': text, ...cookie }), 'stored', text)
  }
  t.equal(verdict({ 'cdn-cache-control': 'max-age=60', ...cookie }), 'stored')
  t.equal(verdict({ 'surrogate-control': 'max-age=60', ...cookie }), 'set-cookie')
})

test('a Cookie in the request forbids nothing (RFC 9111 3)', async (t) => {
  t.equal(verdict(fresh, get({ cookie: 'a=b' })), 'stored')
})

test('Vary: * is not kept, nor what varies on too much (RFC 9111 4.1)', async (t) => {
  for (const vary of ['*', '*, *', ', *', 'Foo, *', '*, Foo'])
    t.equal(verdict({ ...fresh, vary }), 'vary', vary)
  t.equal(verdict({ ...fresh, vary: 'Foo, Bar' }), 'stored')
  const many = Array.from({ length: 33 }, (_, index) => `x-${index}`).join(', ')
  t.equal(verdict({ ...fresh, vary: many }), 'vary')
  t.equal(verdict({ ...fresh, vary: 'foo' }, get({ foo: 'x'.repeat(5_000) })), 'vary')
})

test('a 206 is kept when it says of what it is a part (RFC 9111 3.3)', async (t) => {
  const part = { ...fresh, 'content-range': 'bytes 0-9/100' }
  t.equal(verdict(part, get({ range: 'bytes=0-9' }), 206), 'stored')
  for (const range of ['bytes 0-9/*', 'bytes 0-100/100', 'bytes 9-0/100', 'items 0-9/100']) {
    t.equal(verdict({ ...fresh, 'content-range': range }, get(), 206), 'partial', range)
  }
  t.equal(
    verdict({ ...fresh, 'content-type': 'multipart/byteranges; boundary=x' }, get(), 206),
    'partial',
  )
})

test('without a lifetime the status must allow it, or public (RFC 9111 3)', async (t) => {
  const etag = '"a"'
  t.equal(verdict({ etag }), 'stored')
  t.equal(verdict({ etag }, get(), 302), 'no-lifetime')
  t.equal(verdict({ etag, 'cache-control': 'public' }, get(), 302), 'stored')
})

test('what can neither be served nor validated is not kept', async (t) => {
  t.equal(verdict({}), 'no-lifetime')
  t.equal(verdict({ 'cache-control': 'max-age=0' }), 'no-lifetime')
  t.equal(verdict({ 'cache-control': 'no-cache, max-age=60' }), 'no-lifetime')
  t.equal(verdict({ ...fresh, age: '61' }), 'no-lifetime')
  t.equal(verdict({ 'cache-control': 'max-age=0', etag: '"a"' }), 'stored')
  t.equal(verdict({ 'cache-control': 'no-cache', 'last-modified': dateAt(-9) }), 'stored')
  t.equal(verdict({ 'cache-control': 'max-age=0, stale-if-error=5' }), 'stored')
  t.equal(verdict({ 'cache-control': 'max-age=0, stale-while-revalidate=5' }), 'stored')
})

test('a response that one of its tags could not purge is not kept', async (t) => {
  const many = Array.from({ length: 257 }, (_, index) => `t${index}`).join(' ')
  t.equal(verdict({ ...fresh, 'surrogate-key': many }), 'tags')
  t.equal(verdict({ ...fresh, 'cache-tag': 'x'.repeat(1_025) }), 'tags')
})

test('what follows from storing is said', async (t) => {
  const headers = {
    'cache-control': 'max-age=60, stale-while-revalidate=5, stale-if-error=7',
    age: '10',
    'surrogate-key': 'a b',
  }
  t.strictSame(storable(get(), reply(headers), START_MS, plainPolicy), {
    store: true,
    tags: ['a', 'b'],
    ttlS: 50,
    mayServeStale: { whileRevalidateS: 5, ifErrorS: 7 },
  })
  const strict = { ...headers, 'cache-control': `${headers['cache-control']}, must-revalidate` }
  t.match(storable(get(), reply(strict), START_MS, plainPolicy), {
    mayServeStale: { whileRevalidateS: 0, ifErrorS: 0 },
  })
})

test('fields of the connection are not kept, those that it names neither (RFC 9111 3.1)', async (t) => {
  const headers = {
    ...{ connection: 'A, b, keep-alive', a: '1', b: '2', c: '3', 'keep-alive': 'timeout=5' },
    ...{ te: 'trailers', trailer: 'x', 'transfer-encoding': 'chunked', upgrade: 'h2c' },
    ...{ 'proxy-connection': 'x', 'proxy-authenticate': 'x', 'proxy-authentication-info': 'x' },
    ...{ 'proxy-authorization': 'x', 'x-unknown': 'kept', 'strict-transport-security': 'kept' },
  }
  const { headers: kept } = storedHead(get(), reply(headers), times)
  t.strictSame(Object.keys(kept).sort(), ['c', 'date', 'strict-transport-security', 'x-unknown'])
})

test('a Connection cannot take away what others must know', async (t) => {
  const headers = {
    connection: 'cache-control, vary, x-a',
    'cache-control': 'no-store',
    vary: '*',
    'x-a': '1',
  }
  const { headers: kept } = storedHead(get(), reply(headers), times)
  t.match(kept, { 'cache-control': 'no-store', vary: '*' })
  t.notOk('x-a' in kept)
})

test('fields that no-cache and private name are not kept (RFC 9111 5.2.2.4, 5.2.2.7)', async (t) => {
  const headers = {
    'cache-control': 'max-age=9, no-cache="A, b", private="d"',
    a: '1',
    b: '2',
    c: '3',
    d: '4',
  }
  const { headers: kept } = storedHead(get(), reply(headers), times)
  t.strictSame(Object.keys(kept).sort(), ['c', 'cache-control', 'date'])
})

test('a response without a date gets the one of its arrival (RFC 9110 6.6.1)', async (t) => {
  const none = { status: 200, headers: fresh }
  t.equal(storedHead(get(), none, times).headers.date, dateAt(1))
  t.equal(storedHead(get(), reply({ date: 'foo' }), times).headers.date, dateAt(1))
  t.equal(storedHead(get(), reply({}), times).headers.date, dateAt(0))
})

test('a 206 is kept as the whole it is a part of (RFC 9111 3.4)', async (t) => {
  const part = reply({ ...fresh, 'content-range': 'bytes 0-9/100', 'content-length': '10' }, 206)
  const head = storedHead(get(), part, times)
  t.match(head, { status: 200, complete: false, headers: { 'content-length': '100' } })
  t.notOk('content-range' in head.headers)
  t.equal(storedHead(get(), reply(fresh), times).complete, true)
})

test('a field called __proto__ or constructor is a field', async (t) => {
  const headers = Object.fromEntries([
    ['__proto__', '1'],
    ['vary', 'constructor, __proto__'],
    ['cache-control', 'max-age=9'],
  ])
  const head = storedHead(get(), reply(headers), times)
  t.strictSame(head.varyFields, {})
  t.ok(Object.hasOwn(head.headers, '__proto__'))
})

test('what a request keeps from being stored is told from what never is', async (t) => {
  const isDoing = (headers: Fields, request: Fields) =>
    isRequestsDoing(get(request), reply(headers), START_MS, plainPolicy)
  t.equal(isDoing(fresh, { authorization: 'x' }), true)
  t.equal(isDoing(fresh, { 'cache-control': 'no-store' }), true)
  t.equal(isDoing({ ...fresh, vary: 'x-long' }, { 'x-long': 'x'.repeat(5_000) }), true)
  t.equal(isDoing({ 'cache-control': 'private' }, { authorization: 'x' }), false)
  t.equal(isDoing({ ...fresh, vary: '*' }, {}), false)
  t.equal(isDoing(fresh, {}), false, 'it would be stored')
})

test('they go to the client whose request brought them (RFC 9111 5.2.2.4, 5.2.2.7)', async (t) => {
  const fields = { 'set-cookie': 'a=b', 'x-a': '1', 'x-b': '2', 'x-hop': '3', connection: 'x-hop' }
  const control = 'max-age=60, no-cache="set-cookie, x-hop", private="x-a"'
  t.strictSame(unsharedFields(reply({ ...fields, 'cache-control': control })), {
    'set-cookie': 'a=b',
    'x-a': '1',
  })
  t.strictSame(unsharedFields(reply({ ...fields, 'cache-control': 'private' })), {})
})
