/** What the admin page makes of host rules, metrics, purges and peers before it shows them; needs no browser. */
import { test } from 'tap'
import { newHostRuleSchema } from '../../src/api/schemas-cdn.ts'
import { purgeSelectorSchema } from '../../src/cdn/purge-selector.ts'
import {
  describeFigures,
  readCacheFigures,
  sumFigures,
} from '../../web/src/admin/cache/cache-figures.ts'
import {
  describePurge,
  describeSelector,
  selectorOf,
} from '../../web/src/admin/cache/purge-words.ts'
import {
  describeOrigin,
  emptyRule,
  hostsOf,
  ruleOf,
  takesPage,
  valuesOf,
} from '../../web/src/admin/cache/rule-values.ts'
import { describePeer, peerRows, peerState } from '../../web/src/admin/peer-words.ts'
import type { HostRuleView, KnownPeers, Nearest, PurgeReport } from '../../web/src/shared/api.ts'
import { samplesOf } from '../../web/src/shared/metrics-text.ts'
import { problemText } from '../../web/src/shared/problem-text.ts'
import { cacheAnswers, fakeHostRule } from '../support/fake-cache-answers.ts'

const view = (name: string, origin: Record<string, unknown>) =>
  fakeHostRule(name, origin) as unknown as HostRuleView

test('samples are found by the whole name of their metric', async (t) => {
  const text = [
    '# TYPE a_total counter',
    'a_total{x="1",y="a \\"b\\" } \\\\ \\n"} 3',
    'a_total 1e3 1700000000000',
    'a_total_created{x="1"} 5',
    'a_total{x="2"} +Inf',
    'a_total{x="3"}',
    'b{x="4"} 1',
  ].join('\n')
  t.same(samplesOf(text, 'a_total'), [
    { labels: { x: '1', y: 'a "b" } \\ \n' }, value: 3 },
    { labels: {}, value: 1_000 },
  ])
  t.same(samplesOf('', 'a_total'), [])
})

test('the hit ratio counts what the origin was not waited for', async (t) => {
  const figures = readCacheFigures(cacheAnswers().metrics)
  t.same(figures.byRule.get('shop'), { requests: 1_000, hits: 939 })
  t.equal(describeFigures(figures.byRule.get('shop')), '1000 requests, 93 % from the cache')
  t.equal(describeFigures(figures.byRule.get('files')), 'no requests yet')
  t.same(sumFigures(figures), { requests: 1_000, hits: 939 })
  t.equal(describeFigures({ requests: 1_000, hits: 999 }), '1000 requests, 99 % from the cache')
})

test('the form of a rule makes what the API takes, for every kind of origin', async (t) => {
  const values = { ...emptyRule, name: 'a', hosts: ' A.example,\n*.b.example ' }
  const http = ruleOf({ ...values, url: ' https://o.example ', defaultTtl: '60' }, undefined)
  const folder = ruleOf({ ...values, origin: 'folder', folder: '/srv/files' }, undefined)
  const s3 = ruleOf(
    {
      ...{ ...values, origin: 's3', endpoint: 'https://s3.example', bucket: 'files' },
      ...{ accessKeyId: 'AK', secretAccessKey: ' kept as typed ' },
    },
    undefined,
  )
  t.match(newHostRuleSchema.parse(http), {
    hosts: ['a.example', '*.b.example'],
    pathPrefix: '/',
    origin: { type: 'http', url: 'https://o.example', host: undefined },
    defaultTtlS: 60,
  })
  t.match(newHostRuleSchema.parse(folder).origin, { type: 'folder', path: '/srv/files' })
  t.match(newHostRuleSchema.parse(s3).origin, {
    ...{ type: 's3', region: 'us-east-1', secretAccessKey: ' kept as typed ' },
  })
  t.same(hostsOf(' , '), [])
})

test('a rule that is changed keeps what the form does not show', async (t) => {
  for (const origin of [
    { type: 'http', url: 'https://o.example', host: 'client' },
    { type: 'folder', path: '/srv' },
    {
      ...{ type: 's3', endpoint: 'https://s3.example', region: 'eu-1', bucket: 'files' },
      ...{ prefix: 'p', accessKeyId: 'AK', hasSecret: true },
    },
  ]) {
    const old = view('files', origin)
    const { name: _, ...rest } = old
    const again = newHostRuleSchema.parse(ruleOf(valuesOf(old), old))
    const { hasSecret: __, ...sent } = origin as Record<string, unknown>
    t.match(again, { ...rest, origin: sent }, `${origin.type}`)
    if (again.origin.type === 's3') t.equal(again.origin.secretAccessKey, '', 'kept by the peer')
  }
})

