// The transcode job in real children with real codecs: times, keyframes, sync, resumption, damage, HDR, captions.
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { systemClock } from '../../../../src/clock.ts'
import { silentLogger } from '../../../../src/logger.ts'
import type { AccessUnit, TrackConfig, VideoConfig } from '../../../../src/media/access-unit.ts'
import { UnitDecoder } from '../../../../src/media/child/av/unit-decoder.ts'
import type { TranscodeJob } from '../../../../src/media/child/job.ts'
import { MediaPool } from '../../../../src/media/child/pool.ts'
import { hasClosedCaptions } from '../../../../src/media/codecs/captions.ts'
import type { AudioRung, VideoRung } from '../../../../src/media/ladder/rung.ts'
import { type ClipTrack, clipFolder, interleaved, makeClip } from '../../../support/media-clip.ts'
import { needs } from '../../../support/needs.ts'

const options = { skip: needs('ffmpeg') }
const FLASH = "drawbox=t=fill:c=white:enable='lt(mod(t,1),0.1)'"
const h264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '30']

function rung(
  name: string,
  width: number,
  height: number,
  more: Partial<VideoRung> = {},
): VideoRung {
  return {
    ...{ name, encoder: 'libx264', codec: 'h264', width, height, frameRate: undefined },
    ...{ bitrateBps: 300_000, bitrateMaxBps: 400_000, bufferMs: 1_000, preset: 'ultrafast' },
    ...{ bFramesMax: 0, dynamicRange: 'sdr' },
    ...more,
  }
}

const aac: AudioRung = {
  ...{ name: 'audio-aac', codec: 'aac', bitrateBps: 96_000, channels: 2, sampleRate: 48_000 },
}
const opus: AudioRung = { ...aac, name: 'audio-opus', codec: 'opus' }

/** A video track as ffmpeg makes it: 160x90 at 30 pictures a second unless `source` says otherwise. */
function pictures(t: Test, seconds: number, source = 'testsrc2=size=160x90:rate=30', args = h264) {
  const path = join(clipFolder(t), 'clip.mp4')
  return makeClip(['-f', 'lavfi', '-i', source, '-t', String(seconds), ...args, path])
}

interface Made {
  readonly configs: TrackConfig[][]
  readonly units: AccessUnit[][]
  readonly damaged: number
}

function poolOf(t: Test): MediaPool {
  const registry = new Registry()
  const pool = new MediaPool(
    { clock: systemClock, logger: silentLogger, registry },
    { warm: 0, childrenMax: 2 },
  )
  pool.start()
  t.teardown(() => pool.stop())
  return pool
}

/** Runs the job over items in their order. */
async function transcode(
  t: Test,
  job: Partial<TranscodeJob>,
  items: readonly (TrackConfig | AccessUnit)[],
): Promise<Made> {
  const video = job.video ?? []
  const audio = job.audio ?? []
  const configs: TrackConfig[][] = [...video, ...audio].map(() => [])
  const units: AccessUnit[][] = configs.map(() => [])
  let damaged = 0
  const run = poolOf(t).run(
    { type: 'transcode', video, audio, resumeAt: job.resumeAt ?? configs.map(() => undefined) },
    {
      onConfig: (output, config) => configs[output]?.push(config),
      onUnit: (output, unit) => units[output]?.push(unit),
      onProgress: (progress) => {
        damaged = progress.damaged
      },
    },
  )
  for (const item of items) {
    const input = item.kind === 'video' ? 0 : 1
    if ('description' in item) run.configure(input, item)
    else await run.write(input, item)
  }
  run.finish()
  t.equal(await run.done, null)
  for (const output of units) {
    t.ok(
      output.every(
        (unit, index) => unit.dts <= unit.pts && unit.dts > (output[index - 1]?.dts ?? -Infinity),
      ),
      'decoding times grow and do not pass presentation',
    )
  }
  return { configs, units, damaged }
}

function itemsOf(tracks: readonly ClipTrack[]): (TrackConfig | AccessUnit)[] {
  return [...tracks.map(({ config }) => config), ...interleaved(tracks).map(({ unit }) => unit)]
}

