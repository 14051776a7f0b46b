/** The packager's parts and segments from well-behaved input: frame rates, starts, cuts, what is announced when. */
import { test } from 'tap'
import { packagingLimits } from '../../src/limits.ts'
import { readFragment, readInit } from '../../src/media/cmaf/fragment-reader.ts'
import {
  audioConfig,
  interleave,
  marked,
  PackagingRun,
  picture,
  pictures,
  sound,
  sounds,
  videoConfig,
} from '../support/packaging-run.ts'

const both = [{ config: videoConfig() }, { config: audioConfig() }]

for (const rate of [24, 25, 30_000 / 1_001, 30, 50, 60_000 / 1_001, 60]) {
  for (const declared of [undefined, rate]) {
    const said = declared === undefined ? 'measured' : 'declared'
    test(`parts are a whole number of frames at ${rate.toFixed(2)} fps, ${said}`, async (t) => {
      const run = new PackagingRun()
      run.feed([{ config: videoConfig({ frameRate: declared }) }, { config: audioConfig() }])
      run.feed(interleave(pictures(rate, 0, 8_000, Math.round(rate * 2)), sounds(0, 8_000)))
      run.end()
      t.strictSame(run.check(), [])
      const whole = run.of('source').filter((part) => !part.endOfSegment)
      t.strictSame([...new Set(whole.map((part) => part.sampleCount))], [Math.round(rate / 5)])
      t.ok((run.rendition('source')?.partTargetUs ?? 0) <= 211_000)
      t.equal(await run.events('part_overlong'), 0)
      t.equal(run.rendition('audio')?.partTargetUs, 192_000)
      t.equal(run.rendition('source')?.targetDurationS, 2)
      t.strictSame([run.of('source').at(-1)?.msn, run.of('audio').at(-1)?.msn], [3, 3])
      const announced = run.rendition('source')?.info.frameRate ?? 0
      t.ok(Math.abs(announced - rate) < 0.3, `${announced} announced`)
    })
  }
}

test('a part is handed out with the first frame after it', async (t) => {
  const run = new PackagingRun().feed(both)
  const sent: number[] = []
  for (const { unit } of interleave(pictures(30, 0, 2_000, 60), sounds(0, 2_000))) {
    if (unit === undefined) continue
    const before = run.of('source').length
    run.packager.write(unit)
    if (run.of('source').length > before) sent.push(unit.dts / 90)
  }
  t.strictSame(sent, [200, 400, 600, 800, 1_000, 1_200, 1_400, 1_600, 1_800])
})

test('renditions are announced before their first part and described as players need them', async (t) => {
  const calls: string[] = []
  const run = new PackagingRun({
    onRenditions: (renditions) => calls.push(`renditions ${renditions.length}`),
    onPart: (part) => calls.push(part.rendition),
  })
  run.feed(both).feed(interleave(pictures(30, 0, 1_000, 60), sounds(0, 1_000)))
  t.equal(calls[0], 'renditions 2')
  t.equal(calls.filter((call) => call.startsWith('renditions')).length, 1)

  const described = new PackagingRun().feed(both)
  described.feed(interleave(pictures(30, 0, 6_000, 60), sounds(0, 6_000))).end()
  t.match(described.rendition('source'), {
    info: {
      name: 'source',
      kind: 'video',
      codecs: 'avc1.64001f',
      width: 640,
      height: 360,
      channels: 0,
    },
    discontinuitiesBefore: 0,
  })
  t.match(described.rendition('audio'), {
    info: {
      name: 'audio',
      kind: 'audio',
      codecs: 'mp4a.40.2',
      width: 0,
      frameRate: 0,
      channels: 2,
    },
  })
  const segment = described.of('source').filter(({ msn }) => msn === 1)
  const bits = segment.reduce((sum, { data }) => sum + data.byteLength * 8, 0)
  const announced = described.rendition('source')?.info.bandwidthBps ?? 0
  t.ok(Math.abs(announced - bits / 2) < 20, 'bandwidth is the measured rate of whole segments')
})

test('bandwidth is announced again when a segment exceeds the peak clearly', async (t) => {
  const run = new PackagingRun().feed([{ config: videoConfig() }])
  run.packager.expect({ audio: false })
  for (let index = 0; index < 300; index++) {
    run.packager.write(picture(index * 40, index % 50 === 0, 0, index < 150 ? 1_000 : 2_000))
  }
  run.end()
  const peaks = new Set(run.announcements.map((list) => list[0]?.info.bandwidthBps ?? 0))
  const [first = 0] = peaks
  const last = Math.max(...peaks)
  t.ok(peaks.size <= 3 && last > first * 1.8, [...peaks].join())
})

