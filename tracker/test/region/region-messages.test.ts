/** Messages, records and the file of facts: what is written is read again, and nothing else is taken for it. */
import fc from 'fast-check'
import { test } from 'tap'
import { TrackerError } from '../../src/errors.ts'
import { confChangeTypes } from '../../src/raft/types.ts'
import {
  decodeCounter,
  decodePresence,
  decodeRoster,
  encodeCounter,
  encodePresence,
  encodeRoster,
  memberIdOf,
  presenceKey,
  presencePrefix,
  rosterKey,
  rosterPrefix,
} from '../../src/region/member-record.ts'
import { decodeFacts, encodeFacts } from '../../src/region/region-facts.ts'
import * as messages from '../../src/region/region-messages.ts'

const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })
const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const group = fc.integer({ min: 0, max: 16 })
const flag = fc.boolean()
const peerId = fc.string({ minLength: 1, maxLength: 52 })
const regionId = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString('hex'))
const peers = fc.array(peerId, { maxLength: 16 })
const name = fc.string({ maxLength: 16, unit: 'grapheme' })
const ids = fc.array(id, { maxLength: 8 })
const facts = fc.record({
  ...{ regionId, name, foundedAtMs: count, memberId: id },
  ...{ incarnation: count, contacts: peers },
})
const hello = fc.record({
  name,
  region: fc.option(
    fc.record({
      regionId,
      memberCount: fc.nat(100_000),
      foundedAtMs: count,
      hasQuorum: flag,
    }),
    { nil: undefined },
  ),
  contacts: peers,
})
const addresses = fc.array(fc.record({ memberId: id, peerId }), { maxLength: 8 })
const changes = fc.array(fc.record({ type: fc.constantFrom(...confChangeTypes), nodeId: id }), {
  maxLength: 8,
})
const groupReport = fc.record({
  ...{ group, seat: count, term: count, leader: count, isLeader: flag, commit: count },
  applied: count,
  members: fc.record({ voters: ids, votersOutgoing: ids, learners: ids, learnersNext: ids }),
  progress: fc.array(fc.record({ memberId: id, match: count, isActive: flag }), { maxLength: 6 }),
})
const refusal = fc.record({
  admitted: fc.constant(false as const),
  reason: fc.constantFrom(...messages.joinRefusals),
})
const admission = fc.record({ admitted: fc.constant(true as const), facts })
const keys = fc.array(
  fc.record({ key: fc.string({ maxLength: 40 }), value: fc.uint8Array({ maxLength: 100 }) }),
  { maxLength: 5 },
)
const presence = fc.record({
  ...{ peerId, incarnation: count, sinceMs: count, isReachable: flag, isLeaving: flag },
  load: fc.nat(1000).map((thousandths) => thousandths / 1000),
  roles: fc.array(fc.string({ maxLength: 8 }), { maxLength: 4 }),
})

/** One format: how it is drawn, written and read. */
interface Format<T> {
  readonly name: string
  readonly values: fc.Arbitrary<T>
  readonly encode: (value: T) => Uint8Array
  readonly decode: (bytes: Uint8Array) => T
}

function format<T>(
  name: string,
  values: fc.Arbitrary<T>,
  encode: (value: T) => Uint8Array,
  decode: (bytes: Uint8Array) => T,
): Format<unknown> {
  return { name, values, encode, decode } as unknown as Format<unknown>
}

