/** Fetching single objects: once for all, from the next provider when one fails, never unverified. */
import { randomBytes } from 'node:crypto'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { digestOf } from '../../../src/content/digest.ts'
import { Fetcher } from '../../../src/content/fetch/fetch-client.ts'
import { FetchServer } from '../../../src/content/fetch/fetch-server.ts'
import { ContentStore } from '../../../src/content/store/store.ts'
import { PeerHttps } from '../../../src/host/peer-https/peer-https.ts'
import { HTTP_PROTOCOL } from '../../../src/host/protocols.ts'
import { fetchLimits } from '../../../src/limits/fetch.ts'
import { contentLimits } from '../../../src/limits.ts'
import { silentLogger } from '../../../src/logger.ts'
import { never } from '../../support/content-peer.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { MemoryNet } from '../../support/memory-transport.ts'
import { metricOf } from '../../support/registry-value.ts'

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
    const http = new PeerHttps({ ...base, endpointsOf: () => undefined }, {})
    const server = new FetchServer({ ...base, http, store })
    server.start()
    await http.start()
    made.push({ registry, store, server, http, fetcher: new Fetcher({ ...base, http, store }) })
  }
  type Peer = (typeof made)[number]
  return { clock, net, peers: made as [Peer, Peer, Peer, Peer] }
}

