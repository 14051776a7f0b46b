/** Whatever a publisher sends, what the packager makes keeps the rules of the part checker. */
import fc from 'fast-check'
import { test } from 'tap'
import { contentLimits, packagingLimits } from '../../src/limits.ts'
import type { AccessUnit } from '../../src/media/access-unit.ts'
import { readFragment } from '../../src/media/cmaf/fragment-reader.ts'
import {
  audioConfig,
  type PackagerInput,
  PackagingRun,
  picture,
  sound,
  videoConfig,
} from '../support/packaging-run.ts'

const RUNS = 300
/** Shrinking a counterexample stops here; the seed in the report finds it again. */
const TIME_MS_MAX = 20_000

/** A stretch of a publication: frame durations, keyframes, and what happens to its timestamps. */
interface Stretch {
  readonly steps: readonly number[]
  readonly gop: number
  readonly startMs: number
  readonly audioFrameMs: number
  readonly audioOffsetMs: number
  readonly audioHole: readonly [number, number]
  readonly newVideo: boolean
  readonly newAudio: boolean
}

const step = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(16, 17, 33, 34, 40) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 120 }) },
  { weight: 1, arbitrary: fc.integer({ min: -30, max: 0 }) },
  { weight: 1, arbitrary: fc.integer({ min: 500, max: 4_000 }) },
)

const stretch: fc.Arbitrary<Stretch> = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 250 }),
  gop: fc.integer({ min: 1, max: 90 }),
  startMs: fc.integer({ min: 0, max: 10_000_000 }),
  audioFrameMs: fc.constantFrom(1_024 / 48, 1_024 / 44.1),
  audioOffsetMs: fc.integer({ min: -900, max: 900 }),
  audioHole: fc.tuple(fc.integer({ min: 0, max: 6_000 }), fc.integer({ min: 0, max: 4_000 })),
  newVideo: fc.boolean(),
  newAudio: fc.boolean(),
})

function units(one: Stretch): { video: AccessUnit[]; audio: AccessUnit[] } {
  const video: AccessUnit[] = []
  let ms = one.startMs
  for (const [index, after] of one.steps.entries()) {
    video.push(picture(ms, index % one.gop === 0))
    ms += after
  }
  const audio: AccessUnit[] = []
  const [hole, length] = one.audioHole
  for (let at = one.startMs; at < ms; at += one.audioFrameMs) {
    const since = at - one.startMs
    if (since < hole || since > hole + length) audio.push(sound(at))
  }
  return { video, audio }
}

/** The messages of a stretch in order of arrival: each kind in its own order, audio early or late. */
function inputOf(one: Stretch, index: number): readonly PackagerInput[] {
  const { video, audio } = units(one)
  const items: PackagerInput[] = []
  if (one.newVideo) {
    items.push({ config: videoConfig({ description: Uint8Array.of(1, 2, 3, index) }) })
  }
  if (one.newAudio) items.push({ config: audioConfig({ description: Uint8Array.of(index, 1) }) })
  let next = 0
  for (const unit of video) {
    for (;;) {
      const frame = audio[next]
      if (frame === undefined || frame.dts + one.audioOffsetMs * 90 > unit.dts) break
      items.push({ unit: frame })
      next += 1
    }
    items.push({ unit })
  }
  return [...items, ...audio.slice(next).map((unit) => ({ unit }))]
}

function lastMsn(run: PackagingRun, name: string): number | undefined {
  return run.of(name).at(-1)?.msn
}

test('both renditions keep every rule', async () => {
  fc.assert(
    fc.property(fc.array(stretch, { minLength: 1, maxLength: 4 }), (stretches) => {
      const run = new PackagingRun()
      run.feed([{ config: videoConfig() }, { config: audioConfig() }])
      for (const [index, one] of stretches.entries()) run.feed(inputOf(one, index))
      run.end()
      // Clamped times may coincide with others; how far audio trails is what the generator chose.
      const violations = run
        .check({ alignmentMs: 60_000, forcedCuts: true })
        .filter(({ rule }) => rule !== 'presentation')
      if (violations.length > 0) throw new Error(JSON.stringify(violations.slice(0, 5)))
      if (lastMsn(run, 'source') !== lastMsn(run, 'audio')) throw new Error('out of step')
      const last = (name: string) => run.of(name).at(-1)?.endOfSegment ?? true
      if (!last('source') || !last('audio')) throw new Error('the last part is not final')
    }),
    { numRuns: RUNS, interruptAfterTimeLimit: TIME_MS_MAX },
  )
})

