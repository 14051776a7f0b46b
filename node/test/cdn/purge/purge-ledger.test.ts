/** What a peer knows of purges: numbers without gaps, a bounded log, floors, and what another peer has missed. */
import fc from 'fast-check'
import { test } from 'tap'
import {
  type KnownPurge,
  type OriginState,
  PurgeLedger,
} from '../../../src/cdn/purge/purge-ledger.ts'
import type { Purge } from '../../../src/cdn/purge/purge-message.ts'
import type { PurgeSelector } from '../../../src/cdn/purge-selector.ts'
import { purgeLimits } from '../../../src/limits/purge.ts'
import type { SignedPurge as Wire } from '../../../src/protocol/generated/purge_pb.js'

const ISSUER = '12D3KooWAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
const EPOCH = '0123456789abcdef'
const nowMs = 1_000_000

let generation = 0
function known(
  sequence: number,
  { issuer = ISSUER, atMs = nowMs, selector = { by: 'host', host: 'h' } as PurgeSelector } = {},
): KnownPurge {
  generation += 1
  const purge: Purge = {
    ...{ issuer, epoch: EPOCH, sequence, issuedAtMs: 0, selector, mode: 'hard' },
  }
  return { purge, wire: { purge: new Uint8Array(10) } as unknown as Wire, generation, atMs }
}

function ledgerOf(...sequences: number[]): PurgeLedger {
  const ledger = new PurgeLedger()
  for (const sequence of sequences) ledger.add(known(sequence))
  return ledger
}

const origin = { issuer: ISSUER, epoch: EPOCH }
const stateOf = (ledger: PurgeLedger): OriginState => ledger.state()[0] as OriginState
const sequencesOf = (purges: readonly KnownPurge[]): number[] =>
  purges.map(({ purge }) => purge.sequence)

test('numbers in a row are told by the last, others one by one', async (t) => {
  const ledger = ledgerOf(1, 2, 5, 4)
  t.match(stateOf(ledger), { through: 2, beyond: [4, 5], floor: 0 })
  ledger.add(known(3))
  t.match(stateOf(ledger), { through: 5, beyond: [] })
  t.equal(ledger.has({ ...origin, sequence: 5 }), true)
  t.equal(ledger.has({ ...origin, sequence: 6 }), false)
})

test('peers that know the same have the same digest, in whatever order they heard', async (t) => {
  t.same(ledgerOf(1, 2, 4).digest(), ledgerOf(4, 2, 1).digest())
  t.not(ledgerOf(1, 2).digest().equals(ledgerOf(1, 3).digest()), true)
})

test('what another peer has missed is told in the order of its coming', async (t) => {
  const ledger = ledgerOf(2, 1, 3, 5)
  t.strictSame(sequencesOf(ledger.missing([]).purges), [2, 1, 3, 5])
  t.strictSame(
    sequencesOf(ledger.missing([{ ...origin, through: 1, beyond: [3], floor: 0 }]).purges),
    [2, 5],
  )
  const ignoring = [{ ...origin, through: 0, beyond: [], floor: 0, ignored: true }]
  t.strictSame(ledger.missing(ignoring).purges, [], 'an ignored issuer is not told')
  t.equal(ledger.lacks([{ ...origin, through: 6, beyond: [], floor: 0, ignored: true }]), false)
  t.equal(ledger.lacks([{ ...origin, through: 3, beyond: [5], floor: 0 }]), false)
  t.equal(ledger.lacks([{ ...origin, through: 4, beyond: [], floor: 0 }]), true)
  t.equal(ledger.lacks([{ ...origin, through: 3, beyond: [7], floor: 0 }]), true)
})

test('an answer is bounded in number', async (t) => {
  const count = purgeLimits.pagePurgesMax + 1
  const ledger = ledgerOf(...Array.from({ length: count }, (_, index) => index + 1))
  const page = ledger.missing([])
  t.equal(page.purges.length, purgeLimits.pagePurgesMax)
  t.equal(page.more, true)
  const state = { ...origin, through: purgeLimits.pagePurgesMax, beyond: [], floor: 0 }
  t.match(ledger.missing([state]), { more: false })
})

