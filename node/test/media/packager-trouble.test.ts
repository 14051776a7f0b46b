/** The packager with input that misbehaves: variable rates, gaps, jumps, changes of configuration, tracks that come late. */
import { test } from 'tap'
import { packagingLimits } from '../../src/limits.ts'
import { type Logger, silentLogger } from '../../src/logger.ts'
import { readFragment } from '../../src/media/cmaf/fragment-reader.ts'
import {
  audioConfig,
  interleave,
  marked,
  type PackagerInput,
  PackagingRun,
  picture,
  pictures,
  sound,
  sounds,
  videoConfig,
} from '../support/packaging-run.ts'

const both = [{ config: videoConfig() }, { config: audioConfig() }]

/** Messages of one kind come later by so many milliseconds of the other's time. */
function delayed(
  input: readonly PackagerInput[],
  kind: string,
  ms: number,
): readonly PackagerInput[] {
  const arrival = ({ unit }: PackagerInput): number =>
    (unit?.dts ?? 0) + (unit?.kind === kind ? ms * 90 : 0)
  return input.toSorted((a, b) => arrival(a) - arrival(b))
}

function msns(run: PackagingRun, name: string): readonly number[] {
  return [...new Set(run.of(name).map(({ msn }) => msn))]
}

function flagged(run: PackagingRun, name: string): readonly number[] {
  return run.of(name).flatMap(({ discontinuity, msn }) => (discontinuity ? [msn] : []))
}

test('with a variable frame rate parts are cut near the target, which stays', async (t) => {
  const units = []
  let ms = 0
  let seed = 7
  for (let index = 0; index < 400; index++) {
    units.push(picture(ms, index % 40 === 0))
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    ms += 10 + (seed % 111)
  }
  const run = new PackagingRun()
    .feed(both)
    .feed(interleave(units, sounds(0, ms)))
    .end()
  t.strictSame(run.check(), [])
  t.ok((await run.events('part_overlong')) > 0)
  const target = run.rendition('source')?.partTargetUs ?? 0
  t.ok(target > 150_000 && target < 250_000, `${target}`)
  const longestUs = Math.max(...run.of('source').map(({ durationUs }) => durationUs))
  t.ok(longestUs < 0.85 * target + 121_000, `${longestUs}`)
  t.equal(run.rendition('audio')?.partTargetUs, 192_000, 'audio stays as it is')
})

test('a lost picture costs little', async (t) => {
  const units = pictures(30, 0, 20_000, 60).filter((_, index) => index % 41 !== 40)
  const run = new PackagingRun()
    .feed(both)
    .feed(interleave(units, sounds(0, 20_000)))
    .end()
  t.strictSame(run.check(), [])
  t.ok((run.rendition('source')?.partTargetUs ?? 0) <= 236_000)
})

test('a freeze of 3 s is one long part, and those after it are as before', async (t) => {
  const units = [...pictures(30, 0, 5_000, 60), ...pictures(30, 8_000, 14_000, 60)]
  const run = new PackagingRun()
    .feed(both)
    .feed(interleave(units, sounds(0, 14_000)))
    .end()
  t.strictSame(run.check(), [])
  t.equal(await run.events('discontinuity'), 0)
  t.equal(run.rendition('source')?.partTargetUs, 202_000)
  t.equal(await run.events('part_overlong'), 1)
  const video = run.of('source')
  const long = video.findIndex(({ durationUs }) => durationUs >= 3_000_000)
  t.ok(long > 0)
  const after = video.slice(long + 1)
  t.ok(Math.max(...after.map(({ durationUs }) => durationUs)) <= 202_000)
  t.ok(after.length >= 30, 'and there are many of them')
})

test('a publisher without keyframes is told of once, and begins at the first that comes', async (t) => {
  const warnings: string[] = []
  const logger: Logger = {
    ...silentLogger,
    warn: (_fields, message) => warnings.push(message),
    child: () => logger,
  }
  const run = new PackagingRun({}, logger).feed(both)
  const units = pictures(30, 0, 20_000, 10_000).slice(1)
  run.feed(interleave(units.slice(0, 30), sounds(0, 1_000)))
  t.strictSame(warnings, [], 'one second is no reason to complain')
  run.feed(interleave(units.slice(30), sounds(1_000, 20_000)))
  t.equal(warnings.length, 1)
  t.match(warnings[0], /no keyframe.*keyframe interval/)
  t.equal(await run.events('keyframe_missing'), 1)
  t.equal(run.parts.length, 0)
  run.feed(interleave(pictures(30, 20_000, 25_000, 60), sounds(20_000, 25_000))).end()
  t.strictSame(run.check(), [])
  t.ok(run.of('source').length >= 24)
})

