/** Placement: which members vote in which group, and by which steps they come to. */
import fc from 'fast-check'
import { test } from 'tap'
import { rendezvous } from '../../src/region/member-order.ts'
import { chooseMembers, majority } from '../../src/region/voter-choice.ts'
import { PlacementWorld } from './support/placement-world.ts'

/** Rounds until everything has settled: absence, presence and returns are waited out. */
const ENOUGH = 60

/** A region of so many members, settled. */
function region(members: number, seed = 1): PlacementWorld {
  const world = new PlacementWorld(seed)
  for (let nth = 1; nth < members; nth++) world.join()
  world.run(ENOUGH)
  return world
}

const sizes = (world: PlacementWorld): number[] => [
  ...new Set(world.groups.map(({ group }) => world.voters(group).length)),
]

const leads = (world: PlacementWorld): number[] =>
  [...world.members.keys()].map((id) => world.groups.filter(({ leader }) => leader === id).length)

test('how many vote', async (t) => {
  for (const [members, voters] of [
    [1, 1],
    [2, 1],
    [3, 3],
    [4, 3],
    [5, 5],
    [7, 5],
    [12, 5],
  ] as const)
    t.same(sizes(region(members)), [voters], `${members} members`)
})

test('a second member copies at once, and votes when it has proved steady', async (t) => {
  const world = region(2)
  t.same(world.learners(0), [2])
  world.atMs += world.settings.pairAgeMs
  world.run(ENOUGH)
  t.same(sizes(world), [2])
  world.join()
  world.run(ENOUGH)
  t.same(sizes(world), [3])
  // And when the third leaves, the two go on.
  world.member(3).isLeaving = true
  world.run(ENOUGH)
  t.same(sizes(world), [2])
})

test('who came just now does not vote yet', async (t) => {
  const world = new PlacementWorld(1)
  world.join()
  world.join()
  t.same(world.plan().steps, [])
  world.run(ENOUGH)
  t.same(sizes(world), [3])
})

test('nothing moves in a region that is settled', async (t) => {
  const world = region(9)
  const { seatsGiven, transfers } = world
  world.run(ENOUGH)
  t.same(world.plan(), { steps: [], stuck: [] })
  t.equal(world.seatsGiven, seatsGiven)
  t.equal(world.transfers, transfers)
})

test('a better member takes nobody’s seat', async (t) => {
  const world = new PlacementWorld(1)
  for (let nth = 0; nth < 4; nth++) world.join({ isReachable: false, load: 1 })
  world.run(ENOUGH)
  const { seatsGiven } = world
  for (let nth = 0; nth < 5; nth++) world.join()
  world.run(ENOUGH)
  t.equal(world.seatsGiven, seatsGiven)
})

test('the steadiest are chosen, who can be reached first', async (t) => {
  const world = new PlacementWorld(1)
  const [bad, busy, young, good, fine] = [
    world.join({ isReachable: false, sinceMs: 0 }),
    world.join({ load: 1, sinceMs: 0 }),
    world.join(),
    world.join({ sinceMs: 0 }),
    world.join({ sinceMs: 0 }),
  ]
  world.atMs += world.settings.voterAgeMs
  const members = new Map(
    [...world.members.values()].map((member) => [
      member.memberId,
      { ...member, presentMs: world.atMs - member.sinceMs, absentMs: 0 },
    ]),
  )
  const group = { group: 3, barred: new Set<number>() }
  const none = { voters: [], votersOutgoing: [], learners: [], learnersNext: [] }
  const { voters } = chooseMembers({ ...group, members: none }, members, world.settings)
  t.same(
    voters,
    [1, busy, young, good, fine].map((m) => (typeof m === 'number' ? m : m.memberId)),
  )
  const three = { ...world.settings, votersMax: 3 }
  const best = chooseMembers({ ...group, members: none }, members, three)
  t.same(best.voters, [1, good.memberId, fine.memberId])
  t.ok(bad.memberId > 0)
})

test('a short absence moves nothing, a long one gives the seat to another', async (t) => {
  const world = region(6)
  const before = world.seatsGiven
  const lost = world.voters(4)[1] as number
  const seats = world.groups.filter(({ group }) => world.voters(group).includes(lost)).length
  world.lose(lost)
  world.run(Math.floor(world.settings.goneMs / world.settings.roundMs) - 2)
  t.equal(world.seatsGiven, before)
  world.run(ENOUGH)
  t.equal(world.seatsGiven, before + seats, 'each seat moved once')
  t.notOk(world.groups.some(({ group }) => world.voters(group).includes(lost)))
  t.same(sizes(world), [5])
  world.comeBack(lost)
  world.run(ENOUGH)
  t.equal(world.seatsGiven, before + seats, 'and nothing moves when it is back')
})

