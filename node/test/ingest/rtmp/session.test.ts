// A whole session in memory: publishing, its refusals, control messages, timeouts and backpressure.
import { test } from 'tap'
import { KairoError } from '../../../src/errors.ts'
import { MESSAGE_TYPE, userControlMessage } from '../../../src/ingest/rtmp/message.ts'
import { rtmpLimits } from '../../../src/limits.ts'
import { settle } from '../../support/manual-clock.ts'
import { SessionRun } from '../../support/rtmp-session.ts'
import {
  AUDIO_CONFIG_TAG,
  audioTag,
  chunk,
  clientHandshake,
  commandBytes,
  connectBytes,
  controlBytes,
  mediaBytes,
  messageBytes,
  publishBytes,
  STREAM_ID,
  STREAM_KEY,
  VIDEO_CONFIG_TAG,
  videoTag,
} from '../../support/rtmp-wire.ts'

const { audio, video } = MESSAGE_TYPE
const firstMedia = () =>
  Buffer.concat([
    mediaBytes(video, 0, VIDEO_CONFIG_TAG),
    mediaBytes(audio, 0, AUDIO_CONFIG_TAG),
    mediaBytes(video, 0, videoTag(true, 66)),
    mediaBytes(audio, 10, audioTag()),
    mediaBytes(video, 33, videoTag(false, -33)),
  ])

for (const pieceBytes of [1, 100, 1_000_000]) {
  test(`publishes, the client's bytes coming ${pieceBytes} at a time`, async (t) => {
    const run = new SessionRun()
    run.receive(Buffer.concat([publishBytes(), firstMedia()]), pieceBytes)
    t.same(run.server.codes(), [
      'NetConnection.Connect.Success',
      'NetStream.Publish.Start',
      'NetStream.Publish.Start',
    ])
    t.match(run.publishing.requests, [
      { streamKey: STREAM_KEY, protocol: 'rtmp', remote: '192.0.2.1:5000' },
    ])
    t.match(run.sink.configs, [
      { kind: 'video', codecString: 'avc1.64000d', width: 320, height: 240, frameRate: 30 },
      { kind: 'audio', codecString: 'mp4a.40.2', sampleRate: 48_000, channels: 2 },
    ])
    t.match(run.sink.units, [
      { kind: 'video', dts: 0, pts: 66 * 90, keyframe: true },
      { kind: 'audio', dts: 900, pts: 900, keyframe: true },
      { kind: 'video', dts: 33 * 90, pts: 0, keyframe: false },
    ])
    t.equal(await run.metric('kairo_rtmp_publishers'), 1)
    run.session.end('closed', 'bye')
    t.equal(run.sink.endReason, 'closed')
    t.equal(await run.metric('kairo_rtmp_publishers'), 0)
    t.equal(run.closed, 1)
    t.equal(run.clock.timers, 0, 'no timer is left')
    t.notMatch(run.log.join('\n'), STREAM_KEY)
  })
}

test('answers in the order and form that encoders wait for', async (t) => {
  const run = new SessionRun().receive(publishBytes())
  t.same(
    run.server.messages.slice(0, 4).map(({ type }) => type),
    [5, 6, 1, 4],
  )
  t.match(run.server.commands(), [
    ['_result', 1, new Map(), new Map()],
    ['_result', 2, null, undefined],
    ['_result', 3, null, undefined],
    ['onFCPublish', 0, null, new Map()],
    ['_result', 4, null, STREAM_ID],
    ['onStatus', 0, null, new Map()],
  ])
  t.equal(run.server.messages.at(-1)?.streamId, STREAM_ID)
})

test('unpublishes and publishes again', async (t) => {
  for (const goodbye of [
    commandBytes(0, 'FCUnpublish', 6, null, STREAM_KEY),
    commandBytes(0, 'deleteStream', 6, null, STREAM_ID),
    commandBytes(STREAM_ID, 'closeStream', 6, null),
  ]) {
    const run = new SessionRun().receive(publishBytes())
    run.receive(goodbye)
    t.equal(run.sink.endReason, 'closed')
    t.equal(run.server.codes().at(-1), 'NetStream.Unpublish.Success')
    run.receive(mediaBytes(video, 0, videoTag(true)))
    run.receive(commandBytes(STREAM_ID, 'publish', 7, null, STREAM_KEY, 'record'))
    t.equal(run.publishing.sinks.length, 2)
    run.receive(commandBytes(0, 'deleteStream', 8, null))
    run.receive(commandBytes(0, 'deleteStream', 8, null, 99))
    t.equal(run.sink.endReason, undefined)
    run.session.fail(new Error('reset'))
    t.equal(await run.ended('socket'), 1)
    t.equal(run.sink.endReason, 'error')
  }
})

