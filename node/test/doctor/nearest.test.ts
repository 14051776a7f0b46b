/** What the doctor says of where clients are sent. */
import { test } from 'tap'
import { checkNearest } from '../../src/doctor/nearest.ts'
import { knownPeer } from '../support/adverts.ts'
import { nearestStage } from '../support/nearest-stage.ts'

const nowMs = 1_700_000_001_000

test('the peers that clients are sent to, in order, and why', (t) => {
  const { nearest, stage } = nearestStage()
  stage.peers = [knownPeer('other', { rttMs: 50, clientUrls: ['http://192.0.2.9:9090'] })]
  const ranked = nearest.rank({ address: '192.0.2.1' })
  const named = new Set(['other'])
  const view = {
    ...{ nowMs, ranked, named, known: stage.peers },
    ...({ geo: { state: 'off' }, isDnsOn: true } as const),
  }
  t.match(checkNearest(view), [
    { status: 'ok', detail: /^1\. http:\/\/192\.0\.2\.1:8080 \(this peer\): the peer that was/ },
    { status: 'ok', detail: /^2\. http:\/\/192\.0\.2\.9:9090: 50 ms from/ },
    { name: 'dns', status: 'warn', detail: /8080, 9090/ },
  ])
  t.equal(checkNearest({ ...view, isDnsOn: false }).length, 2)
  const unnamed = checkNearest({ ...view, named: new Set<string>() })
  t.match(unnamed.at(-1), { name: 'dns', status: 'warn', detail: /192\.0\.2\.9:9090, which/ })
  t.end()
})

test('who is left out, and a database that cannot be used', (t) => {
  const known = [
    knownPeer('gone', { reachable: false, clientUrls: [] }),
    knownPeer('leaving', { state: 'draining' }),
    ...Array.from({ length: 9 }, (_, index) => knownPeer(`far${index}`, { reachable: false })),
  ]
  const base = { nowMs, ranked: [], known, isDnsOn: false, named: new Set<string>() }
  t.match(checkNearest({ ...base, geo: { state: 'bad', reason: 'ENOENT' } }), [
    { status: 'warn', detail: /no peer/ },
    { status: 'warn', detail: /gone, .* and 2 more/ },
    { status: 'ok', detail: /about to stop/ },
    { status: 'fail', detail: /ENOENT/ },
  ])
  const geo = { state: 'ok', description: 'City', builtAtMs: nowMs } as const
  t.match(checkNearest({ ...base, known: [], geo }).at(-1), {
    status: 'ok',
    detail: /City of 2023/,
  })
  const old = { ...geo, builtAtMs: 0 }
  t.match(checkNearest({ ...base, known: [], geo: old }).at(-1), { status: 'warn' })
  t.end()
})