test('a seat that nobody else can take is left to who is absent', async (t) => {
  const world = region(3)
  world.lose(3)
  world.run(ENOUGH)
  t.same(sizes(world), [3])
  world.comeBack(3)
  world.run(ENOUGH)
  t.same(sizes(world), [3])
})

test('of five two are gone for good: three can lose one more, five could not', async (t) => {
  const world = region(5)
  world.lose(4)
  world.run(ENOUGH)
  t.same(sizes(world), [5], 'with one gone the size makes no difference')
  world.lose(5)
  world.run(ENOUGH)
  t.same(sizes(world), [3])
})

test('who leaves is replaced at once, the leader too', async (t) => {
  const world = region(6)
  const leader = world.groups[0]?.leader as number
  world.member(leader).isLeaving = true
  world.run(8)
  t.notOk(world.groups.some(({ group }) => world.voters(group).includes(leader)))
  t.notOk(world.groups.some((group) => group.leader === leader))
})

test('the founder of a region of one can hand everything over', async (t) => {
  const world = region(2)
  world.member(1).isLeaving = true
  world.run(ENOUGH)
  t.ok(world.groups.every(({ group, leader }) => leader === 2 && world.voters(group).length === 1))
})

test('who was struck off has no seat', async (t) => {
  const world = region(6)
  world.lose(2)
  world.members.delete(2)
  world.run(8)
  t.notOk(world.groups.some(({ group }) => world.voters(group).includes(2)))
})

test('without a majority nothing is asked', async (t) => {
  const world = region(3)
  world.lose(2)
  world.lose(3)
  const { seatsGiven } = world
  world.join()
  world.join()
  world.run(ENOUGH)
  t.equal(world.seatsGiven, seatsGiven)
})

test('leaders are spread', async (t) => {
  for (const members of [3, 4, 5]) {
    const world = region(members)
    const counts = leads(world).filter((_, nth) => nth < members)
    t.ok(Math.max(...counts) <= Math.ceil(17 / members) + 1, `${members} members: ${counts}`)
  }
})

test('free seats are spread by hash', async (t) => {
  const counts = new Map<number, number>()
  for (let group = 0; group < 1_000; group++) {
    const best = [1, 2, 3, 4, 2 ** 40 + 1].sort(
      (a, b) => rendezvous(group, b) - rendezvous(group, a),
    )
    counts.set(best[0] as number, (counts.get(best[0] as number) ?? 0) + 1)
  }
  for (const [id, count] of counts) t.ok(count > 150 && count < 250, `${id}: ${count}`)
})

test('from any state it converges, by safe steps, and moves few', async (t) => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 12 }), (seed, members) => {
      const world = new PlacementWorld(seed, 5)
      for (let nth = 1; nth < members; nth++)
        world.join({ isReachable: world.random() < 0.7, load: world.random() })
      // Members come, go, come back and leave while steps get lost.
      for (let turn = 0; turn < 12; turn++) {
        const ids = [...world.members.keys()]
        const id = ids[Math.floor(world.random() * ids.length)] as number
        const chance = world.random()
        const present = ids.filter((other) => world.isThere(other)).length
        if (chance < 0.35 && present > 1) world.lose(id)
        else if (chance < 0.65 && !world.isThere(id)) world.comeBack(id)
        else if (chance < 0.8) world.join()
        else if (present > 2 && chance < 0.87) world.member(id).isLeaving = true
        world.run(Math.floor(world.random() * 14), 0.2)
      }
      // Then all who have not left come back, and all settles.
      for (const member of world.members.values())
        if (!member.isThere) world.comeBack(member.memberId)
      world.run(ENOUGH)
      const alive = [...world.members.values()].filter(({ isLeaving }) => !isLeaving).length
      const { steps, stuck } = world.plan()
      const where = `seed ${seed}, ${members} members`
      if (steps.length > 0 || stuck.length > 0)
        t.fail(`${where}: not settled ${JSON.stringify(steps)}`)
      for (const { group } of world.groups) {
        const voters = world.voters(group)
        if (!world.hasQuorum(group)) t.fail(`${where}: group ${group} has no quorum`)
        if (alive >= 3 && voters.length % 2 === 0) t.fail(`${where}: ${voters.length} voters`)
        if (alive >= 3 && voters.length < 3) t.fail(`${where}: ${voters.length} voters of ${alive}`)
        if (voters.some((id) => world.member(id).isLeaving) && alive > 0)
          t.fail(`${where}: who left votes`)
      }
      const given = world.seatsGiven
      world.run(ENOUGH)
      if (world.seatsGiven !== given) t.fail(`${where}: it goes on moving`)
    }),
    { numRuns: 120 },
  )
  t.equal(majority(4), 3)
})
