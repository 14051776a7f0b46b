/** The log, its unstable end and the storage in memory against one plain array. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { noLimit } from '../../src/raft/entry-size.ts'
import { RaftLog } from '../../src/raft/log.ts'
import { UnstableLog } from '../../src/raft/log-unstable.ts'
import { emptyConfState, MemoryStorage } from '../../src/raft/memory-storage.ts'
import { type Entry, noBytes, type Snapshot } from '../../src/raft/types.ts'
import { bytes, entriesOf } from '../support/raft-group.ts'

const snapshotAt = (index: number, term: number): Snapshot => ({
  ...{ index, term, confState: emptyConfState, data: noBytes },
})

const entryAt = (index: number, term: number): Entry => ({
  ...{ index, term, type: 'EntryNormal' as const, data: bytes(`${term}/${index}`) },
})

/** What a log must look like: terms by index from `first - 1` on. */
class Model {
  /** `terms[i]` is that of index `before + i`; the first one is all that is left of what was compacted. */
  terms = [0]
  before = 0
  committed = 0

  get last(): number {
    return this.before + this.terms.length - 1
  }

  term(index: number): number | undefined {
    return this.terms[index - this.before]
  }

  /** Figure 2, AppendEntries, by the letter. */
  take(previous: number, terms: readonly number[]): void {
    for (const [at, term] of terms.entries()) {
      const index = previous + 1 + at
      if (this.term(index) === term) continue
      this.terms.length = index - this.before
      this.terms.push(term)
    }
  }

  compact(index: number): void {
    this.terms = this.terms.slice(index - this.before)
    this.before = index
  }

  restore(index: number, term: number): void {
    this.terms = [term]
    this.before = index
    this.committed = index
  }
}

const action = fc.oneof(
  fc.record({ kind: fc.constant('append' as const), count: fc.integer({ min: 1, max: 3 }) }),
  fc.record({
    kind: fc.constant('take' as const),
    ...{ back: fc.nat(6), kept: fc.nat(3), count: fc.nat(3), newTerm: fc.boolean() },
    commit: fc.nat(3),
  }),
  fc.record({ kind: fc.constantFrom('write' as const, 'written' as const) }),
  fc.record({ kind: fc.constantFrom('compact' as const, 'apply' as const) }),
  fc.record({ kind: fc.constant('restore' as const), ahead: fc.nat(4) }),
)

type Action = typeof action extends fc.Arbitrary<infer T> ? T : never

/** Both sides of the comparison, with a writer that may be behind. */
class Stage {
  readonly storage = new MemoryStorage()
  readonly log = new RaftLog(this.storage, {}, noLimit)
  readonly model = new Model()
  term = 1
  /** Handed to the writer and not yet confirmed, with the term at that time. */
  #writes: { entries: Entry[]; snapshot: Snapshot | undefined; term: number }[] = []

  run(given: Action): void {
    const { log, model, storage } = this
    if (given.kind === 'append') {
      const from = model.last + 1
      const added = Array.from({ length: given.count }, (_, at) => entryAt(from + at, this.term))
      assert.equal(log.append(added), from + given.count - 1)
      model.take(
        from - 1,
        added.map(({ term }) => term),
      )
    } else if (given.kind === 'take') {
      this.#take(given)
    } else if (given.kind === 'write') {
      const entries = log.unstable.nextEntries()
      const snapshot = log.unstable.nextSnapshot()
      log.unstable.acceptInProgress()
      this.#writes.push({ entries, snapshot, term: this.term })
    } else if (given.kind === 'written') {
      this.#written()
    } else if (given.kind === 'apply') {
      const next = log.nextCommitted(true)
      const last = next.at(-1)
      if (last === undefined) return
      assert.deepEqual(
        next.map(({ index }) => index),
        next.map((_, at) => log.applying + 1 + at),
      )
      log.acceptApplying(last.index, 0, true)
      log.appliedTo(last.index, 0)
    } else if (given.kind === 'compact') {
      const index = Math.min(log.applied, storage.lastIndex())
      if (index < storage.firstIndex() || log.unstable.snapshot !== undefined) return
      storage.compact(index)
      model.compact(index)
    } else if (given.kind === 'restore') {
      const index = model.committed + 1 + given.ahead
      // A snapshot of what the log holds is not restored, see membership.ts.
      this.term += 1
      log.restore(snapshotAt(index, this.term))
      model.restore(index, this.term)
    }
  }

