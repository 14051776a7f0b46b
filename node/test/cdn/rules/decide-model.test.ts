/**
 * `decide` against a slow and obvious model. The model never sees a header field: it knows what was meant when the messages were made, lists every
 * reason against each answer, and takes the first answer that nothing speaks against. Times are BigInt milliseconds.
 */
import fc from 'fast-check'
import { test } from 'tap'
import type { CacheRequest, Fields, StoredHead } from '../../../src/cdn/message.ts'
import { decide } from '../../../src/cdn/rules/decide.ts'
import type { RulePolicy } from '../../../src/cdn/rules/rule-policy.ts'
import { storedHead } from '../../../src/cdn/rules/storable.ts'
import { after, dateAt, get } from '../../support/cdn-messages.ts'

/** What an origin meant to say; seconds, dates relative to START. */
interface Meant {
  readonly status: number
  readonly maxAge?: number
  readonly sMaxage?: number
  readonly expires?: number
  readonly modified?: number
  readonly swr?: number
  readonly sie?: number
  readonly age?: number
  readonly date: number
  readonly askedAt: number
  readonly tookMs: number
  readonly words: readonly string[]
  readonly tag?: string
  readonly varies: boolean
  readonly foo?: string
  readonly method: 'GET' | 'HEAD'
  readonly purged?: number
  readonly complete: boolean
  readonly targeted: boolean
}

/** What a client meant to say. */
interface Wish {
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly noCache: boolean
  readonly onlyIfCached: boolean
  readonly maxAge?: number
  readonly minFresh?: number
  readonly maxStale?: number
  readonly stale?: number
  readonly foo?: string
  readonly authorised: boolean
}

const seconds = fc.oneof(fc.nat(40), fc.constantFrom(0, 1, 10, 3_600, 99_999_999_999))
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 })
const foo = fc.constantFrom(undefined, '1', '2')

const meant: fc.Arbitrary<Meant> = fc.record({
  status: fc.constantFrom(200, 200, 200, 203, 301, 302, 404, 500),
  maxAge: maybe(seconds),
  sMaxage: fc.option(seconds, { nil: undefined, freq: 1 }),
  expires: maybe(fc.integer({ min: -50, max: 100 })),
  modified: maybe(fc.integer({ min: -100_000, max: 10 })),
  swr: maybe(seconds),
  sie: maybe(seconds),
  age: maybe(fc.nat(30)),
  date: fc.integer({ min: -30, max: 10 }),
  askedAt: fc.integer({ min: -20, max: 10 }),
  tookMs: fc.nat(5_000),
  words: fc.subarray(
    ['no-cache', 'must-revalidate', 'proxy-revalidate', 'public', 'immutable', 'x="no-cache"'],
    {
      maxLength: 2,
    },
  ),
  tag: fc.constantFrom(undefined, '"a"', 'W/"b"'),
  varies: fc.boolean(),
  foo,
  method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD'),
  purged: fc.option(fc.integer({ min: -10, max: 60 }), { nil: undefined, freq: 1 }),
  complete: fc.constantFrom(true, true, true, false),
  targeted: fc.boolean(),
})

const wish: fc.Arbitrary<Wish> = fc.record({
  method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'POST'),
  noCache: fc.constantFrom(false, false, false, true),
  onlyIfCached: fc.constantFrom(false, false, false, true),
  maxAge: maybe(fc.nat(40)),
  minFresh: maybe(fc.nat(40)),
  maxStale: maybe(fc.nat(40)),
  stale: maybe(fc.nat(40)),
  foo,
  authorised: fc.constantFrom(false, false, false, true),
})

const policy: fc.Arbitrary<RulePolicy> = fc.record({
  defaultTtlS: fc.constantFrom(0, 0, 20),
  negativeTtlS: fc.constantFrom(0, 10),
  staleWhileRevalidateS: fc.constantFrom(0, 0, 15),
  staleIfErrorS: fc.constantFrom(0, 0, 25),
})

/** The directives as an origin would write them. */
function controlOf(said: Meant): string {
  const times = {
    'max-age': said.maxAge,
    's-maxage': said.sMaxage,
    'stale-while-revalidate': said.swr,
    'stale-if-error': said.sie,
  }
  const set = Object.entries(times).filter(([, value]) => value !== undefined)
  return [...said.words, ...set.map(([name, value]) => `${name}=${value}`)].join(', ')
}

