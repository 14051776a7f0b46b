/** What becomes of a request, given what is stored. */
import { test } from 'tap'
import type { CacheRequest, Fields, StoredHead } from '../../../src/cdn/message.ts'
import { type Decision, decide, mayCollapse } from '../../../src/cdn/rules/decide.ts'
import { after, dateAt, get, plainPolicy, START_MS, stored } from '../../support/cdn-messages.ts'

const ask = (
  headers: Fields,
  candidates: readonly StoredHead[],
  seconds = 0,
  policy = plainPolicy,
): Decision => decide(get(headers), candidates, after(seconds), policy)

const kinds = (decision: Decision): string =>
  'reason' in decision ? `${decision.kind} ${decision.reason}` : decision.kind

const minute = stored({ 'cache-control': 'max-age=60', etag: '"a"' })

test('a fresh response is served, with its age (RFC 9111 4.2)', async (t) => {
  t.strictSame(ask({}, [minute], 59), { kind: 'hit', stored: minute, ageS: 59, ttlS: 1 })
  t.equal(kinds(ask({}, [minute], 60)), 'validate stale')
})

test('nothing stored is a miss (RFC 9111 4)', async (t) => {
  t.strictSame(ask({}, []), { kind: 'miss', reason: 'uri-miss' })
})

test('a stale response is validated with its validators (RFC 9111 4.3.1)', async (t) => {
  const modified = dateAt(-500)
  const head = stored({ 'cache-control': 'max-age=1', etag: 'W/"x"', 'last-modified': modified })
  const decision = ask({}, [head], 2)
  t.match(decision, {
    kind: 'validate',
    stored: head,
    ttlS: -1,
    conditional: { 'if-none-match': 'W/"x"', 'if-modified-since': modified },
    staleIfErrorAllowed: false,
    reason: 'stale',
  })
  t.match(ask({}, [stored({ 'cache-control': 'max-age=1' })], 2), { conditional: {} })
})

test('no-cache is validated at each use (RFC 9111 5.2.2.4)', async (t) => {
  const head = stored({ 'cache-control': 'max-age=60, no-cache', etag: '"a"' })
  t.equal(kinds(ask({}, [head])), 'validate stale')
  const targeted = stored({
    'cache-control': 'max-age=60',
    'cdn-cache-control': 'no-cache',
    etag: '"a"',
  })
  t.equal(kinds(ask({}, [targeted])), 'validate stale')
})

test('stale-while-revalidate serves while it asks, up to its seconds (RFC 5861 3)', async (t) => {
  const head = stored({ 'cache-control': 'max-age=10, stale-while-revalidate=5', etag: '"a"' })
  t.match(ask({}, [head], 10), {
    kind: 'stale',
    ageS: 10,
    ttlS: 0,
    conditional: { 'if-none-match': '"a"' },
  })
  t.match(ask({}, [head], 14), { kind: 'stale', ttlS: -4 })
  t.equal(kinds(ask({}, [head], 15)), 'validate stale')
})

test('a host rule gives stale-while-revalidate to what says nothing (RFC 5861 3)', async (t) => {
  const policy = { ...plainPolicy, staleWhileRevalidateS: 5 }
  t.equal(kinds(ask({}, [minute], 62, policy)), 'stale')
  const zero = stored({ 'cache-control': 'max-age=60, stale-while-revalidate=0' })
  t.equal(kinds(ask({}, [zero], 62, policy)), 'validate stale')
})

test('must-revalidate and its like keep stale responses from being served (RFC 9111 4.2.4)', async (t) => {
  const policy = { ...plainPolicy, staleWhileRevalidateS: 100, staleIfErrorS: 100 }
  for (const word of ['must-revalidate', 'proxy-revalidate', 's-maxage=60', 'no-cache']) {
    const head = stored({ 'cache-control': `max-age=60, ${word}` })
    t.match(ask({}, [head], 61, policy), { kind: 'validate', staleIfErrorAllowed: false }, word)
    t.match(ask({ 'cache-control': 'max-stale, stale-if-error=99' }, [head], 61, policy), {
      kind: 'validate',
      staleIfErrorAllowed: false,
    })
  }
})