  #take(given: { back: number; kept: number; count: number; newTerm: boolean; commit: number }) {
    const { log, model } = this
    const previous = Math.max(model.committed, model.last - given.back)
    const terms: number[] = []
    for (let index = previous + 1; index <= model.last && terms.length < given.kept; index += 1) {
      terms.push(model.term(index) as number)
    }
    if (given.newTerm) this.term += 1
    for (let count = given.count; count > 0; count -= 1) terms.push(this.term)
    const entries = terms.map((term, at) => entryAt(previous + 1 + at, term))
    const commit = previous + given.commit
    const wrong = { index: previous, term: (model.term(previous) as number) + 100 }
    assert.equal(log.tryAppend({ previous: wrong, entries, commit }), undefined)
    const id = { index: previous, term: model.term(previous) as number }
    assert.equal(log.tryAppend({ previous: id, entries, commit }), previous + terms.length)
    model.take(previous, terms)
    model.committed = Math.max(model.committed, Math.min(commit, previous + terms.length))
  }

  #written(): void {
    const write = this.#writes.shift()
    if (write === undefined) return
    const { entries, snapshot, term } = write
    if (snapshot !== undefined) this.storage.applySnapshot(snapshot)
    // What lies before a snapshot that came meanwhile is of no use any more.
    if (entries.length > 0) this.storage.append(entries)
    if (snapshot !== undefined) {
      this.log.unstable.stableSnapshotTo(snapshot.index)
      if (this.log.applied < snapshot.index) this.log.appliedTo(snapshot.index, 0)
    }
    const last = entries.at(-1)
    if (last !== undefined && term === this.term) this.log.unstable.stableTo(last.index, last.term)
  }

  check(): void {
    const { log, model } = this
    assert.equal(log.lastIndex(), model.last)
    assert.equal(log.committed, model.committed)
    const first = log.firstIndex()
    for (let index = Math.max(0, first - 2); index <= model.last + 1; index += 1) {
      // Before the log begins only what the writer has not confirmed is known.
      const expected = index >= first - 1 ? model.term(index) : log.unstable.term(index)
      assert.equal(log.term(index), expected, `term of ${index}`)
    }
    const entries = log.entriesFrom(first, noLimit) ?? []
    assert.deepEqual(
      entries.map(({ index, term }) => [index, term]),
      entries.map((_, at) => [first + at, model.term(first + at)]),
    )
    assert.equal(entries.length, model.last - first + 1)
    const one = log.entriesFrom(first, 1) ?? []
    assert.equal(one.length, Math.min(1, entries.length))
  }
}

test('the log is what a plain array would be', async () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const stage = new Stage()
      for (const given of actions) {
        stage.run(given)
        stage.check()
      }
    }),
    { numRuns: 300 },
  )
})

test('where two logs part at best', async () => {
  const terms = fc
    .array(fc.integer({ min: 1, max: 4 }), { maxLength: 12 })
    .map((list) => list.sort())
  fc.assert(
    fc.property(terms, fc.nat(14), fc.nat(5), (list, index, term) => {
      const log = new RaftLog(new MemoryStorage(), {}, noLimit)
      log.append(list.map((of, at) => entryAt(at + 1, of)))
      const found = log.findConflictByTerm({ index, term })
      // Beyond the end nothing is known, so the guess stands.
      if (index > list.length) return found.index === index && found.term === 0
      const fits = [...list.keys()].map((at) => at + 1).filter((at) => at <= index)
      const best = Math.max(0, ...fits.filter((at) => (list[at - 1] as number) <= term))
      return found.index === best && found.term === (list[best - 1] ?? 0)
    }),
  )
})

test('the unstable end: a write that was overtaken confirms nothing', async (t) => {
  const unstable = new UnstableLog(2, {})
  unstable.truncateAndAppend(entriesOf(1, 1, 1))
  unstable.acceptInProgress()
  t.strictSame(unstable.nextEntries(), [], 'all are being written')
  unstable.truncateAndAppend([entryAt(3, 2)])
  t.match(unstable.nextEntries(), [{ index: 3, term: 2 }], 'to be written over what is written now')
  unstable.stableTo(4, 1)
  unstable.stableTo(3, 1)
  t.equal(unstable.offset, 2)
  unstable.stableTo(2, 1)
  t.equal(unstable.offset, 3)
  t.match(unstable.nextEntries(), [{ index: 3, term: 2 }])
  unstable.acceptInProgress()
  unstable.stableTo(3, 2)
  t.strictSame([unstable.offset, unstable.entries], [4, []])
})

