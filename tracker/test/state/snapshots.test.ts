/** Snapshots: the same state is the same bytes wherever it came from, and bytes that are no state are refused. */
// biome-ignore-all lint/suspicious/noThenProperty: a transaction's branch is called so, and nobody awaits one.
import fc from 'fast-check'
import { test } from 'tap'
import { TrackerError } from '../../src/errors.ts'
import { encodeCommand } from '../../src/state/encode-command.ts'
import type { GroupState } from '../../src/state/group-state.ts'
import {
  applyAt,
  createState,
  plain,
  someCommand,
  someKeyspaces,
  termOf,
} from '../support/state-stage.ts'

const limits = { historyChangesMax: 20 }

function listAll(state: GroupState): string {
  return plain(someKeyspaces.map((keyspace) => state.list(keyspace, '')))
}

test('replicas have the same bytes, wherever they began from a snapshot', async (t) => {
  let restores = 0
  fc.assert(
    fc.property(
      fc.array(fc.tuple(someCommand, fc.nat(9), fc.nat(9)), { maxLength: 80, size: 'max' }),
      (steps) => {
        const granted: string[] = []
        const first = createState(limits)
        const replicas = [createState(limits), createState(limits)]
        for (const [at, [make, ...draws]] of steps.entries()) {
          const index = at + 1
          const term = termOf(index)
          const command = make((choice) => granted.at(-1 - choice) ?? 'zz', term)
          const bytes = encodeCommand(command)
          const result = first.apply({ index, term, command: bytes })
          if (result.type === 'granted') granted.push(result.leaseId)
          for (const [i, replica] of replicas.entries()) {
            const other = replica.apply({ index, term, command: bytes })
            if (plain(other) !== plain(result)) throw new Error('another result')
            if (draws[i] !== 0) continue
            // This replica goes on from a snapshot, in an object of its own.
            restores += 1
            const fresh = createState(limits)
            fresh.restore(replica.snapshot())
            if (listAll(fresh) !== listAll(replica)) throw new Error('another state')
            replicas[i] = fresh
          }
        }
        const snapshots = [first, ...replicas].map((state) => Buffer.from(state.snapshot()))
        for (const each of snapshots)
          if (!each.equals(snapshots[0] as Buffer)) throw new Error('other bytes')
      },
    ),
    { numRuns: 150 },
  )
  t.ok(restores > 100)
})

/** A state with some of all. */
function someState(): GroupState {
  const state = createState()
  let index = 0
  const apply = (command: Parameters<typeof applyAt>[2]) => applyAt(state, ++index, command)
  apply({ type: 'grant-lease', ttlMs: 2_000 })
  apply({ type: 'grant-lease', ttlMs: 3_000 })
  for (const keyspace of ['two', 'one', 'ä']) {
    for (const key of ['b', 'a', '\u{1f600}', '\u{fffd}']) {
      const value = Buffer.from(`${keyspace} ${key}`)
      const put = { type: 'put', key, value, leaseId: '1-2' } as const
      apply({ type: 'transact', keyspace, transaction: { then: [put] } })
    }
  }
  return state
}

test('a lease that came by a snapshot takes its keys along', async (t) => {
  const state = createState()
  state.restore(someState().snapshot())
  t.equal(state.status.keys, 12)
  applyAt(state, 100, { type: 'revoke-lease', leaseId: '1-2' })
  t.equal(state.status.keys, 0)
  t.equal(state.status.bytes, 0)
  t.equal(state.revision, 13)
})

test('bytes that are no snapshot leave the state as it was', async (t) => {
  const bytes = someState().snapshot()
  const state = someState()
  for (let length = 0; length < bytes.length; length++)
    t.throws(() => state.restore(bytes.subarray(0, length)), { code: 'ERR_MALFORMED' })
  t.throws(() => state.restore(Buffer.concat([bytes, Buffer.of(0)])), { code: 'ERR_MALFORMED' })
  const other = bytes.slice()
  other[4] = 2
  t.throws(() => state.restore(other), { code: 'ERR_MALFORMED', message: /version/ })
  t.ok(Buffer.from(bytes).equals(state.snapshot()))
  t.equal(state.counters.restores, 0)
})

test('bytes by chance are refused, or are the one form of a state', async (t) => {
  const real = someState().snapshot()
  let read = 0
  const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }))
  const changed = fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) => {
    const copy = real.slice()
    for (const [place, byte] of changes) copy[place % copy.length] = byte
    return copy
  })
  fc.assert(
    fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 100 })), (bytes) => {
      const state = createState()
      try {
        state.restore(bytes)
      } catch (error) {
        if (error instanceof TrackerError && error.code === 'ERR_MALFORMED') return
        throw error
      }
      read += 1
      if (Buffer.compare(state.snapshot(), bytes) !== 0) throw new Error('another form')
    }),
    { numRuns: 5_000 },
  )
  t.ok(read > 50, `${read} were snapshots`)
})

test('no snapshot holds more than a group does', async (t) => {
  const bytes = someState().snapshot()
  const base = {
    keysMax: 100,
    bytesMax: 10_000,
    leasesMax: 10,
    keysPerLeaseMax: 20,
    changesMax: 10,
    readBytesMax: 10,
  }
  createState({ limits: base }).restore(bytes)
  for (const less of [
    { keysMax: 11 },
    { bytesMax: 500 },
    { leasesMax: 1 },
    { keysPerLeaseMax: 11 },
  ]) {
    const state = createState({ limits: { ...base, ...less } })
    t.throws(() => state.restore(bytes), { code: 'ERR_MALFORMED' })
  }
})

test('the state keeps nothing of the bytes that it was given', async (t) => {
  const state = createState()
  // As it comes out of a frame: a part of something larger.
  const frame = Buffer.alloc(2_000)
  for (const length of [0, 1, 96, 97, 500]) {
    const value = Buffer.alloc(length, 7)
    const transaction = { then: [{ type: 'put', key: `${length}`, value }] } as const
    const bytes = encodeCommand({ type: 'transact', keyspace: 'k', transaction })
    frame.set(bytes, 100)
    const command = frame.subarray(100, 100 + bytes.length)
    state.apply({ index: state.revision + 1, term: 1, command })
    frame.fill(0)
    t.same(state.get('k', `${length}`)?.value, new Uint8Array(value), `${length} bytes`)
  }
  const snapshot = state.snapshot()
  const other = createState()
  other.restore(snapshot)
  const before = plain(other.list('k', ''))
  snapshot.fill(0)
  t.equal(plain(other.list('k', '')), before)
  t.equal(plain(state.list('k', '')), before)
})
