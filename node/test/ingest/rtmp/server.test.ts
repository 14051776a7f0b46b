// The server on real loopback sockets, with a client written by hand.
import { once } from 'node:events'
import { createConnection, createServer, type Socket } from 'node:net'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { systemClock } from '../../../src/clock.ts'
import { MESSAGE_TYPE } from '../../../src/ingest/rtmp/message.ts'
import { RtmpServer, type RtmpServerInit } from '../../../src/ingest/rtmp/server.ts'
import { rtmpLimits } from '../../../src/limits.ts'
import { silentLogger } from '../../../src/logger.ts'
import { RecordingPublishing } from '../../support/recording-publishing.ts'
import {
  clientHandshake,
  connectBytes,
  mediaBytes,
  messageBytes,
  publishBytes,
  ServerBytes,
  STREAM_KEY,
  VIDEO_CONFIG_TAG,
  videoTag,
} from '../../support/rtmp-wire.ts'

async function startServer(t: Test, init: Partial<RtmpServerInit> = {}) {
  const registry = new Registry()
  const publishing = new RecordingPublishing(STREAM_KEY)
  const server = new RtmpServer(
    { clock: systemClock, logger: silentLogger, registry, publishing },
    { host: '127.0.0.1', port: 0, ...init },
  )
  await server.start()
  t.teardown(() => server.stop())
  const ended = async (reason: string) => {
    const values = (await registry.getSingleMetric('kairo_rtmp_disconnects_total')?.get())?.values
    return values?.find((value) => value.labels.reason === reason)?.value ?? 0
  }
  return { server, registry, publishing, ended }
}

/** A connected client whose server bytes are read. */
async function connect(t: Test, server: RtmpServer) {
  const socket = createConnection(server.address())
  const received = new ServerBytes()
  socket.on('data', (bytes) => received.receive(bytes))
  // A reset shows in what was received, not as an error here.
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return { socket, received, closed: closeOf(socket) }
}

async function closeOf(socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve())
  })
}

test('takes a publisher from connect to goodbye', async (t) => {
  const { server, registry, publishing, ended } = await startServer(t)
  const { socket, received, closed } = await connect(t, server)
  const published = publishing.next()
  socket.write(publishBytes())
  const sink = await published
  socket.write(mediaBytes(MESSAGE_TYPE.video, 0, VIDEO_CONFIG_TAG))
  socket.write(mediaBytes(MESSAGE_TYPE.video, 0, videoTag(true, 0, 200_000)))
  await sink.received(1)
  const metrics = await registry.metrics()
  t.match(metrics, /kairo_rtmp_connections 1\n/)
  t.match(metrics, /kairo_rtmp_publishers 1\n/)
  socket.end()
  t.equal(await sink.ended, 'closed')
  await closed
  t.same(received.codes().at(-1), 'NetStream.Publish.Start')
  t.equal(await ended('closed'), 1)
  t.match(await registry.metrics(), /kairo_rtmp_received_bytes_total 20\d{4}/)
})

test('a reset connection ends the publication', async (t) => {
  const { server, publishing, ended } = await startServer(t)
  const { socket } = await connect(t, server)
  const published = publishing.next()
  socket.write(publishBytes())
  const sink = await published
  socket.resetAndDestroy()
  t.equal(await sink.ended, 'error')
  t.equal(await ended('socket'), 1)
})

test('the client reads why it is refused, though it goes on sending', async (t) => {
  const { server, publishing, ended } = await startServer(t)
  const wrong = await connect(t, server)
  wrong.socket.write(publishBytes('wrong'))
  for (let index = 0; index < 100; index += 1) {
    wrong.socket.write(mediaBytes(MESSAGE_TYPE.video, index, videoTag(true, 0, 20_000)))
  }
  const [failed] = await once(wrong.socket, 'close')
  t.equal(failed, false, 'the connection is closed, not reset')
  t.equal(wrong.received.codes().at(-1), 'NetStream.Publish.Denied')
  t.equal(await ended('stream-key'), 1)

  const first = await connect(t, server)
  const published = publishing.next()
  first.socket.write(publishBytes())
  const sink = await published
  const second = await connect(t, server)
  second.socket.write(publishBytes())
  await second.closed
  t.equal(second.received.codes().at(-1), 'NetStream.Publish.BadName')
  t.equal(await ended('publisher-active'), 1)
  t.equal(sink.endReason, undefined, 'the first goes on')

  publishing.requests[0]?.disconnect('an operator removed it')
  await first.closed
  t.equal(await sink.ended, 'replaced')
  t.equal(first.received.codes().at(-1), 'NetStream.Unpublish.Success')
})

test('junk ends its own connection and no other', async (t) => {
  const { server, publishing, ended } = await startServer(t)
  const good = await connect(t, server)
  const published = publishing.next()
  good.socket.write(publishBytes())
  const sink = await published
  const junk = await connect(t, server)
  junk.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await junk.closed
  const later = await connect(t, server)
  later.socket.write(Buffer.concat([clientHandshake(), Buffer.alloc(5_000, 0xff)]))
  await later.closed
  t.equal(await ended('protocol'), 2)
  good.socket.write(mediaBytes(MESSAGE_TYPE.video, 0, VIDEO_CONFIG_TAG))
  good.socket.write(mediaBytes(MESSAGE_TYPE.video, 0, videoTag(true)))
  await sink.received(1)
})

