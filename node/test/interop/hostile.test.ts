/**
 * Hostile clients against two real peers, an origin and a follower with a viewer each: whatever is sent to RTMP, HTTP and
 * libp2p, the stream goes on at both, nothing secret is logged, and what was refused is counted.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { type Test, test } from 'tap'
import { encodeSignedRecord } from '../../src/content/records/stream-record.ts'
import { generateStreamKey, streamPublicKeyOf } from '../../src/content/stream-key.ts'
import type { Libp2pHost } from '../../src/host/libp2p-host.ts'
import {
  FEED_PROTOCOL,
  HTTP_PROTOCOL,
  RECORDS_PROTOCOL,
  RECORDS_TOPIC,
} from '../../src/host/protocols.ts'
import { contentLimits, recordLimits, rtmpLimits } from '../../src/limits.ts'
import { encodeFrameHeader } from '../../src/protocol/frame-codec.ts'
import { FeedRequestSchema } from '../../src/protocol/generated/feed_pb.js'
import { ffmpegPush } from '../support/ffmpeg-push.ts'
import { startHost } from '../support/hosts.ts'
import { httpRequest, httpUntil } from '../support/http-get.ts'
import { metricValue } from '../support/metric-value.ts'
import { needs } from '../support/needs.ts'
import { type PeerProcess, startPeer } from '../support/peer-process.ts'
import { recordFields } from '../support/records.ts'
import {
  AUDIO_CONFIG_TAG,
  audioTag,
  clientHandshake,
  mediaBytes,
  publishBytes,
  VIDEO_CONFIG_TAG,
  videoTag,
} from '../support/rtmp-wire.ts'
import { until } from '../support/until.ts'

const AUDIO = 8
const VIDEO = 9

interface World {
  readonly origin: PeerProcess
  readonly follower: PeerProcess
  readonly stream: string
}

async function world(t: Test): Promise<World> {
  const homes = t.testdir({ a: {}, b: {} })
  const origin = await startPeer(t, join(homes, 'a'))
  const follower = await startPeer(t, join(homes, 'b'), ['--join', origin.ready.http])
  ffmpegPush(t, `${origin.ready.rtmp}/${origin.ready.streamKey}`, { size: '320x180' })
  const { stream } = origin.ready
  await httpUntil(`${follower.ready.http}/api/streams`, ({ text }) => text.includes('"live"'))
  return { origin, follower, stream }
}

/** The stream goes on at both peers: a segment comes that nobody has seen yet. */
async function goesOn(t: Test, { origin, follower, stream }: World, after: string): Promise<void> {
  for (const peer of [origin, follower]) {
    const url = `${peer.ready.http}/live/${stream}/source/media.m3u8`
    const last = lastSegment((await httpRequest(url)).text)
    await httpUntil(url, ({ text }) => lastSegment(text) > last, { attempts: 300 })
  }
  t.pass(`the stream goes on after ${after}`)
}

function lastSegment(playlist: string): number {
  return Math.max(-1, ...[...playlist.matchAll(/^(\d+)\.m4s$/gm)].map(([, msn]) => Number(msn)))
}

async function open(t: Test, port: number, bytes: Uint8Array): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  // Being cut off is what these clients are here for.
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  socket.resume()
  socket.write(bytes)
  return socket
}

function portOf(url: string): number {
  return Number(/:(\d+)/.exec(url)?.[1])
}

async function attackRtmp(t: Test, { origin }: World): Promise<void> {
  const port = portOf(origin.ready.rtmp)
  for (let count = 0; count < rtmpLimits.connectionsMax + 50; count++) {
    await open(t, port, Buffer.concat([Buffer.of(3), randomBytes(100)]))
  }
  const wrongKey = await open(t, port, publishBytes('nobody-knows-this'))
  await once(wrongKey, 'close')
  const ended = (): Promise<number> =>
    metricValue(origin.ready.http, 'kairo_rtmp_disconnects_total')
  const before = await ended()
  for (let count = 0; count < 100; count++) {
    await open(t, port, Buffer.concat([clientHandshake(), randomBytes(2_000)]))
    await open(t, port, randomBytes(2_000).fill(9, 0, 1))
  }
  await until(async () => (await ended()) >= before + 150, 'junk is cut off')
}