test('a soft purge makes stale what is fresh, and it is served while it is asked for anew', async (t) => {
  const purged = { ...minute, purgedMs: after(10) }
  t.match(ask({}, [purged], 20), { kind: 'stale', ttlS: -10 })
  t.match(
    ask({}, [{ ...purged, purgedMs: after(30) }], 20),
    { kind: 'stale', ttlS: 0 },
    'a clock ahead',
  )
  t.equal(kinds(ask({}, [purged], 61)), 'validate stale', 'stale by itself')
  const strict = stored({ 'cache-control': 'max-age=60, must-revalidate' }, { purgedMs: after(1) })
  t.equal(kinds(ask({}, [strict], 2)), 'stale', 'by its own words it is fresh')
})

test('request no-cache asks the origin (RFC 9111 5.2.1.4)', async (t) => {
  t.equal(kinds(ask({ 'cache-control': 'no-cache' }, [minute])), 'validate request')
  t.equal(kinds(ask({ pragma: 'no-cache' }, [minute])), 'validate request')
  const head = stored({ 'cache-control': 'max-age=10, stale-while-revalidate=5' })
  t.equal(kinds(ask({ 'cache-control': 'no-cache' }, [head], 12)), 'validate stale')
})

test('request max-age bounds the age (RFC 9111 5.2.1.1)', async (t) => {
  t.equal(kinds(ask({ 'cache-control': 'max-age=5' }, [minute], 5)), 'hit')
  t.equal(kinds(ask({ 'cache-control': 'max-age=5' }, [minute], 6)), 'validate request')
  t.equal(kinds(ask({ 'cache-control': 'max-age=x' }, [minute], 1)), 'validate request')
  const aged = stored({ 'cache-control': 'max-age=3600', age: '1800' })
  t.equal(kinds(ask({ 'cache-control': 'max-age=600' }, [aged])), 'validate request')
})

test('request min-fresh wants freshness to be left (RFC 9111 5.2.1.3)', async (t) => {
  t.equal(kinds(ask({ 'cache-control': 'min-fresh=20' }, [minute], 40)), 'hit')
  t.equal(kinds(ask({ 'cache-control': 'min-fresh=21' }, [minute], 40)), 'validate request')
})

test('request max-stale takes what is stale (RFC 9111 5.2.1.2)', async (t) => {
  t.equal(kinds(ask({ 'cache-control': 'max-stale=10' }, [minute], 69)), 'stale')
  t.equal(kinds(ask({ 'cache-control': 'max-stale=10' }, [minute], 70)), 'validate stale')
  t.equal(kinds(ask({ 'cache-control': 'max-stale' }, [minute], 9_999)), 'stale')
})

test('request no-store does not keep what is stored from being served (RFC 9111 5.2.1.5)', async (t) => {
  t.equal(kinds(ask({ 'cache-control': 'no-store' }, [minute])), 'hit')
})

test('only-if-cached gets what is stored or nothing (RFC 9111 5.2.1.7)', async (t) => {
  const headers = { 'cache-control': 'only-if-cached' }
  t.equal(kinds(ask(headers, [minute])), 'hit')
  t.equal(kinds(ask(headers, [])), 'unavailable')
  t.equal(kinds(ask(headers, [minute], 60)), 'unavailable')
  t.equal(kinds(ask({ ...headers, authorization: 'x' }, [minute])), 'unavailable')
  t.equal(kinds(ask({ 'cache-control': 'only-if-cached, max-stale' }, [minute], 60)), 'stale')
})

test('immutable is not asked about again on a reload, but on no-cache (RFC 8246 2)', async (t) => {
  const head = stored({ 'cache-control': 'max-age=60, immutable' })
  t.equal(kinds(ask({ 'cache-control': 'max-age=0' }, [head], 9)), 'hit')
  t.equal(kinds(ask({ 'cache-control': 'no-cache' }, [head], 9)), 'validate request')
  t.equal(kinds(ask({ 'cache-control': 'max-age=0' }, [head], 60)), 'validate stale', 'once stale')
})

test('of several matching responses the newest by Date is used (RFC 9111 4)', async (t) => {
  const headers = { 'cache-control': 'max-age=60' }
  const old = stored({ ...headers, date: dateAt(-20), etag: '"old"' })
  const newer = stored(
    { ...headers, date: dateAt(-10), etag: '"new"' },
    { responseTimeMs: after(-5) },
  )
  for (const candidates of [
    [old, newer],
    [newer, old],
  ]) {
    t.match(ask({}, candidates), { kind: 'hit', stored: { headers: { etag: '"new"' } } })
    t.match(ask({}, candidates, 100), { conditional: { 'if-none-match': '"new", "old"' } })
  }
})

