/** What is refused, whoever asks. */
import type { Operation } from '../../src/coordination.ts'
import { coordinationLimits } from '../../src/coordination.ts'
import type { ComplianceTest } from './coordination.ts'
import { bytes, put, rejects, textOf } from './helpers.ts'

const invalid = 'ERR_INVALID_INPUT'

export const inputTests: readonly ComplianceTest[] = [
  {
    name: 'keys and values of every length that is allowed',
    run: async (t, { connect, name }) => {
      const keyspace = connect().keyspace(name)
      const longest = 'ä'.repeat(coordinationLimits.keyBytesMax / 2)
      for (const key of ['a', '/', '\0', 'a\nb', '%2F', '\u{10ffff}', longest]) {
        await put(keyspace, key, key)
        t.equal(textOf(await keyspace.get(key)), key)
      }
      const value = Uint8Array.from({ length: coordinationLimits.valueBytesMax }, (_, i) => i * 7)
      await keyspace.transact({ then: [{ type: 'put', key: 'large', value }] })
      const item = await keyspace.get('large')
      t.ok(item && Buffer.compare(item.value, value) === 0, 'any bytes')
      await put(keyspace, 'empty', '')
      t.equal((await keyspace.get('empty'))?.value.length, 0)
      const largestName = 'n'.repeat(coordinationLimits.nameBytesMax)
      await put(connect().keyspace(largestName), name, 'there')
    },
  },
  {
    name: 'what is over a limit is refused, and nothing is done',
    run: async (t, { connect, name }) => {
      const coordination = connect()
      const keyspace = coordination.keyspace(name)
      const { keyBytesMax, valueBytesMax, transactionStepsMax, listMax } = coordinationLimits
      for (const bad of ['', 'n'.repeat(coordinationLimits.nameBytesMax + 1), '\ud800']) {
        t.throws(() => coordination.keyspace(bad), { code: invalid }, 'name of a keyspace')
      }
      for (const bad of [
        '',
        'k'.repeat(keyBytesMax + 1),
        'ä'.repeat(keyBytesMax / 2 + 1),
        'a\udc00',
      ]) {
        await rejects(t, keyspace.get(bad), invalid, 'a key')
        await rejects(t, put(keyspace, bad, 'x'), invalid, 'a key that is put')
      }
      const value = new Uint8Array(valueBytesMax + 1)
      const large = keyspace.transact({ then: [{ type: 'put', key: 'a', value }] })
      await rejects(t, large, invalid, 'a value')
      const many = Array.from(
        { length: transactionStepsMax + 1 },
        (_, index): Operation => ({ type: 'put', key: `k${index}`, value: bytes('x') }),
      )
      await rejects(t, keyspace.transact({ then: many }), invalid, 'steps')
      const heavy = many
        .slice(0, 5)
        .map((step) => ({ ...step, value: new Uint8Array(valueBytesMax) }))
      const heavySteps = heavy as Operation[]
      await rejects(t, keyspace.transact({ then: heavySteps }), invalid, 'bytes of a transaction')
      for (const limit of [0, -1, 1.5, listMax + 1, Number.NaN]) {
        await rejects(t, keyspace.list('', { limit }), invalid, `a list of ${limit}`)
      }
      const { leaseMsMin, leaseMsMax } = coordinationLimits
      for (const ttlMs of [0, leaseMsMin - 1, leaseMsMax + 1, 2_500.5, Number.NaN]) {
        await rejects(t, keyspace.grantLease(ttlMs), invalid, `a lease of ${ttlMs} ms`)
      }
      t.same((await keyspace.list('')).items, [], 'nothing was done')
    },
  },
  {
    name: 'a branch that changes a key twice is refused',
    run: async (t, { connect, name }) => {
      const keyspace = connect().keyspace(name)
      const a: Operation = { type: 'put', key: 'a/1', value: bytes('x') }
      const branches: Operation[][] = [
        [a, a],
        [a, { type: 'delete', key: 'a/1' }],
        [{ type: 'delete', key: 'a/1' }, a],
        [a, { type: 'delete-prefix', prefix: 'a/' }],
        [{ type: 'delete-prefix', prefix: '' }, a],
      ]
      for (const branch of branches) {
        await rejects(t, keyspace.transact({ then: branch }), invalid, 'in then')
        const other = keyspace.transact({ then: [], otherwise: branch })
        await rejects(t, other, invalid, 'in otherwise')
      }
      const { succeeded } = await keyspace.transact({ then: [a], otherwise: [a] })
      t.ok(succeeded, 'each branch may')
    },
  },
]