const formats: readonly Format<unknown>[] = [
  format('hello', hello, messages.encodeHello, messages.decodeHello),
  format(
    'join request',
    fc.record({ regionId, hello }),
    messages.encodeJoinRequest,
    messages.decodeJoinRequest,
  ),
  format(
    'join answer',
    fc.oneof(refusal, admission),
    messages.encodeJoinAnswer,
    messages.decodeJoinAnswer,
  ),
  format(
    'invitation',
    fc.record({ regionId, group, addresses }),
    messages.encodeInvitation,
    messages.decodeInvitation,
  ),
  format(
    'dismissal',
    fc.record({ regionId, group, seat: count }),
    messages.encodeDismissal,
    messages.decodeDismissal,
  ),
  format(
    'change',
    fc.record({ regionId, group, changes, addresses }),
    messages.encodeChangeRequest,
    messages.decodeChangeRequest,
  ),
  format(
    'transfer',
    fc.record({ regionId, group, to: id }),
    messages.encodeTransferRequest,
    messages.decodeTransferRequest,
  ),
  format('region', regionId, messages.encodeRegionId, messages.decodeRegionId),
  format(
    'report',
    fc.record({ memberId: id, groups: fc.array(groupReport, { maxLength: 4 }) }),
    messages.encodeReport,
    messages.decodeReport,
  ),
  format('seat', count, messages.encodeSeat, messages.decodeSeat),
  format('offer', fc.record({ regionId, keys }), messages.encodeOffer, messages.decodeOffer),
  format('facts', facts, encodeFacts, decodeFacts),
  format('counter', count, encodeCounter, decodeCounter),
  format('roster', fc.record({ peerId, incarnation: count }), encodeRoster, decodeRoster),
  format('presence', presence, encodePresence, decodePresence),
]

/** Whether bytes are refused as they must be: by the error that says so, and by no other. */
function isRefused(decode: () => unknown): boolean {
  try {
    decode()
    return false
  } catch (error) {
    if (error instanceof TrackerError && error.code === 'ERR_MALFORMED') return true
    throw error
  }
}

for (const { name, values, encode, decode } of formats) {
  test(name, async (t) => {
    fc.assert(
      fc.property(values, (value) => {
        const bytes = encode(value)
        t.same(decode(bytes), value)
        // Bytes at an offset of a larger buffer are read alike.
        const within = new Uint8Array(bytes.length + 6)
        within.set(bytes, 3)
        t.same(decode(within.subarray(3, 3 + bytes.length)), value)
      }),
      { numRuns: 40 },
    )
    fc.assert(
      fc.property(values, fc.nat(), (value, at) => {
        const bytes = encode(value)
        if (!isRefused(() => decode(bytes.subarray(0, at % bytes.length)))) t.fail('a cut passed')
        if (!isRefused(() => decode(new Uint8Array([...bytes, 0])))) t.fail('a rest passed')
      }),
      { numRuns: 40 },
    )
    fc.assert(
      fc.property(values, fc.nat(), fc.nat(255), (value, at, byte) => {
        // Whatever is taken for a message says the same when it is written again: nothing is read two ways.
        const bytes = encode(value).slice()
        bytes[at % bytes.length] = byte
        if (isRefused(() => decode(bytes))) return
        t.same(encode(decode(bytes)), bytes)
      }),
      { numRuns: 200 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        isRefused(() => decode(bytes))
      }),
      { numRuns: 200 },
    )
    t.pass()
  })
}

test('a false count asks for no memory', async (t) => {
  const bytes = messages.encodeHello({ name: 'a', region: undefined, contacts: [] })
  // The count of contacts stands at the end.
  bytes.fill(0xff, bytes.length - 4)
  t.throws(() => messages.decodeHello(bytes), { code: 'ERR_MALFORMED' })
})

test('every byte of the file of facts counts', async (t) => {
  const bytes = encodeFacts({
    ...{ regionId: 'ab'.repeat(16), name: 'default', foundedAtMs: 1, memberId: 2, incarnation: 3 },
    contacts: ['one', 'two'],
  })
  for (let at = 0; at < bytes.length; at++) {
    const damaged = bytes.slice()
    damaged[at] = (damaged[at] as number) ^ 1
    t.throws(() => decodeFacts(damaged), { code: 'ERR_MALFORMED' }, `byte ${at}`)
  }
})

test('keys of members', async (t) => {
  t.equal(memberIdOf(rosterKey(17), rosterPrefix), 17)
  t.equal(memberIdOf(presenceKey(17), presencePrefix), 17)
  for (const key of ['roster/', 'roster/0', 'roster/-1', 'roster/01', 'roster/1.5', 'roster/a'])
    t.throws(() => memberIdOf(key, rosterPrefix), { code: 'ERR_MALFORMED' }, key)
})