test('a socket that breaks after the goodbye is no failure', async (t) => {
  const run = new SessionRun().receive(publishBytes())
  run.receive(commandBytes(0, 'deleteStream', 6, null, STREAM_ID))
  run.session.fail(new Error('EPIPE'))
  t.equal(await run.ended('closed'), 1)
})

test('refuses a wrong key, a second publisher and a peer that is full', async (t) => {
  const wrong = new SessionRun().receive(publishBytes('wrong-key'))
  t.equal(wrong.server.codes().at(-1), 'NetStream.Publish.Denied')
  t.equal(await wrong.ended('stream-key'), 1)
  t.equal(wrong.closed, 1)
  t.notMatch(wrong.log.join('\n'), 'wrong-key')

  for (const [code, status, reason] of [
    ['ERR_PUBLISHER_ACTIVE', 'NetStream.Publish.BadName', 'publisher-active'],
    ['ERR_LIMIT', 'NetStream.Publish.Failed', 'limit'],
    ['ERR_STOPPED', 'NetStream.Publish.Failed', 'stopped'],
  ] as const) {
    const run = new SessionRun()
    run.publishing.failure = new KairoError(code, 'the reason in words')
    run.receive(publishBytes())
    t.equal(run.server.codes().at(-1), status)
    t.match(run.server.commands().at(-1)?.at(-1), new Map([['description', 'the reason in words']]))
    t.equal(await run.ended(reason), 1)
  }

  const broken = new SessionRun()
  broken.publishing.failure = new TypeError('a fault')
  broken.receive(publishBytes())
  t.equal(broken.server.codes().at(-1), 'NetStream.Publish.Failed')
  t.equal(await broken.ended('internal'), 1)
  t.match(broken.log.join('\n'), /error .*a fault/)
})

test('refuses a name without a key, and a second publish on one connection', async (t) => {
  const nameless = new SessionRun().receive(publishBytes('?token=1'))
  t.equal(nameless.server.codes().at(-1), 'NetStream.Publish.Denied')
  t.equal(await nameless.ended('stream-key'), 1)

  const run = new SessionRun().receive(publishBytes())
  run.receive(commandBytes(2, 'publish', 9, null, STREAM_KEY))
  t.equal(run.server.codes().at(-1), 'NetStream.Publish.BadName')
  t.equal(run.closed, 0, 'the first goes on')
})

test('strips the query of a stream key', async (t) => {
  const run = new SessionRun().receive(publishBytes(`${STREAM_KEY}?user=me`))
  t.equal(run.publishing.requests[0]?.streamKey, STREAM_KEY)
})

test('refuses other applications and players', async (t) => {
  const app = new SessionRun()
  app.receive(Buffer.concat([clientHandshake(), connectBytes({ app: 'vod' })]))
  t.same(app.server.codes(), ['NetConnection.Connect.InvalidApp'])
  t.equal(await app.ended('refused'), 1)

  const player = new SessionRun()
  player.receive(Buffer.concat([clientHandshake(), connectBytes()]))
  player.receive(commandBytes(0, 'createStream', 2, null))
  player.receive(commandBytes(0, 'getStreamLength', 3, null, 'x'))
  player.receive(commandBytes(1, 'play', 4, null, 'x'))
  t.equal(player.server.codes().at(-1), 'NetStream.Play.Failed')
  t.equal(await player.ended('refused'), 1)
})

test('speaks AMF3 with clients that ask for it', async (t) => {
  const run = new SessionRun()
  run.receive(Buffer.concat([clientHandshake(), connectBytes({ app: 'live', objectEncoding: 3 })]))
  const result = run.server.commands()[0]?.at(-1)
  t.equal(result instanceof Map && result.get('objectEncoding'), 3)
  const amf3 = (streamId: number, hex: string) =>
    messageBytes({
      ...{ type: MESSAGE_TYPE.commandAmf3, streamId, timestamp: 0 },
      data: Buffer.concat([Buffer.of(0), Buffer.from(hex, 'hex')]),
    })
  const name = (text: string) =>
    `0200${text.length.toString(16).padStart(2, '0')}${Buffer.from(text).toString('hex')}`
  const key = Buffer.from(STREAM_KEY)
  const key3 = `1106${(key.byteLength * 2 + 1).toString(16).padStart(2, '0')}${key.toString('hex')}`
  run.receive(amf3(0, `${name('createStream')}00400000000000000005`))
  run.receive(amf3(1, `${name('publish')}004008000000000000 05 ${key3}`.replaceAll(' ', '')))
  t.equal(run.server.codes().at(-1), 'NetStream.Publish.Start')
})

