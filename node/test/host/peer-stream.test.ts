/**
 * Streams between real hosts: under load, and ends of every kind.
 */
import { createHash, randomBytes } from 'node:crypto'
import { t, test } from 'tap'
import type { PeerStream } from '../../src/host/transport.ts'
import { startHost } from '../support/hosts.ts'
import { until } from '../support/until.ts'

// Real hosts share the machine with whatever else runs there.
t.setTimeout(180_000)

const ECHO = '/kairo-test/echo/1.0.0'

function signal(): AbortSignal {
  return AbortSignal.timeout(60_000)
}

async function collect(stream: PeerStream): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream.incoming) chunks.push(chunk)
  return Buffer.concat(chunks)
}

test('streams', async (t) => {
  const server = await startHost(t)
  const client = await startHost(t, { join: [server] })

  await t.test('each half closes on its own', async (t) => {
    let seen: string | undefined
    await server.handle(ECHO, async (stream) => {
      seen = stream.remotePeer
      // Answers only after the other half is closed.
      await stream.write(await collect(stream))
    })
    const stream = await client.open(server.peerId, ECHO, { signal: signal() })
    await stream.write(Buffer.from('hello '))
    await stream.write(Buffer.from('world'))
    await stream.close()
    t.equal((await collect(stream)).toString(), 'hello world')
    t.equal(seen, client.peerId)
    await t.rejects(stream.write(Buffer.from('more')), { code: 'ERR_NO_PROVIDER' })
  })

  await t.test('64 MiB arrive whole, and a reader that waits holds the writer back', async (t) => {
    const total = 64 * 1024 * 1024
    const block = randomBytes(1024 * 1024)
    let written = 0
    const sent = createHash('sha256')
    await server.handle('/kairo-test/source/1.0.0', async (stream) => {
      for (; written < total; written += block.byteLength) {
        sent.update(block)
        await stream.write(block)
      }
    })
    const stream = await client.open(server.peerId, '/kairo-test/source/1.0.0', {
      signal: signal(),
    })
    const reader = stream.incoming[Symbol.asyncIterator]()
    const received = createHash('sha256')
    let bytes = 0
    const first = await reader.next()
    if (!first.done) {
      received.update(first.value)
      bytes += first.value.byteLength
    }
    // Nobody reads: the writer must come to rest far below the whole.
    let before = -1
    await until(async () => {
      const steady = before === written
      before = written
      await new Promise((resolve) => setTimeout(resolve, 100))
      return steady
    }, 'the writer to rest')
    t.ok(written < 24 * 1024 * 1024, `${written} bytes written to a reader that waits`)
    for await (const chunk of stream.incoming) {
      received.update(chunk)
      bytes += chunk.byteLength
    }
    t.equal(bytes, total)
    t.equal(received.digest('hex'), sent.digest('hex'))
    await stream.close()
  })

  await t.test('parallel writes stay whole', async (t) => {
    const stream = await client.open(server.peerId, ECHO, { signal: signal() })
    const blocks = [1, 2, 3].map((value) => Buffer.alloc(900_000, value))
    await Promise.all(blocks.map((block) => stream.write(block)))
    await stream.close()
    t.ok((await collect(stream)).equals(Buffer.concat(blocks)))
  })

  await t.test('an abort breaks both ends', async (t) => {
    const { promise: ended, resolve } = Promise.withResolvers<Buffer>()
    await server.handle('/kairo-test/hold/1.0.0', async (stream) => {
      const all = collect(stream)
      resolve(all)
      await stream.write(Buffer.from('ready'))
      await all
    })
    const stream = await client.open(server.peerId, '/kairo-test/hold/1.0.0', { signal: signal() })
    const reader = stream.incoming[Symbol.asyncIterator]()
    t.equal(Buffer.from((await reader.next()).value).toString(), 'ready')
    stream.abort(new Error('enough'))
    await t.rejects(reader.next(), /enough/)
    await t.rejects(stream.write(Buffer.from('x')), /enough/)
    await t.rejects(ended, { code: 'ERR_NO_PROVIDER' })
  })

  await t.test('a handler that fails aborts its stream', async (t) => {
    await server.handle('/kairo-test/fail/1.0.0', async () => {
      throw new Error('no')
    })
    const stream = await client.open(server.peerId, '/kairo-test/fail/1.0.0', { signal: signal() })
    await t.rejects(collect(stream), { code: 'ERR_NO_PROVIDER' })
  })

  await t.test('what cannot be opened says so', async (t) => {
    const open = (peerId: string, options = { signal: signal() }) =>
      client.open(peerId, '/kairo-test/none/1.0.0', options)
    await t.rejects(open(server.peerId), { code: 'ERR_NO_PROVIDER' })
    await t.rejects(open(client.peerId), { code: 'ERR_NO_PROVIDER' })
    await t.rejects(open('not a peer id'), { code: 'ERR_NO_PROVIDER' })
    await t.rejects(open(server.peerId, { signal: AbortSignal.abort() }), { code: 'ERR_TIMEOUT' })
    await t.rejects(client.dial(['/ip4/127.0.0.1/tcp/1'], { signal: signal() }), {
      code: 'ERR_NO_PROVIDER',
    })
    await t.rejects(client.dial(['junk'], { signal: signal() }), { code: 'ERR_INVALID_INPUT' })
  })
})

test('a peer that dies breaks its streams rather than ending them', async (t) => {
  const server = await startHost(t)
  const client = await startHost(t, { join: [server] })
  await server.handle(ECHO, async (stream) => {
    await stream.write(Buffer.from('begin'))
    await collect(stream)
  })
  const stream = await client.open(server.peerId, ECHO, { signal: signal() })
  const reader = stream.incoming[Symbol.asyncIterator]()
  await reader.next()
  await server.stop()
  await t.rejects(reader.next(), { code: 'ERR_NO_PROVIDER' })
  await t.rejects(server.open(client.peerId, ECHO, { signal: signal() }), { code: 'ERR_STOPPED' })
  t.same(server.multiaddrs(), [])
  await server.stop()
})