function headOf(said: Meant): StoredHead {
  const control = controlOf(said)
  const headers: Record<string, string> = { date: dateAt(said.date) }
  if (control !== '' && said.targeted) headers['cache-control'] = 'no-store, max-age=1'
  if (control !== '') headers[said.targeted ? 'cdn-cache-control' : 'cache-control'] = control
  if (said.expires !== undefined) headers.expires = dateAt(said.expires)
  if (said.modified !== undefined) headers['last-modified'] = dateAt(said.modified)
  if (said.age !== undefined) headers.age = String(said.age)
  if (said.tag !== undefined) headers.etag = said.tag
  if (said.varies) headers.vary = 'Foo'
  const request = get(said.foo === undefined ? {} : { foo: said.foo }, { method: said.method })
  const times = {
    requestTimeMs: after(said.askedAt),
    responseTimeMs: after(said.askedAt) + said.tookMs,
  }
  const head = storedHead(request, { status: said.status, headers }, times)
  const purged = said.purged === undefined ? {} : { purgedMs: after(said.purged) }
  return { ...head, ...purged, complete: said.complete }
}

function requestOf(wanted: Wish): CacheRequest {
  const times = {
    'max-age': wanted.maxAge,
    'min-fresh': wanted.minFresh,
    'max-stale': wanted.maxStale,
    'stale-if-error': wanted.stale,
  }
  const control = [
    ...(wanted.noCache ? ['no-cache'] : []),
    ...(wanted.onlyIfCached ? ['only-if-cached'] : []),
    ...Object.entries(times)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}=${value}`),
  ].join(', ')
  const headers: Fields = {
    ...(control === '' ? {} : { 'cache-control': control }),
    ...(wanted.foo === undefined ? {} : { foo: wanted.foo }),
    ...(wanted.authorised ? { authorization: 'x' } : {}),
  }
  return get(headers, { method: wanted.method })
}

const CAP = 2_147_483_648n
const big = (value: number): bigint => (BigInt(value) < CAP ? BigInt(value) : CAP)
const largest = (...values: bigint[]): bigint => values.reduce((a, b) => (a > b ? a : b))
const smallest = (...values: bigint[]): bigint => values.reduce((a, b) => (a < b ? a : b))
const receivedMs = (said: Meant): bigint => BigInt(said.askedAt) * 1_000n + BigInt(said.tookMs)

function ageOf(said: Meant, nowS: number): bigint {
  const now = BigInt(nowS) * 1_000n
  if (receivedMs(said) - now > 5_000n) return CAP
  const apparent = largest(0n, receivedMs(said) - BigInt(said.date) * 1_000n)
  const corrected = BigInt(said.age ?? 0) * 1_000n + BigInt(said.tookMs)
  const resident = largest(0n, now - receivedMs(said))
  return smallest(CAP, (largest(apparent, corrected) + resident) / 1_000n)
}

function lifetimeOf(said: Meant, rule: RulePolicy): bigint {
  const isTargeted = said.targeted && controlOf(said) !== ''
  const sources: (bigint | undefined)[] = [
    said.sMaxage === undefined ? undefined : big(said.sMaxage),
    said.maxAge === undefined ? undefined : big(said.maxAge),
    said.expires === undefined || isTargeted
      ? undefined
      : largest(0n, BigInt(said.expires - said.date)),
    [200, 203, 301, 404].includes(said.status) || said.words.includes('public') ? undefined : 0n,
    said.status === 404 ? BigInt(rule.negativeTtlS) : undefined,
    rule.defaultTtlS === 0 ? undefined : BigInt(rule.defaultTtlS),
    said.modified === undefined
      ? undefined
      : smallest(86_400n, largest(0n, BigInt(said.date - said.modified) / 10n)),
    0n,
  ]
  return sources.find((source) => source !== undefined) ?? 0n
}

/** The first answer that nothing speaks against. */
function expected(all: readonly Meant[], wanted: Wish, rule: RulePolicy, nowS: number): string {
  if (wanted.method === 'POST') return 'pass method'
  const readable = all.filter((said) => said.method === 'GET' || wanted.method === 'HEAD')
  const variants = readable.filter((said) => !said.varies || said.foo === wanted.foo)
  const joinable = variants.filter(
    (said) =>
      said.complete ||
      wanted.method === 'HEAD' ||
      said.tag === '"a"' ||
      (said.modified !== undefined && said.date - said.modified >= 60),
  )
  const newest = joinable.filter((said) =>
    joinable.every(
      (other) =>
        other.date < said.date ||
        (other.date === said.date && receivedMs(other) <= receivedMs(said)),
    ),
  )
  const [said] = newest
  if (said === undefined) {
    if (wanted.onlyIfCached) return 'unavailable'
    return readable.length === 0
      ? 'miss uri-miss'
      : variants.length === 0
        ? 'miss vary-miss'
        : 'miss partial'
  }
  const has = (word: string): boolean => said.words.includes(word)
  const shared = has('public') || has('must-revalidate') || said.sMaxage !== undefined
  if (wanted.authorised && !shared)
    return wanted.onlyIfCached ? 'unavailable' : 'pass authorization'
  const age = ageOf(said, nowS)
  const left = lifetimeOf(said, rule) - age
  const sincePurge = said.purged === undefined ? undefined : largest(0n, BigInt(nowS - said.purged))
  const ttl = sincePurge === undefined ? left : smallest(left, -sincePurge)
  const fresh = ttl > 0n && !has('no-cache')
  const unwanted = [
    wanted.noCache,
    wanted.minFresh !== undefined && ttl < BigInt(wanted.minFresh),
    wanted.maxAge !== undefined && age > BigInt(wanted.maxAge) && !(fresh && has('immutable')),
  ].some(Boolean)
  const suffix = `${all.indexOf(said)} ${age} ${ttl}`
  if (fresh && !unwanted) return `hit ${suffix}`
  const forbidden = has('no-cache') || has('must-revalidate') || has('proxy-revalidate')
  const window = (explicit: number | undefined, rules: number, asked: number | undefined): bigint =>
    largest(
      explicit !== undefined ? big(explicit) : said.sMaxage === undefined ? BigInt(rules) : 0n,
      said.sMaxage === undefined ? BigInt(asked ?? 0) : 0n,
    )
  const onlyPurged = said.purged !== undefined && left > 0n && !has('no-cache')
  const staleFor = window(said.swr, rule.staleWhileRevalidateS, wanted.maxStale)
  if (!unwanted && (onlyPurged || (!forbidden && -left < staleFor))) return `stale ${suffix}`
  if (wanted.onlyIfCached) return 'unavailable'
  const errorFor = window(said.sie, rule.staleIfErrorS, wanted.stale)
  const onError = onlyPurged || (!forbidden && errorFor > 0n && -left < errorFor)
  return `validate ${fresh ? 'request' : 'stale'} ${onError} ${suffix}`
}

function actual(
  heads: readonly StoredHead[],
  request: CacheRequest,
  rule: RulePolicy,
  nowS: number,
): string {
  const decision = decide(request, heads, after(nowS), rule)
  if (decision.kind === 'unavailable') return decision.kind
  if (decision.kind === 'pass' || decision.kind === 'miss')
    return `${decision.kind} ${decision.reason}`
  const suffix = `${heads.indexOf(decision.stored)} ${decision.ageS} ${decision.ttlS}`
  return decision.kind === 'validate'
    ? `validate ${decision.reason} ${decision.staleIfErrorAllowed} ${suffix}`
    : `${decision.kind} ${suffix}`
}

test('decide does what a slow, obvious model says', async (t) => {
  const seen = new Map<string, number>()
  fc.assert(
    fc.property(
      fc.array(meant, { maxLength: 3 }),
      wish,
      policy,
      fc.integer({ min: -20, max: 60 }),
      (all, wanted, rule, nowS) => {
        const heads = all.map(headOf)
        const want = expected(all, wanted, rule, nowS)
        const kind = want.replaceAll(/ -?\d+/g, '')
        seen.set(kind, (seen.get(kind) ?? 0) + 1)
        const got = actual(heads, requestOf(wanted), rule, nowS)
        if (got !== want) throw new Error(`${got} instead of ${want}`)
      },
    ),
    { numRuns: 6_000 },
  )
  const kinds = [
    ...['hit', 'stale', 'unavailable', 'pass method', 'pass authorization'],
    ...['miss uri-miss', 'miss vary-miss', 'miss partial'],
    ...[
      'validate stale true',
      'validate stale false',
      'validate request true',
      'validate request false',
    ],
  ]
  for (const kind of kinds) t.ok((seen.get(kind) ?? 0) > 5, `${kind}: ${seen.get(kind)}`)
})

test('time alone never makes a response fresher', async () => {
  fc.assert(
    fc.property(meant, policy, fc.nat(100), fc.nat(100), (said, rule, first, later) => {
      const rank = (nowS: number): number => {
        const { kind } = decide(
          get({}),
          [headOf({ ...said, method: 'GET', varies: false, complete: true })],
          after(nowS),
          rule,
        )
        return ['hit', 'stale', 'validate'].indexOf(kind)
      }
      return rank(10 + first) <= rank(10 + first + later)
    }),
  )
})