test('msn goes on from the first one given and the first segment may be a discontinuity', async (t) => {
  const run = new PackagingRun({ firstMsn: 41, discontinuityAtStart: true })
  run
    .feed(both)
    .feed(interleave(pictures(30, 0, 3_000, 60), sounds(0, 3_000)))
    .end()
  t.strictSame(run.check(), [])
  for (const name of ['source', 'audio']) {
    t.match(run.of(name)[0], { msn: 41, part: 0, discontinuity: true })
    t.equal(run.of(name).filter(({ discontinuity }) => discontinuity).length, 1)
    t.equal(run.rendition(name)?.discontinuitiesBefore, 0)
  }
})

test('the first segment ends at the first keyframe after half a second, so that players can begin', async (t) => {
  const first = (gopFrames: number): number => {
    const run = new PackagingRun().feed([{ config: videoConfig() }])
    run.packager.expect({ audio: false })
    for (const unit of pictures(30, 0, 5_000, gopFrames)) run.packager.write(unit)
    t.strictSame(run.check(), [])
    const parts = run.of('source').filter(({ msn }) => msn === run.of('source')[0]?.msn)
    return parts.reduce((sum, { durationUs }) => sum + durationUs, 0) / 1e6
  }
  t.equal(first(5).toFixed(1), '0.5')
  t.equal(first(15).toFixed(1), '0.5')
  t.equal(first(30).toFixed(1), '1.0')
  t.equal(first(60).toFixed(1), '2.0')
})

test('segments end at the first keyframe at or after the target, a little early included', async (t) => {
  const lengths = (gopFrames: number, rate: number): readonly number[] => {
    const run = new PackagingRun().feed([{ config: videoConfig() }])
    run.packager.expect({ audio: false })
    for (const unit of pictures(rate, 0, 13_000, gopFrames)) run.packager.write(unit)
    t.strictSame(run.check(), [])
    const sums: number[] = []
    for (const part of run.of('source')) {
      sums[part.msn] = (sums[part.msn] ?? 0) + part.durationUs / 1e6
    }
    // The first segment has a rule of its own, the last one may be cut off.
    return sums.slice(1, -1)
  }
  t.ok(
    lengths(59, 29.97).every((s) => Math.abs(s - 1.969) < 0.002),
    '1.97 s does not double',
  )
  t.ok(
    lengths(15, 30).every((s) => Math.abs(s - 2) < 0.002),
    'four groups of half a second',
  )
  t.ok(
    lengths(50, 30).every((s) => Math.abs(s - 3.333) < 0.002),
    'two groups of 1.67 s',
  )
  t.ok(
    lengths(150, 30).every((s) => Math.abs(s - 5) < 0.002),
    'a long group',
  )
})

test('a keyframe inside a segment begins a part of its own', async (t) => {
  const run = new PackagingRun().feed(both)
  run.feed(interleave(pictures(30, 0, 4_000, 17), sounds(0, 4_000))).end()
  t.strictSame(run.check(), [])
  t.ok(run.of('source').some(({ part, independent }) => part > 0 && independent))
})

test('TARGETDURATION grows with the segment that needs it, before that part', async (t) => {
  const seen: number[] = []
  const run: PackagingRun = new PackagingRun({
    onPart: () => seen.push(run.rendition('audio')?.targetDurationS ?? 0),
  })
  run.feed(both).feed(interleave(pictures(30, 0, 5_900, 150), sounds(0, 5_900)))
  t.strictSame([...new Set(seen)], [2, 3, 4, 5])
  t.equal(run.rendition('source')?.targetDurationS, 5)
})

test('a stream without keyframes is cut by time and by size', async (t) => {
  const run = new PackagingRun().feed(both)
  run.feed(interleave(pictures(30, 0, 45_000, 9_999), sounds(0, 45_000))).end()
  t.strictSame(run.check({ forcedCuts: true }), [])
  t.equal(run.of('source').at(-1)?.msn, 2)
  t.equal(await run.events('segment_forced'), 2)
  t.match(
    run.check().map(({ rule }) => rule),
    ['segment-start', 'segment-start'],
  )

  const big = new PackagingRun().feed([{ config: videoConfig() }])
  big.packager.expect({ audio: false })
  const bytes = Math.ceil(packagingLimits.segmentBytesMax / 100)
  for (let index = 0; index < 130; index++) {
    big.packager.write(picture(index * 100, index === 0, 0, bytes))
  }
  t.equal(await big.events('segment_forced'), 1)
})