test('ends on bytes that are not RTMP, with a reason', async (t) => {
  const http = new SessionRun().receive(Buffer.from('GET /live HTTP/1.1\r\n\r\n'))
  t.equal(await http.ended('protocol'), 1)
  t.match(http.log.join('\n'), /not RTMP/)

  const early = new SessionRun()
  early.receive(Buffer.concat([clientHandshake(), commandBytes(0, 'createStream', 1, null)]))
  t.equal(await early.ended('protocol'), 1)

  const twice = new SessionRun()
  twice.receive(Buffer.concat([clientHandshake(), connectBytes(), connectBytes()]))
  t.equal(await twice.ended('protocol'), 1)

  const unknown = new SessionRun()
  unknown.receive(Buffer.concat([clientHandshake(), controlBytes(99, 1)]))
  t.equal(await unknown.ended('protocol'), 1)

  const short = new SessionRun()
  short.receive(Buffer.concat([clientHandshake(), controlBytes(MESSAGE_TYPE.setChunkSize)]))
  t.equal(await short.ended('protocol'), 1)

  short.receive(Buffer.alloc(100))
  short.session.end('stopped', 'again')
  t.equal(short.closed, 1, 'what comes after the end is ignored')
})

test('ends on an absurd length, before and after publish', async (t) => {
  const stranger = new SessionRun().receive(clientHandshake())
  stranger.receive(chunk({ format: 0, chunkStream: 4, length: 65_537, type: 20 }))
  t.equal(await stranger.ended('limit'), 1)
  t.equal(stranger.session.retainedBytes, 0, 'nothing was reserved')

  const publisher = new SessionRun().receive(publishBytes())
  const begin = (chunkStream: number) =>
    chunk({ format: 0, chunkStream, length: 0xffffff, type: 9, payload: Buffer.alloc(128) })
  publisher.receive(begin(6))
  t.equal(publisher.closed, 0)
  publisher.receive(begin(7))
  t.equal(await publisher.ended('limit'), 1)
  t.equal(publisher.sink.endReason, 'error')
  t.equal(publisher.server.codes().at(-1), 'NetStream.Failed')
})

test('a client that has stopped publishing is a stranger again', async (t) => {
  const run = new SessionRun().receive(publishBytes())
  run.receive(commandBytes(0, 'deleteStream', 6, null, STREAM_ID))
  run.receive(chunk({ format: 0, chunkStream: 4, length: 65_537, type: 20 }))
  t.equal(await run.ended('limit'), 1)
})

test('bounds message streams', async (t) => {
  const run = new SessionRun().receive(Buffer.concat([clientHandshake(), connectBytes()]))
  for (let index = 0; index <= rtmpLimits.messageStreamsMax; index += 1) {
    run.receive(commandBytes(0, 'createStream', 2 + index, null))
  }
  t.equal(await run.ended('limit'), 1)
})

test('follows control messages', async (t) => {
  const run = new SessionRun().receive(publishBytes())
  const before = run.server.messages.length
  run.receive(controlBytes(MESSAGE_TYPE.setChunkSize, 1_000))
  run.receive(controlBytes(MESSAGE_TYPE.acknowledgement, 5))
  run.receive(controlBytes(MESSAGE_TYPE.windowAckSize, 0))
  run.receive(controlBytes(MESSAGE_TYPE.setPeerBandwidth, rtmpLimits.windowAckBytes, 0))
  run.receive(controlBytes(99, 1))
  t.equal(run.server.messages.length, before, 'nothing to answer')

  run.receive(controlBytes(MESSAGE_TYPE.setPeerBandwidth, 5_000, 0))
  t.match(run.server.messages.at(-1), { type: 5, data: Buffer.from([0, 0, 0x13, 0x88]) })

  const ping = { ...userControlMessage(6, 77) }
  run.receive(messageBytes(ping, { chunkStream: 2 }))
  t.match(run.server.messages.at(-1), { type: 4, data: userControlMessage(7, 77).data })

  // 700 bytes of a message, then it is aborted and another takes its place.
  const begin = chunk({
    ...{ format: 0, chunkStream: 6, length: 1_700, type: 9, streamId: 1 },
    payload: Buffer.alloc(1_000),
  })
  run.receive(begin)
  run.receive(controlBytes(MESSAGE_TYPE.abort, 6))
  t.equal(run.session.retainedBytes, 0)
  run.receive(firstMedia())
  t.equal(run.sink.units.length, 3)
})

