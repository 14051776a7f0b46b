/** The part checker finds each kind of damage: a checker that never complains proves nothing. */
import { test } from 'tap'
import { findBox } from '../../../src/media/cmaf/box-reader.ts'
import { type CheckedPart, type CheckOptions, checkRenditions } from '../../support/cmaf-checker.ts'
import {
  audioConfig,
  interleave,
  PackagingRun,
  pictures,
  sounds,
  videoConfig,
} from '../../support/packaging-run.ts'

function soundRun(): PackagingRun {
  const run = new PackagingRun().feed([{ config: videoConfig() }, { config: audioConfig() }])
  return run.feed(interleave(pictures(30, 0, 6_000, 60), sounds(0, 6_000))).end()
}

type Change = (part: CheckedPart) => Partial<CheckedPart>

/** The rules broken once parts of a good run are changed. */
function broken(
  change: { rendition?: string; at?: number; part?: Change; targets?: object; drop?: number },
  options: CheckOptions = {},
): readonly string[] {
  const run = soundRun()
  const renditions = ['source', 'audio'].map((name) => {
    let parts: CheckedPart[] = run
      .of(name)
      .map((part) => ({ ...part, data: Buffer.from(part.data) }))
    const chosen = name === (change.rendition ?? 'source')
    if (chosen) {
      parts = parts.map((part, index) =>
        index === (change.at ?? 1) && change.part !== undefined
          ? { ...part, ...change.part(part) }
          : part,
      )
      if (change.drop !== undefined) parts.splice(change.drop, 1)
    }
    const announced = run.rendition(name)
    return {
      name,
      parts,
      partTargetUs: announced?.partTargetUs ?? 0,
      targetDurationS: announced?.targetDurationS ?? 0,
      ...(chosen ? change.targets : {}),
    }
  })
  return [...new Set(checkRenditions(renditions, options).map(({ rule }) => rule))]
}

/** Writes a number into a box of a part. */
function patch(path: readonly string[], offset: number, value: number): Change {
  return ({ data }) => {
    data.writeUInt32BE(value >>> 0, findBox(data, ...path).body + offset)
    return { data }
  }
}

const run = ['moof', 'traf', 'trun']

const cases: readonly (readonly [string, Parameters<typeof broken>[0]])[] = [
  [
    'box-structure',
    {
      part: ({ data }) => ({ data: Buffer.concat([data, Buffer.from('0000000866726565', 'hex')]) }),
    },
  ],
  ['box-structure', { part: ({ data }) => ({ data: data.subarray(0, 50) }) }],
  ['sample-bytes', { part: patch(run, 16, 43) }],
  ['nal-lengths', { part: patch(['mdat'], 0, 41) }],
  ['track', { part: patch(['moof', 'traf', 'tfhd'], 4, 7) }],
  ['independent', { part: () => ({ independent: true }) }],
  ['sync-inside', { part: patch(run, 36, 0x02000000) }],
  ['idr-sync', { at: 0, part: patch(run, 20, 0x01010000) }],
  ['declared-duration', { part: ({ durationUs }) => ({ durationUs: durationUs - 3 }) }],
  ['part-target-max', { targets: { partTargetUs: 190_000 } }],
  ['part-target-min', { targets: { partTargetUs: 240_000 } }],
  ['numbering', { drop: 1 }],
  ['numbering', { drop: 0 }],
  ['sequence', { part: patch(['moof', 'mfhd'], 4, 7) }],
  ['continuity', { part: patch(['moof', 'traf', 'tfdt'], 8, 5) }],
  [
    'continuity',
    {
      at: 10,
      part: (part) => ({ ...patch(['moof', 'traf', 'tfdt'], 8, 5)(part), discontinuity: true }),
    },
  ],
  ['presentation', { part: patch(run, 24, 2_970) }],
  ['target-duration', { targets: { targetDurationS: 1 } }],
  ['date-time', { part: () => ({ programDateTimeMs: 5 }) }],
  [
    'date-time',
    { at: 10, part: ({ programDateTimeMs = 0 }) => ({ programDateTimeMs: programDateTimeMs + 3 }) },
  ],
  ['discontinuity', { part: () => ({ discontinuity: true }) }],
  ['discontinuity-pair', { at: 10, part: () => ({ discontinuity: true }) }],
  [
    'init-change',
    {
      at: 3,
      part: ({ init }) => ({
        init: Buffer.from(init.toString('latin1').replace('kairo', 'other'), 'latin1'),
      }),
    },
  ],
  [
    'init',
    {
      at: 3,
      part: ({ init }) => ({
        init: Buffer.from(init.toString('latin1').replace('cmfc', 'isom'), 'latin1'),
      }),
    },
  ],
  ['codec-config', { targets: { description: Uint8Array.of(9, 9, 9, 9) } }],
  [
    'start-alignment',
    { rendition: 'audio', at: 0, part: patch(['moof', 'traf', 'tfdt'], 8, 9_000) },
  ],
]

test('a good run breaks no rule', async (t) => {
  t.strictSame(broken({}), [])
  t.strictSame(broken({ targets: { description: videoConfig().description } }), [])
})

for (const [rule, change] of cases) {
  test(`the checker sees ${rule}`, async (t) => {
    t.ok(broken(change).includes(rule), broken(change).join())
  })
}

test('segments without a keyframe break a rule unless they are allowed', async (t) => {
  const forced = new PackagingRun().feed([{ config: videoConfig() }])
  forced.packager.expect({ audio: false })
  forced.feed(interleave(pictures(10, 0, 25_000, 999))).end()
  t.strictSame([...new Set(forced.check().map(({ rule }) => rule))], ['segment-start'])
  t.strictSame(forced.check({ forcedCuts: true }), [])
})
