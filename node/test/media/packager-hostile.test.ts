/** The packager with timestamps and pictures that a publisher sends to break it: what follows stays within its limits. */
import { test } from 'tap'
import { contentLimits, packagingLimits } from '../../src/limits.ts'
import { readFragment } from '../../src/media/cmaf/fragment-reader.ts'
import {
  audioConfig,
  interleave,
  PackagingRun,
  picture,
  pictures,
  sound,
  sounds,
  videoConfig,
} from '../support/packaging-run.ts'

const both = [{ config: videoConfig() }, { config: audioConfig() }]
const ABSURD_MS = 8_000_000
/** A segment, at the worst: a step between timestamps at its limit after a segment at its limit. */
const TARGET_S_MAX = (packagingLimits.segmentMsMax + packagingLimits.timestampJumpMsMax) / 1_000

function msns(run: PackagingRun, name: string): readonly number[] {
  return [...new Set(run.of(name).map(({ msn }) => msn))]
}

/** Parts of the fullest segment; a picture that comes after a check may close up to two more parts. */
function fullest(run: PackagingRun): number {
  return Math.max(...run.parts.map(({ part }) => part + 1))
}

for (const offsetMs of [ABSURD_MS, -ABSURD_MS]) {
  for (const which of ['all', 'first', 'last'] as const) {
    test(`a composition time of ${offsetMs} ms (${which}) throws nothing off`, async (t) => {
      const shown = pictures(30, 0, 8_000, 60)
      const hit = { all: () => true, first: (i: number) => i === 0, last: (i: number) => i === 180 }
      const absurd = shown.map((unit, index) =>
        hit[which](index) ? { ...unit, pts: unit.dts + offsetMs * 90 } : unit,
      )
      const run = new PackagingRun().feed(both)
      run.feed(interleave(absurd, sounds(0, 8_000))).end()
      t.strictSame(msns(run, 'audio'), msns(run, 'source'))
      t.equal(await run.events('composition_clamped'), which === 'all' ? absurd.length : 1)
      const filled = await run.events('audio_filled')
      t.ok(filled <= packagingLimits.audioFillFramesMax, `${filled} silent frames`)
      for (const name of ['source', 'audio']) {
        const targetS = run.rendition(name)?.targetDurationS ?? 0
        t.ok(targetS > 0 && targetS <= TARGET_S_MAX, `${name}: ${targetS} s`)
      }
      const offsets = run
        .of('source')
        .flatMap(({ data }) => readFragment(data).samples.map((one) => one.compositionOffset))
      const furthest = Math.max(...offsets.map(Math.abs))
      t.equal(furthest, packagingLimits.compositionMsMax * 90)
    })
  }
}

test('a composition time at the limit stays as it is', async (t) => {
  const run = new PackagingRun().feed([{ config: videoConfig() }])
  run.packager.expect({ audio: false })
  run.packager.write(picture(0, true, packagingLimits.compositionMsMax))
  run.packager.write(picture(40, false, -packagingLimits.compositionMsMax))
  run.end()
  t.equal(await run.events('composition_clamped'), 0)
})

test('silence is put in by so many frames at one go, however short a frame is', async (t) => {
  const audio = { config: audioConfig({ sampleRate: 4_000_000 }) }
  const run = new PackagingRun().feed([{ config: videoConfig() }, audio])
  let before = 0
  const noteFill = async () => {
    const filled = await run.events('audio_filled')
    // The end of a stretch adds a frame for each cut that silence did not reach.
    t.ok(filled - before <= packagingLimits.audioFillFramesMax + 2, `${filled - before} frames`)
    before = filled
  }
  run.packager.write(sound(0))
  for (const ms of [0, 9_000, 18_000, 18_040]) {
    run.packager.write(picture(ms, true))
    await noteFill()
  }
  run.end()
  await noteFill()
  t.equal(await run.events('audio_fill_cut'), 4)
  t.strictSame(msns(run, 'audio'), msns(run, 'source'))
})