const sortedTimes = (units: readonly AccessUnit[]) =>
  units.map(({ pts }) => pts).sort((a, b) => a - b)
const keyTimes = (units: readonly AccessUnit[]) =>
  units.filter(({ keyframe }) => keyframe).map(({ pts }) => pts)

/** Calls back with each decoded frame: its time, and the mean of its first plane. */
function decoded(config: TrackConfig | undefined, units: readonly AccessUnit[]) {
  const frames: { pts: number; data: Buffer; width: number; linesize: number }[] = []
  const decoder = new UnitDecoder({
    config: config as TrackConfig,
    threads: 1,
    onFrame: (frame, pts) => {
      const data = Buffer.from(frame.data?.[0] as Buffer)
      frames.push({ pts, data, width: frame.width, linesize: frame.linesize[0] as number })
    },
    onDamaged: () => {
      throw new Error('the output is damaged')
    },
  })
  for (const unit of units) decoder.decode(unit)
  decoder.finish()
  decoder.close()
  return frames
}

test('every rung has the source’s times and keyframes', options, async (t) => {
  const tracks = pictures(t, 3, undefined, [...h264, '-bf', '2', '-preset', 'veryfast'])
  const [source] = tracks
  const video = [
    rung('90p', 160, 90),
    rung('72p', 128, 72, { frameRate: 15, bFramesMax: 2, preset: 'veryfast' }),
  ]
  const { configs, units } = await transcode(t, { video }, itemsOf(tracks))
  const times = sortedTimes(source?.units ?? [])
  t.same(sortedTimes(units[0] ?? []), times)
  t.same(
    sortedTimes(units[1] ?? []),
    times.filter((_, index) => index % 2 === 0),
  )
  for (const output of units) t.same(keyTimes(output), keyTimes(source?.units ?? []))
  t.match(configs, [[{ width: 160, height: 90, codec: 'h264', frameRate: 30 }], [{ width: 128 }]])
  t.equal(decoded(configs[1]?.[0], units[1] ?? []).length, 45, 'the output decodes whole')
})

test('sound stays beside its pictures', options, async (t) => {
  const path = join(clipFolder(t), 'flash.mp4')
  const tracks = makeClip([
    ...['-f', 'lavfi', '-i', `color=black:size=160x90:rate=30,${FLASH}`],
    ...['-f', 'lavfi', '-i', "aevalsrc='0.8*sin(2*PI*1000*t)*lt(mod(t,1),0.1)':s=44100"],
    ...['-t', '3.5', ...h264, '-c:a', 'aac', '-ac', '2', path],
  ])
  const made = await transcode(
    t,
    { video: [rung('90p', 160, 90)], audio: [aac, opus] },
    itemsOf(tracks),
  )
  const flashes = onsets(
    decoded(made.configs[0]?.[0], made.units[0] ?? []).map(({ pts, data }) => ({
      time: pts / 90,
      loud: (data[40] ?? 0) > 128,
    })),
  )
  t.ok(flashes.length >= 2)
  for (const output of [1, 2]) {
    const beeps = onsets(samplesOf(made.configs[output]?.[0], made.units[output] ?? []))
    for (const flash of flashes) {
      const nearest = Math.min(...beeps.map((beep) => Math.abs(beep - flash)))
      t.ok(nearest <= 10, `output ${output}: a beep is ${nearest.toFixed(1)} ms from its flash`)
    }
  }
})

/** Each sample of decoded float sound with its time in milliseconds, and whether it is part of a beep. */
function samplesOf(config: TrackConfig | undefined, units: readonly AccessUnit[]) {
  return decoded(config, units).flatMap(({ pts, data }) => {
    const floats = new Float32Array(data.buffer, data.byteOffset, Math.floor(data.byteLength / 4))
    const count = Math.min(floats.length, config?.codec === 'aac' ? 1_024 : 960)
    return Array.from(floats.subarray(0, count), (value, index) => ({
      time: pts / 90 + index / 48,
      loud: Math.abs(value) > 0.2,
    }))
  })
}

