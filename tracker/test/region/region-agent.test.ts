/** Founding, joining and giving way: the agent alone, and many agents that meet in any order. */
import fc from 'fast-check'
import { test } from 'tap'
import { type AgentAction, type AgentEvent, RegionAgent } from '../../src/region/region-agent.ts'
import type { RegionFacts } from '../../src/region/region-facts.ts'
import { regionLimits, regionTimes } from '../../src/region/region-limits.ts'
import type { Hello } from '../../src/region/region-messages.ts'
import { givesWay } from '../../src/region/region-rank.ts'
import { AgentWorld } from './support/agent-world.ts'

const idOf = (letter: string): string => letter.repeat(32)

function factsOf(letter: string, init: Partial<RegionFacts> = {}): RegionFacts {
  return {
    ...{ regionId: idOf(letter), name: 'default', foundedAtMs: 1_000, memberId: 1 },
    ...{ incarnation: 1, contacts: [] },
    ...init,
  }
}

function helloOf(letter: string, init: Partial<Hello['region'] & object> = {}): Hello {
  const region = { regionId: idOf(letter), memberCount: 1, foundedAtMs: 500, hasQuorum: true }
  return { name: 'default', region: { ...region, ...init }, contacts: [] }
}

const looksToo: Hello = { name: 'default', region: undefined, contacts: [] }

/** An agent with a clock at hand. */
class Bench {
  readonly agent = new RegionAgent('me', 'default')
  atMs = 0

  take(...events: readonly AgentEvent[]): AgentAction[] {
    return events.flatMap((event) => this.agent.step(event, this.atMs))
  }

  /** Time passes, second by second. */
  pass(ms: number): AgentAction[] {
    const actions: AgentAction[] = []
    for (let passed = 0; passed < ms; passed += 500) {
      this.atMs += 500
      actions.push(...this.take({ type: 'tick' }))
    }
    return actions
  }

  founder(letter = 'f', init: Partial<RegionFacts> = {}): this {
    this.take({ type: 'start', facts: undefined, expectsPeers: false })
    this.take({ type: 'entered', facts: factsOf(letter, init) })
    this.take({ type: 'standing', memberCount: 1, hasQuorum: true })
    return this
  }
}

const types = (actions: readonly AgentAction[]): string[] => actions.map(({ type }) => type)

test('a peer that expects nobody founds at once', async (t) => {
  const bench = new Bench()
  t.same(types(bench.take({ type: 'start', facts: undefined, expectsPeers: false })), ['found'])
  t.equal(bench.agent.status.phase, 'entering')
  t.notOk(bench.agent.mayAdmit)
  t.equal(bench.agent.hello.region, undefined, 'it speaks for a region only when that is there')
  bench.take({ type: 'entered', facts: factsOf('a') })
  t.equal(bench.agent.status.phase, 'member')
  t.equal(bench.agent.hello.region?.regionId, idOf('a'))
})

test('a peer that remembers a region goes on in it', async (t) => {
  const bench = new Bench()
  const facts = factsOf('a', { memberId: 3, contacts: ['one', 'two'] })
  t.same(bench.take({ type: 'start', facts, expectsPeers: true }), [{ type: 'enter', facts }])
  const greeted = bench.take({ type: 'entered', facts })
  t.same(types(greeted), ['greet', 'greet'])
  t.equal(bench.agent.hello.region?.memberCount, 3)
  t.notOk(bench.agent.hello.region?.hasQuorum)
  bench.take({ type: 'hello', peerId: 'x', hello: helloOf('b', { memberCount: 9 }) })
  t.notOk(types(bench.pass(5_000)).includes('ask'), 'not before it knows how its own region stands')
})

test('a peer that expects others looks for a while, then founds', async (t) => {
  const bench = new Bench()
  t.same(bench.take({ type: 'start', facts: undefined, expectsPeers: true }), [])
  t.notOk(types(bench.pass(regionTimes.lookMs - 1_000)).includes('found'))
  t.same(types(bench.pass(1_500)), ['found'])
})

