// node-av's FLV muxer pushes Enhanced RTMP to the real server; what arrives is packaged, and FFmpeg must read it without a word.
import { execFileSync, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { t as root, type Test, test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { RtmpServer } from '../../src/ingest/rtmp/server.ts'
import { silentLogger } from '../../src/logger.ts'
import type { AudioConfig, TrackConfig, VideoConfig } from '../../src/media/access-unit.ts'
import { audioInitSegment, videoInitSegment } from '../../src/media/cmaf/init-segment.ts'
import { type AvPushOptions, avPush } from '../support/av-push.ts'
import { needs } from '../support/needs.ts'
import { PackagingRun } from '../support/packaging-run.ts'
import { RecordingPublishing, type RecordingSink } from '../support/recording-publishing.ts'

// Encoders start slowly where many tests run at once.
root.setTimeout(180_000)

const STREAM_KEY = 'secret'
const skip = needs('ffmpeg', 'ffprobe')

/** Pushes until the end and gives what arrived. */
async function received(t: Test, options: AvPushOptions): Promise<RecordingSink> {
  const publishing = new RecordingPublishing(STREAM_KEY)
  const server = new RtmpServer(
    { clock: systemClock, logger: silentLogger, registry: new Registry(), publishing },
    { host: '127.0.0.1', port: 0 },
  )
  await server.start()
  t.teardown(() => server.stop())
  const next = publishing.next()
  const url = `rtmp://127.0.0.1:${server.address().port}/live/${STREAM_KEY}`
  const push = avPush(t, url, options)
  const failed = push.done.then((code) => {
    if (code !== 0) throw new Error(`the pusher failed: ${push.log()}`)
    return push.done
  })
  const sink = await Promise.race([next, failed.then(() => next)])
  await sink.ended
  await failed
  return sink
}

const trackOf = (config: TrackConfig) => config.track ?? 0
const videoOf = (sink: RecordingSink) =>
  sink.configs.filter((config): config is VideoConfig => config.kind === 'video')
const audioOf = (sink: RecordingSink) =>
  sink.configs.filter((config): config is AudioConfig => config.kind === 'audio')

/** Packages one audio track and the video, and gives each rendition's file. */
function packaged(t: Test, sink: RecordingSink) {
  const run = new PackagingRun()
  run.feed(sink.configs.map((config) => ({ config })))
  run.feed(sink.units.map((unit) => ({ unit }))).end()
  const folder = t.testdir()
  const file = (rendition: string) => {
    const path = join(folder, `${rendition}.mp4`)
    writeFileSync(path, run.file(rendition))
    return path
  }
  return { run, file }
}

/** Everything ffprobe and ffmpeg complain about while they read and decode a file. */
function complaints(file: string): string {
  const { stderr } = spawnSync(
    'ffmpeg',
    ['-v', 'warning', '-nostdin', '-xerror', '-i', file, '-f', 'null', '-'],
    { encoding: 'utf8' },
  )
  return stderr
}

function probe(file: string): Record<string, unknown> {
  const text = execFileSync(
    'ffprobe',
    ['-v', 'error', '-count_frames', '-show_streams', '-of', 'json', file],
    { encoding: 'utf8' },
  )
  return JSON.parse(text).streams[0]
}

test('HEVC with B-frames and Opus', { skip }, async (t) => {
  const sink = await received(t, {
    video: { codec: 'hevc', bFrames: 2 },
    audio: [{ codec: 'opus' }],
    seconds: 3,
  })
  t.match(videoOf(sink), [{ codec: 'hevc', width: 320, height: 180, frameRate: 30 }])
  t.match(videoOf(sink)[0]?.codecString, /^hvc1\.1\.6\.L\d+(\.[\dA-F]+)*$/)
  t.match(audioOf(sink), [{ codec: 'opus', codecString: 'opus', channels: 2, sampleRate: 48_000 }])
  t.ok(sink.units.some(({ pts, dts }) => pts > dts))
  const { run, file } = packaged(t, sink)
  t.strictSame(run.check(), [])
  t.equal(complaints(file('source')), '')
  t.match(probe(file('source')), {
    codec_name: 'hevc',
    codec_tag_string: 'hvc1',
    nb_read_frames: '90',
    color_transfer: 'bt709',
  })
  t.equal(complaints(file('audio')), '')
  t.match(probe(file('audio')), { codec_name: 'opus', channels: 2 })
})

test('HEVC in HDR10 and FLAC', { skip }, async (t) => {
  const sink = await received(t, {
    video: { codec: 'hevc', hdr: true },
    audio: [{ codec: 'flac' }],
    seconds: 2,
  })
  const [config] = videoOf(sink)
  t.match(config, {
    codecString: /^hvc1\.2\.4\./,
    colour: { primaries: 9, transfer: 16, matrix: 9, fullRange: false },
  })
  t.equal(config?.colour?.masteringDisplay?.byteLength, 24)
  t.same(config?.colour?.contentLight, Uint8Array.of(0x03, 0xe8, 0x01, 0x90))
  const { file } = packaged(t, sink)
  t.equal(complaints(file('source')), '')
  t.match(probe(file('source')), { color_transfer: 'smpte2084', pix_fmt: 'yuv420p10le' })
  t.match(JSON.stringify(probe(file('source'))), /"max_content":1000,"max_average":400/)
  t.match(JSON.stringify(probe(file('source'))), /"red_x":"35400\/50000"/)
  t.equal(complaints(file('audio')), '')
  t.match(probe(file('audio')), { codec_name: 'flac', sample_rate: '48000' })
})

test('AV1 in HDR10 and two AAC tracks', { skip }, async (t) => {
  const sink = await received(t, {
    video: { codec: 'av1', hdr: true },
    audio: [{ codec: 'aac' }, { codec: 'aac' }],
    seconds: 2,
  })
  const [config] = videoOf(sink)
  t.match(config, {
    codecString: /^av01\.0\.0\dM\.10\.0\.11\d\.09\.16\.09\.0$/,
    width: 320,
    colour: { transfer: 16 },
  })
  t.equal(config?.colour?.masteringDisplay?.byteLength, 24)
  t.same(audioOf(sink).map(trackOf), [0, 1])
  const { file } = packaged(t, sink)
  t.equal(complaints(file('source')), '')
  t.match(probe(file('source')), { codec_tag_string: 'av01', nb_read_frames: '60' })
  t.match(JSON.stringify(probe(file('source'))), /"red_x":"35400\/50000"/)
  t.equal(complaints(file('audio')), '')
  t.equal(complaints(file('audio-2')), '')
})

test('VP9 and Opus', { skip }, async (t) => {
  const sink = await received(t, {
    video: { codec: 'vp9' },
    audio: [{ codec: 'opus' }],
    seconds: 2,
  })
  t.match(videoOf(sink), [
    { codec: 'vp9', codecString: /^vp09\.00\.\d\d\.08/, width: 320, height: 180 },
  ])
  t.equal(videoOf(sink).length, 1)
  const { run, file } = packaged(t, sink)
  t.strictSame(run.check(), [])
  t.equal(complaints(file('source')), '')
  t.match(probe(file('source')), { codec_tag_string: 'vp09', nb_read_frames: '60' })
})

test('H.264 with an Opus and a FLAC track', { skip }, async (t) => {
  const sink = await received(t, {
    video: { codec: 'h264' },
    audio: [{ codec: 'opus' }, { codec: 'flac' }],
    seconds: 2,
  })
  t.match(videoOf(sink), [{ codec: 'h264', colour: { primaries: 1, transfer: 1, matrix: 1 } }])
  t.match(
    audioOf(sink).map(({ codec, track }) => [codec, track]),
    [
      ['opus', undefined],
      ['flac', 1],
    ],
  )
  const units = (track: number) =>
    sink.units.filter((unit) => unit.kind === 'audio' && (unit.track ?? 0) === track).length
  t.ok(units(0) >= 100, 'Opus packets of 20 ms')
  t.ok(units(1) >= 20, 'FLAC blocks')
  const { file } = packaged(t, sink)
  t.equal(complaints(file('audio-2')), '')
})

test('every init segment is read back as what it says', { skip }, async (t) => {
  const sink = await received(t, {
    video: { codec: 'vp9' },
    audio: [{ codec: 'flac' }],
    seconds: 1,
  })
  const [video] = videoOf(sink)
  const [audio] = audioOf(sink)
  if (video === undefined || audio === undefined) throw new Error('a track is missing')
  t.ok(videoInitSegment(video).includes('vpcC'))
  t.ok(audioInitSegment({ ...audio, language: 'fra' }).includes(Buffer.of(0x1a, 0x41)), 'fra')
})