test('a picture that stands still at the start says nothing of the part target', async (t) => {
  const units = [picture(0, true), ...pictures(30, 1_000, 9_000, 60)]
  const run = new PackagingRun()
    .feed(both)
    .feed(interleave(units, sounds(0, 9_000)))
    .end()
  t.strictSame(run.check(), [])
  t.equal(run.rendition('source')?.partTargetUs, 202_000)
})

test('audio early or late by less than half a second is cut where the video is', async (t) => {
  const input = interleave(pictures(30, 0, 10_000, 60), sounds(0, 10_000))
  for (const [kind, ms, alignmentMs] of [
    ['audio', 300, 43],
    ['video', 100, 250],
    ['video', 700, 900],
  ] as const) {
    const run = new PackagingRun()
      .feed(both)
      .feed(delayed(input, kind, ms))
      .end()
    t.strictSame(run.check({ alignmentMs }), [])
    t.strictSame(msns(run, 'audio'), msns(run, 'source'))
    t.equal(await run.events('audio_dropped'), 0)
    t.equal(await run.events('audio_filled'), 0)
  }
})

test('audio that always comes late is filled once and then waited for', async (t) => {
  const input = interleave(pictures(30, 0, 20_000, 60), sounds(0, 20_000))
  const run = new PackagingRun()
    .feed(both)
    .feed(delayed(input, 'audio', 1_500))
    .end()
  t.strictSame(run.check(), [])
  t.strictSame(msns(run, 'audio'), msns(run, 'source'))
  t.ok((await run.events('audio_dropped')) < 120, 'it is not muted for good')
})

test('audio that stops becomes silence and goes on in step', async (t) => {
  const input = interleave(pictures(30, 0, 16_000, 60), [
    ...sounds(0, 4_000),
    ...sounds(9_000, 16_000),
  ])
  const run = new PackagingRun().feed(both)
  run.feed(input.filter(({ unit }) => (unit?.dts ?? 0) < 8_900 * 90))
  t.ok((run.of('audio').at(-1)?.msn ?? 0) >= 3, 'segments close while audio is away')
  run.feed(input.filter(({ unit }) => (unit?.dts ?? 0) >= 8_900 * 90)).end()
  t.strictSame(run.check(), [])
  t.strictSame(msns(run, 'audio'), msns(run, 'source'))
  const filled = await run.events('audio_filled')
  t.ok(Math.abs(filled - 5_000 / (1_024 / 48)) <= 2, `${filled} frames for 5 s`)
})

test('an announced audio track that never sends is silence', async (t) => {
  for (const channels of [1, 2, 3, 4, 5, 6, 8]) {
    const run = new PackagingRun().feed([
      { config: videoConfig() },
      { config: audioConfig({ channels }) },
    ])
    run.feed(interleave(pictures(30, 0, 5_000, 60))).end()
    t.strictSame(run.check(), [])
    t.strictSame(msns(run, 'audio'), msns(run, 'source'))
  }
})

test('video that stops leaves audio bounded and comes back with a discontinuity', async (t) => {
  const run = new PackagingRun().feed(both)
  run
    .feed(
      interleave(
        [...pictures(30, 0, 5_000, 60), ...pictures(30, 25_000, 29_000, 60)],
        sounds(0, 29_000),
      ),
    )
    .end()
  t.strictSame(run.check({ alignmentMs: 100 }), [])
  t.equal(await run.events('discontinuity'), 1)
  t.ok((await run.events('audio_dropped')) > 300)
  t.strictSame(msns(run, 'audio'), msns(run, 'source'))
  t.strictSame(flagged(run, 'source'), flagged(run, 'audio'))
})

test('jitter of audio stamps is evened out, drift beyond the tolerance corrected by whole frames', async (t) => {
  const run = new PackagingRun().feed(both)
  const jittered = sounds(0, 10_000).map((unit, index) => {
    const dts = unit.dts + ((index * 7) % 41) * 90
    return { ...unit, dts, pts: dts }
  })
  run.feed(delayed(interleave(pictures(30, 0, 10_000, 60), jittered), 'audio', 30)).end()
  t.strictSame(run.check(), [])
  t.equal((await run.events('audio_filled')) + (await run.events('audio_dropped')), 0)

  for (const speed of [1.005, 0.995]) {
    const drifting = new PackagingRun().feed(both)
    const frames = sounds(0, 30_000, (1_024 / 48) * speed)
    drifting.feed(delayed(interleave(pictures(30, 0, 30_000, 60), frames), 'audio', 100)).end()
    t.strictSame(drifting.check({ alignmentMs: 60 }), [])
    const corrected = await drifting.events(speed > 1 ? 'audio_filled' : 'audio_dropped')
    t.ok(corrected >= 5 && corrected <= 8, `${corrected} frames over 150 ms`)
  }
})

