/** Watches: every change once and in order, however slow the listener, or a word that some are forgotten. */
// biome-ignore-all lint/suspicious/noThenProperty: a transaction's branch is called so, and nobody awaits one.
import fc from 'fast-check'
import { test } from 'tap'
import type { WatchBatch } from '../../src/coordination.ts'
import type { TrackerError } from '../../src/errors.ts'
import type { GroupState } from '../../src/state/group-state.ts'
import type { Watch } from '../../src/state/watches.ts'
import { StateModel } from '../support/state-model.ts'
import {
  applyAt,
  createState,
  plain,
  someCommand,
  someKeyspaces,
  termOf,
  tightLimits,
} from '../support/state-stage.ts'

/** A listener that writes down what it is told, and takes as many batches as it has leave for. */
class Notes {
  readonly batches: WatchBatch[] = []
  error: TrackerError | undefined
  leave = Number.POSITIVE_INFINITY
  watch: Watch | undefined

  onBatch(batch: WatchBatch): boolean {
    this.batches.push(batch)
    this.leave -= 1
    return this.leave > 0
  }

  onEnd(error: TrackerError): void {
    this.error = error
  }

  get revisions(): number[] {
    return this.batches.map(({ revision }) => revision)
  }
}

function watch(state: GroupState, prefix = '', after?: number, leave?: number): Notes {
  const notes = new Notes()
  if (leave !== undefined) notes.leave = leave
  notes.watch = state.watch('k', prefix, after, notes)
  notes.watch.resume()
  return notes
}

/** Puts a key; the entry's index is the revision that it makes. */
function put(state: GroupState, key: string, value = ''): void {
  const then = [{ type: 'put', key, value: Buffer.from(value) }] as const
  applyAt(state, state.revision + 1, { type: 'transact', keyspace: 'k', transaction: { then } })
}

test('any watch hears what the model knows', async (t) => {
  let lost = 0
  let heard = 0
  const opened = fc.record({
    at: fc.nat(30),
    keyspace: fc.constantFrom(...someKeyspaces),
    prefix: fc.constantFrom('', 'a', 'a/', '\u{1f600}'),
    back: fc.nat(6),
    pauses: fc.array(fc.nat(4), { minLength: 5, maxLength: 5 }),
  })
  fc.assert(
    fc.property(
      fc.array(someCommand, { maxLength: 60, size: 'max' }),
      fc.array(opened, { maxLength: 6, size: 'max' }),
      fc.integer({ min: 2, max: 12 }),
      (makers, openings, historyChangesMax) => {
        const state = createState({ limits: tightLimits, historyChangesMax })
        const model = new StateModel(tightLimits)
        const granted: string[] = []
        const open: { opening: (typeof openings)[0]; notes: Notes; after: number }[] = []
        for (const [at, make] of makers.entries()) {
          for (const opening of openings.filter((each) => each.at === at)) {
            const after = Math.max(state.status.historyFloor, state.revision - opening.back)
            const notes = new Notes()
            notes.leave = 1
            notes.watch = state.watch(opening.keyspace, opening.prefix, after, notes)
            open.push({ opening, notes, after })
          }
          for (const { opening, notes } of open) {
            const pause = opening.pauses[at % 5] ?? 0
            if (at % 20 < pause * 5) continue
            notes.leave = 1 + pause
            notes.watch?.resume()
          }
          const term = termOf(at + 1)
          const command = make((choice) => granted.at(-1 - choice) ?? 'zz', term)
          const result = applyAt(state, at + 1, command)
          if (result.type === 'granted') granted.push(result.leaseId)
          model.apply(command, term, at + 1)
        }
        for (const { opening, notes, after } of open) {
          notes.leave = Number.POSITIVE_INFINITY
          notes.watch?.resume()
          if (notes.error !== undefined) lost += 1
          const told = notes.watch?.revision ?? 0
          if (notes.error === undefined && told !== state.revision) throw new Error('behind')
          const expected = model.changes.filter(
            ({ revision, keyspace, event }) =>
              revision > after &&
              revision <= told &&
              keyspace === opening.keyspace &&
              (event.type === 'put' ? event.item.key : event.key).startsWith(opening.prefix),
          )
          const events = notes.batches.flatMap((batch) =>
            batch.events.map((event) => ({ revision: batch.revision, event })),
          )
          heard += events.length
          const wanted = expected.map(({ revision, event }) => ({ revision, event }))
          if (plain(events) !== plain(wanted)) throw new Error(`${plain(events)}`)
          const revisions = notes.revisions
          if (new Set(revisions).size !== revisions.length) throw new Error('a revision twice')
        }
      },
    ),
    { numRuns: 500 },
  )
  t.ok(lost > 20, `${lost} were too slow`)
  t.ok(heard > 500, `${heard} events`)
})

