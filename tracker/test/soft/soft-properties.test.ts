/** Random histories of many peers: the leader's tables say what plain maps say, and leave nothing behind. */
import fc from 'fast-check'
import { test } from 'tap'
import { readBatchAnswer } from '../../src/soft/batch-answer.ts'
import type { Holding } from '../../src/soft/holding.ts'
import type { SoftQuestion, SoftReply } from '../../src/soft/questions.ts'
import { softLimits } from '../../src/soft/soft-limits.ts'
import { SoftShard } from '../../src/soft/soft-shard.ts'
import { ManualClock } from '../support/manual-clock.ts'
import {
  batchBytes,
  hasPart,
  hasSegments,
  type ModelRecord,
  SoftModel,
  windowOf,
} from './support/soft-model.ts'

const peerIds = ['a', 'b', 'c', 'd', 'e']
const streams = ['s', 't', 'u']
const renditions = ['', 'v']

const windows = fc
  .record({
    firstSegment: fc.nat(12),
    partsPerSegment: fc.constantFrom(1, 3, 4, 64),
    parts: fc.array(fc.tuple(fc.nat(6), fc.nat(63)), { minLength: 1, maxLength: 20 }),
  })
  .map(({ firstSegment, partsPerSegment, parts }) =>
    windowOf(
      firstSegment,
      partsPerSegment,
      parts.map(([segment, part]) => [firstSegment + segment, part % partsPerSegment] as const),
    ),
  )

const ranges = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })), {
    maxLength: 10,
  })
  .map((steps) => {
    let end = -1
    return steps.map(([gap, count]) => {
      const first = end + gap
      end = first + count
      return { first, count }
    })
  })

const holdings: fc.Arbitrary<Holding> = fc.record({
  viewers: fc.oneof(fc.constant(0), fc.nat(softLimits.viewersPerEntryMax)),
  window: fc.option(windows, { nil: undefined }),
  ranges,
})

const subjects = fc.record({
  stream: fc.constantFrom(...streams),
  rendition: fc.constantFrom(...renditions),
})

const changes = fc.array(
  fc.record({
    kind: fc.constantFrom('name', 'state', 'gone'),
    id: fc.nat(9),
    subject: subjects,
    holding: holdings,
  }),
  { maxLength: 6 },
)

const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        type: fc.constant('batch' as const),
        peer: fc.nat(4),
        isAll: fc.boolean(),
        changes,
      }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('forget' as const), peer: fc.nat(4) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('goodbye' as const), peer: fc.nat(4) }) },
    {
      weight: 3,
      arbitrary: fc.record({ type: fc.constant('pass' as const), seconds: fc.nat(20) }),
    },
  ),
  { maxLength: 40 },
)

type Step = (typeof steps extends fc.Arbitrary<infer T> ? T : never)[number]

type Name = Readonly<Record<'stream' | 'rendition', string>>

function same(a: Name, b: Name): boolean {
  return a.stream === b.stream && a.rendition === b.rendition
}

class Stage {
  readonly clock = new ManualClock()
  readonly shard = new SoftShard(
    { clock: this.clock, random: () => 0.4 },
    { limits: { batchesPerTickMax: 1_000 } },
  )
  readonly model = new SoftModel()
  readonly #sequences = new Map<string, number>()

  constructor() {
    this.shard.lead(1)
  }

  step(step: Step): void {
    if (step.type === 'pass') {
      this.clock.advance(step.seconds * 1_000)
      this.model.expire(this.clock.monotonicMs(), softLimits.ttlMs)
      return
    }
    const peerId = peerIds[step.peer] as string
    if (step.type === 'forget') {
      this.shard.forget(peerId)
      this.model.peers.delete(peerId)
    } else if (step.type === 'goodbye') {
      this.shard.answer(peerId, batchBytes({ sequence: 1, isAll: false, isGoodbye: true }))
      this.model.peers.delete(peerId)
    } else {
      this.#batch(peerId, step.isAll || !this.model.peers.has(peerId), step.changes)
    }
  }

