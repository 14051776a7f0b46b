/** Preconditions of clients, and those that the cache makes. */
import { test } from 'tap'
import type { Fields, StoredHead } from '../../../src/cdn/message.ts'
import {
  evaluateConditional,
  mayJoin,
  rangeApplies,
  sliceGuard,
  validationFields,
} from '../../../src/cdn/rules/conditional.ts'
import { parseEntityTag, parseEntityTags } from '../../../src/cdn/rules/entity-tag.ts'
import { dateAt, get, reply, stored } from '../../support/cdn-messages.ts'

const evaluate = (headers: Fields, head: StoredHead, method = 'GET'): string =>
  evaluateConditional(get(headers, { method }), head)

const tagged = stored({ etag: '"abc"', 'last-modified': dateAt(-1_000) })
const weak = stored({ etag: 'W/"abc"' })

test('If-None-Match compares weakly, with any of several tags (RFC 9110 13.1.2)', async (t) => {
  for (const field of [
    '"abc"',
    'W/"abc"',
    '"1", "abc", "2"',
    '"1","abc"',
    '*',
    ' * ',
    '"x,y", "abc"',
  ]) {
    t.equal(evaluate({ 'if-none-match': field }, tagged), 'not-modified', field)
    t.equal(evaluate({ 'if-none-match': field }, weak), 'not-modified', field)
  }
  for (const field of ['"ab"', 'abc', '', 'w/"x"', '"abc', '"ABC"', '"x, "']) {
    t.equal(evaluate({ 'if-none-match': field }, tagged), 'proceed', field)
  }
  t.equal(evaluate({ 'if-none-match': '"a,b"' }, stored({ etag: '"a,b"' })), 'not-modified')
  t.equal(evaluate({ 'if-none-match': '"abc"' }, stored({})), 'proceed', 'no tag stored')
  t.equal(evaluate({ 'if-none-match': '"é"' }, stored({ etag: '"é"' })), 'not-modified', 'obs-text')
})

test('If-None-Match fails a method that writes (RFC 9110 13.1.2)', async (t) => {
  t.equal(evaluate({ 'if-none-match': '*' }, tagged, 'PUT'), 'precondition-failed')
  t.equal(evaluate({ 'if-none-match': '*' }, tagged, 'HEAD'), 'not-modified')
})

test('If-None-Match goes before If-Modified-Since (RFC 9110 13.2.2)', async (t) => {
  t.equal(evaluate({ 'if-none-match': '"x"', 'if-modified-since': dateAt(0) }, tagged), 'proceed')
  t.equal(
    evaluate({ 'if-none-match': '"abc"', 'if-modified-since': dateAt(-9_999) }, tagged),
    'not-modified',
  )
})

test('If-Modified-Since compares dates (RFC 9110 13.1.3)', async (t) => {
  t.equal(evaluate({ 'if-modified-since': dateAt(-1_000) }, tagged), 'not-modified')
  t.equal(evaluate({ 'if-modified-since': dateAt(-999) }, tagged), 'not-modified')
  t.equal(evaluate({ 'if-modified-since': dateAt(-1_001) }, tagged), 'proceed')
  t.equal(evaluate({ 'if-modified-since': 'yesterday' }, tagged), 'proceed')
  t.equal(evaluate({ 'if-modified-since': dateAt(0) }, tagged, 'POST'), 'proceed')
})

test('without Last-Modified it compares with Date (RFC 9111 4.3.2)', async (t) => {
  t.equal(evaluate({ 'if-modified-since': dateAt(0) }, stored({})), 'not-modified')
  t.equal(evaluate({ 'if-modified-since': dateAt(-1) }, stored({})), 'proceed')
})

test('preconditions are for what would succeed (RFC 9110 13.2.1)', async (t) => {
  const missing = stored({ etag: '"abc"' }, { status: 404 })
  t.equal(evaluate({ 'if-none-match': '"abc"' }, missing), 'proceed')
  t.equal(evaluate({ 'if-match': '"x"' }, missing), 'proceed')
})

test('If-Match compares strongly, and goes before If-Unmodified-Since (RFC 9110 13.1.1)', async (t) => {
  t.equal(evaluate({ 'if-match': '"1", "abc"' }, tagged), 'proceed')
  t.equal(evaluate({ 'if-match': '*' }, stored({})), 'proceed')
  t.equal(evaluate({ 'if-match': 'W/"abc"' }, tagged), 'precondition-failed')
  t.equal(evaluate({ 'if-match': '"abc"' }, weak), 'precondition-failed')
  t.equal(evaluate({ 'if-match': '"abc"' }, stored({})), 'precondition-failed')
  t.equal(
    evaluate({ 'if-match': '"abc"', 'if-unmodified-since': dateAt(-9_999) }, tagged),
    'proceed',
  )
})