test('a purge that runs too far ahead is refused, and so are too many issuers', async (t) => {
  const ledger = ledgerOf(1)
  t.throws(() => ledger.expectRoom(known(purgeLimits.aheadMax + 2), nowMs), { code: 'ERR_LIMIT' })
  ledger.expectRoom(known(purgeLimits.aheadMax + 1), nowMs)
  for (let index = 1; index < purgeLimits.originsMax; index += 1) {
    ledger.add(known(1, { issuer: `issuer-${index}` }))
  }
  t.throws(() => ledger.expectRoom(known(1, { issuer: 'one more' }), nowMs), { code: 'ERR_LIMIT' })
  const laterMs = nowMs + purgeLimits.originAgeMsMax + 1
  ledger.expectRoom(known(1, { issuer: 'one more' }), laterMs)
  t.equal(ledger.state().length, purgeLimits.originsMax - 1, 'the oldest makes room')
})

test('a full log drops the oldest and says up to where', async (t) => {
  const count = purgeLimits.logPurgesMax + 1
  const ledger = ledgerOf(...Array.from({ length: count }, (_, index) => index + 1))
  const digest = ledger.digest()
  t.equal(ledger.compact(nowMs), true)
  t.equal(ledger.size, purgeLimits.logPurgesMax * purgeLimits.logKeepShare)
  t.equal(stateOf(ledger).floor, count - ledger.size)
  t.same(ledger.digest(), digest, 'what is known is the same')
  t.ok(ledger.droppedGeneration > 0)
  t.equal(ledger.compact(nowMs), false)
})

test('a full log drops what a hard purge of everything covers', async (t) => {
  const count = purgeLimits.logPurgesMax
  const ledger = ledgerOf(...Array.from({ length: count }, (_, index) => index + 1))
  ledger.add(known(count + 1, { selector: { by: 'everything' } }))
  ledger.add(known(count + 2))
  ledger.compact(nowMs)
  t.strictSame(sequencesOf([...ledger.entries()]), [count + 1, count + 2])
})

test('old purges leave the log, but never the newest of an issuer, nor those above a gap', async (t) => {
  const ledger = new PurgeLedger()
  for (const sequence of [1, 2, 3, 6, 7]) ledger.add(known(sequence, { atMs: 0 }))
  ledger.compact(purgeLimits.logAgeMsMax + 1)
  t.match(stateOf(ledger), { through: 3, floor: 3, beyond: [6, 7] })
  const whole = new PurgeLedger()
  for (const sequence of [1, 2, 3]) whole.add(known(sequence, { atMs: 0 }))
  whole.compact(purgeLimits.logAgeMsMax + 1)
  t.match(stateOf(whole), { through: 3, floor: 2 })
  t.equal(whole.size, 1)
})

test('a floor is believed only below a purge that is known', async (t) => {
  const ledger = ledgerOf(1, 9)
  const floor = (value: number): OriginState => ({
    ...origin,
    through: value,
    beyond: [],
    floor: value,
  })
  t.equal(ledger.isGap(floor(5), []), true)
  t.equal(ledger.isGap(floor(9), []), false, 'nobody has shown a purge above it')
  t.equal(ledger.isGap(floor(9), [known(10)]), true)
  t.equal(ledger.isGap(floor(1), []), false, 'nothing is missing')
  ledger.skipTo(floor(2 ** 50))
  t.match(stateOf(ledger), { through: 1 })
  ledger.skipTo(floor(8))
  t.match(stateOf(ledger), { through: 9, floor: 8, beyond: [] })
})

test('ledgers that tell each other what is missing end with the same, in any order (property)', async (t) => {
  const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 60 })
  fc.assert(
    fc.property(numbers, numbers, (mine, theirs) => {
      const a = ledgerOf(...mine)
      const b = ledgerOf(...theirs)
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const) {
        const { purges } = from.missing(to.state())
        if (purges.length > 0 !== to.lacks(from.state())) return false
        for (const entry of purges) to.add({ ...entry })
      }
      return a.digest().equals(b.digest()) && !a.lacks(b.state()) && !b.lacks(a.state())
    }),
  )
  t.pass('they do')
})
