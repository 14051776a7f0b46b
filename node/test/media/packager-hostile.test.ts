/** The packager with timestamps and pictures that a publisher sends to break it: what follows stays within its limits. */
import { test } from 'tap'
import { packagingLimits } from '../../src/limits.ts'
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
