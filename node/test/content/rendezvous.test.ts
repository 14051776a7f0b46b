/** Rendezvous hashing: the same order everywhere, an even spread, and little movement when peers come and go. */
import fc from 'fast-check'
import { test } from 'tap'
import { rankByRendezvous, shieldsFor } from '../../src/content/rendezvous.ts'

const peers = (count: number): { peerId: string }[] =>
  Array.from({ length: count }, (_, index) => ({ peerId: `peer-${index}` }))

function winners(candidates: readonly { peerId: string; weight?: number }[], keys: number) {
  const counts = new Map<string, number>()
  for (let key = 0; key < keys; key += 1) {
    const [first = ''] = rankByRendezvous(`key ${key}`, candidates)
    counts.set(first, (counts.get(first) ?? 0) + 1)
  }
  return counts
}

test('the order depends on the key and the set of peers, not on how they are listed', async (t) => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 12 }),
      (key, ids) => {
        const listed = ids.map((peerId) => ({ peerId }))
        const ranked = rankByRendezvous(key, listed)
        t.strictSame([...ranked].sort(), [...ids].sort())
        t.strictSame(rankByRendezvous(key, [...listed].reverse()), ranked)
      },
    ),
    { numRuns: 100 },
  )
})

test('a peer that goes changes the order of no others', async (t) => {
  const all = peers(10)
  for (let key = 0; key < 50; key += 1) {
    const ranked = rankByRendezvous(`key ${key}`, all)
    const gone = ranked[key % 10]
    t.strictSame(
      rankByRendezvous(
        `key ${key}`,
        all.filter(({ peerId }) => peerId !== gone),
      ),
      ranked.filter((peerId) => peerId !== gone),
    )
  }
})

test('keys spread evenly', async (t) => {
  const counts = winners(peers(8), 8_000)
  t.equal(counts.size, 8)
  // Binomial with mean 1,000 and deviation 30: five deviations.
  for (const count of counts.values()) t.ok(count > 850 && count < 1_150, `${count} of 8,000`)
})

test('a peer of three times the weight comes first three times as often, one of none never', async (t) => {
  const counts = winners(
    [{ peerId: 'large', weight: 3 }, { peerId: 'small' }, { peerId: 'none', weight: 0 }],
    8_000,
  )
  t.equal(counts.get('none'), undefined)
  const large = counts.get('large') ?? 0
  t.ok(large > 5_800 && large < 6_200, `${large} of 8,000`)
})

test('shields are the first of the order, and all there are when fewer', async (t) => {
  t.strictSame(shieldsFor('key', peers(5), 2), rankByRendezvous('key', peers(5)).slice(0, 2))
  t.equal(shieldsFor('key', peers(2), 5).length, 2)
  t.strictSame(shieldsFor('key', [], 2), [])
  t.strictSame(shieldsFor('key', [{ peerId: 'a' }, { peerId: 'a', weight: 2 }], 2), ['a'])
})

test('a key and a peer are not confused with their neighbours', async (t) => {
  const ids = ['b', 'bc', 'c', 'd', 'e', 'f'].map((peerId) => ({ peerId }))
  t.not(rankByRendezvous('ab', ids).join(), rankByRendezvous('a', ids).join())
})

test('the order is part of the protocol: it stays what it is', async (t) => {
  t.strictSame(rankByRendezvous('https://example.org/', peers(5)), [
    ...['peer-3', 'peer-0', 'peer-4', 'peer-1', 'peer-2'],
  ])
})
