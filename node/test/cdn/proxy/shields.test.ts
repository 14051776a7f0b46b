/** Peers of a region ask each other before they ask the origin. */
import { randomBytes } from 'node:crypto'
import { test } from 'tap'
import type { CdnServiceComponents } from '../../../src/cdn/cdn-service.ts'
import { rankByRendezvous } from '../../../src/content/rendezvous.ts'
import { unlessAborted } from '../../../src/deadline.ts'
import { KairoError } from '../../../src/errors.ts'
import type { PeerHttp, PeerHttpHandler } from '../../../src/host/peer-http.ts'
import { cdnLimits } from '../../../src/limits/cdn.ts'
import { type CdnStage, sendVersion, startCdn, startOrigin } from '../../support/cdn-stage.ts'

const body = randomBytes(3_000)

/** Requests between peers in one process, which stand for what the host room does over HTTPS. */
class PeerNet {
  readonly handlers = new Map<string, PeerHttpHandler>()
  readonly broken = new Set<string>()
  /** Peers whose process is stopped: they take what they are sent, and say nothing. */
  readonly stopped = new Set<string>()
  /** Peers that stop in the middle of an answer. */
  readonly cutting = new Set<string>()
  readonly pings: string[] = []
  /** What peers have told of their load. */
  readonly loads = new Map<string, number>()
  /** Peers that were asked. */
  readonly asked = new Set<string>()
  requests = 0

  /** Whether a peer lives. */
  async ping(to: string, signal: AbortSignal): Promise<void> {
    this.pings.push(to)
    if (this.broken.has(to)) throw new KairoError('ERR_NO_PROVIDER', 'not there')
    if (this.stopped.has(to)) await unlessAborted(new Promise<never>(() => {}), signal)
  }

  of(peerId: string): PeerHttp {
    return {
      handle: (prefix, handler) => this.handlers.set(peerId + prefix, handler),
      request: async (to, { method, path, headers = {} }, { signal }) => {
        this.requests += 1
        this.asked.add(to)
        if (this.stopped.has(to)) await unlessAborted(new Promise<never>(() => {}), signal)
        const handler = this.handlers.get(to + path)
        if (handler === undefined || this.broken.has(to)) {
          throw new KairoError('ERR_NO_PROVIDER', 'not there')
        }
        const incoming = { peerId, method, path, headers, body: new Uint8Array() }
        const { status, headers: fields = {}, body: pieces = [] } = await handler(incoming, signal)
        const whole = iterate(pieces)
        return { status, headers: fields, body: this.cutting.has(to) ? broken(whole) : whole }
      },
    }
  }
}

async function* iterate(
  pieces: readonly Uint8Array[] | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield* pieces
}

/** The first piece, and no more. */
async function* broken(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of body) {
    yield piece
    throw new KairoError('ERR_TIMEOUT', 'the other peer stopped in the middle of an answer')
  }
}

/** @param options.joined all peers joined the first one and believe nobody else; otherwise each believes all. */
async function startRegion(
  rules: readonly Record<string, unknown>[] = [{}, {}, {}],
  { joined = false, tag = '', bytes = body } = {},
) {
  const origin = await startOrigin((message, reply) =>
    sendVersion(message, reply, {
      etag: '"1"',
      body: bytes,
      headers: { 'cache-control': 'max-age=600', 'surrogate-key': tag },
    }),
  )
  const net = new PeerNet()
  const ids = rules.map((_, index) => `12D3KooWPeer${index}`)
  const stamps = new Map(ids.map((id) => [id, 0]))
  const peers: CdnStage[] = []
  for (const [index, rule] of rules.entries()) {
    const peerId = ids[index] as string
    const purges = {
      ready: () => true,
      stamp: () => String(stamps.get(peerId)),
      covers: (stamp: string) => Number(stamp) <= (stamps.get(peerId) ?? 0),
    }
    const believed = joined ? ids.slice(0, index === 0 ? 0 : 1) : ids
    const believedPeers = () =>
      believed.map((id) => ({ peerId: id, region: '', load: net.loads.get(id) ?? 0 }))
    const ping: CdnServiceComponents['ping'] = (to, { signal }) => net.ping(to, signal)
    const components = { peers: net.of(peerId), ping, believedPeers, purges }
    const isShield = !joined
    peers.push(await startCdn({ origin: origin.url, peerId, rule, components, isShield }))
  }
  const stop = async (): Promise<void> => {
    for (const peer of peers) await peer.stop()
    await origin.stop()
  }
  return { origin, net, ids, peers, stamps, stop }
}

const site = { host: 'site.example' }

/** Who is to ask the origin for a path, and who if that one cannot, as all believe. */
function order(ids: readonly string[], path: string): string[] {
  return rankByRendezvous(
    `http://site.example${path}`,
    ids.map((peerId) => ({ peerId })),
  )
}

