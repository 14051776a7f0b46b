/**
 * Providing and finding streams, over a network in memory with a clock that tests move, and once over real hosts.
 */
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { systemClock } from '../../../src/clock.ts'
import { ProviderService } from '../../../src/content/records/provider.ts'
import type { StreamRecord } from '../../../src/content/stream.ts'
import { generateStreamKey } from '../../../src/content/stream-key.ts'
import type { ContentRouting } from '../../../src/host/network.ts'
import { recordLimits } from '../../../src/limits.ts'
import { silentLogger } from '../../../src/logger.ts'
import { startHost } from '../../support/hosts.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { type MemoryPeer, memoryNetwork } from '../../support/memory-network.ts'
import { until } from '../../support/until.ts'

const key = generateStreamKey()
const id = key.id
/** The key under which the DHT knows the stream, as docs/protocol has it. */
const cid = CID.createV1(
  raw.code,
  await sha256.digest(Buffer.concat([Buffer.from('kairo stream v1\n'), key.raw])),
)
const noRecords = { get: () => undefined }

function setUp(
  t: Test,
  options: { origin?: string; routing?: ContentRouting; peer?: MemoryPeer } = {},
) {
  const makePeer = memoryNetwork()
  const peer = options.peer ?? makePeer('self')
  const clock = new ManualClock()
  const registry = new Registry()
  const records =
    options.origin === undefined
      ? noRecords
      : { get: () => ({ originPeer: options.origin }) as StreamRecord }
  const service = new ProviderService({
    clock,
    logger: silentLogger,
    registry,
    routing: options.routing ?? peer,
    peers: peer,
    records,
    peerId: 'self',
  })
  service.start()
  t.teardown(() => service.stop())
  return { makePeer, peer, clock, registry, service }
}

async function all(found: AsyncIterable<string>): Promise<string[]> {
  const peers: string[] = []
  for await (const peer of found) peers.push(peer)
  return peers
}

const signal = new AbortController().signal

test('a held stream is provided again and again, until it is cancelled', async (t) => {
  const { makePeer, peer, clock, service, registry } = setUp(t)
  peer.connect(makePeer('other'))
  await clock.pass(recordLimits.provideRoundMsMin)
  service.provide(id)
  service.provide(id)
  await settle()
  t.same(peer.provided, [cid.toString()])
  await clock.pass(recordLimits.provideIntervalMs)
  t.equal(peer.provided.length, 2)
  t.match(await registry.metrics(), 'kairo_provider_streams 1')
  service.cancel(id)
  service.cancel(id)
  await clock.pass(recordLimits.provideIntervalMs * 2)
  t.equal(peer.provided.length, 2)
  t.same(await all(peer.findProviders(cid)), [])
  t.match(await registry.metrics(), 'kairo_provider_streams 0')
  t.equal(clock.timers, 0)
})

test('a lone peer provides again soon, and at once when a peer comes', async (t) => {
  const { makePeer, peer, clock, service } = setUp(t)
  service.provide(id)
  await settle()
  t.equal(peer.provided.length, 1)
  await clock.pass(recordLimits.provideRetryMs)
  t.equal(peer.provided.length, 2)
  for (const name of ['b', 'c', 'd']) peer.connect(makePeer(name))
  await clock.pass(recordLimits.provideDebounceMs)
  t.equal(peer.provided.length, 3, 'one round for a burst of peers')
  peer.connect(makePeer('e'))
  await clock.pass(recordLimits.provideDebounceMs)
  t.equal(peer.provided.length, 3, 'the next round waits')
  await clock.pass(recordLimits.provideRoundMsMin)
  t.equal(peer.provided.length, 4)
})

test('failures of the DHT stay inside', async (t) => {
  const { peer, clock, service, registry } = setUp(t, { origin: 'origin' })
  peer.routingFailure = new Error('no peers')
  service.provide(id)
  await settle()
  t.same(await all(service.findProviders(id, { signal })), ['origin'])
  service.cancel(id)
  await settle()
  const text = await registry.metrics()
  t.match(text, 'kairo_provider_provides_total{outcome="failed"} 1')
  t.match(text, 'kairo_provider_finds_total{outcome="failed"} 1')
  t.equal(clock.timers, 0)
})

