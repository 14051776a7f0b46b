/** Whatever happens to an encoder, a rendition derived from a stream has its segments, or leaves them out whole. */
import fc from 'fast-check'
import { test } from 'tap'
import type { AccessUnit, VideoConfig } from '../../src/media/access-unit.ts'
import { readFragment } from '../../src/media/cmaf/fragment-reader.ts'
import type { DerivedRendition, SegmentCut } from '../../src/media/published-session.ts'
import type { CheckedRendition } from '../support/cmaf-checker.ts'
import { audioConfig, marked, picture, sound, videoConfig } from '../support/packaging-run.ts'
import { PublishedStream } from '../support/published-stream.ts'

const TIME_MS_MAX = 20_000
const FRAME_TICKS = 3_000

/** What happens to an encoder after so many pictures. */
interface Incident {
  readonly after: number
  /** `again`: from an earlier keyframe; `exact`: at its position; `gap`: so many pictures are lost first. */
  readonly kind: 'again' | 'exact' | 'gap'
  readonly lost: number
  readonly newConfig: boolean
}

/** An encoder that keeps every nth picture, and begins again when told. */
class ScriptedEncoder {
  readonly #rendition: DerivedRendition
  readonly #every: number
  readonly #incidents: Incident[]
  readonly #lag: number
  readonly #group: AccessUnit[] = []
  readonly #queue: AccessUnit[] = []
  #count = 0
  #lose = 0
  #cutDue = true
  #configs = 0

  constructor(
    rendition: DerivedRendition,
    init: { every: number; lag: number; incidents: readonly Incident[] },
  ) {
    this.#rendition = rendition
    this.#every = init.every
    this.#lag = init.lag
    this.#incidents = [...init.incidents]
    this.#configure(false)
  }

