/** Replication between real peers: popular objects are there before they are asked for; lost kept ones come back. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { systemClock } from '../../../src/clock.ts'
import { cidOf } from '../../../src/content/digest.ts'
import { Fetcher } from '../../../src/content/fetch/fetch-client.ts'
import { FetchServer } from '../../../src/content/fetch/fetch-server.ts'
import { rankByRendezvous } from '../../../src/content/rendezvous.ts'
import { encodeOffer } from '../../../src/content/replication/offer-codec.ts'
import type { ReplicationPeer } from '../../../src/content/replication/offer-plan.ts'
import { Replication } from '../../../src/content/replication/replication.ts'
import type { ContentStore } from '../../../src/content/store/store.ts'
import type { PeerEndpoint } from '../../../src/host/peer-https/unreachable-peers.ts'
import { replicationLimits } from '../../../src/limits/replication.ts'
import { silentLogger } from '../../../src/logger.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { type HttpPeer, startHttpPeer } from '../../support/peer-http-pair.ts'
import { filesOf, metric, object, storeAt } from '../../support/stores.ts'
import { until } from '../../support/until.ts'

interface ReplicatingPeer extends HttpPeer {
  readonly store: ContentStore
  readonly replication: Replication
  readonly clock: ManualClock
  readonly metrics: Registry
  readonly directory: string
}

interface Network {
  readonly peers: ReplicatingPeer[]
  /** The catalog that all share. */
  readonly known: ReplicationPeer[]
  readonly strangers: Set<string>
}

/** So many peers that know each other, all in one region. */
async function aNetwork(t: Test, count: number, bytesMax = 1_000_000): Promise<Network> {
  const network: Network = { peers: [], known: [], strangers: new Set() }
  const endpoints = new Map<string, PeerEndpoint>()
  const directories = t.testdir(
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`${index}`, {}])),
  )
  for (let index = 0; index < count; index += 1) {
    const peer = await startHttpPeer(t, { endpoints, join: network.peers.slice(0, 1) })
    const metrics = new Registry()
    const clock = new ManualClock()
    const directory = `${directories}/${index}`
    const store = storeAt(directory, { memoryBytesMax: 100_000 }, { registry: metrics })
    await store.start()
    const base = { clock: systemClock, logger: silentLogger, registry: metrics }
    const { http } = peer
    new FetchServer({ ...base, http, store }).start()
    const replication = new Replication(
      {
        ...{ ...base, clock, http, store, fetcher: new Fetcher({ ...base, http, store }) },
        peers: () => network.known,
        accepts: (peerId) => !network.strangers.has(peerId),
      },
      { peerId: peer.id, bytesMax },
    )
    await replication.start()
    t.teardown(async () => {
      replication.stop()
      await store.stop()
    })
    network.peers.push({ ...peer, store, replication, clock, metrics, directory })
    network.known.push({ peerId: peer.id, region: 'here' })
  }
  return network
}

function ask(store: ContentStore, digest: string, times: number): void {
  for (let count = 0; count < times; count += 1) store.peek(digest)
}

const sent = (peer: ReplicatingPeer): Promise<number> =>
  metric(peer.metrics, 'kairo_replication_offers_total', { code: 'ok' })

