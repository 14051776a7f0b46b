/** Fetching single objects: once for all, from the next provider when one fails, never unverified. */
import { create } from '@bufbuild/protobuf'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { digestOf, digestToBytes } from '../../src/content/digest.ts'
import { Fetcher } from '../../src/content/fetch/fetch-client.ts'
import { FetchServer } from '../../src/content/fetch/fetch-server.ts'
import { ContentStore } from '../../src/content/store/store.ts'
import { FETCH_PROTOCOL } from '../../src/host/protocols.ts'
import { contentLimits } from '../../src/limits.ts'
import { silentLogger } from '../../src/logger.ts'
import { encodeFrameHeader, FrameDecoder } from '../../src/protocol/frame-codec.ts'
import { FetchRequestSchema, FetchResponseSchema } from '../../src/protocol/generated/feed_pb.js'
import { never } from '../support/content-peer.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { MemoryNet } from '../support/memory-transport.ts'

const object = Buffer.alloc(300_000, 'kairo')
const digest = digestOf(object)

async function network(peers: readonly string[], latencyMs = 0) {
  const clock = new ManualClock()
  const net = new MemoryNet({ clock, latencyMs })
  const made = []
  for (const id of peers) {
    const registry = new Registry()
    const base = { clock, logger: silentLogger, registry, transport: net.peer(id) }
    const store = new ContentStore(base, { memoryBytesMax: 10_000_000, diskBytesMax: 0 })
    const server = new FetchServer({ ...base, store })
    await server.start()
    made.push({ registry, store, server, fetcher: new Fetcher({ ...base, store }) })
  }
  type Peer = (typeof made)[number]
  return { clock, net, peers: made as [Peer, Peer, Peer, Peer] }
}

async function count(registry: Registry, name: string, code?: string): Promise<number> {
  const metric = await registry.getSingleMetric(name)?.get()
  const values = metric?.values.filter(
    (value) => code === undefined || Object.values(value.labels).includes(code),
  )
  return values?.reduce((sum, { value }) => sum + value, 0) ?? 0
}