  take(unit: AccessUnit, cut: SegmentCut | undefined): void {
    if (cut !== undefined) this.#cutDue = true
    this.#count += 1
    if (this.#count % this.#every !== 0) return
    const made = marked(unit, this.#cutDue)
    if (this.#cutDue) this.#group.length = 0
    this.#cutDue = false
    this.#group.push(made)
    if (this.#lose > 0) {
      this.#lose -= 1
      if (this.#lose > 0) return
      // The first picture of a new encoder is a keyframe.
      this.#configure(false)
      this.#queue.push(marked(made, true))
    } else this.#queue.push(made)
    while (this.#queue.length > this.#lag) this.#write()
  }

  drain(): void {
    while (this.#queue.length > 0) this.#write()
  }

  #write(): void {
    const unit = this.#queue.shift()
    if (unit === undefined) return
    this.#rendition.write(unit)
    const incident = this.#incidents[0]
    if (incident === undefined || this.#count < incident.after) return
    this.#incidents.shift()
    this.#configure(incident.newConfig)
    if (incident.kind === 'gap') {
      this.#queue.length = 0
      this.#lose = incident.lost
    } else if (incident.kind === 'again') {
      this.#queue.splice(0, this.#queue.length, ...this.#group)
    } else if (this.#queue[0] !== undefined) this.#queue[0] = marked(this.#queue[0], true)
    else this.#cutDue = true
  }

  #configure(changed: boolean): void {
    if (changed) this.#configs += 1
    this.#rendition.configure(rungConfig(this.#configs, 30 / this.#every))
  }
}

function rungConfig(version: number, frameRate: number): VideoConfig {
  const description = Uint8Array.of(1, 2, 3, version)
  return videoConfig({ width: 320, height: 180, frameRate, description })
}

interface Start {
  readonly time: number
  readonly discontinuity: boolean
}

/** Where each segment begins to be shown, 1/90000 s. */
function starts({ parts }: CheckedRendition): Map<number, Start> {
  const map = new Map<number, Start>()
  for (const { msn, part, data, discontinuity } of parts) {
    if (part > 0) continue
    const { baseDecodeTime, samples } = readFragment(data)
    const time = baseDecodeTime + (samples[0]?.compositionOffset ?? 0)
    map.set(msn, { time, discontinuity })
  }
  return map
}

const incident: fc.Arbitrary<Incident> = fc.record({
  after: fc.integer({ min: 1, max: 600 }),
  kind: fc.constantFrom('again', 'exact', 'gap'),
  lost: fc.integer({ min: 1, max: 200 }),
  newConfig: fc.boolean(),
})

const plan = fc.record({
  groups: fc.array(fc.integer({ min: 10, max: 150 }), { minLength: 2, maxLength: 8 }),
  jumpAfter: fc.option(fc.integer({ min: 1, max: 6 })),
  reorderMs: fc.constantFrom(0, 66),
  every: fc.constantFrom(1, 2),
  lag: fc.integer({ min: 0, max: 300 }),
  incidents: fc
    .array(incident, { maxLength: 3 })
    .map((list) => list.toSorted((a, b) => a.after - b.after)),
})

/** A new encoder that begins within a segment, while the one before is still open. */
const lateBeginning: typeof plan extends fc.Arbitrary<infer T> ? T : never = {
  ...{ groups: [10, 10, 18], jumpAfter: null, reorderMs: 0, every: 2, lag: 4 },
  incidents: [{ after: 1, kind: 'gap', lost: 8, newConfig: false }],
}

test('segments of a derived rendition begin where the source’s do, through restarts, gaps and lag', async () => {
  await fc.assert(
    fc.asyncProperty(plan, async ({ groups, jumpAfter, reorderMs, ...encoding }) => {
      const stream = new PublishedStream()
      const sink = stream.publish()
      const rung = stream.session.derive({ name: 'rung', kind: 'video', bandwidthBps: 100_000 })
      const encoder = new ScriptedEncoder(rung, encoding)
      stream.session.listen({
        configured: () => {},
        unit: (unit, cut) => encoder.take(unit, cut),
        ended: () => encoder.drain(),
      })
      sink.expect({ audio: false })
      sink.configure(videoConfig())
      let ms = 0
      for (const [index, group] of groups.entries()) {
        if (index === jumpAfter) ms += 100_000
        for (let frame = 0; frame < group; frame++) {
          void sink.write(picture(ms, frame === 0, reorderMs))
          ms += 1_000 / 30
        }
      }
      sink.end('closed')
      stream.service.remove('main')
      if (stream.publication.record.renditions.length < 2) return
      const [source, made] = await Promise.all([stream.checked('source'), stream.checked('rung')])
      const violations = await stream.violations(['rung'])
      // What an encoder made again is dropped, and its next keyframe may come much later.
      const holes = encoding.incidents.some(({ kind, newConfig }) => kind !== 'exact' || newConfig)
      const allowed = holes ? ['continuity', 'numbering', 'date-time'] : []
      const broken = violations.filter(
        ({ rule }) => !['init-change', 'target-duration', ...allowed].includes(rule),
      )
      if (broken.length > 0) throw new Error(JSON.stringify(broken.slice(0, 3)))
      const wanted = starts(source)
      for (const [msn, { time, discontinuity }] of starts(made)) {
        const from = wanted.get(msn)
        if (
          from === undefined ||
          Math.abs(time - from.time) > 1.5 * encoding.every * FRAME_TICKS + 90
        ) {
          throw new Error(`segment ${msn} begins at ${time}, not at ${from?.time}`)
        }
        if (discontinuity !== from.discontinuity) throw new Error(`discontinuity at ${msn}`)
      }
      if (made.parts.at(-1)?.endOfSegment !== true) throw new Error('the last part is not final')
    }),
    {
      examples: [[lateBeginning]],
      numRuns: 60,
      includeErrorInReport: true,
      interruptAfterTimeLimit: TIME_MS_MAX,
    },
  )
})

test('sound derived from a stream is gapless over short holes, and leaves long ones out', async () => {
  const holes = fc.array(
    fc.record({ at: fc.integer({ min: 0, max: 900 }), lost: fc.integer({ min: 1, max: 400 }) }),
    { maxLength: 3 },
  )
  await fc.assert(
    fc.asyncProperty(holes, fc.integer({ min: 0, max: 200 }), async (lost, lag) => {
      const stream = new PublishedStream()
      const sink = stream.publish()
      const made = stream.session.derive({ name: 'sound', kind: 'audio', bandwidthBps: 64_000 })
      made.configure(audioConfig({ sampleRate: 44_100 }))
      const queue: AccessUnit[] = []
      let count = 0
      stream.session.listen({
        configured: () => {},
        unit: (unit) => {
          if (unit.kind !== 'audio') return
          count += 1
          if (lost.some((hole) => count > hole.at && count <= hole.at + hole.lost)) return
          queue.push(unit)
          while (queue.length > lag) made.write(queue.shift() as AccessUnit)
        },
        ended: () => {
          for (const unit of queue) made.write(unit)
        },
      })
      sink.configure(videoConfig())
      sink.configure(audioConfig({ sampleRate: 44_100 }))
      for (let frame = 0; frame < 600; frame++) {
        void sink.write(picture((frame * 1_000) / 30, frame % 60 === 0))
        void sink.write(sound((frame * 1_000) / 30))
        if (frame % 2 === 0) void sink.write(sound((frame * 1_000) / 30 + 17))
      }
      sink.end('closed')
      stream.service.remove('main')
      if (stream.publication.record.renditions.length < 3) return
      const long = lost.length > 0
      const allowed = long ? ['continuity', 'numbering', 'date-time', 'part-target-min'] : []
      const broken = (await stream.violations(['sound'])).filter(
        ({ rule }) => !allowed.includes(rule),
      )
      if (broken.length > 0) throw new Error(JSON.stringify(broken.slice(0, 3)))
      const [source, sounds] = await Promise.all([
        stream.checked('source'),
        stream.checked('sound'),
      ])
      const wanted = starts(source)
      for (const { msn, part, programDateTimeMs } of sounds.parts) {
        if (part > 0) continue
        const from = source.parts.find((one) => one.msn === msn && one.part === 0)
        const lateMs = (programDateTimeMs ?? 0) - (from?.programDateTimeMs ?? 0)
        if (!wanted.has(msn) || Math.abs(lateMs) > 50) throw new Error(`${msn} is ${lateMs} ms off`)
      }
    }),
    { numRuns: 25, includeErrorInReport: true, interruptAfterTimeLimit: TIME_MS_MAX },
  )
})