test('the unstable end: a snapshot replaces it, and is confirmed by its index', async (t) => {
  const unstable = new UnstableLog(2, {})
  unstable.truncateAndAppend(entriesOf(1, 1))
  unstable.restore(snapshotAt(9, 3))
  t.strictSame([unstable.firstIndex(), unstable.lastIndex(), unstable.term(9)], [10, 9, 3])
  unstable.stableTo(9, 3)
  t.ok(unstable.snapshot, 'an entry is no snapshot')
  t.equal(unstable.nextSnapshot()?.index, 9)
  unstable.acceptInProgress()
  t.equal(unstable.nextSnapshot(), undefined)
  unstable.stableSnapshotTo(8)
  t.ok(unstable.snapshot)
  unstable.stableSnapshotTo(9)
  t.strictSame(
    [unstable.snapshot, unstable.firstIndex(), unstable.lastIndex()],
    [...[undefined, undefined, undefined]],
  )
  t.throws(() => unstable.slice(3, 12, noLimit), { code: 'ERR_RAFT_INVARIANT' })
})

test('rules that a broken disk or member breaks stop the log', async (t) => {
  const storage = new MemoryStorage()
  storage.append([entryAt(1, 1), entryAt(2, 1), entryAt(3, 1)])
  const log = new RaftLog(storage, {}, noLimit)
  log.commitTo(2)
  const broken = { code: 'ERR_RAFT_INVARIANT' }
  t.throws(() => log.commitTo(4), broken, 'a commit beyond the end')
  t.throws(() => log.append([entryAt(2, 2)]), broken, 'an append over what is committed')
  const conflict = { previous: { index: 1, term: 1 }, entries: [entryAt(2, 2)], commit: 0 }
  t.throws(() => log.tryAppend(conflict), broken, 'a leader that contradicts what is committed')
  t.throws(() => log.appliedTo(3, 0), broken, 'applied before it is committed')
  t.throws(() => log.acceptApplying(3, 0, true), broken)
  t.throws(() => log.slice(2, 9, noLimit), broken)
  t.throws(() => storage.append([entryAt(9, 1)]), broken, 'a gap')
  t.throws(() => storage.entries(1, 9, noLimit), broken)
  t.throws(() => storage.compact(9), broken)
  t.throws(() => storage.createSnapshot(9, emptyConfState, noBytes), broken)
})

test('applying is handed out up to a size, and goes on as it is done', async (t) => {
  const storage = new MemoryStorage()
  const entries = [1, 2, 3, 4].map((index) => ({ ...entryAt(index, 1), data: new Uint8Array(100) }))
  storage.append(entries)
  const log = new RaftLog(storage, {}, 250)
  log.commitTo(4)
  const indices = (): number[] => log.nextCommitted(true).map(({ index }) => index)
  t.strictSame(indices(), [1, 2])
  log.acceptApplying(2, 216, true)
  t.strictSame(indices(), [], 'the next one would be too much')
  log.appliedTo(1, 108)
  t.strictSame(indices(), [3])
  log.acceptApplying(3, 108, true)
  t.notOk(log.hasNextCommitted(true))
  log.appliedTo(3, 216)
  t.strictSame(indices(), [4])
})

test('entries that are not on this disk yet are not applied when writes are asynchronous', async (t) => {
  const storage = new MemoryStorage()
  storage.append([entryAt(1, 1)])
  const log = new RaftLog(storage, {}, noLimit)
  log.append([entryAt(2, 1)])
  log.commitTo(2)
  t.equal(log.nextCommitted(false).length, 1)
  t.equal(log.nextCommitted(true).length, 2)
})

test('storage: what is compacted stays away', async (t) => {
  const storage = new MemoryStorage()
  storage.append([entryAt(1, 1), entryAt(2, 1), entryAt(3, 2)])
  storage.compact(2)
  t.strictSame([storage.firstIndex(), storage.lastIndex()], [3, 3])
  t.strictSame([storage.term(1), storage.term(2), storage.term(3)], [undefined, 1, 2])
  t.equal(storage.entries(2, 4, noLimit), undefined)
  t.throws(() => storage.compact(2), { code: 'ERR_RAFT_COMPACTED' })
  storage.append([entryAt(1, 1), entryAt(2, 1)])
  t.equal(storage.lastIndex(), 3, 'a late write of compacted entries does nothing')
  storage.append([entryAt(2, 1), entryAt(3, 3)])
  t.equal(storage.term(3), 3)
  storage.createSnapshot(3, emptyConfState, bytes('state'))
  t.throws(() => storage.createSnapshot(3, emptyConfState, noBytes), {
    code: 'ERR_RAFT_SNAPSHOT_OUT_OF_DATE',
  })
  t.throws(() => storage.applySnapshot(snapshotAt(2, 1)), { code: 'ERR_RAFT_SNAPSHOT_OUT_OF_DATE' })
  storage.applySnapshot(snapshotAt(7, 4))
  t.strictSame([storage.firstIndex(), storage.lastIndex(), storage.term(7)], [8, 7, 4])
  t.strictSame(storage.initialState().confState, emptyConfState)
})