test('a watch that waits holds nothing, and goes on from the history', async (t) => {
  const state = createState({ historyChangesMax: 3 })
  const notes = watch(state, '', 0, 1)
  put(state, 'a')
  for (const key of ['b', 'c', 'd']) put(state, key)
  t.same(notes.revisions, [1])
  t.equal(notes.watch?.revision, 1, 'from here it can be gone on with')
  notes.leave = 10
  notes.watch?.resume()
  put(state, 'e')
  t.same(notes.revisions, [1, 2, 3, 4, 5])
  t.equal(notes.watch?.revision, 5)

  t.test('unless that is gone', async () => {
    notes.leave = 1
    for (let i = 0; i < 5; i++) put(state, 'x')
    t.equal(notes.error, undefined)
    notes.watch?.resume()
    t.equal(notes.error?.code, 'ERR_COMPACTED')
    t.same(notes.revisions, [1, 2, 3, 4, 5, 6], 'nothing with a gap before it')
    t.equal(state.status.watches, 0)
    t.equal(state.status.watchesLost, 1)
  })
})

test('a watch of what rarely changes is as far as the group', async (t) => {
  const state = createState({ historyChangesMax: 2 })
  const notes = watch(state, 'rare')
  for (let i = 0; i < 10; i++) put(state, 'often')
  t.equal(notes.watch?.revision, 10)
  put(state, 'rare')
  t.same(notes.revisions, [11])
})

test('compacting forgets what is old, and nothing else', async (t) => {
  const state = createState()
  for (const key of ['a', 'b', 'c', 'd']) put(state, key)
  const live = watch(state)
  t.match(applyAt(state, 9, { type: 'compact', revision: 2 }), { type: 'compacted', revision: 4 })
  t.throws(() => state.watch('k', '', 1, new Notes()), { code: 'ERR_COMPACTED' })
  t.same(watch(state, '', 2).revisions, [3, 4])
  t.equal(state.status.historyChanges, 2)
  applyAt(state, 9, { type: 'compact', revision: 1 })
  t.same(watch(state, '', 2).revisions, [3, 4], 'there is no way back')
  applyAt(state, 9, { type: 'compact', revision: 4 })
  put(state, 'e')
  t.same(live.revisions, [5], 'who has heard all goes on')
  t.same(watch(state, '', 4).revisions, [5])
  const unborn = applyAt(state, 9, { type: 'compact', revision: 6 })
  t.match(unborn, { type: 'refused', code: 'ERR_INVALID_INPUT' })
})

test('history is bounded by bytes, too', async (t) => {
  const state = createState({ historyBytesMax: 10_000 })
  for (let i = 0; i < 50; i++) put(state, 'key', 'x'.repeat(1_000))
  t.ok(state.status.historyBytes <= 10_000)
  t.ok(state.status.historyBytes > 8_000)
  const { historyFloor } = state.status
  t.equal(watch(state, '', historyFloor).batches.length, 50 - historyFloor)
})