test('it asks the best region that answers, at once', async (t) => {
  const bench = new Bench()
  bench.take({ type: 'start', facts: undefined, expectsPeers: true })
  t.same(bench.take({ type: 'link', peerId: 'x', isUp: true }), [{ type: 'greet', peerId: 'x' }])
  t.same(bench.take({ type: 'hello', peerId: 'z', hello: { ...helloOf('c'), name: 'other' } }), [])
  t.same(bench.take({ type: 'hello', peerId: 'x', hello: helloOf('b') }), [
    { type: 'ask', peerId: 'x', regionId: idOf('b') },
  ])
  t.same(
    bench.take({ type: 'hello', peerId: 'y', hello: helloOf('c', { memberCount: 3 }) }),
    [],
    'one at a time',
  )
  const refused = bench.take({ type: 'refused', reason: 'unreachable' })
  t.same(types(refused), ['greet'])
  const asked = bench.pass(1_000)
  t.same(
    asked.filter(({ type }) => type === 'ask'),
    [{ type: 'ask', peerId: 'y', regionId: idOf('c') }],
  )
  const facts = factsOf('c', { memberId: 4 })
  t.same(bench.take({ type: 'admitted', facts }), [
    { type: 'move', from: undefined, to: facts, via: 'y' },
  ])
  t.same(bench.take({ type: 'admitted', facts }), [], 'a second admission is nothing')
})

test('contacts of a hello are asked as well', async (t) => {
  const bench = new Bench()
  bench.take({ type: 'start', facts: undefined, expectsPeers: true })
  const hello = { ...helloOf('b', { hasQuorum: false }), contacts: ['other', 'me'] }
  bench.take({ type: 'hello', peerId: 'x', hello })
  const greeted = bench.pass(1_000).filter((action) => action.type === 'greet')
  t.same(greeted.map(({ peerId }) => peerId).sort(), ['other', 'x'])
})

test('it waits for a region without quorum instead of splitting the name', async (t) => {
  const bench = new Bench()
  bench.take({ type: 'start', facts: undefined, expectsPeers: true })
  bench.take({ type: 'hello', peerId: 'x', hello: helloOf('b', { hasQuorum: false }) })
  t.notOk(types(bench.pass(60_000)).includes('found'))
  t.equal(bench.agent.status.waitsFor, idOf('b'))
  t.same(types(bench.take({ type: 'hello', peerId: 'x', hello: helloOf('b') })), ['ask'])
  bench.take({ type: 'refused', reason: 'no-quorum' })
  t.notOk(types(bench.pass(60_000)).includes('found'))
  // Nobody has heard of it for long: it is over.
  t.ok(types(bench.pass(regionTimes.conflictMs)).includes('found'))
})

test('an operator may found beside it', async (t) => {
  const bench = new Bench()
  bench.take({ type: 'start', facts: undefined, expectsPeers: true })
  bench.take({ type: 'hello', peerId: 'x', hello: helloOf('b', { hasQuorum: false }) })
  t.same(types(bench.take({ type: 'forget' })), ['found'])
})

test('where all look, the first founds', async (t) => {
  const first = new Bench()
  first.take({ type: 'start', facts: undefined, expectsPeers: true })
  first.take({ type: 'link', peerId: 'you', isUp: true })
  first.take({ type: 'hello', peerId: 'you', hello: looksToo })
  t.notOk(types(first.pass(regionTimes.settleMs - 500)).includes('found'))
  t.ok(types(first.pass(1_000)).includes('found'))
  const second = new Bench()
  second.take({ type: 'start', facts: undefined, expectsPeers: true })
  second.take({ type: 'link', peerId: 'anna', isUp: true })
  second.take({ type: 'hello', peerId: 'anna', hello: looksToo })
  t.notOk(types(second.pass(regionTimes.lookMs - 500)).includes('found'))
})

test('a lone founder gives way by rank', async (t) => {
  const asks = (init: Partial<RegionFacts>, other: Hello): boolean => {
    const bench = new Bench().founder('f', init)
    bench.take({ type: 'hello', peerId: 'x', hello: other })
    return types(bench.pass(regionTimes.settleMs)).includes('ask')
  }
  t.ok(asks({}, helloOf('b', { memberCount: 2, foundedAtMs: 9_999 })), 'to one with more members')
  t.ok(asks({}, helloOf('b', { foundedAtMs: 999 })), 'to the one founded before')
  t.notOk(asks({}, helloOf('b', { foundedAtMs: 1_001 })), 'not to the one founded later')
  t.ok(asks({}, helloOf('b', { foundedAtMs: 1_000 })), 'to the smaller id')
  t.notOk(asks({}, helloOf('g', { foundedAtMs: 1_000 })), 'not to the larger id')
  t.notOk(asks({}, { ...helloOf('b'), name: 'other' }), 'not to another name')
  t.notOk(asks({}, helloOf('b', { hasQuorum: false })), 'not to one that cannot let it in')
})