test('a part is closed early when its bytes reach the limit', async (t) => {
  const run = new PackagingRun().feed([{ config: videoConfig() }])
  run.packager.expect({ audio: false })
  const bytes = Math.ceil(packagingLimits.partBytesMax / 2)
  for (let index = 0; index < 12; index++)
    run.packager.write(picture(index * 33, index === 0, 0, bytes))
  t.ok((await run.events('part_forced')) >= 4)
  t.ok(run.of('source').every(({ sampleCount }) => sampleCount <= 2))
})

test('the start waits for the expected tracks and begins at the first IDR', async (t) => {
  const run = new PackagingRun()
  run.packager.expect({ video: true, audio: true })
  run.feed([{ config: videoConfig() }])
  run.feed(interleave(pictures(30, 0, 400, 60)))
  t.equal(run.parts.length, 0)
  run.feed([{ config: audioConfig() }])
  run.feed(
    interleave(
      pictures(30, 400, 3_000, 999).map((unit) => marked(unit, false)),
      sounds(410, 3_000),
    ),
  )
  t.strictSame(run.check(), [])
  t.equal(run.of('source')[0]?.sampleCount, 6)
  t.equal(run.rendition('audio')?.discontinuitiesBefore, 0)
  t.equal(await run.events('audio_filled'), 19, 'silence from the first picture on')
})

test('what precedes the first IDR is dropped, audio too', async (t) => {
  const run = new PackagingRun().feed(both)
  const early = pictures(30, 0, 1_000, 999).map((unit) => marked(unit, false))
  run.feed(interleave(early, pictures(30, 1_000, 4_000, 60), sounds(0, 4_000))).end()
  t.strictSame(run.check(), [])
  t.equal(await run.events('before_keyframe_dropped'), 30)
  const first = run.of('audio')[0]
  const start = readFragment(first?.data ?? Buffer.alloc(0)).baseDecodeTime
  t.ok(start >= 0 && start < 1_024 * 1.05, `audio begins ${start} samples after the picture`)
})

test('an expected track that does not come is waited for in media time, not forever', async (t) => {
  const run = new PackagingRun()
  run.packager.expect({ video: true, audio: true })
  run.feed([{ config: videoConfig() }]).feed(interleave(pictures(30, 0, 1_400, 60)))
  t.equal(run.parts.length, 0)
  run.feed(interleave(pictures(30, 1_400, 1_800, 99).map((unit) => marked(unit, false))))
  t.ok(run.of('source').length >= 7)
  t.equal(run.of('audio').length, 0)
  t.equal(await run.events('startup_track_missing'), 1)
})

test('nothing is waited for when the publisher excludes it', async (t) => {
  const run = new PackagingRun().feed([{ config: videoConfig() }])
  run.feed(interleave(pictures(30, 0, 500, 60)))
  t.equal(run.parts.length, 0)
  run.packager.expect({ audio: false })
  t.equal(run.parts.length, 2)
})

test('the start-up queue is bounded in units', async (t) => {
  const run = new PackagingRun()
  run.packager.expect({ video: true, audio: true })
  run.feed([{ config: audioConfig() }, { config: videoConfig() }])
  for (let index = 0; index < packagingLimits.startupUnitsMax + 50; index++) {
    run.packager.write(sound(index))
  }
  t.equal(run.parts.length, 0, 'a video that is configured is waited for until its IDR')
  t.equal(await run.events('startup_dropped'), 50)
  const full = new PackagingRun()
  full.packager.expect({ video: true, audio: true })
  full.feed([{ config: audioConfig() }])
  for (let index = 0; index < packagingLimits.startupUnitsMax; index++)
    full.packager.write(sound(index * 2))
  t.ok(full.parts.length > 0, 'a full queue begins without the other track')
})

test('a short stream that ends during start-up is still packaged', async (t) => {
  const run = new PackagingRun()
  run.packager.expect({ video: true, audio: true })
  run
    .feed([{ config: videoConfig() }])
    .feed(interleave(pictures(30, 0, 300, 60)))
    .end()
  t.strictSame(run.check(), [])
  t.equal(
    run.of('source').reduce((sum, { sampleCount }) => sum + sampleCount, 0),
    9,
  )
  t.ok(run.of('source').at(-1)?.endOfSegment)
  const empty = new PackagingRun().end()
  t.equal(empty.parts.length, 0)
})