test('the origin sees one request a region', async (t) => {
  const { origin, peers, stop } = await startRegion()
  t.teardown(stop)
  const paths = Array.from({ length: 12 }, (_, index) => `/${index}`)
  for (const path of paths) {
    const asked = peers.flatMap((peer) => [peer.get(path, site), peer.get(path, site)])
    const answers = await Promise.all(asked)
    t.ok(answers.every((answer) => answer.body.equals(body)))
  }
  t.equal(origin.requests.length, paths.length)
})

test('peers that believe only the one that they joined ask that one for every key', async (t) => {
  const { origin, peers, stop } = await startRegion([{}, {}, {}], { joined: true })
  t.teardown(stop)
  const paths = Array.from({ length: 12 }, (_, index) => `/${index}`)
  for (const path of paths) {
    for (const peer of peers) t.ok((await peer.get(path, site)).body.equals(body))
  }
  t.equal(origin.requests.length, paths.length)
})

test('parts of a response come from the same peer as the whole, lest two wait for each other', async (t) => {
  const bytes = randomBytes(8 * 65_536)
  const rule = { sliceBytes: 65_536 }
  const { net, peers, stop } = await startRegion([rule, rule], { bytes })
  t.teardown(stop)
  for (let first = 0; first < bytes.byteLength; first += 65_536) {
    const part = bytes.subarray(first, first + 65_536)
    const range = `bytes=${first}-${first + 65_535}`
    for (const peer of peers) {
      t.ok((await peer.get('/long', { ...site, range })).body.equals(part), range)
    }
  }
  for (const peer of peers) t.ok((await peer.get('/long', site)).body.equals(bytes))
  t.equal(net.asked.size, 1)
})

test('tags reach the peer that asks, and no client', async (t) => {
  const { peers, stop } = await startRegion([{}, {}], { joined: true, tag: 'news' })
  t.teardown(stop)
  const [shield, asker] = peers as [CdnStage, CdnStage]
  t.equal((await asker.get('/a', site)).headers['surrogate-key'], undefined)
  t.equal(asker.cache.purge({ by: 'tag', tag: 'news' }, 'hard'), 1)
  t.equal(shield.cache.purge({ by: 'tag', tag: 'news' }, 'hard'), 1)
})

test('a shield that is gone is passed over', async (t) => {
  const { origin, net, ids, peers, stop } = await startRegion()
  t.teardown(stop)
  for (const id of ids) net.broken.add(id)
  for (const peer of peers) t.equal((await peer.get('/a', site)).status, 200)
  t.equal(origin.requests.length, 3)
})

test('a peer with other rules answers nobody', async (t) => {
  const { origin, net, peers, stop } = await startRegion([
    {},
    { query: 'sort' },
    { query: 'ignore' },
  ])
  t.teardown(stop)
  for (const peer of peers) t.equal((await peer.get('/a', site)).status, 200)
  t.equal(origin.requests.length, 3)
  t.ok(net.requests > 0)
})

test('a shield that has not heard of a purge fetches anew', async (t) => {
  const { origin, ids, peers, stamps, stop } = await startRegion()
  t.teardown(stop)
  for (const peer of peers) await peer.get('/a', site)
  t.equal(origin.requests.length, 1)
  origin.handler = (message, reply) =>
    sendVersion(message, reply, { etag: '"2"', body: Buffer.from('two') })
  // All but the last have purged; whoever is the shield, none of them may get the old one from it.
  for (const [index, peer] of peers.entries()) {
    if (index === peers.length - 1) continue
    peer.cache.purge({ by: 'everything' }, 'hard')
    stamps.set(ids[index] as string, 1)
  }
  for (const peer of peers.slice(0, -1)) t.equal((await peer.get('/a', site)).text, 'two')
})

test('what has credentials goes to the origin', async (t) => {
  const { net, origin, peers, stop } = await startRegion()
  t.teardown(stop)
  for (const peer of peers) await peer.get('/a', { ...site, authorization: 'Basic x' })
  t.equal(net.requests, 0)
  t.equal(origin.requests.length, 3)
})

/** Lets the time of a peer pass until a request is answered. */
async function passing<Value>(peers: readonly CdnStage[], work: Promise<Value>): Promise<Value> {
  let isDone = false
  const settled = work.finally(() => {
    isDone = true
  })
  settled.catch(() => {})
  for (let turn = 0; !isDone; turn += 1) {
    if (turn > 2_000) throw new Error('nobody answered')
    for (const peer of peers) await peer.clock.pass(10)
  }
  return await settled
}

test('a shield that hangs holds up nobody: the next one is asked, and it is left alone', async (t) => {
  const { origin, net, ids, peers, stop } = await startRegion()
  t.teardown(stop)
  const path = '/hangs'
  const ranked = order(ids, path).map((id) => ids.indexOf(id))
  const [, second, third] = ranked.map((index) => peers[index]) as [unknown, CdnStage, CdnStage]
  const hanging = ids[ranked[0] as number] as string
  net.stopped.add(hanging)
  const askers = [second, third] as const
  // Followers of the slow request are carried over with it.
  const asked = Array.from({ length: 10 }, (_, index) =>
    (askers[index % 2] as CdnStage).get(path, site),
  )
  const before = third.clock.monotonicMs()
  const answers = await passing(askers, Promise.all(asked))
  t.ok(answers.every((answer) => answer.body.equals(body)))
  t.ok(third.clock.monotonicMs() - before < 5_000, 'far below the time for a head')
  t.equal(origin.requests.length, 1, 'the next of the order has asked for all')
  net.asked.clear()
  const pings = net.pings.length
  const others = Array.from({ length: 12 }, (_, index) => `/later-${index}`)
  for (const other of others) t.equal((await third.get(other, site)).status, 200)
  t.equal(net.pings.length, pings, 'nobody looks at it again so soon')
  t.notOk(net.asked.has(hanging), 'it is left alone')
})