test('providers come once each, without this peer, bounded, the origin at the end', async (t) => {
  const many = Array.from({ length: 40 }, (_, index) => `peer-${index}`)
  for (const [given, expected] of [
    [
      ['self', 'a', 'b', 'a'],
      ['a', 'b', 'origin'],
    ],
    [
      ['origin', 'a'],
      ['origin', 'a'],
    ],
    [[], ['origin']],
    [many, many.slice(0, recordLimits.providersMax)],
  ] as const) {
    const peer = memoryNetwork()('self')
    const routing: ContentRouting = {
      provide: async () => 0,
      cancel: async () => {},
      findProviders: async function* () {
        yield* given
      },
    }
    const { service, clock } = setUp(t, { origin: 'origin', routing, peer })
    t.same(await all(service.findProviders(id, { signal })), expected)
    t.equal(clock.timers, 0)
  }
})

test('a DHT that does not answer', async (t) => {
  let ended = 0
  const routing: ContentRouting = {
    provide: (_, { signal }) => hang(signal),
    cancel: async () => {},
    findProviders: async function* (_, { signal }) {
      try {
        yield await hang<string>(signal)
      } finally {
        ended++
      }
    },
  }
  const { service, clock, registry } = setUp(t, { origin: 'origin', routing })
  const found: string[] = []
  const search = (async () => {
    for await (const peer of service.findProviders(id, { signal })) found.push(peer)
  })()
  await clock.pass(recordLimits.originFallbackMs - 1)
  t.same(found, [])
  await clock.pass(1)
  t.same(found, ['origin'], 'the origin is offered while the DHT is slow')
  await clock.pass(recordLimits.findTimeoutMs)
  await search
  t.equal(ended, 1)

  const leaving = (async () => {
    for await (const peer of service.findProviders(id, { signal })) return peer
    return undefined
  })()
  await clock.pass(recordLimits.originFallbackMs)
  t.equal(await leaving, 'origin')
  await settle()
  t.equal(ended, 2, 'leaving early ends the look-up')

  const aborter = new AbortController()
  const aborted = all(service.findProviders(id, { signal: aborter.signal }))
  aborter.abort()
  t.same(await aborted, [])
  t.same(await all(service.findProviders(id, { signal: AbortSignal.abort() })), [])

  service.provide(id)
  await clock.pass(recordLimits.provideTimeoutMs)
  t.match(await registry.metrics(), 'kairo_provider_provides_total{outcome="alone"} 1')
  const last = all(service.findProviders(id, { signal }))
  await settle()
  await service.stop()
  t.same(await last, [])
  t.equal(clock.timers, 0)
})

function hang<T>(signal: AbortSignal): Promise<T> {
  return new Promise((_, reject) => {
    const fail = (): void => reject(signal.reason)
    if (signal.aborted) fail()
    else signal.addEventListener('abort', fail)
  })
}

test('the number of streams is bounded, and names are checked', async (t) => {
  const { service } = setUp(t)
  for (let index = 0; index < recordLimits.providedMax; index++) {
    service.provide(generateStreamKey().id)
  }
  t.throws(() => service.provide(id), { code: 'ERR_LIMIT' })
  await t.rejects(all(service.findProviders('nonsense', { signal })), { code: 'ERR_INVALID_INPUT' })
})

test('over real hosts: a stream held before anybody came is found by a peer told only of the bootstrap', async (t) => {
  const provider = await startHost(t)
  const serviceOf = (host: typeof provider): ProviderService => {
    const service = new ProviderService({
      clock: systemClock,
      logger: silentLogger,
      registry: new Registry(),
      routing: host.routing,
      peers: host,
      records: noRecords,
      peerId: host.peerId,
    })
    service.start()
    t.teardown(() => service.stop())
    return service
  }
  serviceOf(provider).provide(id)
  const bootstrap = await startHost(t)
  await provider.dial(bootstrap.multiaddrs(), { signal: AbortSignal.timeout(60_000) })
  const seeker = await startHost(t, { join: [bootstrap] })
  const service = serviceOf(seeker)
  let found: string[] = []
  await until(async () => {
    found = await all(service.findProviders(id, { signal: AbortSignal.timeout(60_000) }))
    return found.length > 0
  }, 'the provider')
  t.same(found, [provider.peerId])
  await provider.handle('/kairo-test/1.0.0', (stream) => stream.write(Buffer.from('here')))
  const stream = await seeker.open(provider.peerId, '/kairo-test/1.0.0', {
    signal: AbortSignal.timeout(60_000),
  })
  const chunks: Uint8Array[] = []
  for await (const chunk of stream.incoming) chunks.push(chunk)
  t.equal(Buffer.concat(chunks).toString(), 'here')
})