test('audio alone that leaps by more than one fill is dropped until it is reached', async (t) => {
  const run = new PackagingRun().feed([{ config: audioConfig({ sampleRate: 4_000_000 }) }])
  run.packager.expect({ video: false })
  for (const ms of [0, 1_000, 1_000, 1_000]) run.packager.write(sound(ms))
  run.end()
  t.equal(await run.events('audio_fill_cut'), 2)
  t.equal(await run.events('audio_dropped'), 2)
  t.equal(await run.events('audio_filled'), 3_905)
})

test('a keyframe a millisecond cuts segments before they hold too many parts', async (t) => {
  const run = new PackagingRun().feed(both)
  run.feed(interleave(pictures(1_000, 0, 5_000, 1), sounds(0, 5_000))).end()
  t.ok(fullest(run) <= packagingLimits.segmentPartsMax + 2, `${fullest(run)} parts`)
  t.ok(packagingLimits.segmentPartsMax + 2 < contentLimits.segmentPartsMax)
  t.strictSame(run.check(), [])
  t.strictSame(msns(run, 'audio'), msns(run, 'source'))
  t.ok((await run.events('segment_crowded')) >= 8)
  t.equal(await run.events('segment_forced'), 0, 'every cut is at a keyframe')
  t.equal(await run.events('flood_dropped'), 0)
})

test('a crowded segment is cut without a keyframe when none comes', async (t) => {
  const run = new PackagingRun().feed(both)
  // The first segment would end at a keyframe from 475 ms on.
  const crowd = pictures(1_000, 0, 470, 1)
  const tail = pictures(30, 470, 9_000, 1_000).slice(1)
  run.feed(interleave(crowd, tail, sounds(0, 9_000))).end()
  t.strictSame(run.check({ forcedCuts: true }), [])
  t.strictSame(msns(run, 'audio'), msns(run, 'source'))
  t.equal(await run.events('segment_crowded'), 1)
  t.equal(await run.events('segment_forced'), 1)
})

test('keyframes faster than segments can be cut are dropped, with what follows them', async (t) => {
  const run = new PackagingRun().feed(both)
  const flood = Array.from({ length: 20_000 }, (_, index) => picture(0, index % 2 === 0))
  for (const unit of [sound(0), ...flood]) run.packager.write(unit)
  run.feed(interleave(pictures(30, 1_000, 3_000, 60), sounds(22, 3_000))).end()
  t.ok(fullest(run) <= packagingLimits.segmentPartsMax + 2, `${fullest(run)} parts`)
  t.ok((await run.events('flood_dropped')) > 18_000)
  t.ok(msns(run, 'source').length <= 4, 'the flood made no segments')
  t.strictSame(msns(run, 'audio'), msns(run, 'source'))
  const restarted = run.of('source').find(({ msn }) => msn === 1)
  t.equal(restarted?.independent, true, 'the pictures go on at a keyframe')
})

test('short parts of audio crowd a segment too', async (t) => {
  const init = { partTargetMs: 21, segmentTargetMs: 20_000 }
  const alone = new PackagingRun(init).feed([{ config: audioConfig() }])
  alone.packager.expect({ video: false })
  alone.feed(interleave(sounds(0, 30_000))).end()
  t.equal(fullest(alone), packagingLimits.segmentPartsMax + 1)
  t.strictSame(alone.check(), [])
  t.equal(await alone.events('segment_crowded'), 2)

  const beside = new PackagingRun(init).feed(both)
  beside.feed(interleave(pictures(30, 0, 30_000, 900), sounds(0, 30_000))).end()
  t.ok(fullest(beside) <= packagingLimits.segmentPartsMax + 30, `${fullest(beside)} parts`)
  t.strictSame(msns(beside, 'audio'), msns(beside, 'source'))
  t.ok((await beside.events('segment_crowded')) >= 2)
})
