/** The content planes of three peers over real libp2p connections, with the real directory and DHT between them. */
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { FeedServer } from '../../src/content/feed/server.ts'
import { Fetcher } from '../../src/content/fetch/fetch-client.ts'
import { FetchServer } from '../../src/content/fetch/fetch-server.ts'
import { Publication } from '../../src/content/publication/publication.ts'
import { Directory } from '../../src/content/records/directory.ts'
import { ProviderService } from '../../src/content/records/provider.ts'
import { Replicas } from '../../src/content/replica/replicas.ts'
import { ContentStore } from '../../src/content/store/store.ts'
import type { LiveStream } from '../../src/content/stream.ts'
import { generateStreamKey } from '../../src/content/stream-key.ts'
import type { Libp2pHost } from '../../src/host/libp2p-host.ts'
import { PeerHttps } from '../../src/host/peer-https/peer-https.ts'
import { silentLogger } from '../../src/logger.ts'
import {
  MemorySequence,
  never,
  readWindow,
  sourceInfo,
  TestPublisher,
} from '../support/content-peer.ts'
import { startHost } from '../support/hosts.ts'
import { until } from '../support/until.ts'

async function startPeer(t: Test, join: readonly Libp2pHost[]) {
  const transport = await startHost(t, { join })
  const registry = new Registry()
  const base = { clock: systemClock, logger: silentLogger, registry, transport }
  const store = new ContentStore(base, { memoryBytesMax: 1e8, diskBytesMax: 0 })
  const directory = new Directory({ ...base, gossip: transport.gossip, peers: transport })
  const providers = new ProviderService({
    ...base,
    routing: transport.routing,
    peers: transport,
    records: directory,
    peerId: transport.peerId,
  })
  const http = new PeerHttps({ ...base, endpointsOf: () => undefined }, {})
  const fetcher = new Fetcher({ ...base, http, store })
  const replicas = new Replicas(
    {
      ...base,
      store,
      fetcher,
      records: directory,
      providers,
      random: Math.random,
    },
    { idleMs: 60_000 },
  )
  const feeds = new FeedServer({ ...base, streams: replicas })
  await directory.start()
  providers.start()
  await feeds.start()
  new FetchServer({ ...base, http, store }).start()
  await http.start()
  replicas.start()
  const stop = async (): Promise<void> => {
    replicas.stop()
    await feeds.stop()
    await providers.stop()
    await directory.stop()
    await transport.stop()
  }
  t.teardown(stop)
  return { transport, registry, store, directory, providers, replicas, stop }
}

async function follows(stream: LiveStream, original: Publication): Promise<boolean> {
  const [theirs] = stream.followed()
  const [ours] = original.followed()
  return theirs?.entries.at(-1)?.digest === ours?.entries.at(-1)?.digest
}

test('replication over libp2p', async (t) => {
  const a = await startPeer(t, [])
  const b = await startPeer(t, [a.transport])
  const c = await startPeer(t, [a.transport, b.transport])
  const key = generateStreamKey()
  const publication = new Publication(
    { clock: systemClock, registry: a.registry, store: a.store, sequence: new MemorySequence() },
    {
      key,
      alias: 'test',
      title: 'Test',
      peerId: a.transport.peerId,
      windowSegments: 15,
      onRecord: ({ title, alias, state, renditions, startedAtMs }) => {
        a.directory.publishOwn(key, { title, alias, state, renditions, startedAtMs })
        a.providers.provide(key.id)
      },
    },
  )
  a.replicas.addPublication(publication)
  const publisher = new TestPublisher(publication, [sourceInfo])
  publisher.parts(20, { bytes: 100_000 })
  for (const peer of [b, c]) {
    await until(() => peer.directory.resolve('test') !== undefined, 'the record')
  }

  const atB = await b.replicas.open('test', { signal: never })
  await atB.rendition('source', { signal: AbortSignal.timeout(20_000) })
  t.equal(atB.sourcePeer, a.transport.peerId)
  publisher.parts(12, { bytes: 100_000 })
  await until(() => follows(atB, publication), 'the newest part at b')
  const whole = await readWindow(publication, 'source')
  t.ok((await readWindow(atB, 'source')).equals(whole), 'the same bytes at b')

  const atC = await c.replicas.open(key.id, { signal: never })
  await atC.rendition('source', { signal: AbortSignal.timeout(20_000) })
  t.ok((await readWindow(atC, 'source')).equals(whole), 'the same bytes at c')

  const upstream = atC.sourcePeer === a.transport.peerId ? a : b
  t.equal(upstream === a || atC.sourcePeer === b.transport.peerId, true)
  if (upstream === b) await b.stop()
  publisher.parts(5)
  await until(() => follows(atC, publication), 'the newest part at c')
  t.equal(atC.sourcePeer, a.transport.peerId)
  await a.stop()
  await until(() => atC.status !== 'following', 'c to notice that nobody is left')
})