test('stops reading while the sink is not ready', async (t) => {
  const { server, publishing, registry } = await startServer(t)
  const { socket } = await connect(t, server)
  const gate = Promise.withResolvers<void>()
  const published = publishing.next()
  socket.write(publishBytes())
  const sink = await published
  sink.wait = gate.promise
  socket.write(mediaBytes(MESSAGE_TYPE.video, 0, VIDEO_CONFIG_TAG))
  const frame = mediaBytes(MESSAGE_TYPE.video, 1, videoTag(true, 0, 1_000_000))
  const frames = 40
  for (let index = 0; index < frames; index += 1) socket.write(frame)
  await sink.received(1)
  // Both ends live in this event loop: after so many turns everything would have been read if anyone read. 40 MB are more than
  // the kernel holds, so the rest stays with the client.
  for (let turn = 0; turn < 1_000; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.equal(sink.units.length, 1)
  t.ok(socket.writableLength > 0, 'the client is held back')
  t.match(await registry.metrics(), /kairo_rtmp_pauses_total 1\n/)
  sink.wait = undefined
  gate.resolve()
  await sink.received(frames)
  t.equal(sink.units.length, frames)
})

test('a client that does not read its answers is cut off', async (t) => {
  // On a busy machine filling the queue may take longer than a client has to publish.
  const { server, ended } = await startServer(t, { handshakeTimeoutMs: 600_000 })
  const socket = createConnection(server.address())
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  socket.pause()
  socket.write(Buffer.concat([clientHandshake(), connectBytes()]))
  const ping = messageBytes(
    {
      type: MESSAGE_TYPE.userControl,
      streamId: 0,
      timestamp: 0,
      data: Buffer.from('000600000001', 'hex'),
    },
    { chunkStream: 2 },
  )
  const pings = Buffer.concat(new Array<Buffer>(20_000).fill(ping))
  while ((await ended('limit')) === 0 && !socket.destroyed) {
    if (!socket.write(pings)) await new Promise((resolve) => setImmediate(resolve))
  }
  t.equal(await ended('limit'), 1)
})

test('bounds connections: one that only waits gives way, a publisher does not', async (t) => {
  const { server, publishing, ended } = await startServer(t, { connectionsMax: 1 })
  const waiting = await connect(t, server)
  const answered = once(waiting.socket, 'data')
  waiting.socket.write(clientHandshake())
  await answered
  const publisher = await connect(t, server)
  await waiting.closed
  t.equal(await ended('limit'), 1)
  const published = publishing.next()
  publisher.socket.write(publishBytes())
  await published
  const late = await connect(t, server)
  await late.closed
  t.equal(await ended('limit'), 2)
  t.notOk(publisher.socket.destroyed)
})

test('ends clients that do not publish, by its own setting', async (t) => {
  const { server, ended } = await startServer(t, { handshakeTimeoutMs: 20, readTimeoutMs: 20 })
  const { closed } = await connect(t, server)
  await closed
  t.equal(await ended('handshake-timeout'), 1)
})

test('stops in order, even with a client that does not close', async (t) => {
  const { server, publishing, ended } = await startServer(t)
  const published = publishing.next()
  const { socket, received, closed } = await connect(t, server)
  socket.write(publishBytes())
  const sink = await published
  // Keeps its side open when the server closes its own.
  const stubborn = createConnection({ ...server.address(), allowHalfOpen: true })
  t.teardown(() => stubborn.destroy())
  stubborn.on('error', () => {})
  const answered = once(stubborn, 'data')
  stubborn.write(clientHandshake())
  await answered
  await server.stop()
  await closed
  t.equal(await sink.ended, 'stopped')
  t.equal(received.codes().at(-1), 'NetStream.Unpublish.Success')
  t.equal(await ended('stopped'), 2)
  await server.stop()
})

test('says what to do about a taken port', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1')
  t.teardown(() => holder.close())
  await once(holder, 'listening')
  const address = holder.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  const components = {
    ...{ clock: systemClock, logger: silentLogger, registry: new Registry() },
    publishing: new RecordingPublishing(STREAM_KEY),
  }
  const server = new RtmpServer(components, { host: '127.0.0.1', port })
  await t.rejects(server.start(), {
    code: 'ERR_ADDRESS_IN_USE',
    message: new RegExp(`port ${port} .* taken .*--rtmp`),
  })
  const nowhere = new RtmpServer(
    { ...components, registry: new Registry() },
    { host: '203.0.113.1', port: 0 },
  )
  await t.rejects(nowhere.start(), { code: 'ERR_CONFIG' })
  t.throws(() => nowhere.address())
})

test('the limit of answers is small enough to hold for every connection', async (t) => {
  t.ok(rtmpLimits.sendQueueBytesMax * rtmpLimits.connectionsMax <= 2 ** 30)
})