/** A publisher with a key of its own whose media cannot be packaged. */
async function attackPackager(t: Test, { origin }: World): Promise<void> {
  const token = new URL(origin.ready.admin).searchParams.get('token') ?? ''
  const { text } = await httpRequest(`${origin.ready.http}/api/keys`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: '{"name":"hostile"}',
  })
  const { streamKey } = JSON.parse(text) as { streamKey: string }
  const media: Buffer[] = [
    mediaBytes(VIDEO, 0, VIDEO_CONFIG_TAG),
    mediaBytes(AUDIO, 0, AUDIO_CONFIG_TAG),
  ]
  for (let index = 0; index < 3_000; index++) {
    // Every picture a keyframe, a millisecond long, shown an hour earlier or later.
    media.push(mediaBytes(VIDEO, index, videoTag(true, index % 2 === 0 ? 3_600_000 : -3_600_000)))
    media.push(mediaBytes(AUDIO, index, audioTag()))
  }
  const socket = await open(t, portOf(origin.ready.rtmp), publishBytes(streamKey))
  socket.write(Buffer.concat(media))
  const publishers = (): Promise<number> => metricValue(origin.ready.http, 'kairo_rtmp_publishers')
  await until(async () => socket.destroyed || (await publishers()) === 2, 'the publisher is heard')
  socket.destroy()
  await until(async () => (await publishers()) === 1, 'the publisher is gone')
}

async function attackHttp(t: Test, { origin, stream }: World): Promise<void> {
  const port = portOf(origin.ready.http.slice(5))
  const blocked = `GET /live/${stream}/source/media.m3u8?_HLS_msn=MSN HTTP/1.1\r\nHost: x\r\n\r\n`
  const { text } = await httpRequest(`${origin.ready.http}/live/${stream}/source/media.m3u8`)
  const next = Buffer.from(blocked.replace('MSN', String(lastSegment(text) + 2)))
  const sockets: Socket[] = []
  for (let count = 0; count < 500; count++) sockets.push(await open(t, port, next))
  for (let count = 0; count < 100; count++) {
    const unread = await open(
      t,
      port,
      Buffer.from(blocked.replace('?_HLS_msn=MSN', '').repeat(200)),
    )
    unread.pause()
    sockets.push(unread)
  }
  for (const socket of sockets) socket.destroy()
  const smuggled =
    'POST /api/keys HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n'
  const socket = await open(t, port, Buffer.from(smuggled))
  await once(socket, 'close')
  const waiting = (): Promise<number> => metricValue(origin.ready.http, 'kairo_content_waiting')
  await until(async () => (await waiting()) <= 2, 'who left does not wait')
  const foreign = await httpRequest(`${origin.ready.http}/metrics`, {
    headers: { host: 'evil.test' },
  })
  t.equal(foreign.status, 401, 'a foreign name for this machine is no way to the metrics')
}