test('acknowledges by the window of the client', async (t) => {
  const run = new SessionRun().receive(publishBytes())
  run.receive(controlBytes(MESSAGE_TYPE.windowAckSize, 10_000))
  const acknowledgements = () => run.server.messages.filter(({ type }) => type === 3)
  t.equal(acknowledgements().length, 0)
  const bytes = mediaBytes(video, 0, VIDEO_CONFIG_TAG)
  for (let index = 0; index < 200; index += 1) run.receive(bytes)
  const words = acknowledgements().map(({ data }) => data.readUInt32BE())
  t.ok(words.length >= 1 && words.length <= 2)
  t.ok((words[0] ?? 0) >= 10_000 && (words[0] ?? 0) < 10_000 + bytes.byteLength)
})

test('pings publishers and measures the answer', async (t) => {
  const run = new SessionRun().receive(publishBytes())
  run.clock.advance(rtmpLimits.pingIntervalMs)
  t.match(run.server.messages.at(-1), { type: 4, data: userControlMessage(6, 10_000).data })
  run.clock.advance(40)
  const pong = messageBytes(userControlMessage(7, 10_000), { chunkStream: 2 })
  run.receive(Buffer.concat([pong, pong]))
  const { values } = (await run.registry.getSingleMetric('kairo_rtmp_ping_seconds')?.get()) ?? {
    values: [],
  }
  const sum = values.find(
    (value) => 'metricName' in value && String(value.metricName).endsWith('sum'),
  )
  t.equal(sum?.value, 0.04, 'once')
})

test('ends a client that does not publish in time', async (t) => {
  const run = new SessionRun().receive(clientHandshake())
  run.clock.advance(9_999)
  t.equal(run.closed, 0)
  run.clock.advance(1)
  t.equal(await run.ended('handshake-timeout'), 1)

  const again = new SessionRun().receive(publishBytes())
  again.receive(commandBytes(0, 'deleteStream', 6, null, STREAM_ID))
  again.clock.advance(10_000)
  t.equal(await again.ended('handshake-timeout'), 1, 'nor one that has stopped publishing')
})

test('ends a silent publisher, though it answers pings', async (t) => {
  const run = new SessionRun().receive(publishBytes())
  run.clock.advance(14_000)
  run.receive(mediaBytes(audio, 0, AUDIO_CONFIG_TAG))
  run.clock.advance(14_000)
  run.receive(messageBytes(userControlMessage(7, 1), { chunkStream: 2 }))
  t.equal(run.closed, 0)
  run.clock.advance(1_000)
  t.equal(await run.ended('timeout'), 1)
  t.equal(run.sink.endReason, 'timeout')
})

test('a long message that still comes in is not silence', async (t) => {
  const run = new SessionRun().receive(publishBytes())
  run.receive(chunk({ format: 0, chunkStream: 6, length: 100_000, type: 9, streamId: 1 }))
  for (let index = 0; index < 5; index += 1) {
    run.clock.advance(10_000)
    run.receive(Buffer.of(1))
  }
  t.equal(run.closed, 0)
  run.clock.advance(15_000)
  t.equal(await run.ended('timeout'), 1)
})

test('waits for the sink, in the middle of what has come', async (t) => {
  const gate = Promise.withResolvers<void>()
  const run = new SessionRun((sink) => {
    sink.wait = gate.promise
  })
  run.receive(Buffer.concat([publishBytes(), firstMedia()]))
  t.equal(run.sink.units.length, 1, 'nothing is written while the sink is not ready')
  t.equal(run.paused, true)
  t.equal(await run.metric('kairo_rtmp_pauses_total'), 1)
  run.receive(mediaBytes(video, 66, videoTag(false)))
  run.clock.advance(60_000)
  t.equal(run.closed, 0, 'the silence is ours')

  run.sink.wait = undefined
  gate.resolve()
  await settle()
  t.equal(run.sink.units.length, 4)
  t.equal(run.paused, false)
  run.clock.advance(14_999)
  t.equal(run.closed, 0)
  run.clock.advance(1)
  t.equal(await run.ended('timeout'), 1)
})