test('fetch', async (t) => {
  await t.test('many readers, one fetch; what came is stored', async (t) => {
    const {
      clock,
      net,
      peers: [a, b],
    } = await network(['a', 'b'], 20)
    a.store.put(digest, object)
    const leaving = new AbortController()
    const reads = [never, never, leaving.signal].map((signal) =>
      b.fetcher.fetch(digest, ['a'], { signal }),
    )
    reads[2]?.catch(() => {})
    leaving.abort()
    await clock.pass(1_000)
    t.ok((await reads[0])?.equals(object))
    t.equal(await reads[0], await reads[1])
    await t.rejects(Promise.resolve(reads[2]), { code: 'ERR_TIMEOUT' })
    t.equal(net.opens('b', 'a', FETCH_PROTOCOL), 1)
    t.ok(b.store.has(digest))
    t.equal(await count(b.registry, 'kairo_fetch_requests_total', 'ok'), 1)
    t.equal(await count(a.registry, 'kairo_fetch_sent_bytes_total'), object.byteLength)
    t.ok((await count(b.registry, 'kairo_fetch_received_bytes_total')) > object.byteLength)
  })

  await t.test(
    'the next provider is asked when one does not have it, lies, hangs or is gone',
    async (t) => {
      const {
        clock,
        net,
        peers: [a, b, , d],
      } = await network(['a', 'b', 'c', 'd'], 20)
      a.store.put(digest, object)
      // `b` has nothing, `c` sends something else, `e` does not exist, `f` never answers.
      await net.peer('c').handle(FETCH_PROTOCOL, async (stream) => {
        const lie = Buffer.from('something else')
        await stream.write(
          Buffer.concat([
            encodeFrameHeader(
              FetchResponseSchema,
              create(FetchResponseSchema, { payloadBytes: lie.byteLength }),
            ),
            lie,
          ]),
        )
        await stream.close()
      })
      await net.peer('f').handle(FETCH_PROTOCOL, () => new Promise(() => {}))
      const read = d.fetcher.fetch(digest, ['b', 'c', 'e', 'f', 'a'])
      await clock.pass(contentLimits.fetchProviderMsMax + 1_000)
      t.ok((await read).equals(object))
      t.equal(await count(d.registry, 'kairo_fetch_requests_total', 'ERR_VERIFICATION'), 1)
      t.equal(await count(d.registry, 'kairo_fetch_requests_total', 'ERR_NO_PROVIDER'), 2)
      t.equal(await count(d.registry, 'kairo_fetch_requests_total', 'ERR_TIMEOUT'), 1)
      t.equal(await count(b.registry, 'kairo_fetch_served_total', 'ERR_NOT_FOUND'), 1)
    },
  )

  await t.test('when nobody has it the error says so, and nothing is stored', async (t) => {
    const {
      clock,
      net,
      peers: [a, b, c],
    } = await network(['a', 'b', 'c'])
    await t.rejects(b.fetcher.fetch(digest, []), { code: 'ERR_NO_PROVIDER' })
    await t.rejects(b.fetcher.fetch(digest, ['a', 'c']), { code: 'ERR_NO_PROVIDER' })
    a.store.put(digest, object)
    net.tamper = (chunk, from) => {
      if (from === 'a' && chunk.byteLength > 1_000) chunk.writeUInt8(chunk.readUInt8(9) ^ 1, 9)
      return chunk
    }
    await t.rejects(b.fetcher.fetch(digest, ['a']), { code: 'ERR_VERIFICATION' })
    t.equal(b.store.has(digest), false)
    net.tamper = undefined
    net.silence('c')
    const given = new AbortController()
    const read = b.fetcher.fetch(digest, ['c', 'a'], { signal: given.signal })
    read.catch(() => {})
    await settle()
    given.abort()
    await t.rejects(read, { code: 'ERR_TIMEOUT' })
    await settle()
    t.equal(clock.timers, 0)
    t.equal(net.opens('b', 'a', FETCH_PROTOCOL), 2, 'nobody waits: the next provider is not asked')
    t.ok((await b.fetcher.fetch(digest, ['a'])).equals(object), 'a later reader starts anew')
    a.server.stop()
    b.store.delete(digest)
    await t.rejects(b.fetcher.fetch(digest, ['a']), { code: 'ERR_NO_PROVIDER' })
    t.equal(c.store.usage.memoryBytes, 0)
  })

  await t.test('malformed requests, answers and too many at once', async (t) => {
    const {
      clock,
      net,
      peers: [a, b],
    } = await network(['a', 'b'])
    a.store.put(digest, object)
    const ask = async (bytes: Buffer): Promise<string> => {
      const stream = await net.peer('x').open('a', FETCH_PROTOCOL, { signal: never })
      await stream.write(bytes)
      const decoder = new FrameDecoder(FetchResponseSchema, (header) => header.payloadBytes, {
        headerBytesMax: 1_000,
        payloadBytesMax: 1_000_000,
      })
      for await (const chunk of stream.incoming) {
        for (const { header } of decoder.push(chunk)) return header.code
      }
      return 'nothing'
    }
    const request = (fields: object): Buffer =>
      encodeFrameHeader(FetchRequestSchema, create(FetchRequestSchema, fields))
    t.equal(await ask(Buffer.alloc(9, 0xff)), 'ERR_PROTOCOL')
    t.equal(await ask(request({ version: 1, digest: Buffer.alloc(31) })), 'ERR_PROTOCOL')
    t.equal(await ask(request({ version: 9, digest: digestToBytes(digest) })), 'ERR_PROTOCOL')
    t.equal(await ask(request({ version: 1, digest: Buffer.alloc(2_000) })), 'ERR_LIMIT')
    t.equal(await ask(request({ version: 1, digest: digestToBytes(digest) })), '')
    for (let index = 0; index < contentLimits.fetchesPerPeerMax; index += 1) {
      await net.peer('x').open('a', FETCH_PROTOCOL, { signal: never })
    }
    t.equal(await ask(request({ version: 1, digest: digestToBytes(digest) })), 'ERR_LIMIT')
    t.ok((await b.fetcher.fetch(digest, ['a'])).equals(object), 'others are served')
    await clock.pass(contentLimits.feedWriteMsMax)
    t.equal(
      await ask(request({ version: 1, digest: digestToBytes(digest) })),
      '',
      'those that asked nothing are gone',
    )
    await net.peer('z').handle(FETCH_PROTOCOL, async (stream) => await stream.close())
    await t.rejects(b.fetcher.fetch(digestOf(Buffer.of(1)), ['z']), { code: 'ERR_NO_PROVIDER' })
    net.silence('z')
    const flights = []
    for (let index = 0; index < contentLimits.fetchesMax; index += 1) {
      flights.push(b.fetcher.fetch(digestOf(Buffer.from(`${index}`)), ['z']))
    }
    for (const flight of flights) flight.catch(() => {})
    await t.rejects(b.fetcher.fetch(digest, ['a']), { code: 'ERR_LIMIT' })
    await clock.pass(contentLimits.fetchProviderMsMax)
    await Promise.allSettled(flights)
    t.equal(clock.timers, 0)
  })
})
