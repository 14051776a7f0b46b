/** Commands as bytes: every command has one form, and anything else does nothing, the same at every member. */
// biome-ignore-all lint/suspicious/noThenProperty: a transaction's branch is called so, and nobody awaits one.
import fc from 'fast-check'
import { test } from 'tap'
import { coordinationLimits, type Transaction } from '../../src/coordination.ts'
import type { Command } from '../../src/state/commands.ts'
import { CommandDecoder, checkClientCommand } from '../../src/state/decode-command.ts'
import { encodeCommand } from '../../src/state/encode-command.ts'
import { commandBytesMax } from '../../src/state/state-limits.ts'
import { createState, plain, someCommand, termOf } from '../support/state-stage.ts'

const decoder = new CommandDecoder()
const leases = (choice: number): string => `${choice}-zz`
const someBytes = someCommand.map((make) => encodeCommand(make(leases, 3)))

function isRefused(bytes: Uint8Array): boolean {
  return typeof decoder.decode(bytes) === 'string'
}

test('every command is read as it was written', async (t) => {
  const transaction: Transaction = {
    when: [
      { key: 'a', exists: true },
      { key: 'b', exists: false },
      { key: 'c', modRevision: Number.MAX_SAFE_INTEGER },
      { key: 'd', createRevision: 2 ** 32 },
      { key: 'e', value: Uint8Array.of(1, 2) },
      { key: 'f', leaseId: '1-2' },
    ],
    then: [
      { type: 'put', key: '\u{1f600}', value: Uint8Array.of(3), leaseId: '1-2' },
      { type: 'delete', key: 'ä' },
    ],
    otherwise: [
      { type: 'delete-prefix', prefix: '' },
      { type: 'get', key: 'g' },
    ],
  }
  const none = { revision: 0, value: new Uint8Array(0), leaseId: '' }
  const step = { value: new Uint8Array(0), leaseId: '' }
  t.same(
    plain(decoder.decode(encodeCommand({ type: 'transact', keyspace: 'ks', transaction }))),
    plain({
      kind: 1,
      keyspace: 'ks',
      when: [
        { kind: 2, order: 'a', ...none },
        { kind: 1, order: 'b', ...none },
        { kind: 3, order: 'c', ...none, revision: Number.MAX_SAFE_INTEGER },
        { kind: 4, order: 'd', ...none, revision: 2 ** 32 },
        { kind: 5, order: 'e', ...none, value: Uint8Array.of(1, 2) },
        { kind: 6, order: 'f', ...none, leaseId: '1-2' },
      ],
      then: [
        { kind: 1, order: '\xf0\x9f\x98\x80', value: Uint8Array.of(3), leaseId: '1-2' },
        { kind: 2, order: '\xc3\xa4', ...step },
      ],
      otherwise: [
        { kind: 3, order: '', ...step },
        { kind: 4, order: 'g', ...step },
      ],
    }),
  )
  const others: readonly (readonly [Command, unknown])[] = [
    [
      { type: 'grant-lease', ttlMs: 3_600_000 },
      { kind: 2, ttlMs: 3_600_000 },
    ],
    [
      { type: 'revoke-lease', leaseId: 'a-b' },
      { kind: 3, leaseId: 'a-b' },
    ],
    [
      { type: 'expire-leases', term: 2 ** 40, leaseIds: ['a-b', 'c'] },
      { kind: 4, term: 2 ** 40, leaseIds: ['a-b', 'c'] },
    ],
    [
      { type: 'compact', revision: 7 },
      { kind: 5, revision: 7 },
    ],
  ]
  for (const [command, expected] of others)
    t.same(decoder.decode(encodeCommand(command)), expected, command.type)
})

test('any command can be read, and is refused when a byte is missing or too many', async () => {
  fc.assert(
    fc.property(someBytes, fc.nat(), (bytes, cut) => {
      if (isRefused(bytes)) throw new Error('a command is refused')
      if (!isRefused(bytes.subarray(0, cut % bytes.length))) throw new Error('cut off')
      if (!isRefused(Uint8Array.of(...bytes, 0))) throw new Error('a byte too many')
    }),
    { numRuns: 500 },
  )
})

test('any bytes are a command or are none, and no state changes by what is none', async (t) => {
  let understood = 0
  const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }))
  const changed = fc
    .tuple(someBytes, fc.array(change, { minLength: 1, maxLength: 4 }))
    .map(([bytes, changes]) => {
      const copy = bytes.slice()
      for (const [place, byte] of changes) copy[place % copy.length] = byte
      return copy
    })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 80 }), changed), (command) => {
      const state = createState()
      const before = state.snapshot()
      const result = state.apply({ index: 1, term: termOf(1), command })
      if (!isRefused(command)) {
        understood += 1
        return
      }
      const isMalformed = result.type === 'refused' && result.code === 'ERR_MALFORMED'
      if (!isMalformed) throw new Error(plain(result))
      if (Buffer.compare(before, state.snapshot()) !== 0) throw new Error('it did something')
    }),
    { numRuns: 3_000 },
  )
  t.ok(understood > 20, `${understood} were commands all the same`)
})

