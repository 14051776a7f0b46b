/** Whatever stands in the fields of requests and responses, the rules answer: they throw nothing, and take time in proportion to the text. */
import fc from 'fast-check'
import { test } from 'tap'
import type { CacheRequest, Fields, ResponseHead } from '../../src/cdn/message.ts'
import { answerFields } from '../../src/cdn/rules/answer-fields.ts'
import { parseContentRange, selectRanges } from '../../src/cdn/rules/byte-ranges.ts'
import { requestControl, responseControl } from '../../src/cdn/rules/cache-control.ts'
import { cacheKey } from '../../src/cdn/rules/cache-key.ts'
import { evaluateConditional, rangeApplies } from '../../src/cdn/rules/conditional.ts'
import { decide, mayCollapse } from '../../src/cdn/rules/decide.ts'
import { parseEntityTags } from '../../src/cdn/rules/entity-tag.ts'
import { listOf } from '../../src/cdn/rules/field.ts'
import { parseHttpDate } from '../../src/cdn/rules/http-date.ts'
import { invalidates } from '../../src/cdn/rules/invalidation.ts'
import { refreshed, validatedBy } from '../../src/cdn/rules/refresh.ts'
import { ownAnswer, requestForOrigin } from '../../src/cdn/rules/request-for-origin.ts'
import { mayServeOnError } from '../../src/cdn/rules/stale.ts'
import { storable, storedHead } from '../../src/cdn/rules/storable.ts'
import { surrogateTags } from '../../src/cdn/rules/surrogate-tags.ts'
import { normalise, varyFields } from '../../src/cdn/rules/vary.ts'
import { after, get, plainPolicy, START_MS } from '../support/cdn-messages.ts'
import { fuzzRuns } from '../support/fuzz.ts'

const names = [
  ...['cache-control', 'cdn-cache-control', 'kairo-cdn-cache-control', 'pragma', 'expires', 'date'],
  ...['age', 'vary', 'etag', 'last-modified', 'connection', 'content-range', 'content-length'],
  ...['range', 'if-range', 'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'],
  ...['accept-encoding', 'accept-language', 'authorization', 'set-cookie', 'upgrade', 'via'],
  ...['surrogate-key', 'cache-tag', 'location', 'content-location', 'forwarded', 'x-forwarded-for'],
  ...['cache-status', 'cdn-loop', 'expect', 'max-forwards', '__proto__', 'constructor'],
]

/** Pieces of what really stands in fields, and noise. */
const piece = fc.oneof(
  fc.constantFrom(
    ...[
      'max-age',
      's-maxage',
      'no-cache',
      'private',
      'no-store',
      'public',
      'stale-if-error',
      'immutable',
    ],
    ...[
      '=',
      '="',
      '"',
      ',',
      ', ',
      ';',
      ' ',
      '\t',
      '\\',
      '*',
      '-',
      '--',
      'W/',
      'bytes=',
      'bytes ',
      '/',
      ':',
      '%41',
      '?',
    ],
    ...[
      '0',
      '1',
      '60',
      '99999999999',
      'gzip',
      'br',
      'q=0.5',
      'etag',
      'cache-control',
      'vary',
      'a',
      'b',
    ],
    ...[
      'Sun, 22 Nov 2026 10:00:00 GMT',
      'Sunday, 22-Nov-26 10:00:00 GMT',
      'https://site.example/x',
      'é',
    ],
  ),
  fc.string({ maxLength: 6 }),
)
const value = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''))
const fields: fc.Arbitrary<Fields> = fc
  .array(fc.tuple(fc.constantFrom(...names), value), { maxLength: 8 })
  .map((entries) => Object.fromEntries(entries))
const status = fc.constantFrom(100, 200, 206, 301, 304, 404, 500, 503, 999)
const response: fc.Arbitrary<ResponseHead> = fc.record({ status, headers: fields })
const request: fc.Arbitrary<CacheRequest> = fc
  .record({
    method: fc.constantFrom('GET', 'HEAD', 'POST', 'OPTIONS'),
    headers: fields,
    target: value,
  })
  .map(({ method, headers, target }) => get(headers, { method, target: `/${target}` }))

