/** Swarms against a slow model, and the bounds that take too many peers to reach over sockets. */
import fc from 'fast-check'
import { test } from 'tap'
import { webtorrentLimits as limits } from '../../src/limits/signalling.ts'
import { type PeerLine, Swarm } from '../../src/signalling/swarm.ts'
import { Swarms } from '../../src/signalling/swarms.ts'
import { fuzzRuns } from '../support/fuzz.ts'

const line: PeerLine = {
  address: 'a',
  giveOffer: () => true,
  giveAnswer: () => true,
  displaced: () => {},
}

test('a swarm is a set, and gives others of it', async () => {
  const step = fc.record({
    kind: fc.constantFrom('set', 'set', 'delete', 'pick'),
    id: fc.nat(12).map(String),
    isComplete: fc.boolean(),
    count: fc.nat(14),
    random: fc.double({ min: 0, max: 0.999999, noNaN: true }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const swarm = new Swarm()
      const model = new Map<string, boolean>()
      for (const { kind, id, isComplete, count, random } of steps) {
        if (kind === 'set') {
          swarm.set({ id, line, isComplete })
          model.set(id, isComplete)
        } else if (kind === 'delete') {
          swarm.delete(id)
          model.delete(id)
        } else {
          const picked = swarm.pick(count, id, () => random).map((peer) => peer.id)
          const others = [...model.keys()].filter((other) => other !== id)
          const isRight =
            picked.length === Math.min(count, others.length) &&
            new Set(picked).size === picked.length &&
            picked.every((other) => others.includes(other))
          if (!isRight) throw new Error(`picked ${picked} of ${others}`)
        }
        const complete = [...model.values()].filter(Boolean).length
        if (swarm.size !== model.size || swarm.counts.complete !== complete) return false
        if (swarm.counts.incomplete !== model.size - complete) return false
        if (swarm.find(id)?.isComplete !== model.get(id)) return false
      }
      return true
    }),
    { numRuns: fuzzRuns(300) },
  )
})

test('everybody is as likely as the next one', async (t) => {
  const swarm = new Swarm()
  for (let id = 0; id < 10; id += 1) swarm.set({ id: String(id), line, isComplete: false })
  const counts = new Map<string, number>()
  let seed = 1
  // A multiplicative generator (Park and Miller), so that every run sees the same.
  const random = (): number => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed / 2_147_483_647
  }
  for (let round = 0; round < 9_000; round += 1) {
    for (const { id } of swarm.pick(3, '0', random)) counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  t.equal(counts.size, 9)
  t.ok([...counts.values()].every((count) => Math.abs(count - 3_000) < 200))
})

test('so many swarms, and peers of one', async (t) => {
  const swarms = new Swarms()
  const enter = (swarm: number, id: number) =>
    swarms.enter(`s${swarm}`, { id: `p${id}`, line, isComplete: false })
  for (let swarm = 0; swarm < limits.swarmsMax; swarm += 1) enter(swarm, 0)
  t.equal(enter(limits.swarmsMax, 0), 'swarms')
  for (let id = 1; id < limits.peersPerSwarmMax; id += 1) enter(0, id)
  t.equal(enter(0, limits.peersPerSwarmMax), 'swarm-peers')
  t.equal(enter(0, 1), undefined, 'who is in may go on')
  t.equal(swarms.peers, limits.swarmsMax + limits.peersPerSwarmMax - 1)
  swarms.leave('s1', 'p0')
  swarms.leave('s1', 'p0')
  swarms.leave('s0', 'p1')
  t.equal(swarms.size, limits.swarmsMax - 1)
  t.equal(enter(limits.swarmsMax, 0), undefined)
  t.equal(enter(0, limits.peersPerSwarmMax), undefined)
  t.equal(swarms.peers, limits.swarmsMax + limits.peersPerSwarmMax - 1)
})