/** Times at which it becomes loud after half a second of quiet. */
function onsets(row: readonly { time: number; loud: boolean }[]): number[] {
  const found: number[] = []
  let last = Number.NEGATIVE_INFINITY
  for (const { time, loud } of row) {
    if (!loud) continue
    if (time - last > 500 && time > 500) found.push(time)
    last = time
  }
  return found
}

test('another child goes on where one ended', options, async (t) => {
  const path = join(clipFolder(t), 'clip.mp4')
  const tracks = makeClip([
    ...['-f', 'lavfi', '-i', 'testsrc2=size=160x90:rate=30'],
    ...['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'],
    ...['-t', '3', ...h264, '-c:a', 'aac', '-ac', '2', path],
  ])
  const job = { video: [rung('90p', 160, 90)], audio: [aac] }
  const whole = await transcode(t, job, itemsOf(tracks))
  const sounds = whole.units[1] ?? []
  const resumeAt = [47 * 3_000, sounds[60]?.pts]
  const { units } = await transcode(t, { ...job, resumeAt }, itemsOf(tracks))
  t.equal(units[0]?.[0]?.pts, 47 * 3_000)
  t.equal(units[0]?.[0]?.keyframe, true, 'it begins with a keyframe')
  t.same(
    units[1]?.map(({ pts }) => pts),
    sounds.slice(60).map(({ pts }) => pts),
    'sound goes on on the same grid',
  )
})

test('damaged units are counted and passed over', options, async (t) => {
  const tracks = pictures(t, 2)
  const items = itemsOf(tracks).map((item, index) =>
    'data' in item && index > 10 && index % 7 === 0
      ? { ...item, data: Buffer.alloc(item.data.byteLength, 0x5a) }
      : item,
  )
  const { units, damaged } = await transcode(t, { video: [rung('90p', 160, 90)] }, items)
  t.ok(damaged >= 5, `${damaged} damaged`)
  t.ok((units[0]?.length ?? 0) >= 40)
  t.equal(units[0]?.at(-1)?.pts, tracks[0]?.units.at(-1)?.pts)
})

test('a source may change its size and codec', options, async (t) => {
  const [first] = pictures(t, 1)
  const [second] = pictures(t, 1, 'testsrc2=size=320x180:rate=30', [
    ...['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-g', '30'],
  ])
  const later = second?.units.map((unit) => ({
    ...{ ...unit, dts: unit.dts + 90_000, pts: unit.pts + 90_000 },
  }))
  const items = [
    ...[first?.config as TrackConfig, ...(first?.units ?? [])],
    ...[second?.config as TrackConfig, ...(later ?? [])],
  ]
  const { configs, units } = await transcode(t, { video: [rung('90p', 160, 90)] }, items)
  t.equal(configs[0]?.length, 1, 'the rendition stays what it is')
  t.equal(units[0]?.length, 60)
  t.equal(decoded(configs[0]?.[0], units[0] ?? []).length, 60)
})