test('a rule that would take the page away is told', async (t) => {
  const page = 'peer.example:8080'
  for (const hosts of [
    ['*'],
    ['peer.example'],
    ['x.example', 'peer.example:8080'],
    ['*.example'],
  ]) {
    t.equal(takesPage({ hosts }, page), true, hosts.join())
  }
  for (const hosts of [['shop.example'], ['peer.example:80'], ['*.other'], ['*.peer.example']]) {
    t.equal(takesPage({ hosts }, page), false, hosts.join())
  }
  t.equal(takesPage({ hosts: ['*'], pathPrefix: '/files/' }, page), false)
  t.equal(takesPage({ hosts: ['*'], pathPrefix: '/a' }, page), true)
})

test('origins are told without secrets', async (t) => {
  const texts = cacheAnswers().hostRules.rules.map((rule) =>
    describeOrigin((rule as unknown as HostRuleView).origin),
  )
  t.same(texts, [
    'https://origin.shop.example',
    'bucket files/public at https://s3.example, signed as AKIAEXAMPLE',
  ])
  t.equal(describeOrigin({ type: 'http', url: 'http://a', host: 'b' }), 'http://a as b')
  t.equal(describeOrigin({ type: 'folder', path: '/srv' }), 'folder /srv')
})

test('a purge goes by one thing, in the words of the API', async (t) => {
  const cases = [
    [selectorOf('url', ' https://a.example/x ', ''), 'https://a.example/x'],
    [selectorOf('tag', 'sale', ' '), 'tag sale'],
    [selectorOf('tag', 'sale', 'A.example'), 'tag sale at a.example'],
    [selectorOf('prefix', 'https://a.example/i/', ''), 'https://a.example/i/…'],
    [selectorOf('host', 'A.example', ''), 'host a.example'],
    [selectorOf('everything', 'ignored', 'ignored'), 'everything'],
  ] as const
  for (const [selector, text] of cases) {
    t.same(purgeSelectorSchema.parse(selector), selector)
    t.equal(describeSelector(selector), text)
  }
})

test('a purge is told with the peers that have not done it', async (t) => {
  const report = cacheAnswers().purges.purges[0] as unknown as PurgeReport
  t.equal(
    describePurge(report),
    "done at 2 of 3 peers, 42 responses forgotten, not in the region's log yet",
  )
  t.equal(
    describePurge({ mode: 'soft', degraded: false, peers: report.peers.slice(0, 1) }),
    'done at 1 peer, 12 responses made stale',
  )
})

test('peers stand as this browser would be sent to them, this one first', async (t) => {
  const { knownPeers, nearest } = cacheAnswers()
  const rows = peerRows(knownPeers as unknown as KnownPeers, nearest as unknown as Nearest)
  t.match(rows, [
    { isSelf: true, place: 'No. 2 for this browser: asked this peer, 25 % loaded.' },
    { isSelf: false, place: 'Best for this browser: 12 ms away, 25 % loaded.' },
    { isSelf: false, place: undefined },
  ])
  t.same(rows.map(describePeer), [
    'serving · 25 % loaded · 900.0 Mbit/s free',
    'serving · region eu-west · 12 ms away · 25 % loaded · 900.0 Mbit/s free',
    'not reached · region us-east · 25 % loaded · 900.0 Mbit/s free',
  ])
  const [self] = rows
  if (self === undefined) throw new Error('there is no row of this peer')
  t.equal(peerState({ ...self, peer: { ...self.peer, state: 'draining' } }).word, 'draining')
  t.match(describePeer({ ...self, rttMs: 0.42 }), /· 0\.4 ms away ·/)
})

test('a refusal is told in the words of the peer, with the fields at fault', async (t) => {
  const detail = 'the request does not fit'
  const errors = ['a', 'b', 'c', 'd'].map((name) => ({ field: `body.${name}.0`, message: 'bad' }))
  const told = (problem: unknown) => problemText(JSON.stringify(problem), 400)
  t.equal(told({ title: 'Bad Request', detail }), detail)
  t.equal(told({ title: 'Bad Request' }), 'Bad Request')
  t.equal(told({ detail, errors }), `${detail}: a.0: bad; b.0: bad; c.0: bad`)
  t.equal(told({ detail, errors: [null, 'x', { field: 1 }] }), detail)
  for (const other of [null, 7, [], { detail: 1 }]) {
    t.equal(told(other), 'The peer answered with status 400.')
  }
  t.equal(problemText('<html>', 502), 'The peer answered with status 502.')
})