test('equal and slightly earlier decoding times are moved up by a tick', async (t) => {
  const run = new PackagingRun().feed([{ config: videoConfig() }])
  run.packager.expect({ audio: false })
  const times = [0, 33, 33, 30, 67, 100, 133, 167, 200]
  for (const [index, ms] of times.entries()) run.packager.write(picture(ms, index === 0))
  run.end()
  t.equal(await run.events('dts_clamped'), 2)
  t.strictSame(
    run.check().filter(({ rule }) => rule !== 'presentation'),
    [],
  )
  t.equal(
    run.of('source').reduce((sum, { sampleCount }) => sum + sampleCount, 0),
    times.length,
  )
})

for (const jump of [60_000, -60_000, 10_500, -2_000]) {
  test(`a jump by ${jump} ms is a discontinuity in both renditions`, async (t) => {
    const run = new PackagingRun({ firstMsn: 5 }).feed(both)
    const at = 100_000
    run.feed(interleave(pictures(30, at, at + 5_000, 60), sounds(at, at + 5_000)))
    run.wallMs += 50_000
    const from = at + 5_000 + jump
    const tail = pictures(30, from, from + 5_000, 60)
    // The first pictures after the jump are not the IDR: they cannot be shown.
    run.feed(
      interleave(
        tail.map((unit, i) => marked(unit, i === 10 || i === 70)),
        sounds(from, from + 5_000),
      ),
    )
    run.end()
    t.strictSame(run.check(), [])
    t.strictSame(flagged(run, 'source'), [8])
    t.strictSame(flagged(run, 'audio'), [8])
    t.strictSame(msns(run, 'audio'), msns(run, 'source'))
    t.equal(await run.events('discontinuity'), 1)
    const date = run.of('source').find(({ discontinuity }) => discontinuity)?.programDateTimeMs
    t.equal(date, 1_700_000_050_333, 'wall time is anchored again')
  })
}

test('audio alone jumps with a discontinuity', async (t) => {
  const run = new PackagingRun().feed([{ config: audioConfig() }])
  run.packager.expect({ video: false })
  run
    .feed(interleave(sounds(0, 5_000)))
    .feed(interleave(sounds(90_000, 95_000)))
    .end()
  t.strictSame(run.check(), [])
  t.strictSame(flagged(run, 'audio'), [3])
})

test('audio that strays far from the video is dropped, not followed', async (t) => {
  const run = new PackagingRun().feed(both)
  const stray = sounds(0, 6_000).map((unit) =>
    unit.dts > 3_000 * 90 && unit.dts < 4_000 * 90 ? { ...unit, pts: unit.pts + 9e6 } : unit,
  )
  run.feed(interleave(pictures(30, 0, 6_000, 60), stray)).end()
  t.strictSame(run.check(), [])
  t.equal(await run.events('discontinuity'), 0)
  t.equal(await run.events('audio_dropped'), 47)
})

test('a new video configuration takes effect at the next IDR with a new init segment', async (t) => {
  const run = new PackagingRun().feed(both)
  const changed = videoConfig({
    width: 1_280,
    height: 720,
    description: Uint8Array.of(1, 2, 3, 4, 5, 6, 7),
  })
  run.feed(interleave(pictures(30, 0, 3_000, 60), sounds(0, 3_000)))
  run.feed([{ config: changed }])
  const tail = pictures(30, 3_000, 7_000, 60).map((unit, i) => marked(unit, i === 6 || i === 66))
  run.feed(interleave(tail, sounds(3_000, 7_000))).end()
  t.strictSame(run.check(), [])
  t.strictSame(flagged(run, 'source'), [2])
  t.strictSame(flagged(run, 'audio'), [2])
  t.equal(new Set(run.of('source').map(({ init }) => init)).size, 2)
  t.equal(new Set(run.of('audio').map(({ init }) => init)).size, 1)
  t.equal(run.rendition('source')?.info.width, 1_280)
  t.equal(await run.events('before_keyframe_dropped'), 6)
  t.equal(await run.events('discontinuity'), 1)
})

test('the same configuration again changes nothing', async (t) => {
  const run = new PackagingRun().feed(both)
  run.feed(interleave(pictures(30, 0, 3_000, 60), sounds(0, 3_000)))
  run.feed([{ config: videoConfig() }, { config: audioConfig() }])
  run.feed(interleave(pictures(30, 3_000, 5_000, 30), sounds(3_000, 5_000))).end()
  t.strictSame(run.check(), [])
  t.equal(await run.events('discontinuity'), 0)
})

