/** What names responses: keys, tags, and the targets that a change invalidates. */
import { test } from 'tap'
import type { CacheRequest, Fields } from '../../../src/cdn/message.ts'
import { cacheKey } from '../../../src/cdn/rules/cache-key.ts'
import { invalidates } from '../../../src/cdn/rules/invalidation.ts'
import { surrogateTags } from '../../../src/cdn/rules/surrogate-tags.ts'
import { get, reply } from '../../support/cdn-messages.ts'

const key = (
  target: string,
  query: 'keep' | 'sort' | 'ignore' = 'keep',
  changes: Partial<CacheRequest> = {},
) => cacheKey(get({}, { target, ...changes }), { query })

test('the key is scheme, host, path and query (RFC 9111 2)', async (t) => {
  t.equal(key('/a/b?c=d'), 'https://site.example/a/b?c=d')
  t.equal(
    key('/', 'keep', { scheme: 'http', host: 'Site.Example:8080' }),
    'http://site.example:8080/',
  )
  t.not(key('/a'), key('/a?'))
  t.not(key('/a?x=1'), key('/a?x=2'))
  t.not(key('/A'), key('/a'))
})

test('a host that is none makes no key of another host', async (t) => {
  for (const host of [
    'victim.example/x',
    'victim.example?',
    'victim.example#',
    'a b',
    'a@b',
    'a\\b',
    'a%2fb',
    '"é',
  ]) {
    const made = key('/y', 'keep', { host })
    t.match(made, /^https:\/\/[a-z0-9._~:[\]%-]+\/y$/i, made)
  }
  t.not(
    key('/y', 'keep', { host: 'victim.example/x' }),
    key('/x/y', 'keep', { host: 'victim.example' }),
  )
  t.equal(key('/', 'keep', { host: '[2001:db8::1]:8443' }), 'https://[2001:db8::1]:8443/')
})

test('escapes of unreserved characters are undone and no others (RFC 3986 6.2.2)', async (t) => {
  t.equal(key('/%7Euser/%41%2d?q=%5F'), 'https://site.example/~user/A-?q=_')
  t.equal(key('/a%2fb%c3%a4'), 'https://site.example/a%2Fb%C3%A4')
  t.not(key('/a%2Fb'), key('/a/b'))
  t.not(key('/%252541'), key('/%2541'), 'undone once')
  t.equal(key('/%zz%4'), 'https://site.example/%zz%4', 'what is no escape stays')
  t.equal(key('/a?b=%3F&c=%26'), 'https://site.example/a?b=%3F&c=%26')
})

test('sort orders parameters by name, those of one name as they came', async (t) => {
  t.equal(key('/?b=2&a=1&b=1', 'sort'), 'https://site.example/?a=1&b=2&b=1')
  t.equal(key('/?b=%41&%61=1', 'sort'), 'https://site.example/?a=1&b=A')
  t.equal(key('/?b&a', 'sort'), 'https://site.example/?a&b')
  t.not(key('/?a=1&a=2', 'sort'), key('/?a=2&a=1', 'sort'))
})

test('ignore drops the query', async (t) => {
  t.equal(key('/a?b=c', 'ignore'), key('/a'))
  t.equal(key('/a?b=c?d', 'ignore'), 'https://site.example/a')
})

test('tags come parted by spaces or by commas', async (t) => {
  t.strictSame(surrogateTags({ 'surrogate-key': ' a  b\tc a', 'cache-tag': 'd, e f ,,a' }), [
    'a',
    'b',
    'c',
    'd',
    'e f',
  ])
  t.strictSame(
    surrogateTags({ 'surrogate-key': 'a b, c' }),
    ['a', 'b', 'c'],
    'two lines of a field',
  )
  t.strictSame(surrogateTags({}), [])
  t.strictSame(surrogateTags({ 'cache-tag': 'A, a' }), ['A', 'a'], 'case matters')
})

test('more or longer tags than are kept are told from none', async (t) => {
  const count = (n: number): string =>
    Array.from({ length: n }, (_, index) => `t${index}`).join(' ')
  t.equal(surrogateTags({ 'surrogate-key': count(256) })?.length, 256)
  t.equal(surrogateTags({ 'surrogate-key': count(257) }), undefined)
  t.equal(surrogateTags({ 'cache-tag': 'x'.repeat(1_024) })?.length, 1)
  t.equal(surrogateTags({ 'cache-tag': 'x'.repeat(1_025) }), undefined)
  t.equal(surrogateTags({ 'cache-tag': 'x,'.repeat(9_000) }), undefined)
})

const changed = (method: string, headers: Fields = {}, status = 200): readonly string[] =>
  invalidates(get({}, { method }), reply(headers, status))

test('an unsafe request that succeeds invalidates its target (RFC 9111 4.4)', async (t) => {
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'M-SEARCH', 'FOO']) {
    t.strictSame(changed(method), ['/page'], method)
    t.strictSame(changed(method, {}, 303), ['/page'], method)
    for (const status of [400, 404, 500])
      t.strictSame(changed(method, {}, status), [], `${method} ${status}`)
  }
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'TRACE'])
    t.strictSame(changed(method), [], method)
})

test('Location and Content-Location are invalidated on the same origin only (RFC 9111 4.4)', async (t) => {
  t.strictSame(changed('POST', { location: '/new?x=1', 'content-location': 'other' }), [
    '/page',
    '/new?x=1',
    '/other',
  ])
  t.strictSame(changed('POST', { location: 'https://site.example:443/new' }), ['/page', '/new'])
  const foreign = [
    'https://evil.example/new',
    'http://site.example/new',
    'https://site.example:8443/new',
    '//evil.example/',
    'https://',
    'javascript:0',
  ]
  for (const location of foreign) t.strictSame(changed('POST', { location }), ['/page'], location)
})
