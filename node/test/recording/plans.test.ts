/** The pure parts: which segments a window needs, what stays of a recording, which pictures a storyboard takes. */
import fc from 'fast-check'
import { test } from 'tap'
import { liveStoryboardLimits } from '../../src/limits/live-storyboard.ts'
import { recordingLimits } from '../../src/limits/recording.ts'
import { DvrWindow } from '../../src/recording/dvr-window.ts'
import { fileSegments } from '../../src/recording/file-segments.ts'
import { selectRenditions } from '../../src/recording/selection.ts'
import { planStoryboard } from '../../src/recording/storyboard-plan.ts'
import { segmentWrite } from '../support/archive-segments.ts'

function segment(msn: number, durationUs = 2_000_000) {
  return { ...segmentWrite(msn).segment, durationUs }
}

function track(name: string, from: number, to: number, without: readonly number[] = []) {
  const msns = Array.from({ length: to - from + 1 }, (_, index) => from + index)
  return { name, segments: msns.filter((msn) => !without.includes(msn)).map((msn) => ({ msn })) }
}

test('a window needs just what is as long as it', async (t) => {
  const step = fc.record({
    durationUs: fc.integer({ min: 1, max: 6_000_000 }),
    gap: fc.integer({ min: 0, max: 20 }).map((value) => (value === 20 ? 3 : 0)),
    windowUs: fc.integer({ min: 0, max: 60_000_000 }),
    drop: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const window = new DvrWindow()
      let msn = 100
      for (const { durationUs, gap, windowUs, drop } of steps) {
        msn += 1 + gap
        const needed = window.add(segment(msn, durationUs), windowUs)
        const { segments } = window
        const lengthUs = (from: number): number =>
          segments.filter((one) => one.msn >= from).reduce((sum, one) => sum + one.durationUs, 0)
        const first = segments[0]?.msn ?? 0
        if (window.lastMsn !== msn || msn - first + 1 !== segments.length) return false
        if (segments.some((one, index) => one.msn !== first + index)) return false
        // Either all that there is, or enough; and never a segment more than that.
        if (needed > first && lengthUs(needed) < windowUs) return false
        if (needed <= msn && needed > first - 1 && lengthUs(needed + 1) >= windowUs && windowUs > 0)
          return false
        if (drop) window.dropBefore(needed)
      }
      return true
    }),
    { numRuns: 500 },
  )
  t.pass('windows hold')
  const window = new DvrWindow()
  t.equal(window.neededFrom(5), 0)
  t.equal(window.lastMsn, undefined)
  for (let msn = 0; msn < 10; msn += 1) window.add(segment(msn), 4_000_000)
  t.equal(window.neededFrom(4_000_000), 8)
  t.equal(
    window.neededFrom(10_000_000),
    5,
    'a window that is made longer needs again what is there',
  )
  t.equal(window.neededFrom(0), 10)
  window.dropBefore(20)
  t.same(window.segments, [])
})

test('files are a part of a window, within bounds', async (t) => {
  t.equal(fileSegments(0, 2_000_000), recordingLimits.fileSegmentsMax)
  t.equal(fileSegments(60_000_000, 2_000_000), 4)
  t.equal(fileSegments(1_000_000, 2_000_000), recordingLimits.fileSegmentsMin)
  t.equal(fileSegments(86_400_000_000, 2_000_000), recordingLimits.fileSegmentsMax)
})

test('what stays of a recording', async (t) => {
  const kept = (...tracks: ReturnType<typeof track>[]) => {
    const { lead, kept: found, leftOut } = selectRenditions(tracks)
    return { lead, kept: Object.fromEntries(found), leftOut }
  }
  t.same(kept(), { lead: undefined, kept: {}, leftOut: [] })
  t.same(kept(track('a', 0, -1)), { lead: undefined, kept: {}, leftOut: ['a'] })
  t.same(kept(track('audio', 3, 20), track('source', 3, 22), track('720p', 6, 22)), {
    lead: 'source',
    kept: { audio: 18, source: 20, '720p': 17 },
    leftOut: [],
  })
  t.same(kept(track('source', 0, 20), track('late', 5, 20), track('short', 0, 15)), {
    lead: 'source',
    kept: { source: 21 },
    leftOut: ['late', 'short'],
  })
  t.same(kept(track('source', 0, 20, [10]), track('720p', 0, 20), track('480p', 0, 20, [9])), {
    lead: 'source',
    kept: { source: 10, '720p': 21, '480p': 9 },
    leftOut: [],
  })
  t.same(kept(track('audio', 0, 9), track('audio-2', 0, 10)), {
    lead: 'audio-2',
    kept: { audio: 10, 'audio-2': 11 },
    leftOut: [],
  })
})

test('pictures of a storyboard', async (t) => {
  const segments = Array.from({ length: 60 }, (_, index) => ({ msn: 7 + index, durationUs: 2e6 }))
  t.equal(planStoryboard(segments, new Set()), undefined)
  t.equal(planStoryboard(segments, new Set([3, 500])), undefined)
  const every = planStoryboard(segments, new Set([8, 13, 18, 23]))
  t.equal(every?.intervalMs, 10_000)
  t.same(every?.msns, [8, 13, 18, 23, ...Array(8).fill(23)])
  const long = Array.from({ length: 21_600 }, (_, msn) => ({ msn, durationUs: 2e6 }))
  const plan = planStoryboard(long, new Set(long.map(({ msn }) => msn)))
  t.ok((plan?.msns.length ?? 0) <= liveStoryboardLimits.recordedMax)
  t.equal(plan?.intervalMs, 216_000)
})