test('a founder moves only when it was let in, and lets nobody in meanwhile', async (t) => {
  const bench = new Bench().founder()
  t.ok(bench.agent.mayAdmit)
  bench.take({ type: 'hello', peerId: 'x', hello: helloOf('b') })
  t.ok(bench.agent.mayAdmit, 'while it waits for others to be heard')
  bench.take({ type: 'hello', peerId: 'y', hello: helloOf('c', { foundedAtMs: 700 }) })
  t.same(
    bench.pass(regionTimes.settleMs).filter(({ type }) => type === 'ask'),
    [{ type: 'ask', peerId: 'x', regionId: idOf('b') }],
    'and then asks the best one',
  )
  t.notOk(bench.agent.mayAdmit)
  t.equal(bench.agent.status.facts?.regionId, idOf('f'))
  const to = factsOf('b', { memberId: 7 })
  const from = bench.agent.status.facts
  t.same(bench.take({ type: 'admitted', facts: to }), [{ type: 'move', from, to, via: 'x' }])
  bench.take({ type: 'failed' })
  t.equal(bench.agent.status.facts?.regionId, idOf('f'), 'a move that failed changes nothing')
  t.ok(bench.agent.mayAdmit)
  t.notOk(types(bench.pass(500)).includes('ask'))
  t.ok(types(bench.pass(4_500)).includes('ask'), 'and is tried again')
})

test('a founder that lets somebody in stays until that is done', async (t) => {
  const bench = new Bench().founder()
  bench.take({ type: 'admitting', isDone: false })
  bench.take({ type: 'hello', peerId: 'x', hello: helloOf('b') })
  t.notOk(types(bench.pass(10_000)).includes('ask'))
  bench.take({ type: 'standing', memberCount: 2, hasQuorum: true })
  t.notOk(types(bench.take({ type: 'admitting', isDone: true })).includes('ask'))
  t.same(bench.agent.status.conflicts, [], 'it is the other one that comes')
})

test('regions of several members conflict, and neither moves by itself', async (t) => {
  const bench = new Bench().founder()
  bench.take({ type: 'standing', memberCount: 2, hasQuorum: true })
  const actions = bench.take({
    type: 'hello',
    peerId: 'x',
    hello: helloOf('b', { memberCount: 3 }),
  })
  t.notOk(types(actions).includes('ask'))
  t.match(bench.agent.status.conflicts, [
    { regionId: idOf('b'), memberCount: 3, speakers: ['x'], isOursToGiveWay: true },
  ])
  bench.take({ type: 'hello', peerId: 'x', hello: helloOf('b', { memberCount: 1 }) })
  t.same(bench.agent.status.conflicts, [], 'the other one is alone now and comes by itself')
  bench.take({
    type: 'hello',
    peerId: 'x',
    hello: helloOf('b', { memberCount: 2, foundedAtMs: 5_000 }),
  })
  t.match(bench.agent.status.conflicts, [{ isOursToGiveWay: false }])
  bench.pass(regionTimes.conflictMs + 1_000)
  t.same(bench.agent.status.conflicts, [], 'what nobody speaks of any more is over')
})

test('an operator merges', async (t) => {
  const bench = new Bench().founder()
  bench.take({ type: 'standing', memberCount: 2, hasQuorum: true })
  t.same(bench.take({ type: 'merge', regionId: idOf('b') }), [], 'into what it has heard of')
  bench.take({ type: 'hello', peerId: 'x', hello: helloOf('b', { memberCount: 3 }) })
  t.same(bench.take({ type: 'merge', regionId: idOf('b') }), [
    { type: 'ask', peerId: 'x', regionId: idOf('b') },
  ])
})