test('waits for every unit of an aggregate', async (t) => {
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const run = new SessionRun().receive(Buffer.concat([publishBytes(), firstMedia()]))
  const before = run.sink.units.length
  const queue = gates.map(({ promise }) => promise)
  Object.defineProperty(run.sink, 'wait', { get: () => queue.shift() })
  const part = (time: number, tag: Buffer) =>
    Buffer.concat([
      Buffer.of(9, 0, 0, tag.byteLength, 0, 0, time, 0, 0, 0, 0),
      tag,
      Buffer.alloc(4),
    ])
  const data = Buffer.concat([part(10, videoTag(false)), part(43, videoTag(false))])
  run.receive(mediaBytes(MESSAGE_TYPE.aggregate, 1_000, data))
  t.same(
    run.sink.units.slice(before).map(({ dts }) => dts),
    [90_000, 92_970],
  )
  gates[0]?.resolve()
  await settle()
  t.equal(run.paused, true)
  gates[1]?.resolve()
  await settle()
  t.equal(run.paused, false)

  const nested = new SessionRun().receive(publishBytes())
  const inner = Buffer.concat([Buffer.of(22, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), Buffer.alloc(4)])
  nested.receive(mediaBytes(MESSAGE_TYPE.aggregate, 0, inner))
  t.equal(await nested.ended('protocol'), 1)
})

test('a sink that fails ends the session', async (t) => {
  const run = new SessionRun((sink) => {
    sink.wait = Promise.reject(new Error('disk'))
  })
  run.receive(Buffer.concat([publishBytes(), firstMedia()]))
  await settle()
  t.equal(await run.ended('internal'), 1)
  t.match(run.log.join('\n'), /disk/)
})

test('an end during the wait is final', async (t) => {
  const gate = Promise.withResolvers<void>()
  const run = new SessionRun((sink) => {
    sink.wait = gate.promise
  })
  run.receive(Buffer.concat([publishBytes(), firstMedia()]))
  run.publishing.requests[0]?.disconnect('replaced by another publisher')
  gate.resolve()
  await settle()
  t.equal(run.sink.endReason, 'replaced')
  t.equal(run.sink.units.length, 1)
  t.equal(run.server.codes().at(-1), 'NetStream.Unpublish.Success')
  t.equal(await run.ended('replaced'), 1)
})

test('a publisher waits while others are asked, and hears who has the stream', async (t) => {
  const run = new SessionRun()
  const asked = Promise.withResolvers<void>()
  run.publishing.asking = asked.promise
  run.receive(publishBytes()).receive(firstMedia())
  t.ok(run.paused)
  const before = run.server.codes().length
  run.clock.advance(60_000)
  t.equal(run.closed, 0, 'the wait is bounded by whoever asks')
  asked.resolve()
  await settle()
  t.same(run.server.codes().slice(before), ['NetStream.Publish.Start'])
  t.ok(run.sink.units.length > 0, 'what came meanwhile is taken')
  t.notOk(run.paused)

  const refused = new SessionRun()
  const error = new KairoError('ERR_PUBLISHER_ACTIVE', 'the peer x publishes this stream')
  refused.publishing.asking = Promise.reject(error)
  refused.receive(publishBytes())
  await settle()
  t.equal(refused.server.codes().at(-1), 'NetStream.Publish.BadName')
  t.match(
    refused.server.commands().at(-1)?.at(-1),
    new Map([['description', 'the peer x publishes this stream']]),
  )
  t.equal(await refused.ended('publisher-active'), 1)
})

test('nobody is asked for a client that has gone', async (t) => {
  const run = new SessionRun()
  const asked = Promise.withResolvers<void>()
  run.publishing.asking = asked.promise
  run.receive(publishBytes())
  const before = run.server.codes().length
  run.session.end('closed', 'the client closed the connection')
  asked.resolve()
  await settle()
  t.equal(run.publishing.sinks.length, 0)
  t.equal(run.closed, 1)
  t.equal(run.server.codes().length, before)
})