  #batch(peerId: string, isAll: boolean, wanted: (Step & { type: 'batch' })['changes']): void {
    const known = isAll ? [] : (this.model.peers.get(peerId)?.entries ?? [])
    const named = new Map<number, Name>(known)
    const records = wanted.flatMap(({ kind, id, subject, holding }): ModelRecord[] => {
      if (kind === 'gone') {
        named.delete(id)
        return [{ id, gone: true }]
      }
      if (kind === 'state' && !named.has(id)) return []
      if (kind === 'name') {
        // What had this name under another number has it no more.
        for (const [other, name] of named) if (same(name, subject)) named.delete(other)
        named.set(id, subject)
      }
      return [{ id, name: kind === 'name' ? subject : undefined, holding, wants: 0 }]
    })
    const sequence = (this.#sequences.get(peerId) ?? 0) + 1
    this.#sequences.set(peerId, sequence)
    const bytes = batchBytes({ sequence, isAll }, records)
    const answer = readBatchAnswer(this.shard.answer(peerId, bytes))
    if (!answer.isTaken || answer.refused > 0) throw new Error(`${JSON.stringify(answer)}`)
    this.model.take(peerId, isAll, records, this.clock.monotonicMs())
  }

  reply(question: SoftQuestion): SoftReply {
    return this.shard.ask([question], 'asker').replies[0] as SoftReply
  }
}

/** A holding as both sides have it. */
function plain({ viewers, window, ranges: held }: Holding): unknown {
  const bits = window && [...window.bits]
  return {
    viewers,
    window: window && { ...window, bits },
    ranges: held.map((range) => ({ ...range })),
  }
}

test('the tables say what plain maps say', async () => {
  fc.assert(
    fc.property(steps, fc.nat(20), fc.nat(63), (history, segment, part) => {
      const stage = new Stage()
      for (const step of history) stage.step(step)
      const { model, shard } = stage
      let viewersTotal = 0
      for (const stream of streams) {
        for (const rendition of renditions) {
          const held = model.holders(stream, rendition)
          const viewers = held.reduce((sum, [, holding]) => sum + holding.viewers, 0)
          if (rendition === '') viewersTotal += viewers
          const reply = stage.reply({ type: 'viewers', stream, rendition })
          equal(reply, { type: 'viewers', viewers, holders: held.length })
          const base = { type: 'holders', stream, rendition, order: 'idle', limit: 64 } as const
          const ids = (wanted: (SoftQuestion & { type: 'holders' })['wanted']): string[] => {
            const { holders } = stage.reply({ ...base, wanted }) as SoftReply & { type: 'holders' }
            return holders.map(({ peerId }) => peerId).sort()
          }
          const of = (has: (holding: Holding) => boolean): string[] =>
            held
              .filter(([, holding]) => has(holding))
              .map(([peerId]) => peerId)
              .sort()
          equal(
            ids({ type: 'any' }),
            of(() => true),
          )
          equal(
            ids({ type: 'part', segment, part }),
            of((holding) => hasPart(holding, segment, part)),
          )
          equal(
            ids({ type: 'segments', first: segment, count: 2 }),
            of((holding) => hasSegments(holding.ranges, segment, 2)),
          )
        }
      }
      const peers = [...model.peers.values()]
      const entries = peers.flatMap((peer) => [...peer.entries.values()])
      const names = entries.map(({ stream, rendition }) => `${stream}/${rendition}`)
      equal(stage.reply({ type: 'totals' }), {
        type: 'totals',
        peers: peers.length,
        subjects: new Set(names).size,
        entries: entries.length,
        viewers: viewersTotal,
      })
      for (const [peerId, peer] of model.peers) {
        const reply = stage.reply({ type: 'holdings', peerId, from: 0 }) as SoftReply & {
          type: 'holdings'
        }
        equal(
          reply.held.map(({ stream, rendition, ...holding }) => [
            stream,
            rendition,
            plain(holding),
          ]),
          [...peer.entries]
            .sort(([a], [b]) => a - b)
            .map(([, { stream, rendition, holding }]) => [stream, rendition, plain(holding)]),
        )
      }
      // With everybody gone nothing is left, of the runs of words neither.
      for (const peerId of peerIds) shard.forget(peerId)
      equal(stage.reply({ type: 'totals' }), {
        type: 'totals',
        peers: 0,
        subjects: 0,
        entries: 0,
        viewers: 0,
      })
      equal(shard.size?.words, 0)
    }),
    { numRuns: 300 },
  )
})

/** A tap assertion each would be a hundred thousand lines. */
function equal(found: unknown, wanted: unknown): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)]
  if (a !== b) throw new Error(`${a} is not ${b}`)
}
