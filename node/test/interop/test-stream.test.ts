// The test stream's real child publishes to the real RTMP server; Debian's ffmpeg decodes what arrived.
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { RtmpServer } from '../../src/ingest/rtmp/server.ts'
import { TestStream } from '../../src/ingest/test-stream/test-stream.ts'
import { type Logger, silentLogger } from '../../src/logger.ts'
import type { AccessUnit, VideoConfig } from '../../src/media/access-unit.ts'
import { needs } from '../support/needs.ts'
import { RecordingPublishing } from '../support/recording-publishing.ts'
import { readTimeStrip } from '../support/time-strip-reader.ts'
import { until } from '../support/until.ts'

const skip = needs('ffmpeg')
const startCode = Buffer.from([0, 0, 0, 1])

/** A running test stream, where its units arrive, and the process that makes it. */
async function start(t: Test) {
  const registry = new Registry()
  const publishing = new RecordingPublishing('secret')
  const server = new RtmpServer(
    { clock: systemClock, logger: silentLogger, registry, publishing },
    { host: '127.0.0.1', port: 0 },
  )
  await server.start()
  let pid = 0
  const logger: Logger = {
    ...silentLogger,
    info: (fields) => {
      if ('pid' in fields) pid = Number(fields.pid)
    },
    child: () => logger,
  }
  const stream = new TestStream(
    { clock: systemClock, logger, registry },
    { rtmpUrl: `rtmp://127.0.0.1:${server.address().port}/live/secret` },
  )
  t.teardown(async () => {
    await stream.stop()
    await server.stop()
  })
  const next = publishing.next()
  stream.start()
  return { publishing, stream, sink: await next, pid: () => pid }
}

/** Units with lengths before their NAL units, and the configuration's parameter sets, as one Annex B byte stream. */
function annexB(config: VideoConfig, units: readonly AccessUnit[]): Buffer {
  const avcc = Buffer.from(config.description)
  const spsBytes = avcc.readUInt16BE(6)
  const ppsAt = 8 + spsBytes + 1
  const sets = [
    avcc.subarray(8, 8 + spsBytes),
    avcc.subarray(ppsAt + 2, ppsAt + 2 + avcc.readUInt16BE(ppsAt)),
  ]
  const out = sets.flatMap((set) => [startCode, set])
  for (const { data } of units) {
    const view = Buffer.from(data)
    for (let at = 0; at < view.length; ) {
      const bytes = view.readUInt32BE(at)
      out.push(startCode, view.subarray(at + 4, at + 4 + bytes))
      at += 4 + bytes
    }
  }
  return Buffer.concat(out)
}

/** Luma of every decoded picture, scaled. */
async function decode(stream: Buffer, width: number, height: number): Promise<Buffer[]> {
  const ffmpeg = spawn('ffmpeg', [
    ...['-v', 'error', '-f', 'h264', '-i', 'pipe:0', '-vf', `scale=${width}:${height}`],
    ...['-fps_mode', 'passthrough', '-pix_fmt', 'gray', '-f', 'rawvideo', 'pipe:1'],
  ])
  const chunks: Buffer[] = []
  ffmpeg.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  ffmpeg.stdin.end(stream)
  await once(ffmpeg, 'close')
  const all = Buffer.concat(chunks)
  const size = width * height
  return Array.from({ length: all.length / size }, (_, i) => all.subarray(i * size, (i + 1) * size))
}

test('publishes H.264 and AAC whose decoded pictures tell their time', { skip }, async (t) => {
  const beforeMs = Date.now()
  const { sink } = await start(t)
  await sink.received(260)
  const video = sink.units.filter(({ kind }) => kind === 'video')
  const audio = sink.units.filter(({ kind }) => kind === 'audio')
  const config = sink.configs.find((each) => each.kind === 'video')
  t.match(config, { codec: 'h264', width: 1280, height: 720, codecString: /^avc1\.4d/ })
  t.match(
    sink.configs.find((each) => each.kind === 'audio'),
    { codec: 'aac', sampleRate: 48_000, channels: 2 },
  )
  t.ok(video[0]?.keyframe, 'begins with a keyframe')
  const keyframesMs = video.filter(({ keyframe }) => keyframe).map(({ pts }) => pts / 90)
  t.same(
    keyframesMs,
    [0, 500, 2_500].slice(0, keyframesMs.length),
    'a short first group, then exactly two seconds',
  )
  t.ok(keyframesMs.length > 1)
  t.ok(
    video.every(({ dts, pts }) => dts === pts),
    'no B-frames',
  )
  t.equal(audio[0]?.pts, 0, 'sound begins with the picture')
  const lagMs = ((video.at(-1)?.pts ?? 0) - (audio.at(-1)?.pts ?? 0)) / 90
  t.ok(lagMs < 60, `sound keeps up with the picture: ${lagMs} ms`)

  t.ok(config?.kind === 'video')
  const bytes = annexB(config as VideoConfig, video)
  for (const [width, height] of [
    [1280, 720],
    [426, 240],
  ] as const) {
    const times = (await decode(bytes, width, height)).map((luma) =>
      readTimeStrip(luma, { width, height }),
    )
    t.equal(times.length, video.length)
    const known = times.map((time) => time ?? 0)
    t.ok(
      known.every((time) => time >= beforeMs && time <= Date.now()),
      `all readable at ${width}x${height}`,
    )
    t.same(known, [...known].sort(), 'in order')
  }
})

test('comes back after its child is killed', { skip }, async (t) => {
  const { publishing, stream, sink, pid } = await start(t)
  await sink.received(10)
  await until(() => stream.status.state === 'running')
  const next = publishing.next()
  process.kill(pid(), 'SIGKILL')
  await sink.ended
  const again = await next
  await again.received(10)
  t.ok(again.units[0] !== undefined, 'publishes again')
})

test('says so where FFmpeg has no binary for the machine', async (t) => {
  // Tells node-av to load only a build of its own, which is not there.
  process.env.AV_FROM_SOURCE = '1'
  t.teardown(() => {
    delete process.env.AV_FROM_SOURCE
  })
  const stream = new TestStream(
    { clock: systemClock, logger: silentLogger, registry: new Registry() },
    { rtmpUrl: 'rtmp://127.0.0.1:1/live/none' },
  )
  stream.start()
  await until(() => stream.status.state !== 'starting')
  t.equal(stream.status.state, 'unavailable')
  t.match(stream.status.error, /node-av native binding/)
})

test('ends with its peer', { skip }, async (t) => {
  const folder = t.testdir({
    'peer.mjs': `
      import { fork } from 'node:child_process'
      const child = fork(${JSON.stringify(new URL('../../src/ingest/test-stream/child.ts', import.meta.url).pathname)})
      process.send(child.pid)`,
  })
  const peer = fork(`${folder}/peer.mjs`, { execArgv: [] })
  const [pid] = (await once(peer, 'message')) as [number]
  peer.kill('SIGKILL')
  const isAlive = () => {
    try {
      process.kill(pid, 0)
      // Where nobody collects orphans (a container), a dead one stays listed as a zombie.
      return !/\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
    } catch {
      return false
    }
  }
  await until(() => !isAlive(), 'the end of the child')
  t.notOk(isAlive())
})