test('a region that does not let this peer in is left alone', async (t) => {
  const bench = new Bench().founder()
  bench.take({ type: 'hello', peerId: 'x', hello: helloOf('b') })
  bench.pass(regionTimes.settleMs)
  bench.take({ type: 'refused', reason: 'not-allowed' })
  t.notOk(types(bench.pass(60_000)).includes('ask'))
  bench.take({ type: 'hello', peerId: 'x', hello: helloOf('b') })
  t.match(bench.agent.status.conflicts, [{ isRefused: true }])
  const looker = new Bench()
  looker.take({ type: 'start', facts: undefined, expectsPeers: true })
  looker.take({ type: 'hello', peerId: 'x', hello: helloOf('b') })
  looker.take({ type: 'refused', reason: 'not-allowed' })
  t.ok(types(looker.pass(regionTimes.lookMs)).includes('found'), 'it has a right to be alone')
})

test('a region without quorum is degraded after a while, and stays', async (t) => {
  const bench = new Bench().founder()
  t.notOk(bench.agent.status.isDegraded)
  bench.pass(10_000)
  bench.take({ type: 'standing', memberCount: 2, hasQuorum: false })
  bench.pass(regionTimes.degradedMs - 1_000)
  t.notOk(bench.agent.status.isDegraded)
  bench.pass(1_000)
  t.ok(bench.agent.status.isDegraded)
  t.equal(bench.agent.status.phase, 'member')
  t.notOk(bench.agent.hello.region?.hasQuorum)
  bench.take({ type: 'standing', memberCount: 2, hasQuorum: true })
  t.notOk(bench.agent.status.isDegraded)
  t.same(types(bench.take({ type: 'forget' })), ['found'])
})

test('a member that the region does not know comes back as a newcomer', async (t) => {
  const bench = new Bench()
  const facts = factsOf('a', { memberId: 3, contacts: ['one'] })
  bench.take({ type: 'start', facts, expectsPeers: true }, { type: 'entered', facts })
  t.same(bench.take({ type: 'expelled' }), [{ type: 'drop', facts }])
  t.same(bench.take({ type: 'expelled' }), [], 'once')
  t.same(bench.take({ type: 'hello', peerId: 'one', hello: helloOf('a') }), [])
  const looked = bench.take({ type: 'dropped' })
  t.ok(types(looked).includes('ask'))
  bench.take({ type: 'left' })
  t.equal(bench.agent.status.phase, 'idle')
  t.same(bench.pass(60_000), [])
})

test('no more peers are remembered than there is room for', async (t) => {
  const bench = new Bench()
  bench.take({ type: 'start', facts: undefined, expectsPeers: true })
  for (let nth = 0; nth < regionLimits.peersMax; nth++)
    bench.take({ type: 'link', peerId: `peer-${nth}`, isUp: true })
  t.equal(bench.agent.peersDropped, 0)
  bench.take({ type: 'link', peerId: 'one-more', isUp: true })
  t.equal(bench.agent.peersDropped, 1)
  bench.take({ type: 'link', peerId: 'peer-7', isUp: false })
  bench.take({ type: 'link', peerId: 'one-more', isUp: true })
  t.equal(bench.agent.peersDropped, 1)
  t.ok(bench.pass(500).length <= regionLimits.greetingsMax)
})

test('of two regions exactly one gives way', async (t) => {
  const rank = fc.record({
    regionId: fc.constantFrom('a', 'b', 'c'),
    memberCount: fc.integer({ min: 1, max: 3 }),
    foundedAtMs: fc.nat(2),
  })
  fc.assert(
    fc.property(rank, rank, (a, b) => {
      if (a.regionId === b.regionId) return
      t.equal(givesWay(a, b), !givesWay(b, a))
    }),
  )
  t.pass()
})

test('founders that meet in any order end in one region', async (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 6 }), fc.nat(), (count, seed) => {
      const world = new AgentWorld(count, seed)
      world.runApart()
      const before = world.regions().size
      world.runTogether()
      // Whoever was alone has moved; what is left in several regions says so.
      if (!world.isSettled()) t.fail(`seed ${seed}, ${count} peers: ${world.describe()}`)
      if (before === count && world.regions().size !== 1)
        t.fail(`seed ${seed}, ${count} lone founders: ${world.describe()}`)
    }),
    { numRuns: 150 },
  )
  t.pass()
})