test('fetch over streams', async (t) => {
  await t.test('many readers, one request; what came is stored', async (t) => {
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
    t.equal(net.opens('b', 'a', HTTP_PROTOCOL), 1)
    t.ok(b.store.has(digest))
    t.equal(await metricOf(b.registry, 'kairo_fetch_requests_total', { code: 'ok' }), 1)
    t.equal(await metricOf(b.registry, 'kairo_fetch_joined_total'), 2)
    t.equal(await metricOf(a.registry, 'kairo_fetch_sent_bytes_total'), object.byteLength)
    t.equal(await metricOf(b.registry, 'kairo_fetch_received_bytes_total'), object.byteLength)
  })

  await t.test('a thousand at once are one request', async (t) => {
    const {
      clock,
      net,
      peers: [a, b],
    } = await network(['a', 'b'], 20)
    a.store.put(digest, object)
    const reads = Array.from({ length: 1_000 }, (_, index) =>
      index % 2 === 0
        ? b.fetcher.fetch(digest, ['a'])
        : b.fetcher.fetchStream(digest, ['a']).then(async ({ body }) => {
            const pieces: Buffer[] = []
            for await (const piece of body) pieces.push(piece)
            return Buffer.concat(pieces)
          }),
    )
    await clock.pass(5_000)
    const all = await Promise.all(reads)
    t.ok(all.every((bytes) => bytes.equals(object)))
    t.equal(net.opens('b', 'a', HTTP_PROTOCOL), 1)
  })

  await t.test(
    'a provider without it, one that lies, one that hangs, one that is gone',
    async (t) => {
      const {
        clock,
        net,
        peers: [a, b, c, d],
      } = await network(['a', 'b', 'c', 'd'], 20)
      a.store.put(digest, object)
      // `b` has nothing, `c` has something else under this name, `e` does not exist, `f` never answers.
      c.store.put(digest, Buffer.from('something else'))
      await net.peer('f').handle(HTTP_PROTOCOL, () => new Promise(() => {}))
      const read = d.fetcher.fetch(digest, ['b', 'c', 'e', 'f', 'a'])
      await clock.pass(fetchLimits.headMsMax + 1_000)
      t.ok((await read).equals(object))
      const code = (name: string) =>
        metricOf(d.registry, 'kairo_fetch_requests_total', { code: name })
      t.equal(await code('ERR_NOT_FOUND'), 1)
      t.equal(await code('ERR_VERIFICATION'), 1)
      t.equal(await code('ERR_NO_PROVIDER'), 1)
      t.equal(await code('ok'), 1)
      t.equal(await metricOf(b.registry, 'kairo_fetch_served_total', { code: 'ERR_NOT_FOUND' }), 1)
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
    await t.rejects(b.fetcher.fetch(digest, ['a']), { code: 'ERR_NO_PROVIDER' }, 'a liar rests')
    t.equal(net.opens('b', 'a', HTTP_PROTOCOL), 2)
    clock.advance(60_000)
    net.silence('c')
    const given = new AbortController()
    const read = b.fetcher.fetch(digest, ['c', 'a'], { signal: given.signal })
    read.catch(() => {})
    await settle()
    given.abort()
    await t.rejects(read, { code: 'ERR_TIMEOUT' })
    await settle()
    t.equal(clock.timers, 0)
    t.equal(net.opens('b', 'a', HTTP_PROTOCOL), 2, 'nobody waits: the next provider is not asked')
    t.ok((await b.fetcher.fetch(digest, ['a'])).equals(object), 'a later reader starts anew')
    a.server.stop()
    b.store.delete(digest)
    await t.rejects(b.fetcher.fetch(digest, ['a']), { code: 'ERR_NO_PROVIDER' })
    t.equal(c.store.usage.memoryBytes, 0)
  })

  await t.test('the server answers ranges, and only what is well asked', async (t) => {
    const {
      peers: [a, b],
    } = await network(['a', 'b'])
    const bytes = randomBytes(1_000)
    const name = digestOf(bytes)
    a.store.put(name, bytes)
    const ask = async (range?: string, method: 'GET' | 'HEAD' | 'POST' = 'GET', path = name) => {
      const headers: Record<string, string> = range === undefined ? {} : { range }
      const request = { method, path: `/objects/${path}`, headers }
      const answer = await b.http.request('a', request, { signal: never })
      const pieces: Uint8Array[] = []
      for await (const piece of answer.body) pieces.push(piece)
      return { ...answer, bytes: Buffer.concat(pieces) }
    }
    t.match(await ask(), { status: 200, bytes })
    t.match(await ask('bytes=0-99'), {
      status: 206,
      headers: { 'content-range': 'bytes 0-99/1000' },
      bytes: bytes.subarray(0, 100),
    })
    t.match(await ask('bytes=990-'), { status: 206, bytes: bytes.subarray(990) })
    t.match(await ask('bytes=-10'), { status: 206, bytes: bytes.subarray(990) })
    t.match(await ask('bytes=900-5000'), { status: 206, bytes: bytes.subarray(900) })
    t.match(await ask('bytes=1000-'), {
      status: 416,
      headers: { 'content-range': 'bytes */1000' },
    })
    // What is not understood is as if it were not there (RFC 9110 14.2).
    t.match(await ask('bytes=9-1'), { status: 200, bytes })
    t.match(await ask('bytes=0-1,5-6'), { status: 200, bytes })
    t.match(await ask('lines=0-1'), { status: 200, bytes })
    const head = await ask(undefined, 'HEAD')
    t.match(head, { status: 200, headers: { 'content-length': '1000' } })
    t.equal(head.bytes.byteLength, 0)
    t.match(await ask(undefined, 'POST'), { status: 400 })
    t.match(await ask(undefined, 'GET', 'abc'), { status: 400 })
    t.match(await ask(undefined, 'GET', `${name}/..`), { status: 400 })
    t.match(await ask(undefined, 'GET', digestOf(Buffer.of(1))), { status: 404 })
  })

  await t.test('too many at once', async (t) => {
    const {
      clock,
      net,
      peers: [a, b],
    } = await network(['a', 'b'])
    a.store.put(digest, object)
    net.silence('z')
    const flights = []
    for (let index = 0; index < contentLimits.fetchesMax; index += 1) {
      flights.push(b.fetcher.fetch(digestOf(Buffer.from(`${index}`)), ['z']))
    }
    for (const flight of flights) flight.catch(() => {})
    await t.rejects(b.fetcher.fetch(digest, ['a']), { code: 'ERR_LIMIT' })
    t.equal(await metricOf(b.registry, 'kairo_fetch_limits_total', { limit: 'fetches' }), 1)
    await clock.pass(fetchLimits.waitMsMax)
    await Promise.allSettled(flights)
    t.equal(clock.timers, 0)
    t.ok((await b.fetcher.fetch(digest, ['a'])).equals(object))
  })
})
