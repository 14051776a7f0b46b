/** /api/nearest and /nearest/ as clients ask them. */
import { test } from 'tap'
import { nearestHandler, nearestPlainRoutes, nearestRoutes } from '../../src/api/nearest.ts'
import { knownPeersSchema, nearestSchema } from '../../src/api/schemas-nearest.ts'
import type { RouteRequest } from '../../src/http/route.ts'
import { knownPeer } from '../support/adverts.ts'
import { nearestStage } from '../support/nearest-stage.ts'
import { plainRequest } from '../support/plain-request.ts'

function openRoutes() {
  const { nearest, stage } = nearestStage()
  stage.peers = [knownPeer('other', { rttMs: 50, clientUrls: ['http://192.0.2.9:8080'] })]
  const isOperator = (bearer: string | undefined) => bearer === 'secret'
  const catalog = { self: () => stage.self, list: () => stage.peers }
  const [route, known] = nearestRoutes({ nearest, catalog, isOperator })
  const ask = async (query: Record<string, string>, bearer?: string) => {
    const parsed = route?.query?.parse(query)
    const caller = { address: '::ffff:198.51.100.7', bearer }
    const answer = await route?.handler({
      ...{ query: parsed, caller, params: undefined, body: undefined },
      ...{ requestId: '1', signal: new AbortController().signal },
    } as unknown as RouteRequest<undefined, undefined, undefined>)
    return nearestSchema.parse(answer?.body)
  }
  return { ask, known, nearest, stage }
}

test('the operator is told of every peer, also of those that clients are not sent to', async (t) => {
  const { known, stage } = openRoutes()
  stage.peers = [
    ...stage.peers,
    knownPeer('leaving', { state: 'draining', reachable: false, region: 'eu', load: 0.25 }),
  ]
  t.equal(known?.access, 'operator')
  const request = {} as RouteRequest<undefined, undefined, undefined>
  const answer = knownPeersSchema.parse((await known?.handler(request))?.body)
  t.match(answer.self, { peerId: 'self', urls: ['http://192.0.2.1:8080'], state: 'serving' })
  t.match(answer.peers, [
    { peerId: 'other', rttMs: 50, reachable: true },
    { peerId: 'leaving', rttMs: null, reachable: false, state: 'draining', region: 'eu' },
  ])
  t.equal(answer.peers[1]?.expires, '2023-11-14T22:13:55.000Z')
  t.notMatch(JSON.stringify(answer), /certificate/i, 'what nobody shows stays here')
})

test('the caller is told the best peers, with addresses and reasons', async (t) => {
  const { ask } = openRoutes()
  const answer = await ask({})
  t.equal(answer.client.address, '198.51.100.7')
  t.match(answer.peers, [
    { peerId: 'self', self: true, url: 'http://192.0.2.1:8080', reasons: [/asked/] },
    { peerId: 'other', self: false, urls: ['http://192.0.2.9:8080'] },
  ])
  const named = await ask({ stream: 'show' })
  t.equal(named.peers[1]?.url, 'http://192.0.2.9:8080/live/show/master.m3u8')
})

test('only the operator asks for another address', async (t) => {
  const { ask } = openRoutes()
  await t.rejects(ask({ for: '203.0.113.1' }), { code: 'ERR_FORBIDDEN' })
  t.equal((await ask({ for: '203.0.113.1' }, 'secret')).client.address, '203.0.113.1')
  await t.rejects(ask({ for: 'somewhere' }, 'secret'))
  await t.rejects(ask({ stream: '../x' }))
})

test('/nearest/<path> is a short-lived redirect', async (t) => {
  const { nearest, stage } = openRoutes()
  stage.self = { ...stage.self, state: 'draining' }
  const handler = nearestHandler({ nearest })
  const signal = new AbortController().signal
  const ask = (path: string, query = '') =>
    handler(plainRequest(path, { query }), signal, '198.51.100.7')
  t.match(await ask('/nearest/live/show/master.m3u8', 'a=1'), {
    status: 302,
    headers: {
      location: 'http://192.0.2.9:8080/live/show/master.m3u8?a=1',
      'cache-control': 'private, max-age=5',
    },
  })
  t.equal(ask('/live/show/master.m3u8'), undefined)
  t.throws(() => ask('/nearest//evil.example'), { code: 'ERR_INVALID_INPUT' })
  t.equal(nearestPlainRoutes[0]?.path, '/nearest/:path')
})
