/** What tests of the state of a group share: commands by chance, a state to apply them to, and results in a form that compares. */
// biome-ignore-all lint/suspicious/noThenProperty: a transaction's branch is called so, and nobody awaits one.
import fc from 'fast-check'
import type { Comparison, Operation } from '../../src/coordination.ts'
import type { Command, CommandResult } from '../../src/state/commands.ts'
import { encodeCommand } from '../../src/state/encode-command.ts'
import { GroupState, type GroupStateInit } from '../../src/state/group-state.ts'
import type { GroupLimits } from '../../src/state/state-limits.ts'
import { ManualClock } from './manual-clock.ts'

/** Limits that a few commands reach. */
export const tightLimits: GroupLimits = {
  keysMax: 10,
  bytesMax: 1_600,
  leasesMax: 4,
  keysPerLeaseMax: 3,
  changesMax: 5,
  readBytesMax: 60,
}

/** Keyspaces of the commands that come by chance. */
export const someKeyspaces = ['a', 'b', 'ä\u{1f600}'] as const

/** Keys in whose order UTF-8 and UTF-16 differ, and that are prefixes of one another. */
export const someKeys = ['a', 'a/', 'a/1', 'a/10', 'a0', 'ä', '\u{fffd}', '\u{1f600}'] as const

/** A state of its own, by itself. */
export function createState(init: GroupStateInit = {}): GroupState {
  return new GroupState({ clock: new ManualClock(), propose: () => undefined }, init)
}

/** Applies one command; the term is the index's tenth, so that terms come by. */
export function applyAt(state: GroupState, index: number, command: Command): CommandResult {
  return state.apply({ index, term: termOf(index), command: encodeCommand(command) })
}

/** The term of an entry in these tests. */
export function termOf(index: number): number {
  return 1 + Math.floor(index / 10)
}

/** Text in which bytes can be compared and read. */
export function plain(value: unknown): string {
  return JSON.stringify(value, (key, each) => {
    if (each instanceof Uint8Array) return Buffer.from(each).toString('hex')
    // What is refused is refused alike; the words are free.
    return key === 'message' ? undefined : each
  })
}

/** A lease by its place among those that were granted; one that is not there stands for none. */
export type LeaseChoice = (choice: number) => string

type MakeComparison = (leases: LeaseChoice) => Comparison
type MakeOperation = (leases: LeaseChoice) => Operation
type MakeCommand = (leases: LeaseChoice, term: number) => Command

const key = fc.constantFrom(...someKeys)
const value = fc.uint8Array({ maxLength: 50 })
const lease = fc.nat(5)

const comparison: fc.Arbitrary<MakeComparison> = fc.oneof<fc.Arbitrary<MakeComparison>[]>(
  fc.record({ key, exists: fc.boolean() }).map((made) => () => made),
  fc.record({ key, modRevision: fc.nat(12) }).map((made) => () => made),
  fc.record({ key, createRevision: fc.nat(12) }).map((made) => () => made),
  fc.record({ key, value: fc.uint8Array({ maxLength: 1 }) }).map((made) => () => made),
  fc.tuple(key, lease).map(([of, choice]) => (leases) => ({ key: of, leaseId: leases(choice) })),
)

const operation: fc.Arbitrary<MakeOperation> = fc.oneof<fc.MaybeWeightedArbitrary<MakeOperation>[]>(
  {
    weight: 3,
    arbitrary: fc.tuple(key, value).map(
      ([of, made]) =>
        () =>
          put(of, made),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(key, value, lease).map(([of, made, choice]) => (leases) => ({
      ...put(of, made),
      leaseId: leases(choice),
    })),
  },
  key.map((of) => () => ({ type: 'delete', key: of })),
  key.map((of) => () => ({ type: 'get', key: of })),
  fc.constantFrom('', 'a', 'a/', 'ä').map((prefix) => () => ({ type: 'delete-prefix', prefix })),
)

/** Commands by chance, that are told which leases there are. */
export const someCommand: fc.Arbitrary<MakeCommand> = fc.oneof<
  fc.MaybeWeightedArbitrary<MakeCommand>[]
>(
  {
    weight: 8,
    arbitrary: fc
      .record({
        keyspace: fc.constantFrom(...someKeyspaces),
        when: fc.array(comparison, { maxLength: 2 }),
        then: fc.array(operation, { maxLength: 5 }),
        otherwise: fc.array(operation, { maxLength: 3 }),
      })
      .map(({ keyspace, when, then, otherwise }) => (leases) => ({
        type: 'transact',
        keyspace,
        transaction: {
          when: when.map((make) => make(leases)),
          then: changeOnce(then.map((make) => make(leases))),
          otherwise: changeOnce(otherwise.map((make) => make(leases))),
        },
      })),
  },
  { weight: 2, arbitrary: fc.constant(() => ({ type: 'grant-lease', ttlMs: 5_000 }) as const) },
  lease.map((choice) => (leases) => ({ type: 'revoke-lease', leaseId: leases(choice) })),
  fc
    .tuple(fc.array(lease, { maxLength: 3 }), fc.boolean())
    .map(([choices, isOld]) => (leases, term) => ({
      type: 'expire-leases',
      term: isOld ? term - 1 : term,
      leaseIds: choices.map(leases),
    })),
  fc.nat(30).map((revision) => () => ({ type: 'compact', revision })),
)

function put(of: string, made: Uint8Array): Operation & { readonly type: 'put' } {
  return { type: 'put', key: of, value: made }
}

/** Leaves out puts of what the branch changes elsewhere, which no engine takes. */
function changeOnce(operations: readonly Operation[]): Operation[] {
  const puts = new Set<string>()
  return operations.filter((each) => {
    if (each.type !== 'put') return true
    const isDeleted = operations.some(
      (other) =>
        (other.type === 'delete' && other.key === each.key) ||
        (other.type === 'delete-prefix' && each.key.startsWith(other.prefix)),
    )
    if (isDeleted || puts.has(each.key)) return false
    puts.add(each.key)
    return true
  })
}