test('video alone keeps every rule and loses no picture after the first IDR', async () => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 1, maxLength: 400 }),
      fc.integer({ min: 1, max: 200 }),
      (steps, gop) => {
        const run = new PackagingRun().feed([{ config: videoConfig() }])
        run.packager.expect({ audio: false })
        let ms = 0
        const sent: Buffer[] = []
        for (const [index, after] of steps.entries()) {
          const unit = picture(ms, index % gop === 0)
          Buffer.from(unit.data.buffer, unit.data.byteOffset).writeUInt32BE(index, 8)
          sent.push(Buffer.from(unit.data))
          run.packager.write(unit)
          ms = Math.max(0, ms + after)
        }
        run.end()
        const violations = run
          .check({ forcedCuts: true })
          .filter(({ rule }) => rule !== 'presentation')
        if (violations.length > 0) throw new Error(JSON.stringify(violations.slice(0, 5)))
        const made = run
          .of('source')
          .flatMap(({ data }) =>
            readFragment(data).samples.map(({ offset, bytes }) =>
              data.subarray(offset, offset + bytes),
            ),
          )
        if (Buffer.compare(Buffer.concat(made), Buffer.concat(sent)) !== 0)
          throw new Error('bytes differ')
      },
    ),
    { numRuns: RUNS, interruptAfterTimeLimit: TIME_MS_MAX },
  )
})

test('audio alone keeps every rule', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: -60, max: 200 }), { minLength: 1, maxLength: 400 }),
      fc.constantFrom(8_000, 22_050, 44_100, 48_000),
      (jitter, sampleRate) => {
        const run = new PackagingRun().feed([{ config: audioConfig({ sampleRate }) }])
        run.packager.expect({ video: false })
        for (const [index, ms] of jitter.entries()) {
          run.packager.write(sound(Math.max(0, (index * 1_024_000) / sampleRate + ms)))
        }
        run.end()
        const violations = run.check()
        if (violations.length > 0) throw new Error(JSON.stringify(violations.slice(0, 5)))
      },
    ),
    { numRuns: RUNS, interruptAfterTimeLimit: TIME_MS_MAX },
  )
})

test('floods and absurd composition times stay within what an index may say', async () => {
  const hostile = fc.record({
    stepMs: fc.constantFrom(0, 1, 2, 40, 9_900),
    count: fc.integer({ min: 1, max: 1_500 }),
    gop: fc.integer({ min: 1, max: 4 }),
    offsetMs: fc.oneof(fc.constant(0), fc.integer({ min: -9_000_000, max: 9_000_000 })),
    soundEvery: fc.integer({ min: 1, max: 50 }),
  })
  fc.assert(
    fc.property(fc.array(hostile, { minLength: 1, maxLength: 3 }), (stretches) => {
      const run = new PackagingRun().feed([{ config: videoConfig() }, { config: audioConfig() }])
      let ms = 0
      for (const { stepMs, count, gop, offsetMs, soundEvery } of stretches) {
        // Long steps make much silence; a few of them say it all.
        for (let index = 0; index < (stepMs > 1_000 ? Math.min(count, 5) : count); index++) {
          run.packager.write(picture(ms, index % gop === 0, index % 3 === 0 ? offsetMs : 0))
          if (index % soundEvery === 0) run.packager.write(sound(ms))
          ms += stepMs
        }
      }
      run.end()
      const targetMsMax = packagingLimits.segmentMsMax + 2 * packagingLimits.compositionMsMax
      for (const part of run.parts) {
        if (part.part >= contentLimits.segmentPartsMax) throw new Error('too many parts')
        if (part.durationUs < 1 || part.durationUs > contentLimits.partUsMax)
          throw new Error(`a part of ${part.durationUs} us`)
      }
      const targetS = run.rendition('source')?.targetDurationS ?? 1
      if (targetS * 1_000 > targetMsMax) throw new Error(`a target of ${targetS} s`)
      if (lastMsn(run, 'source') !== lastMsn(run, 'audio')) throw new Error('out of step')
    }),
    { numRuns: 60, interruptAfterTimeLimit: TIME_MS_MAX },
  )
})
