/** The packager: parts, segments, the two renditions together, and input that misbehaves. */
import { test } from 'tap'
import {
  audioConfig,
  interleave,
  PackagingRun,
  pictures,
  sounds,
  videoConfig,
} from '../support/packaging-run.ts'

const both = [{ config: videoConfig() }, { config: audioConfig() }]

for (const rate of [24, 25, 30_000 / 1_001, 30, 50, 60_000 / 1_001, 60]) {
  test(`parts of a whole number of frames at ${rate.toFixed(2)} fps`, async (t) => {
    const run = new PackagingRun()
    run.feed(both)
    run.feed(interleave(pictures(rate, 0, 8_000, Math.round(rate * 2)), sounds(0, 8_000)))
    run.end()
    t.strictSame(run.check(), [])
    const counts = new Set(
      run
        .of('source')
        .filter((part) => !part.endOfSegment)
        .map((part) => part.sampleCount),
    )
    t.strictSame([...counts], [Math.round(rate / 5)])
    t.ok((run.rendition('source')?.partTargetUs ?? 0) <= 211_000)
    t.equal(run.rendition('source')?.targetDurationS, 2)
    t.equal(run.rendition('audio')?.partTargetUs, 192_000)
    t.equal(run.parts.at(-1)?.msn, 3)
    t.equal(await run.events('part_target_grown'), 0)
  })
}
