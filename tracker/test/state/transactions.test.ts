/** Commands beside a slow model of them, and what a model cannot say: the rules by name. */
// biome-ignore-all lint/suspicious/noThenProperty: a transaction's branch is called so, and nobody awaits one.
import fc from 'fast-check'
import { test } from 'tap'
import type { Operation } from '../../src/coordination.ts'
import type { Command, CommandResult } from '../../src/state/commands.ts'
import type { GroupState } from '../../src/state/group-state.ts'
import { groupLimits } from '../../src/state/state-limits.ts'
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

/** Leases of the model, those that are gone too. */
function leaseChoice(granted: readonly string[]): (choice: number) => string {
  return (choice) => granted.at(-1 - choice) ?? 'zz-zz'
}

function compareAll(state: GroupState, model: StateModel): string | undefined {
  if (state.revision !== model.revision) return `revision ${state.revision}, not ${model.revision}`
  if (state.status.leases !== model.leases.size) return 'leases'
  if (state.status.keys !== model.items.length) return 'keys'
  if (state.status.bytes !== model.bytes) return 'bytes'
  for (const keyspace of someKeyspaces) {
    for (const prefix of ['', 'a', 'a/', '\u{fffd}']) {
      const { items, revision, more } = state.list(keyspace, prefix)
      if (revision !== model.revision || more) return 'the list'
      if (plain(items) !== plain(model.list(keyspace, prefix))) return `list ${keyspace} ${prefix}`
    }
    for (const item of model.list(keyspace, ''))
      if (plain(state.get(keyspace, item.key)) !== plain(item)) return `get ${item.key}`
  }
  return undefined
}

test('any commands do what the model does', async (t) => {
  const seen = new Map<string, number>()
  const count = (result: CommandResult) => {
    const name = result.type === 'refused' ? result.code : result.type
    seen.set(name, (seen.get(name) ?? 0) + 1)
  }
  fc.assert(
    fc.property(fc.array(someCommand, { maxLength: 60, size: 'max' }), (makers) => {
      const state = createState({ limits: tightLimits })
      const model = new StateModel(tightLimits)
      const granted: string[] = []
      for (const [at, make] of makers.entries()) {
        const index = at + 1
        const command = make(leaseChoice(granted), termOf(index))
        const result = applyAt(state, index, command)
        count(result)
        if (result.type === 'granted') granted.push(result.leaseId)
        const expected = plain(model.apply(command, termOf(index), index))
        if (plain(result) !== expected) throw new Error(`${plain(result)} is not ${expected}`)
        const difference = compareAll(state, model)
        if (difference !== undefined) throw new Error(`${difference} after ${plain(command)}`)
      }
    }),
    { numRuns: 300 },
  )
  const all = ['transacted', 'granted', 'revoked', 'expired', 'compacted', 'ERR_OVERLOADED']
  for (const name of [...all, 'ERR_LEASE_NOT_FOUND', 'ERR_INVALID_INPUT'])
    t.ok((seen.get(name) ?? 0) > 50, `${name} came by often enough`)
})

/** Puts and deletes as a person would write them. */
function transact(...then: readonly Operation[]): Command {
  return { type: 'transact', keyspace: 'k', transaction: { then } }
}

const put = (key: string, text = key, leaseId?: string): Operation => {
  const made = { type: 'put', key, value: Buffer.from(text) } as const
  return leaseId === undefined ? made : { ...made, leaseId }
}

test('a group that is full', async (t) => {
  const limits = { ...groupLimits, keysMax: 2, keysPerLeaseMax: 1, leasesMax: 1 }
  const state = createState({ limits })
  applyAt(state, 1, transact(put('a'), put('b')))

  t.test('takes no further key', async () => {
    const refused = applyAt(state, 2, transact(put('a', 'new'), put('c')))
    t.match(refused, { type: 'refused', code: 'ERR_OVERLOADED' })
    t.equal(Buffer.from(state.get('k', 'a')?.value ?? []).toString(), 'a', 'nothing was done')
    t.equal(state.revision, 1)
  })

  t.test('takes one in place of another, in one transaction', async () => {
    const swapped = applyAt(state, 3, transact(put('c'), { type: 'delete', key: 'a' }))
    t.match(swapped, { type: 'transacted', revision: 2 })
    const all = applyAt(state, 4, transact(put('d'), { type: 'delete-prefix', prefix: 'c' }))
    t.match(all, { type: 'transacted', revision: 3 })
  })

  t.test('counts what is deleted twice once', async () => {
    const twice = [
      { type: 'delete', key: 'b' },
      { type: 'delete-prefix', prefix: 'b' },
    ] as const
    const tooMany = applyAt(state, 4, transact(...twice, put('e'), put('f')))
    t.match(tooMany, { type: 'refused', code: 'ERR_OVERLOADED' })
    t.match(state.list('k', '').items, [{ key: 'b' }, { key: 'd' }])
  })

  t.test('takes a lease for each that ends', async () => {
    const granted = applyAt(state, 5, { type: 'grant-lease', ttlMs: 2_000 })
    t.match(granted, { type: 'granted', leaseId: '1-5' })
    const grant: Command = { type: 'grant-lease', ttlMs: 2_000 }
    t.match(applyAt(state, 6, grant), { type: 'refused', code: 'ERR_OVERLOADED' })
    const tooMany = applyAt(state, 7, transact(put('b', 'b', '1-5'), put('d', 'd', '1-5')))
    t.match(tooMany, { type: 'refused', code: 'ERR_OVERLOADED' })
    t.match(applyAt(state, 8, transact(put('b', 'b', '1-5'))), { type: 'transacted' })
    const moved = applyAt(state, 9, transact(put('d', 'd', '1-5'), put('b')))
    t.match(moved, { type: 'transacted' }, 'the lease changes its key')
    applyAt(state, 10, { type: 'revoke-lease', leaseId: '1-5' })
    t.match(applyAt(state, 11, grant), { type: 'granted', leaseId: '2-b' })
  })
})