async function attackStreams(t: Test, world: World, hostile: Libp2pHost): Promise<void> {
  const { origin, stream } = world
  const signal = AbortSignal.timeout(60_000)
  const to = (protocol: string) => hostile.open(origin.ready.peerId, protocol, { signal })
  const { text } = await httpRequest(`${origin.ready.http}/api/streams`)
  const { streams } = JSON.parse(text) as { streams: { name: string; id: string }[] }
  const id = streams.find(({ name }) => name === stream)?.id ?? ''
  const publicKey = streamPublicKeyOf(id).raw
  const request = create(FeedRequestSchema, { version: 1, publicKey, rendition: 'source' })
  const asked = encodeFrameHeader(FeedRequestSchema, request)
  for (let count = 0; count < contentLimits.feedsPerPeerMax + 20; count++) {
    await (await to(FEED_PROTOCOL)).write(asked)
  }
  const served = (): Promise<number> => metricValue(origin.ready.http, 'kairo_feed_served')
  await until(async () => (await served()) >= contentLimits.feedsPerPeerMax, 'feeds are served')
  t.ok((await served()) <= contentLimits.feedsPerPeerMax + 2, 'and not without end')
  const bomb = Buffer.concat([Buffer.of(0xff, 0xff, 0xff, 0x7f), randomBytes(100)])
  for (const protocol of [FEED_PROTOCOL, HTTP_PROTOCOL]) {
    for (let count = 0; count < 20; count++) await (await to(protocol)).write(bomb)
  }
  const questions = Array.from({ length: 100 }, () => to(RECORDS_PROTOCOL))
  // Those beyond the number of streams of one protocol are refused; that is theirs to bear.
  await Promise.allSettled(questions)
}

async function attackGossip(
  t: Test,
  { origin, follower }: World,
  hostile: Libp2pHost,
): Promise<void> {
  const now = Date.now()
  const record = (alias: string, sequence: number): Uint8Array => {
    const key = generateStreamKey()
    const life = { sequence, expiresAtMs: sequence + recordLimits.recordTtlMs }
    const fields = { ...recordFields({ alias }), ...life }
    return encodeSignedRecord(key, { ...fields, id: key.id, originPeer: hostile.peerId })
  }
  const forged = Buffer.from(record('forged', now))
  forged.writeUInt8(forged.readUInt8(forged.byteLength - 1) ^ 1, forged.byteLength - 1)
  const heard = (): Promise<number> => metricValue(origin.ready.http, 'kairo_directory_heard_total')
  const before = await heard()
  await until(async () => {
    await hostile.gossip.publish(RECORDS_TOPIC, forged.subarray())
    await hostile.gossip.publish(RECORDS_TOPIC, record('from-tomorrow', now + 86_400_000))
    return (await heard()) > before + 1
  }, 'forged records are judged')
  for (let count = 0; count < 2_000; count++) {
    await hostile.gossip.publish(RECORDS_TOPIC, randomBytes(500))
  }
  for (const peer of [origin, follower]) {
    const { text } = await httpRequest(`${peer.ready.http}/api/streams`)
    t.notMatch(text, /forged|from-tomorrow/)
  }
}

test('two peers outlive hostile clients on every port', {
  skip: needs('ffmpeg'),
  timeout: 240_000,
}, async (t) => {
  const peers = await world(t)
  const { origin, follower } = peers
  await goesOn(t, peers, 'the start')
  await attackRtmp(t, peers)
  await goesOn(t, peers, 'junk, half handshakes and a wrong key')
  await attackPackager(t, peers)
  await goesOn(t, peers, 'media that cannot be packaged')
  await attackHttp(t, peers)
  await goesOn(t, peers, 'requests that are not read or not meant')
  const hostile = await startHost(t)
  for (const { ready } of [origin, follower]) {
    await hostile.dial(ready.multiaddrs, { signal: AbortSignal.timeout(60_000) })
  }
  hostile.gossip.subscribe(RECORDS_TOPIC, () => 'ignore')
  await attackStreams(t, peers, hostile)
  await goesOn(t, peers, 'streams that are not read')
  await attackGossip(t, peers, hostile)
  await goesOn(t, peers, 'forged records and junk')
  for (const peer of [origin, follower]) {
    t.equal(peer.child.exitCode, null)
    t.notOk(peer.log().includes(peer.ready.streamKey), 'no stream key in the log')
    const token = new URL(peer.ready.admin).searchParams.get('token') ?? '-'
    t.notOk(peer.log().includes(token), 'no operator token in the log')
    t.equal(await peer.end('SIGTERM'), 0)
  }
})
