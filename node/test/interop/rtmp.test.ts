// Debian's ffmpeg pushes to the RTMP server; what arrives is compared with what ffprobe reads from the same file.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { RtmpServer } from '../../src/ingest/rtmp/server.ts'
import { silentLogger } from '../../src/logger.ts'
import type { AccessUnit } from '../../src/media/access-unit.ts'
import { needs } from '../support/needs.ts'
import { RecordingPublishing } from '../support/recording-publishing.ts'

const run = promisify(execFile)
const STREAM_KEY = 'secret'
const skip = needs('ffmpeg', 'ffprobe')

interface Packet {
  readonly codec_type: 'video' | 'audio'
  readonly dts: number
  readonly pts: number
  readonly size: string
  readonly flags: string
}

async function startServer(t: Test) {
  const publishing = new RecordingPublishing(STREAM_KEY)
  const server = new RtmpServer(
    { clock: systemClock, logger: silentLogger, registry: new Registry(), publishing },
    { host: '127.0.0.1', port: 0 },
  )
  await server.start()
  t.teardown(() => server.stop())
  const url = (key: string) => `rtmp://127.0.0.1:${server.address().port}/live/${key}`
  return { publishing, url }
}

/** An FLV file with B-frames and AAC, of 3 s. */
async function makeSource(t: Test, ...extra: string[]): Promise<string> {
  const file = join(t.testdir(), 'source.flv')
  await run('ffmpeg', [
    ...['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=30000/1001'],
    ...['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000', '-t', '3'],
    ...['-c:v', 'libx264', '-preset', 'veryfast', '-g', '30', '-bf', '3', '-pix_fmt', 'yuv420p'],
    ...['-c:a', 'aac', '-ac', '2', ...extra, file],
  ])
  return file
}

async function packetsOf(file: string): Promise<Packet[]> {
  const { stdout } = await run('ffprobe', ['-v', 'error', '-show_packets', '-of', 'json', file], {
    maxBuffer: 64 * 1024 * 1024,
  })
  return JSON.parse(stdout).packets
}

/** Pushes with ffmpeg; resolves with its exit code and what it said. */
async function push(...args: string[]): Promise<{ code: number; log: string }> {
  const child = spawn('ffmpeg', ['-hide_banner', '-loglevel', 'info', ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString()
  })
  const [code] = await once(child, 'close')
  return { code, log }
}

const kind = (units: readonly AccessUnit[], wanted: 'video' | 'audio') =>
  units.filter((unit) => unit.kind === wanted)

/** Compares what arrived with the packets of the file, whose times are milliseconds. */
function compare(t: Test, units: readonly AccessUnit[], packets: readonly Packet[], shiftMs = 0) {
  for (const wanted of ['video', 'audio'] as const) {
    const sent = packets.filter((packet) => packet.codec_type === wanted)
    const got = kind(units, wanted)
    t.ok(sent.length > 50, `${sent.length} ${wanted} packets`)
    t.same(
      got.map((unit) => [unit.dts / 90, unit.pts / 90, unit.data.byteLength, unit.keyframe]),
      sent.map((packet) => [
        packet.dts + shiftMs,
        packet.pts + shiftMs,
        Number(packet.size),
        packet.flags.startsWith('K'),
      ]),
    )
  }
}

test('a file that ffmpeg pushes arrives frame by frame with its times', { skip }, async (t) => {
  const { publishing, url } = await startServer(t)
  const file = await makeSource(t)
  const packets = await packetsOf(file)
  t.ok(
    packets.some((packet) => packet.pts > packet.dts),
    'there are B-frames',
  )
  const published = publishing.next()
  const pushed = push('-i', file, '-c', 'copy', '-f', 'flv', url(STREAM_KEY))
  const sink = await published
  const reason = await sink.ended
  t.equal((await pushed).code, 0)
  t.equal(reason, 'closed')
  t.same(sink.expected, [{ video: true, audio: true }])
  t.match(sink.configs, [
    { kind: 'video', width: 320, height: 240, codecString: /^avc1\.6400/ },
    { kind: 'audio', sampleRate: 48_000, channels: 2, codecString: 'mp4a.40.2' },
  ])
  compare(t, sink.units, packets)
})

test('extended timestamps of ffmpeg, over 0xffffff ms', { skip }, async (t) => {
  const { publishing, url } = await startServer(t)
  const file = await makeSource(t, '-b:v', '3M')
  const packets = await packetsOf(file)
  const published = publishing.next()
  const offsetS = 16_776
  const pushed = push(
    ...['-copyts', '-i', file, '-c', 'copy', '-output_ts_offset', String(offsetS)],
    ...['-f', 'flv', '-flvflags', 'no_duration_filesize', url(STREAM_KEY)],
  )
  const sink = await published
  await sink.ended
  t.equal((await pushed).code, 0)
  compare(t, sink.units, packets, offsetS * 1_000)
})

test('a live encode arrives whole', { skip }, async (t) => {
  const { publishing, url } = await startServer(t)
  const published = publishing.next()
  const pushed = push(
    ...['-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=25', '-t', '2', '-pix_fmt', 'yuv420p'],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-f', 'flv', `${url(STREAM_KEY)}?token=1`],
  )
  const sink = await published
  await sink.ended
  t.equal((await pushed).code, 0)
  t.same(sink.expected, [{ video: true, audio: false }])
  t.equal(sink.units.length, 50)
  t.match(sink.configs, [{ width: 640, height: 360, frameRate: 25 }])
})

test('ffmpeg tells its user why it was refused', { skip }, async (t) => {
  const { url } = await startServer(t)
  const file = await makeSource(t)
  const wrong = await push('-i', file, '-c', 'copy', '-f', 'flv', url('wrong'))
  t.not(wrong.code, 0)
  t.match(wrong.log, /Server error: the stream key opens no stream/)
  const elsewhere = url(STREAM_KEY).replace('/live/', '/vod/')
  const app = await push('-i', file, '-c', 'copy', '-f', 'flv', elsewhere)
  t.not(app.code, 0)
  t.match(app.log, /one application, 'live'/)
})

test('a codec that is not taken ends the push', { skip }, async (t) => {
  const { publishing, url } = await startServer(t)
  const published = publishing.next()
  const pushed = push(
    ...['-re', '-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25', '-t', '20'],
    ...['-c:v', 'flv1', '-f', 'flv', url(STREAM_KEY)],
  )
  const sink = await published
  t.equal(await sink.ended, 'error')
  t.not((await pushed).code, 0)
  t.equal(sink.units.length, 0)
})