test('a new audio configuration takes effect with the next segment', async (t) => {
  const run = new PackagingRun().feed(both)
  const input = interleave(pictures(30, 0, 8_000, 60), sounds(0, 8_000))
  run.feed(input.filter(({ unit }) => (unit?.dts ?? 0) < 3_000 * 90))
  run.feed([
    { config: audioConfig({ sampleRate: 44_100, description: Uint8Array.of(0x12, 0x10) }) },
  ])
  run.feed(input.filter(({ unit }) => (unit?.dts ?? 0) >= 3_000 * 90)).end()
  t.strictSame(run.check(), [])
  t.strictSame(flagged(run, 'source'), [2])
  t.strictSame(flagged(run, 'audio'), [2])
  t.equal(new Set(run.of('audio').map(({ init }) => init)).size, 2)
  t.strictSame(msns(run, 'audio'), msns(run, 'source'))
})

test('audio alone changes its configuration at once', async (t) => {
  const run = new PackagingRun().feed([{ config: audioConfig() }])
  run.packager.expect({ video: false })
  run.feed(interleave(sounds(0, 3_000)))
  run.feed([
    { config: audioConfig({ sampleRate: 44_100, description: Uint8Array.of(0x12, 0x10) }) },
  ])
  run.feed(interleave(sounds(3_000, 6_000, 1_024 / 44.1))).end()
  t.strictSame(run.check(), [])
  t.strictSame(flagged(run, 'audio'), [2])
})

test('audio that appears late begins with the next segment', async (t) => {
  const run = new PackagingRun().feed([{ config: videoConfig() }])
  run.packager.expect({ video: true })
  const input = interleave(pictures(30, 0, 9_000, 60), sounds(5_000, 9_000))
  run.feed(input.filter(({ unit }) => (unit?.dts ?? 0) < 5_000 * 90))
  t.equal(run.rendition('audio'), undefined)
  run.feed([{ config: audioConfig() }])
  run.feed(input.filter(({ unit }) => (unit?.dts ?? 0) >= 5_000 * 90)).end()
  t.strictSame(run.check(), [])
  t.strictSame(msns(run, 'audio'), [3, 4])
  t.strictSame(flagged(run, 'source'), [3])
  t.strictSame(flagged(run, 'audio'), [3])
  t.equal(run.rendition('audio')?.discontinuitiesBefore, 0)
})

test('video that appears late leads from its first IDR', async (t) => {
  const run = new PackagingRun().feed([{ config: audioConfig() }])
  const input = interleave(pictures(30, 4_700, 9_000, 60), sounds(0, 9_000))
  run.feed(input.filter(({ unit }) => (unit?.dts ?? 0) < 4_700 * 90))
  t.ok(run.of('audio').length > 10)
  run.feed([{ config: videoConfig() }])
  run.packager.write(picture(4_690, false))
  run.feed(input.filter(({ unit }) => (unit?.dts ?? 0) >= 4_700 * 90)).end()
  t.strictSame(run.check(), [])
  t.strictSame(flagged(run, 'audio'), [3])
  t.strictSame(flagged(run, 'source'), [3])
  t.strictSame(msns(run, 'source'), [3, 4, 5])
  t.equal(msns(run, 'audio').at(-1), 5)
})

test('video that appears late and far away begins a stretch of its own', async (t) => {
  const run = new PackagingRun().feed([{ config: audioConfig() }])
  run.feed(interleave(sounds(0, 5_000))).feed([{ config: videoConfig() }])
  run.feed(interleave(pictures(30, 500_000, 505_000, 60), sounds(500_000, 505_000))).end()
  t.strictSame(run.check(), [])
  t.strictSame(flagged(run, 'source'), [3])
  t.strictSame(flagged(run, 'audio'), [3])
})

test('audio that waits for a cut is bounded', async (t) => {
  const run = new PackagingRun().feed([{ config: videoConfig() }])
  run.packager.expect({ audio: false })
  run.packager.write(picture(0, true))
  run.feed([{ config: audioConfig() }])
  for (let index = 0; index < packagingLimits.startupUnitsMax + 9; index++)
    run.packager.write(sound(index))
  t.equal(await run.events('startup_dropped'), 9)
})

test('the timeline never goes back, over discontinuities too', async (t) => {
  const run = new PackagingRun().feed(both)
  for (const from of [50_000, 0, 900_000, 20_000]) {
    run.feed(interleave(pictures(30, from, from + 2_500, 60), sounds(from, from + 2_500)))
  }
  run.end()
  t.strictSame(run.check(), [])
  const times = run.of('source').map(({ data }) => readFragment(data).baseDecodeTime)
  t.equal(times[0], 0)
  t.ok(times.every((time, index) => index === 0 || time > (times[index - 1] ?? 0)))
  t.equal(await run.events('discontinuity'), 3)
})