test('a member that reads is as strict as one that writes', async (t) => {
  const { keyBytesMax, valueBytesMax, transactionStepsMax } = coordinationLimits
  const write = (transaction: Transaction, keyspace = 'k') =>
    encodeCommand({ type: 'transact', keyspace, transaction })
  const get = { type: 'get', key: 'k' } as const
  const gets = (length: number) => ({ then: Array.from({ length }, () => get) })
  t.notOk(isRefused(write(gets(transactionStepsMax))))
  const most = write(gets(transactionStepsMax))
  // One more step, as only somebody else's program would write it.
  const more = Uint8Array.of(...most, ...write(gets(1)).subarray(-4))
  more[5] = transactionStepsMax + 1
  t.ok(isRefused(more), 'too many steps')
  t.throws(() => write(gets(transactionStepsMax + 1)), { code: 'ERR_INVALID_INPUT' })

  const key = 'k'.repeat(keyBytesMax)
  t.notOk(isRefused(write({ then: [{ type: 'get', key }] })))
  t.throws(() => write({ then: [{ type: 'get', key: `${key}k` }] }), { code: 'ERR_INVALID_INPUT' })
  t.throws(() => write({ then: [] }, ''), { code: 'ERR_INVALID_INPUT' })

  const value = new Uint8Array(valueBytesMax)
  const puts = (count: number) => ({
    then: Array.from({ length: count }, (_, i) => ({ type: 'put' as const, key: `${i}`, value })),
  })
  t.notOk(isRefused(write({ then: puts(3).then })))
  t.throws(() => write(puts(4)), { code: 'ERR_INVALID_INPUT' }, 'four values and their keys')
  t.ok(isRefused(new Uint8Array(commandBytesMax + 1)))

  for (const text of ['\ud800', 'a\udc00'])
    t.throws(() => write({ then: [{ type: 'get', key: text }] }), { code: 'ERR_INVALID_INPUT' })
  for (const ttlMs of [0, 1_999, 3_600_001, 2_000.5, Number.NaN])
    t.throws(() => encodeCommand({ type: 'grant-lease', ttlMs }), { code: 'ERR_INVALID_INPUT' })
})

test('what only a broken program writes', async (t) => {
  const transact = (...rest: readonly number[]) => Uint8Array.of(1, 1, 0, 107, ...rest)
  t.notOk(isRefused(transact(0, 0, 0)), 'a transaction of nothing is one')
  t.ok(isRefused(Uint8Array.of()), 'nothing')
  t.ok(isRefused(Uint8Array.of(0)), 'no kind')
  t.ok(isRefused(Uint8Array.of(6)), 'a kind to come')
  t.ok(isRefused(Uint8Array.of(1, 0, 0, 0, 0, 0)), 'a keyspace without a name')
  t.notOk(isRefused(transact(0, 1, 0, 4, 1, 0, 97)), 'a get')
  t.ok(isRefused(transact(0, 1, 0, 5, 1, 0, 97)), 'no kind of operation')
  t.ok(isRefused(transact(0, 1, 0, 4, 0, 0)), 'a key of nothing')
  t.ok(isRefused(transact(0, 1, 0, 4, 1, 0, 0xff)), 'no UTF-8')
  t.ok(isRefused(transact(0, 1, 0, 4, 2, 0, 0xc0, 0x80)), 'UTF-8 that is longer than need be')
  t.ok(isRefused(transact(0, 1, 0, 4, 3, 0, 0xed, 0xa0, 0x80)), 'half of a surrogate pair')
  t.notOk(isRefused(transact(0, 1, 0, 4, 3, 0, 0xef, 0xbb, 0xbf)), 'a byte order mark is a key')
  t.ok(isRefused(transact(1, 0, 0, 7, 1, 0, 97)), 'no kind of comparison')
  t.ok(isRefused(transact(0, 1, 0, 4, 2, 0, 97)), 'a key that is cut off')
  t.notOk(isRefused(transact(1, 0, 0, 5, 1, 0, 97, 2, 0, 0, 0, 7, 7)))
  t.ok(isRefused(transact(1, 0, 0, 5, 1, 0, 97, 2, 0, 0, 0, 7)), 'a value that is cut off')
  const integer = [255, 255, 255, 255, 255, 255, 0x1f, 0]
  t.notOk(isRefused(transact(1, 0, 0, 3, 1, 0, 97, ...integer)))
  t.ok(isRefused(transact(1, 0, 0, 3, 1, 0, 97, ...integer.with(6, 0x20))), 'above 2^53 - 1')
  const put = [1, 1, 0, 97, 0, 0, 0, 0]
  t.notOk(isRefused(transact(0, 1, 0, ...put, 0)))
  t.ok(isRefused(transact(0, 1, 0, ...put, 1, 65)), 'an id that no lease has')
  t.ok(isRefused(transact(0, 2, 0, ...put, 0, ...put, 0)), 'a key that is put twice')
  t.ok(isRefused(transact(0, 2, 0, ...put, 0, 2, 1, 0, 97)), 'put and deleted')
  t.ok(isRefused(transact(0, 2, 0, ...put, 0, 3, 0, 0)), 'put and deleted by prefix')
  t.ok(isRefused(Uint8Array.of(2, 0, 0, 0, 0)), 'a lease of no time')
  t.ok(isRefused(Uint8Array.of(4, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1)), 'more leases than there can be')
})

test('clients ask for no more than clients may', async (t) => {
  checkClientCommand(encodeCommand({ type: 'grant-lease', ttlMs: 2_000 }))
  checkClientCommand(encodeCommand({ type: 'revoke-lease', leaseId: '1-1' }))
  const expire = encodeCommand({ type: 'expire-leases', term: 1, leaseIds: ['1-1'] })
  const compact = encodeCommand({ type: 'compact', revision: 1 })
  for (const bytes of [expire, compact, new Uint8Array(0), Uint8Array.of(1)])
    t.throws(() => checkClientCommand(bytes), { code: 'ERR_MALFORMED' })
})