test('bytes are those of what is there', async (t) => {
  const limits = { ...groupLimits, bytesMax: 128 + 1 + 1 + 100 }
  const state = createState({ limits })
  t.match(applyAt(state, 1, transact(put('a', 'x'.repeat(100)))), { type: 'transacted' })
  t.equal(state.status.bytes, limits.bytesMax)
  const larger = applyAt(state, 2, transact(put('a', 'x'.repeat(101))))
  t.match(larger, { type: 'refused', code: 'ERR_OVERLOADED' })
  t.match(applyAt(state, 3, transact({ type: 'delete', key: 'a' })), { type: 'transacted' })
  t.equal(state.status.bytes, 0)
  t.equal(state.status.keyspaces, 0, 'a keyspace without keys is not there')
})

test('what changes nothing is no revision', async (t) => {
  const state = createState()
  applyAt(state, 1, transact(put('a')))
  for (const operation of [
    { type: 'get', key: 'a' },
    { type: 'delete', key: 'none' },
    { type: 'delete-prefix', prefix: 'none' },
  ] as const)
    t.match(applyAt(state, 2, transact(operation)), { type: 'transacted', revision: 1 })
  t.match(applyAt(state, 3, transact(put('a'))), { revision: 2 }, 'the same value is a change')
})

test('a lease of no possible form is one that is not there', async (t) => {
  const state = createState()
  for (const leaseId of ['', 'no such lease', 'x'.repeat(1_000), '1-1'])
    t.match(applyAt(state, 1, transact(put('a', 'a', leaseId))), { code: 'ERR_LEASE_NOT_FOUND' })
  t.match(applyAt(state, 2, { type: 'revoke-lease', leaseId: '\u{1f600}' }), { type: 'revoked' })
})

test('lists are cut by count and by bytes', async (t) => {
  const state = createState()
  const value = Buffer.alloc(256 * 1024)
  for (let i = 0; i < 20; i++)
    applyAt(state, i + 1, transact({ type: 'put', key: `key/${10 + i}`, value }))
  const seen: string[] = []
  let pages = 0
  for (let after: string | undefined; ; pages++) {
    const { items, more } = state.list('k', 'key/', after === undefined ? {} : { after })
    t.ok(items.length > 0 && items.length <= 8)
    for (const { key } of items) seen.push(key)
    if (!more) break
    after = items.at(-1)?.key
  }
  t.same(
    seen,
    Array.from({ length: 20 }, (_, i) => `key/${10 + i}`),
  )
  t.equal(pages, 2)
  const { items, more } = state.list('k', '', { limit: 2, after: 'key/11' })
  t.same([items.map(({ key }) => key), more], [['key/12', 'key/13'], true])
  t.same(state.list('nobody', ''), { revision: 20, items: [], more: false })
})

test('reads refuse what no engine takes', async (t) => {
  const state = createState()
  const invalid = { code: 'ERR_INVALID_INPUT' }
  t.throws(() => state.get('k', ''), invalid)
  t.throws(() => state.get('', 'k'), invalid)
  t.throws(() => state.get('k', '\ud800'), invalid)
  t.throws(() => state.list('k', '', { limit: 0 }), invalid)
  t.throws(() => state.list('k', 'x'.repeat(1_025)), invalid)
  const listener = { onBatch: () => true, onEnd: () => undefined }
  t.throws(() => state.watch('k', '', -1, listener), invalid)
  t.throws(() => state.watch('', '', 0, listener), invalid)
})