test('no message makes a rule throw', async () => {
  const times = { requestTimeMs: START_MS, responseTimeMs: after(1) }
  fc.assert(
    fc.property(request, request, response, response, (first, second, answer, update) => {
      const verdict = storable(first, answer, START_MS, plainPolicy)
      const head = storedHead(first, answer, times)
      const decision = decide(second, [head, head], after(2), plainPolicy)
      mayCollapse(second)
      evaluateConditional(second, head)
      rangeApplies(second, head)
      mayServeOnError(head, after(2), plainPolicy, 503, second)
      const merged = refreshed(head, second, update, times, plainPolicy)
      validatedBy([head, head], update)
      invalidates(second, update)
      cacheKey(second, { query: 'sort' })
      ownAnswer(second, 'kairo')
      requestForOrigin(second, { name: 'kairo', clientAddress: '::1', fill: {} })
      answerFields(head, { name: 'kairo', nowMs: after(2), cacheStatus: {}, ageS: 1 })
      // Rules that hold for whatever comes.
      if (
        verdict.store &&
        responseControl(answer).noStore &&
        !responseControl(answer).mustUnderstand
      )
        throw new Error('no-store')
      if (decision.kind === 'hit' && !(decision.ttlS > 0))
        throw new Error('a hit that is not fresh')
      if (merged !== undefined && responseControl(merged).isPrivate) throw new Error('private')
    }),
    { numRuns: fuzzRuns(3_000) },
  )
})

/** Texts that make careless parsers slow: repeated openings, nesting, near matches. */
const openings = [
  ...[
    '"',
    '"a',
    '\\',
    '"\\',
    ',',
    ' ,',
    ', ',
    ' ',
    '\t',
    '=',
    'a=',
    '="',
    'a="',
    'no-cache="a",',
    'max-age=1,',
  ],
  ...[
    'W/',
    'W/"',
    '"a",',
    '"a"',
    'bytes=',
    '0-1,',
    '-',
    '0-',
    '9',
    'a;q=',
    'gzip;q=0.1,',
    ';',
    ';a',
    'br,',
  ],
  ...[
    '%',
    '%4',
    '%41',
    '&',
    'a=1&',
    '*',
    '*,',
    '(',
    '(1 ',
    ':',
    'a;b=c,',
    '@1,',
    'x ',
    'for=,',
    '/',
    '//',
  ],
  ...['Sun, ', 'Sunday, 22-', '1.1 a, ', 'kairo; ', 'é'],
]

/** Gives the text to everything that reads fields. */
function readEverywhere(text: string): void {
  const headers = Object.fromEntries(names.map((name) => [name, text]))
  requestControl(get(headers))
  listOf(text)
  parseEntityTags(text)
  parseHttpDate(text, START_MS)
  parseContentRange(text)
  selectRanges(text, 1_000)
  surrogateTags(headers)
  for (const name of ['accept-encoding', 'accept-language', 'foo']) normalise(name, text)
  for (const query of ['keep', 'sort'] as const)
    cacheKey(get({}, { target: `/?${text}` }), { query })
  const ask = get(headers)
  varyFields(ask, { status: 200, headers })
  const times = { requestTimeMs: START_MS, responseTimeMs: START_MS }
  const head = storedHead(ask, { status: 200, headers }, times)
  decide(get({ ...headers, upgrade: '' }), [head], START_MS, plainPolicy)
  invalidates(get({}, { method: 'POST' }), { status: 200, headers })
  refreshed(head, ask, { status: 304, headers }, times, plainPolicy)
  requestForOrigin(ask, { name: 'kairo', clientAddress: '::1', trusted: true, fill: {} })
  answerFields(head, { name: 'kairo', nowMs: START_MS, cacheStatus: {} })
  ownAnswer(ask, 'kairo')
}

test('fields of 64 KiB are read in proportion to their length', async (t) => {
  // What grows with the square of the length takes minutes here, and the runner ends it.
  for (const opening of openings) {
    readEverywhere(opening.repeat(Math.ceil(65_536 / opening.length)))
    t.pass(JSON.stringify(opening))
  }
})