test('what is popular is at its holder before anybody asks there', async (t) => {
  const { peers } = await aNetwork(t, 3)
  const [first] = peers
  if (first === undefined) return
  const objects = Array.from({ length: 6 }, (_, seed) => object(seed))
  for (const { digest, bytes } of objects) first.store.put(digest, bytes)
  const [unpopular, live, ...popular] = objects
  ask(first.store, unpopular?.digest ?? '', replicationLimits.popularMin / 2)
  first.store.pin(live?.digest ?? '')
  ask(first.store, live?.digest ?? '', replicationLimits.popularMin * 4)
  for (const { digest } of popular) ask(first.store, digest, replicationLimits.popularMin * 2)
  await first.clock.pass(replicationLimits.intervalMs)
  const ids = peers.map(({ id }) => ({ peerId: id }))
  const holderOf = (digest: string): ReplicatingPeer | undefined =>
    peers.find(({ id }) => id === rankByRendezvous(digest, ids)[0])
  for (const { digest } of popular) {
    await until(() => holderOf(digest)?.store.has(digest) === true, 'the copy')
  }
  for (const { digest } of objects) {
    const others = peers.filter((peer) => peer !== first && peer !== holderOf(digest))
    for (const other of others) t.notOk(other.store.has(digest), 'only there')
  }
  for (const peer of peers.slice(1)) {
    t.notOk(peer.store.has(unpopular?.digest ?? ''), 'not what few ask for')
    t.notOk(peer.store.has(live?.digest ?? ''), 'not what feeds bring')
    const own = popular.filter(({ digest }) => holderOf(digest) === peer)
    t.match(peer.store.usageOf('tenant', 'replication'), { objects: own.length })
  }
  await until(async () => (await metric(first.metrics, 'kairo_replication_popular_objects')) === 4)
  const before = await sent(first)
  t.ok(before > 0)
  for (const { digest } of popular) ask(first.store, digest, replicationLimits.popularMin)
  await first.clock.pass(replicationLimits.intervalMs)
  t.equal(await sent(first), before, 'nobody is offered the same again so soon')
})

test('offers of strangers, and what is none, are refused', async (t) => {
  const { peers, strangers } = await aNetwork(t, 2)
  const [first, second] = peers
  if (first === undefined || second === undefined) return
  const { signal } = new AbortController()
  const offer = (body: Uint8Array) =>
    first.http.request(second.id, { method: 'POST', path: '/offers', body }, { signal })
  const { digest, bytes } = object(1)
  const body = encodeOffer([{ digest, bytes: bytes.byteLength }])
  t.equal((await offer(Buffer.from('nonsense'))).status, 400)
  const asked = await first.http.request(second.id, { method: 'GET', path: '/offers' }, { signal })
  t.equal(asked.status, 400)
  t.equal((await offer(body)).status, 202)
  await until(async () => (await metric(second.metrics, 'kairo_replication_fetches_total')) === 1)
  t.equal(second.store.has(digest), false, 'who offers what it has not wastes a request')
  second.store.put(digest, bytes)
  t.equal((await offer(body)).status, 202)
  t.equal(
    await metric(second.metrics, 'kairo_replication_offered_objects_total', { outcome: 'known' }),
    1,
  )
  strangers.add(first.id)
  t.equal((await offer(body)).status, 403)
})

test('a peer that gives no disk takes no offers, and the one that offers goes on', async (t) => {
  const { peers } = await aNetwork(t, 2, 0)
  const [first] = peers
  if (first === undefined) return
  const objects = Array.from({ length: 8 }, (_, seed) => object(seed))
  for (const { digest, bytes } of objects) {
    first.store.put(digest, bytes)
    ask(first.store, digest, replicationLimits.popularMin * 2)
  }
  await first.clock.pass(replicationLimits.intervalMs)
  await until(
    async () =>
      (await metric(first.metrics, 'kairo_replication_offers_total', { code: '403' })) === 1,
  )
  t.equal(first.clock.timers, 1, 'the next turn will come')
})

test('a kept object that was damaged is fetched again, and kept', async (t) => {
  const { peers } = await aNetwork(t, 2)
  const [first, second] = peers
  if (first === undefined || second === undefined) return
  const { digest, bytes } = object(1)
  first.store.put(digest, bytes)
  second.store.put(digest, bytes)
  await second.store.keep(digest, 'operator')
  // Out of RAM, and damaged on disk.
  for (let seed = 10; seed < 150; seed += 1)
    second.store.put(object(seed).digest, object(seed).bytes)
  const files = await filesOf(join(second.directory, 'objects'))
  await writeFile(files.find((file) => file.endsWith(cidOf(digest))) ?? '', 'damaged')
  t.equal(await second.store.read(digest), undefined)
  t.equal(second.store.has(digest), false)
  await second.clock.pass(replicationLimits.intervalMs)
  await until(() => second.store.has(digest), 'the object again')
  t.equal(
    await metric(second.metrics, 'kairo_content_stored_objects', { tier: 'disk', class: 'kept' }),
    1,
  )
})