test('a response for other selecting fields is no candidate (RFC 9111 4.1)', async (t) => {
  const request = get({ foo: '1' })
  const head = stored({ 'cache-control': 'max-age=60', vary: 'Foo' }, { request })
  t.equal(kinds(ask({ foo: '1' }, [head])), 'hit')
  t.equal(kinds(ask({ foo: '2' }, [head])), 'miss vary-miss')
  t.equal(kinds(ask({}, [head])), 'miss vary-miss')
})

test('GET answers HEAD, and not the other way round (RFC 9111 4)', async (t) => {
  const head = { ...minute, method: 'HEAD' as const }
  const asHead = (candidates: StoredHead[]) =>
    decide(get({}, { method: 'HEAD' }), candidates, after(0), plainPolicy)
  t.equal(kinds(asHead([minute])), 'hit')
  t.equal(kinds(asHead([head])), 'hit')
  t.equal(kinds(ask({}, [head])), 'miss uri-miss')
})

test('other methods, upgrades and bodies go past the cache (RFC 9110 9, 7.8)', async (t) => {
  const passes = (changes: Partial<CacheRequest>) =>
    kinds(decide(get({}, changes), [minute], after(0), plainPolicy))
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'get', 'FOO']) {
    t.equal(passes({ method }), 'pass method', method)
  }
  t.equal(passes({ headers: { connection: 'Upgrade', upgrade: 'websocket' } }), 'pass upgrade')
  t.equal(passes({ headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c' } }), 'hit')
  t.equal(passes({ headers: { upgrade: 'websocket' } }), 'hit', 'not named by Connection')
  t.equal(passes({ headers: { 'content-length': '3' } }), 'pass body')
  t.equal(passes({ headers: { 'transfer-encoding': 'chunked' } }), 'pass body')
  t.equal(passes({ headers: { 'content-length': '0' } }), 'hit')
})

test('a request with Authorization gets only what may be shared (RFC 9111 3.5)', async (t) => {
  const authorization = 'Basic Zm9v'
  t.equal(kinds(ask({ authorization }, [minute])), 'pass authorization')
  t.equal(kinds(ask({ authorization }, [])), 'miss uri-miss')
  for (const word of ['public', 's-maxage=60', 'must-revalidate']) {
    const head = stored({ 'cache-control': `max-age=60, ${word}` })
    t.equal(kinds(ask({ authorization }, [head])), 'hit', word)
  }
})

test('a condition for writers that fails is asked of the origin (RFC 9111 4.3.2)', async (t) => {
  t.equal(kinds(ask({ 'if-match': '"a"' }, [minute])), 'hit')
  t.equal(kinds(ask({ 'if-match': '"b"' }, [minute])), 'pass precondition')
})

test('a part is used only where more can be joined to it (RFC 9111 3.3, 3.4)', async (t) => {
  const part = { ...minute, complete: false }
  t.equal(kinds(ask({}, [part])), 'hit')
  const weak = { ...stored({ 'cache-control': 'max-age=60', etag: 'W/"a"' }), complete: false }
  t.equal(kinds(ask({}, [weak])), 'miss partial')
  t.equal(
    kinds(ask({}, [{ ...stored({ 'cache-control': 'max-age=60' }), complete: false }])),
    'miss partial',
  )
})

test('stale-if-error is foreseen in a validation (RFC 5861 4)', async (t) => {
  const head = stored({ 'cache-control': 'max-age=10, stale-if-error=5' })
  t.match(ask({}, [head], 14), { kind: 'validate', staleIfErrorAllowed: true })
  t.match(ask({}, [head], 15), { kind: 'validate', staleIfErrorAllowed: false })
})

test('a clock that was set back leads to a validation', async (t) => {
  t.equal(kinds(decide(get(), [minute], START_MS - 3_600_000, plainPolicy)), 'validate stale')
})

test('requests may wait for one answer unless it is for one client (RFC 9111 4)', async (t) => {
  t.equal(mayCollapse(get({ cookie: 'a=b' })), true)
  t.equal(mayCollapse(get({}, { method: 'HEAD' })), true)
  t.equal(mayCollapse(get({ authorization: 'x' })), false)
  t.equal(mayCollapse(get({ 'cache-control': 'no-store' })), false)
  t.equal(mayCollapse(get({}, { method: 'POST' })), false)
  t.equal(mayCollapse(get({ 'content-length': '1' })), false)
})