test('audio alone and video alone', async (t) => {
  const audio = new PackagingRun().feed([{ config: audioConfig() }])
  audio.packager.expect({ video: false, audio: true })
  audio.feed(interleave(sounds(5_000, 11_500))).end()
  t.strictSame(audio.check(), [])
  t.equal(audio.of('audio').at(-1)?.msn, 3)
  t.equal(audio.rendition('audio')?.targetDurationS, 2)
  t.equal(audio.rendition('source'), undefined)

  const video = new PackagingRun().feed([{ config: videoConfig() }])
  video.packager.expect({ video: true, audio: false })
  video.feed(interleave(pictures(25, 5_000, 11_500, 50))).end()
  t.strictSame(video.check(), [])
  t.equal(video.rendition('audio'), undefined)
})

test('HE-AAC and other rates have exact durations and timescales', async (t) => {
  for (const config of [
    audioConfig({ sampleRate: 44_100 }),
    audioConfig({ codecString: 'mp4a.40.5', samplesPerFrame: 2_048 }),
    audioConfig({ sampleRate: 8_000, channels: 1 }),
    audioConfig({ sampleRate: 96_000 }),
  ]) {
    const run = new PackagingRun().feed([{ config: videoConfig() }, { config }])
    const frameMs = (config.samplesPerFrame * 1_000) / config.sampleRate
    run.feed(interleave(pictures(30, 0, 6_000, 60), sounds(0, 6_000, frameMs))).end()
    t.strictSame(run.check(), [])
    const [part] = run.of('audio')
    t.equal(readInit(part?.init ?? Buffer.alloc(0)).timescale, config.sampleRate)
    t.ok(
      readFragment(part?.data ?? Buffer.alloc(0)).samples.every(
        (s) => s.duration === config.samplesPerFrame,
      ),
    )
    t.equal(await run.events('audio_filled'), 0)
    t.equal(await run.events('audio_dropped'), 0)
  }
})

test('PROGRAM-DATE-TIME is anchored once and then follows media time', async (t) => {
  const run = new PackagingRun({ partTargetMs: 200 })
  run.wallMs = 1_000_000
  run.feed(both)
  for (const { unit } of interleave(pictures(30, 7_000, 15_000, 60), sounds(7_000, 15_000))) {
    if (unit !== undefined) run.packager.write(unit)
    // A clock that is set, and arrival that jitters, must not show.
    run.wallMs += 5_000
  }
  t.strictSame(run.check(), [])
  const dates = run.of('source').flatMap(({ programDateTimeMs }) => programDateTimeMs ?? [])
  t.strictSame(dates, [1_000_000, 1_002_000, 1_004_000, 1_006_000])
})

for (const start of [2 ** 33 / 90, 2 ** 32, 2 ** 31, 2 ** 24]) {
  test(`timestamps around ${start} ms`, async (t) => {
    const from = Math.round(start) - 3_000
    const run = new PackagingRun().feed(both)
    run.feed(interleave(pictures(30, from, from + 6_000, 60), sounds(from, from + 6_000))).end()
    t.strictSame(run.check(), [])
    t.equal(
      run.of('source').reduce((sum, { sampleCount }) => sum + sampleCount, 0),
      180,
    )
    t.equal(await run.events('discontinuity'), 0)
  })
}

test('pictures that are reordered keep their times and may precede their decoding time', async (t) => {
  const run = new PackagingRun().feed([{ config: videoConfig() }])
  run.packager.expect({ audio: false })
  const offsets = [80, 200, 80, 0, 40]
  for (let index = 0; index < 150; index++) {
    const offset = index % 50 === 0 ? 80 : (offsets[index % 5] ?? 0)
    run.packager.write(picture(index * 40, index % 50 === 0, offset - 120))
  }
  run.end()
  const seen = run
    .of('source')
    .flatMap(({ data }) =>
      readFragment(data).samples.map(({ compositionOffset }) => compositionOffset / 90),
    )
  t.strictSame(seen.slice(0, 6), [-40, 80, -40, -120, -80, -40])
  t.strictSame(
    run.check().filter(({ rule }) => rule !== 'presentation'),
    [],
  )
})

test('writing after the end, or times that are no numbers, is a programmer error', async (t) => {
  const run = new PackagingRun().feed(both)
  t.throws(() => run.packager.write({ ...picture(0, true), dts: Number.NaN }))
  run.end()
  t.throws(() => run.packager.write(picture(0, true)))
  t.throws(() => run.packager.configure(videoConfig()))
})

test('units without bytes or configuration are dropped', async (t) => {
  const run = new PackagingRun()
  run.packager.write(picture(0, true))
  run.feed(both)
  run.packager.write({ ...sound(0), data: new Uint8Array(0) })
  t.equal(await run.events('undecodable_dropped'), 2)
})
