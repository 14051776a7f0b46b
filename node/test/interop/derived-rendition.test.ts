/**
 * Renditions made by real encoders out of a real publisher: an encoder that dies and is begun again where it was, and coded
 * silence of every codec. FFmpeg must read what comes out without a word, and find every picture.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import type { AccessUnit, AudioConfig, TrackConfig } from '../../src/media/access-unit.ts'
import { flacAudioConfig } from '../../src/media/codecs/flac.ts'
import { opusAudioConfig } from '../../src/media/codecs/opus.ts'
import { silenceFor } from '../../src/media/packager/silent-frame.ts'
import { readFlv } from '../support/flv-reader.ts'
import { needs } from '../support/needs.ts'
import { audioConfig, PackagingRun } from '../support/packaging-run.ts'
import { PublishedStream } from '../support/published-stream.ts'

const skip = needs('ffmpeg', 'ffprobe')
const KEYFRAMES_S = [2, 4, 6]

/** Pictures `fromS` to `toS` of the same clip, as one run of an encoder makes them, on the clip's timeline. */
function encoded(t: Test, size: { width: number; height: number }, fromS: number, toS: number) {
  const { width, height } = size
  const file = join(t.testdirName, `${width}-${fromS}.flv`)
  execFileSync('ffmpeg', [
    ...['-v', 'error', '-nostdin', '-y', '-f', 'lavfi'],
    ...['-i', `testsrc2=size=${width}x${height}:rate=30,trim=${fromS}:${toS},setpts=PTS-STARTPTS`],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '2', '-x264-params', 'b-adapt=0'],
    // Keyframes where the source has them.
    ...['-force_key_frames', KEYFRAMES_S.map((at) => Math.max(0, at - fromS)).join()],
    ...['-g', '600', '-sc_threshold', '0', '-pix_fmt', 'yuv420p', '-f', 'flv', file],
  ])
  const items = readFlv(readFileSync(file), size)
  const configs = items.flatMap(({ config }) => (config?.kind === 'video' ? [config] : []))
  const units = items.flatMap(({ unit }) => (unit?.kind === 'video' ? [unit] : []))
  const offset = fromS * 90_000 - (units[0]?.pts ?? 0)
  return {
    config: configs[0] as TrackConfig,
    units: units.map((unit) => ({ ...unit, dts: unit.dts + offset, pts: unit.pts + offset })),
  }
}

function complaints(file: string): string {
  const args = ['-v', 'warning', '-nostdin', '-xerror', '-i', file, '-f', 'null', '-']
  return spawnSync('ffmpeg', args, { encoding: 'utf8' }).stderr
}

function frames(file: string): readonly number[] {
  const args = ['-v', 'error', '-select_streams', 'v', '-show_entries', 'frame=pts_time']
  return execFileSync('ffprobe', [...args, '-of', 'csv=p=0', file], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .filter((line) => /^[0-9]/.test(line))
    .map(Number.parseFloat)
}

test('an encoder that is begun again where it was loses no picture', { skip }, async (t) => {
  t.testdir({})
  const source = encoded(t, { width: 320, height: 180 }, 0, 8)
  const first = encoded(t, { width: 160, height: 90 }, 0, 8)
  const second = encoded(t, { width: 160, height: 90 }, 4.5, 8)
  const stream = new PublishedStream()
  const sink = stream.publish()
  sink.expect({ audio: false })
  sink.configure(source.config)
  const rung = stream.session.derive({ name: '90p', kind: 'video', bandwidthBps: 100_000 })
  for (const unit of source.units) void sink.write(unit)
  sink.end('closed')
  // The stream's timeline begins at the first decoding time, the clip's at the first picture.
  const origin = Math.min(...source.units.map(({ dts }) => dts))
  const shifted = (unit: AccessUnit): AccessUnit => ({
    ...unit,
    dts: unit.dts - origin,
    pts: unit.pts - origin,
  })
  rung.configure(first.config)
  for (const unit of first.units) if (unit.pts < 4.49 * 90_000) rung.write(shifted(unit))
  rung.configure(second.config)
  for (const unit of second.units) rung.write(shifted(unit))
  stream.service.remove('main')
  t.same(await stream.violations(['source', '90p']), [])
  const { parts } = await stream.checked('90p')
  const file = join(t.testdirName, 'rung.mp4')
  const [init] = parts.map((part) => part.init)
  writeFileSync(file, Buffer.concat([init ?? '', ...parts.map(({ data }) => data)] as Buffer[]))
  t.equal(complaints(file), '')
  const times = frames(file)
  t.equal(times.length, 240)
  t.ok(
    times.every(
      (time, index) => index === 0 || Math.abs(time - (times[index - 1] ?? 0) - 1 / 30) < 0.002,
    ),
    'no gap and no step back',
  )
  const source0 = await stream.checked('source')
  t.equal(parts.at(-1)?.msn, source0.parts.at(-1)?.msn)
})

const streamInfo = Buffer.alloc(34)
streamInfo.writeUInt16BE(4_096, 0)
streamInfo.writeUInt16BE(4_096, 2)
streamInfo.writeUInt32BE(48_000 * 4_096 + (1 << 9) + (15 << 4), 10)
const configs: readonly AudioConfig[] = [
  audioConfig(),
  opusAudioConfig(Buffer.from('4f707573486561640102380180bb0000000000', 'hex')),
  flacAudioConfig(streamInfo),
]
for (const config of configs) {
  test(`FFmpeg decodes silence in ${config.codec}`, { skip }, async (t) => {
    const run = new PackagingRun().feed([{ config }])
    run.packager.expect({ video: false })
    const silence = silenceFor(config)
    t.ok(silence)
    const data = silence?.data ?? Buffer.alloc(0)
    for (const ms of [0, 100, 2_000, 4_000]) {
      const dts = ms * 90
      run.packager.write({ kind: 'audio', dts, pts: dts, keyframe: true, data })
    }
    run.end()
    t.same(run.check(), [])
    const file = join(t.testdir({}), 'silence.mp4')
    writeFileSync(file, run.file('audio'))
    t.equal(complaints(file), '')
    const args = ['-v', 'error', '-i', file, '-f', 's16le', '-ac', '1', '-ar', '48000', '-']
    const sound = execFileSync('ffmpeg', args, { maxBuffer: 64 << 20 })
    t.ok(Math.abs(sound.byteLength / 2 - 4 * 48_000) < 10_000, `${sound.byteLength / 2} samples`)
    t.ok(
      sound.every((byte) => byte === 0 || byte === 255 || byte === 1),
      'nothing is heard',
    )
  })
}