test('HDR is kept with 10 bits, and tone-mapped where it is not wanted', options, async (t) => {
  const params =
    'log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400'
  const tracks = pictures(t, 0.5, 'testsrc2=size=160x90:rate=30', [
    ...['-c:v', 'libx265', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p10le', '-tag:v', 'hvc1'],
    ...['-x265-params', params],
  ])
  const masteringDisplay = Buffer.alloc(24, 1)
  const config = tracks[0]?.config as VideoConfig
  const colour = { primaries: 9, transfer: 16, matrix: 9, fullRange: false, masteringDisplay }
  const video = [
    rung('hevc', 160, 90, { encoder: 'libx265', codec: 'hevc', dynamicRange: 'keep' }),
    rung('av1', 160, 90, { encoder: 'libsvtav1', codec: 'av1', dynamicRange: 'keep' }),
    rung('sdr', 160, 90),
  ]
  const items = [{ ...config, colour }, ...(tracks[0]?.units ?? [])]
  const { configs, units } = await transcode(t, { video }, items)
  const [hevc, av1, sdr] = configs.map(([one]) => one as VideoConfig)
  t.match(hevc?.codecString, /^hvc1\.2\./, 'Main 10')
  t.match(hevc?.colour, { primaries: 9, transfer: 16, matrix: 9, masteringDisplay })
  t.match(av1?.codecString, /^av01\.0\.\d+M\.10/, '10 bits')
  t.match(av1?.colour, { transfer: 16 })
  t.match(sdr?.codecString, /^avc1\./)
  t.not(sdr?.colour?.transfer, 16, 'no PQ')
  for (const output of units) t.equal(output.length, 15)
  for (const [index, one] of configs.entries()) {
    t.equal(decoded(one[0], units[index] ?? []).length, 15)
  }
})

test('an encoder that does not open is named', options, async (t) => {
  const tracks = pictures(t, 0.2)
  const run = poolOf(t).run(
    {
      type: 'transcode',
      video: [rung('90p', 160, 90, { encoder: 'h264_vaapi' })],
      audio: [],
      resumeAt: [undefined],
    },
    {},
  )
  const failed = t.rejects(run.done, { code: 'ERR_WORKER', message: /h264_vaapi of 90p/ })
  for (const item of itemsOf(tracks)) {
    if ('description' in item) run.configure(0, item)
    else void run.write(0, item)
  }
  run.finish()
  await failed
})

test('a job that no child knows is refused', async (t) => {
  const run = poolOf(t).run({ type: 'knitting', path: 'x' } as never, {})
  await t.rejects(run.done, { code: 'ERR_INVALID_INPUT', message: /knitting/ })
})

test('a thumbnail of each keyframe', options, async (t) => {
  const [source] = pictures(t, 2.5)
  const made: { about: unknown; bytes: Buffer }[] = []
  const run = poolOf(t).run(
    { type: 'thumbnail', width: 64, height: 48 },
    { onBlob: (about, bytes) => made.push({ about, bytes }) },
  )
  run.configure(0, source?.config as TrackConfig)
  for (const unit of source?.units ?? []) await run.write(0, unit)
  run.finish()
  t.equal(await run.done, 3)
  t.same(
    made.map(({ about }) => about),
    [{ time: 0 }, { time: 90_000 }, { time: 180_000 }],
  )
  for (const { bytes } of made) t.equal(bytes.readUInt16BE(0), 0xffd8, 'a JPEG')
})

test('keyframes are the source’s with every software encoder', options, async (t) => {
  const tracks = pictures(t, 2.2)
  const video = [
    rung('hevc', 160, 90, { encoder: 'libx265', codec: 'hevc' }),
    rung('av1', 160, 90, { encoder: 'libsvtav1', codec: 'av1' }),
  ]
  const { units } = await transcode(t, { video }, itemsOf(tracks))
  for (const output of units) {
    t.same(keyTimes(output), [0, 90_000, 180_000])
    t.equal(output.length, 66)
  }
})

test(
  'captions pass through, also those of pictures that a slower rung leaves out',
  options,
  async (t) => {
    const [source] = pictures(t, 1)
    // ATSC A/53 user data with one valid pair of CEA-608 bytes in each picture.
    const sei = Buffer.from('06040eb500314741393403c1fffc9420ff80', 'hex')
    sei[2] = sei.byteLength - 4
    const units = (source?.units ?? []).map((unit) => {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(sei.byteLength)
      return { ...unit, data: Buffer.concat([length, sei, unit.data]) }
    })
    const video = [rung('90p', 160, 90), rung('72p', 128, 72, { frameRate: 15 })]
    const made = await transcode(t, { video }, [source?.config as TrackConfig, ...units])
    const captions = made.units.map(
      (output) => output.filter(({ data }) => hasClosedCaptions('h264', data)).length,
    )
    t.same(captions, [30, 15])
    const pairs = (data: Uint8Array): number => {
      const bytes = Buffer.from(data)
      return (bytes[bytes.indexOf('GA94') + 5] ?? 0) & 31
    }
    t.equal(pairs(made.units[1]?.[3]?.data ?? Buffer.alloc(0)), 2, 'none is lost')
  },
)
