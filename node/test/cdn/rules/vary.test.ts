/** Variants: which fields select one, and which values mean the same. */
import { test } from 'tap'
import type { Fields } from '../../../src/cdn/message.ts'
import { matchesVary, normalise, varyFields } from '../../../src/cdn/rules/vary.ts'
import { get, reply, stored } from '../../support/cdn-messages.ts'

/** True when what was stored for `first` answers `second`. */
const shares = (vary: string, first: Fields, second: Fields): boolean =>
  matchesVary(get(second), stored({ vary }, { request: get(first) }))

test('a response without Vary answers all (RFC 9111 4.1)', async (t) => {
  t.equal(matchesVary(get({ foo: '1' }), stored({})), true)
  t.strictSame(varyFields(get({ foo: '1' }), reply({})), {})
})

test('all fields that Vary names must match (RFC 9111 4.1)', async (t) => {
  t.equal(shares('Foo', { foo: '1', other: '2' }, { foo: '1', other: '3' }), true)
  t.equal(shares('Foo', { foo: '1' }, { foo: '2' }), false)
  t.equal(shares('foo, BAR', { foo: '1', bar: 'abc' }, { foo: '1', bar: 'abc' }), true)
  t.equal(shares('foo, bar', { foo: '1', bar: 'abc' }, { foo: '1', bar: 'abcde' }), false)
  t.equal(shares('foo, bar', { foo: '1', bar: '2' }, { foo: '2', bar: '1' }), false, 'not mixed up')
})

test('a field that is missing matches only where it is missing (RFC 9111 4.1)', async (t) => {
  t.equal(shares('Foo', { foo: '1' }, {}), false)
  t.equal(shares('Foo', {}, { foo: '1' }), false)
  t.equal(shares('Foo', { foo: '' }, {}), false)
  t.equal(shares('Foo, Bar, Baz', { foo: '1', baz: '789' }, { foo: '1', baz: '789' }), true)
})

test('Vary: * never matches (RFC 9111 4.1)', async (t) => {
  for (const vary of ['*', '*, Foo', ', *', 'Foo, *']) {
    t.equal(varyFields(get({}), reply({ vary })), undefined)
    t.equal(matchesVary(get({ '*': '1' }), stored({ vary })), false, vary)
  }
})

test('white space of lists does not matter, that in quotes does (RFC 9111 4.1)', async (t) => {
  t.equal(shares('Foo', { foo: '1,2' }, { foo: ' 1 ,  2 ' }), true)
  t.equal(shares('Foo', { foo: '"1,2"' }, { foo: '"1, 2"' }), false)
  t.equal(shares('Foo', { foo: 'a' }, { foo: 'A' }), false, 'case does')
  t.equal(shares('"x\\", foo", foo', { foo: '1' }, { foo: '2' }), false, 'quotes in Vary itself')
})

test('Accept-Encoding is the set of codings that are known and taken (RFC 9110 12.5.3)', async (t) => {
  const cases: [string, string][] = [
    ['', 'identity'],
    ['gzip, deflate, br, zstd', 'br, gzip, zstd'],
    ['br;q=1.0, gzip;q=0.8, *;q=0.1', 'br, gzip, zstd'],
    ['GZIP', 'gzip'],
    ['x-gzip', 'gzip'],
    ['deflate, compress', 'identity'],
    ['identity', 'identity'],
    ['gzip;q=0', 'identity'],
    ['gzip;q=0, br;q=0.000', 'identity'],
    ['gzip;q=nonsense', 'identity'],
    ['*', 'br, gzip, zstd'],
    ['*, br;q=0', 'gzip, zstd'],
    ['gzip, identity;q=0', 'gzip, identity;q=0'],
    ['gzip, *;q=0', 'gzip, identity;q=0'],
    ['*;q=0', 'identity;q=0'],
    ['*;q=0, identity;q=0.5', 'identity'],
  ]
  for (const [value, expected] of cases)
    t.equal(normalise('accept-encoding', value), expected, value)
  t.equal(shares('Accept-Encoding', {}, { 'accept-encoding': 'identity' }), true)
  t.equal(
    shares(
      'Accept-Encoding',
      { 'accept-encoding': 'gzip, br' },
      { 'accept-encoding': 'br,gzip;q=0.5' },
    ),
    true,
  )
  t.equal(shares('Accept-Encoding', { 'accept-encoding': 'gzip' }, {}), false)
})

test('Accept-Language is in the order of its weights (RFC 9110 12.5.4)', async (t) => {
  const cases: [string, string][] = [
    ['de-CH, de;q=0.9', 'de-ch, de;q=0.9'],
    ['de;q=0.90 ,DE-ch;q=1.0', 'de-ch, de;q=0.9'],
    ['en, de', 'en, de'],
    ['de, en', 'de, en'],
    ['*;q=0.5', '*;q=0.5'],
  ]
  for (const [value, expected] of cases)
    t.equal(normalise('accept-language', value), expected, value)
  const long = Array.from({ length: 65 }, (_, index) => `a${index}`).join(',')
  t.equal(normalise('accept-language', long), long, 'beyond the limit as it is')
})

test('a coded response goes to those who take the coding, Vary or not (RFC 9110 12.5.3)', async (t) => {
  const coded = stored(
    { 'content-encoding': 'gzip' },
    { request: get({ 'accept-encoding': 'gzip' }) },
  )
  t.equal(matchesVary(get({ 'accept-encoding': 'gzip' }), coded), true)
  t.equal(matchesVary(get({}), coded), false)
  t.equal(matchesVary(get({}), stored({ 'content-encoding': 'identity' })), true)
})

test('Vary: Host is the host of the request', async (t) => {
  t.strictSame(varyFields(get({}), reply({ vary: 'Host' })), { host: 'site.example' })
})

test('Vary by names of Object is no trap', async (t) => {
  t.equal(shares('constructor, toString', {}, {}), true)
  t.equal(shares('constructor', {}, { constructor: 'x' }), false)
})