test('a snapshot in place of the state', async (t) => {
  const other = createState()
  for (let i = 0; i < 5; i++) put(other, `${i}`)
  const snapshot = other.snapshot()

  t.test('ends watches that miss something by it', async () => {
    const state = createState()
    put(state, '0')
    const behind = watch(state)
    const ahead = watch(state, '', 5)
    state.restore(snapshot)
    t.equal(behind.error?.code, 'ERR_COMPACTED')
    put(state, '5')
    t.same([behind.revisions, ahead.revisions], [[], [6]])
    t.throws(() => state.watch('k', '', 4, new Notes()), { code: 'ERR_COMPACTED' })
    t.same(watch(state, '', 5).revisions, [6])
  })

  t.test('and no others', async () => {
    const state = createState()
    const upToDate = watch(state, 'none')
    for (let i = 0; i < 5; i++) put(state, `${i}`)
    state.restore(snapshot)
    put(state, 'none')
    t.same(upToDate.revisions, [6])
    t.equal(upToDate.error, undefined)
  })
})

test('a watch from a revision that is still to come', async (t) => {
  const state = createState()
  const notes = watch(state, '', 2)
  for (const key of ['a', 'b', 'c']) put(state, key)
  t.same(notes.revisions, [3])
  t.equal(notes.watch?.revision, 3)
})

test('a listener that opens, resumes and closes watches', async (t) => {
  const state = createState()
  const waiting = watch(state, '', 0, 0)
  const later = new Notes()
  const opening = state.watch('k', '', undefined, {
    onBatch: () => {
      waiting.leave = 10
      waiting.watch?.resume()
      later.watch ??= state.watch('k', '', 0, later)
      later.watch.resume()
      return true
    },
    onEnd: () => undefined,
  })
  opening.resume()
  put(state, 'a')
  put(state, 'b')
  t.same(later.revisions, [1, 2])
  t.same(waiting.revisions, [1, 2])
  opening.close()
  opening.close()
  later.watch?.close()
  put(state, 'c')
  later.watch?.resume()
  t.same(
    [later.revisions, waiting.revisions],
    [
      [1, 2],
      [1, 2, 3],
    ],
  )
  t.equal(state.status.watches, 1)
})

test('a listener that closes its own watch hears no more', async (t) => {
  const state = createState()
  for (const key of ['a', 'b']) put(state, key)
  const revisions: number[] = []
  const own: Watch = state.watch('k', '', 0, {
    onBatch: ({ revision }) => {
      revisions.push(revision)
      own.close()
      return revision > 1
    },
    onEnd: () => t.fail('it ended by its owner'),
  })
  own.resume()
  put(state, 'c')
  t.same(revisions, [1])
  t.equal(state.status.watches, 0)
})

test('there are so many watches and no more', async (t) => {
  const state = createState({ watchesMax: 2 })
  const first = watch(state)
  watch(state)
  t.throws(() => watch(state), { code: 'ERR_OVERLOADED' })
  first.watch?.close()
  watch(state)
})

test('the end of a lease is one revision in each keyspace', async (t) => {
  const state = createState()
  applyAt(state, 1, { type: 'grant-lease', ttlMs: 2_000 })
  const leaseId = '1-1'
  let index = 1
  for (const [keyspace, key] of [
    ['z', '2'],
    ['k', '2'],
    ['z', '1'],
    ['k', '1'],
  ] as const) {
    const then = [{ type: 'put', key, value: Buffer.from(''), leaseId }] as const
    applyAt(state, ++index, { type: 'transact', keyspace, transaction: { then } })
  }
  const notes = watch(state)
  const other = new Notes()
  state.watch('z', '', undefined, other).resume()
  applyAt(state, ++index, { type: 'revoke-lease', leaseId })
  const events = [
    { type: 'deleted', key: '1' },
    { type: 'deleted', key: '2' },
  ]
  t.same(notes.batches, [{ revision: 5, events }])
  t.same(other.batches, [{ revision: 5, events }])
})
