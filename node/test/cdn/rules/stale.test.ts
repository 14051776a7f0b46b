/** When a stale response may stand in for an origin that fails. */
import { test } from 'tap'
import { mayServeOnError } from '../../../src/cdn/rules/stale.ts'
import { after, get, plainPolicy, stored } from '../../support/cdn-messages.ts'

const policy = { ...plainPolicy, staleIfErrorS: 100 }
const minute = stored({ 'cache-control': 'max-age=60' })

test('stale-if-error is for 500, 502, 503, 504 and no answer at all (RFC 5861 4)', async (t) => {
  const head = stored({ 'cache-control': 'max-age=60, stale-if-error=30' })
  for (const status of [500, 502, 503, 504, 'unreachable'] as const) {
    t.equal(mayServeOnError(head, after(89), plainPolicy, status), true, `${status}`)
    t.equal(mayServeOnError(head, after(90), plainPolicy, status), false, `${status}, too late`)
  }
  for (const status of [200, 301, 400, 403, 404, 410, 429, 501, 505]) {
    t.equal(mayServeOnError(head, after(61), plainPolicy, status), false, `${status}`)
  }
})

test('without stale-if-error a host rule says it, and nothing by default (RFC 9111 4.2.4)', async (t) => {
  t.equal(mayServeOnError(minute, after(61), plainPolicy, 'unreachable'), false)
  t.equal(mayServeOnError(minute, after(61), policy, 'unreachable'), true)
  t.equal(mayServeOnError(minute, after(160), policy, 'unreachable'), false)
})

test('no-cache, must-revalidate, proxy-revalidate and s-maxage forbid it (RFC 9111 4.2.4)', async (t) => {
  for (const word of ['no-cache', 'must-revalidate', 'proxy-revalidate', 's-maxage=60']) {
    const head = stored({ 'cache-control': `max-age=60, ${word}` })
    t.equal(mayServeOnError(head, after(61), policy, 503), false, word)
  }
  for (const word of ['no-cache', 'must-revalidate', 'proxy-revalidate']) {
    const head = stored({ 'cache-control': `max-age=60, stale-if-error=99, ${word}` })
    t.equal(mayServeOnError(head, after(61), policy, 503), false, `${word}, stale-if-error`)
  }
})

test('s-maxage beside an explicit stale-if-error does not cancel it', async (t) => {
  const head = stored({ 'cache-control': 's-maxage=60, stale-if-error=30' })
  t.equal(mayServeOnError(head, after(61), plainPolicy, 503), true)
  t.equal(mayServeOnError(head, after(90), policy, 503), false)
})

test('a client can ask for it (RFC 5861 4)', async (t) => {
  const request = get({ 'cache-control': 'stale-if-error=30' })
  t.equal(mayServeOnError(minute, after(89), plainPolicy, 503, request), true)
  t.equal(mayServeOnError(minute, after(90), plainPolicy, 503, request), false)
})

test('a fresh response that a client did not want stands in only where a stale one may', async (t) => {
  t.equal(mayServeOnError(minute, after(5), plainPolicy, 503), false)
  t.equal(mayServeOnError(minute, after(5), policy, 503), true)
})

test('what a soft purge made stale stands in as long as it were fresh', async (t) => {
  const purged = { ...minute, purgedMs: after(1) }
  t.equal(mayServeOnError(purged, after(59), plainPolicy, 'unreachable'), true)
  t.equal(mayServeOnError(purged, after(60), plainPolicy, 'unreachable'), false)
})