test('a shield that waits for a slow origin is waited for', async (t) => {
  const { origin, net, ids, peers, stop } = await startRegion()
  t.teardown(stop)
  const path = '/slow'
  const gate = Promise.withResolvers<void>()
  const { handler } = origin
  origin.handler = (message, reply) => void gate.promise.then(() => handler(message, reply))
  const asked = Promise.all(peers.map((peer) => peer.get(path, site)))
  await passing(
    peers,
    (async () => {
      while (net.pings.length < 6) await new Promise((resolve) => setImmediate(resolve))
    })(),
  )
  gate.resolve()
  const answers = await passing(peers, asked)
  t.ok(answers.every((answer) => answer.body.equals(body)))
  t.equal(origin.requests.length, 1)
  t.equal(new Set(net.pings).size, 1, `only ${order(ids, path)[0]} was looked at`)
})

test('a shield that was busy before it fell silent gets more time', async (t) => {
  const { net, ids, peers, stop } = await startRegion()
  t.teardown(stop)
  const path = '/busy'
  const [first, , third] = order(ids, path) as [string, string, string]
  const asker = peers[ids.indexOf(third)] as CdnStage
  net.stopped.add(first)
  net.loads.set(first, 0.95)
  const before = asker.clock.monotonicMs()
  t.ok((await passing([asker], asker.get(path, site))).body.equals(body))
  const passedMs = asker.clock.monotonicMs() - before
  const { shieldBusyLooks, shieldLookMs, shieldHeadTimeoutMs } = cdnLimits
  t.ok(passedMs > shieldBusyLooks * shieldLookMs && passedMs < shieldHeadTimeoutMs)
})

test('a shield that stops in the middle of a body is left alone, and the rest comes from others', async (t) => {
  const bytes = randomBytes(8 * 65_536)
  const rule = { sliceBytes: 65_536 }
  const { net, ids, peers, stop } = await startRegion([rule, rule, rule], { bytes })
  t.teardown(stop)
  const path = '/breaks-off'
  const [first, , third] = order(ids, path) as [string, string, string]
  const asker = peers[ids.indexOf(third)] as CdnStage
  net.cutting.add(first)
  t.ok((await asker.get(path, site)).body.equals(bytes), 'no byte is wrong or missing')
  net.asked.clear()
  const others = Array.from({ length: 12 }, (_, index) => `/others-${index}`)
  for (const other of others) t.ok((await asker.get(other, site)).body.equals(bytes))
  t.notOk(net.asked.has(first))
})

test('where all shields hang the origin is asked, and one that is back is found by a ping', async (t) => {
  const { origin, net, ids, peers, stop } = await startRegion()
  t.teardown(stop)
  const path = '/all-hang'
  const [first, second, third] = order(ids, path) as [string, string, string]
  const asker = peers[ids.indexOf(third)] as CdnStage
  net.stopped.add(first).add(second)
  t.ok((await passing([asker], asker.get(path, site))).body.equals(body))
  t.equal(origin.requests.length, 1)
  net.stopped.clear()
  net.asked.clear()
  // The next request after the rest is not the one that tries.
  await asker.clock.pass(10_000)
  const again = `${path}-again`
  t.equal((await asker.get(again, site)).status, 200)
  t.equal(net.asked.size, 0)
  await asker.clock.pass(1)
  const others = Array.from({ length: 12 }, (_, index) => `/back-${index}`)
  for (const other of others) t.equal((await asker.get(other, site)).status, 200)
  t.ok(net.asked.size > 0, 'asked again')
})

test('a peer that waits for its shield asks the origin when another one comes to it', async (t) => {
  const { origin, net, ids, peers, stop } = await startRegion()
  t.teardown(stop)
  const path = '/hurried'
  const [first, second, third] = order(ids, path) as [string, string, string]
  net.stopped.add(first)
  const waiting = peers[ids.indexOf(second)] as CdnStage
  const other = peers[ids.indexOf(third)] as CdnStage
  const slow = waiting.get(path, site)
  while (!net.asked.has(first)) await new Promise((resolve) => setImmediate(resolve))
  // The time of the one that waits stands still: it is the question of the other that makes it go on.
  const answers = await Promise.all([slow, passing([other], other.get(path, site))])
  t.ok(answers.every((answer) => answer.body.equals(body)))
  t.equal(origin.requests.length, 1)
})