test('If-Unmodified-Since fails what has changed (RFC 9110 13.1.4)', async (t) => {
  t.equal(evaluate({ 'if-unmodified-since': dateAt(-1_000) }, tagged), 'proceed')
  t.equal(evaluate({ 'if-unmodified-since': dateAt(-1_001) }, tagged), 'precondition-failed')
  t.equal(evaluate({ 'if-unmodified-since': 'x' }, tagged), 'proceed')
  t.equal(evaluate({ 'if-unmodified-since': dateAt(-9_999) }, stored({})), 'proceed')
})

test('If-Match that holds leaves If-None-Match to be answered (RFC 9110 13.2.2)', async (t) => {
  t.equal(evaluate({ 'if-match': '"abc"', 'if-none-match': '"abc"' }, tagged), 'not-modified')
})

test('a range counts for a GET of a 200 only (RFC 9110 14.2)', async (t) => {
  const range = 'bytes=0-1'
  t.equal(rangeApplies(get({ range }), tagged), true)
  t.equal(rangeApplies(get({}), tagged), false)
  t.equal(rangeApplies(get({ range }, { method: 'HEAD' }), tagged), false)
  t.equal(rangeApplies(get({ range }), stored({}, { status: 404 })), false)
})

test('If-Range wants a strong validator that is the same (RFC 9110 13.1.5)', async (t) => {
  const applies = (condition: string, head: StoredHead): boolean =>
    rangeApplies(get({ range: 'bytes=0-1', 'if-range': condition }), head)
  t.equal(applies('"abc"', tagged), true)
  t.equal(applies('"abcd"', tagged), false)
  t.equal(applies('W/"abc"', weak), false)
  t.equal(applies('"abc"', weak), false)
  t.equal(applies('"abc", "x"', tagged), false, 'a list is none')
  t.equal(applies(dateAt(-1_000), tagged), true)
  t.equal(applies(dateAt(-999), tagged), false, 'later is not the same')
  const young = stored({ 'last-modified': dateAt(-59) })
  t.equal(applies(dateAt(-59), young), false, 'a date that may be of two versions')
  t.equal(applies('nonsense', tagged), false)
})

test('slices are joined under a strong validator only (RFC 9111 3.4)', async (t) => {
  t.equal(sliceGuard(tagged), '"abc"')
  t.equal(sliceGuard(weak), undefined)
  t.equal(sliceGuard(stored({})), undefined)
  const modified = dateAt(-60)
  t.equal(sliceGuard(stored({ 'last-modified': modified })), modified)
  t.equal(sliceGuard(stored({ etag: 'W/"x"', 'last-modified': modified })), modified)
  t.equal(sliceGuard(stored({ 'last-modified': dateAt(-59) })), undefined)
})

test('a part is joined when its validator is that of the whole (RFC 9111 3.4)', async (t) => {
  t.equal(mayJoin(tagged, reply({ etag: '"abc"' }, 206)), true)
  t.equal(mayJoin(tagged, reply({ etag: '"x"' }, 206)), false)
  t.equal(mayJoin(tagged, reply({ etag: 'W/"abc"' }, 206)), false)
  t.equal(
    mayJoin(tagged, reply({ 'last-modified': dateAt(-1_000) }, 206)),
    false,
    'the tag is missing',
  )
  const old = stored({ 'last-modified': dateAt(-60) })
  t.equal(mayJoin(old, reply({ 'last-modified': dateAt(-60) }, 206)), true)
  t.equal(mayJoin(old, reply({}, 206)), true)
  t.equal(mayJoin(old, reply({ 'last-modified': dateAt(-61) }, 206)), false)
  t.equal(mayJoin(weak, reply({ etag: 'W/"abc"' }, 206)), false)
})

test('a validation names the tags of all candidates and the date of the first (RFC 9111 4.3.1)', async (t) => {
  t.strictSame(validationFields([tagged, weak, tagged]), {
    'if-none-match': '"abc", W/"abc"',
    'if-modified-since': dateAt(-1_000),
  })
  t.strictSame(validationFields([stored({ 'last-modified': 'foo', etag: 'unquoted' })]), {})
  const many = Array.from({ length: 20 }, (_, index) => stored({ etag: `"${index}"` }))
  t.equal(validationFields(many)['if-none-match']?.split(',').length, 8)
})

test('an entity tag is quoted, weak with a capital W (RFC 9110 8.8.3)', async (t) => {
  t.strictSame(parseEntityTag('"a"'), { weak: false, opaque: '"a"' })
  t.strictSame(parseEntityTag(' W/"a" '), { weak: true, opaque: '"a"' })
  t.strictSame(parseEntityTag('""'), { weak: false, opaque: '""' })
  for (const text of [
    'a',
    'w/"a"',
    'W"a"',
    'W\\"a"',
    '"a',
    '"a"b',
    '"a" "b"',
    '"a b"',
    '',
    'x"a"',
    `"${'x'.repeat(2_000)}"`,
  ]) {
    t.equal(parseEntityTag(text), undefined, text.slice(0, 20))
  }
  t.equal(parseEntityTags('"a"  ,nonsense,\tW/"b","c').length, 2)
})
