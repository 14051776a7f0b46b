/** Followers of a live rendition: when trees are planned, who is told what and in which order, what parts are. */
import { test } from 'tap'
import { treeLimits as limits } from '../../../src/limits/swarm.ts'
import { type ScriptedPage, ScriptedSwarm } from '../../support/swarm-pages.ts'
import { digestOf } from '../../support/swarm-stage.ts'

const follow = { kind: 'follow', rendition: 'live', partMs: 200 } as const

function following(count: number): { swarm: ScriptedSwarm; pages: ScriptedPage[] } {
  const swarm = new ScriptedSwarm()
  const pages = swarm.enterMany(count)
  for (const page of pages) page.say(follow)
  swarm.clock.advance(limits.planMsMin)
  return { swarm, pages }
}

test('pages that follow are told their places, once they know whom to connect to', async (t) => {
  const { swarm, pages } = following(4)
  t.equal(await swarm.count('plans_total'), 1)
  for (const page of pages) {
    const [tree] = page.take('tree')
    t.equal(tree?.rendition, 'live')
    t.equal(tree?.stripes.length, 4)
    t.equal(tree?.stripes.filter(({ parent }) => parent === undefined).length, 1)
    for (const { parent } of tree?.stripes ?? []) {
      if (parent !== undefined) t.ok(page.entry.page.links.has(parent))
    }
  }
  const late = swarm.enter()
  late.say(follow)
  t.strictSame(late.take('tree'), [])
  swarm.clock.advance(limits.planMsMin)
  t.equal(late.take('tree')[0]?.stripes.length, 5)
  late.say({ kind: 'follow' })
  swarm.clock.advance(limits.planMsMin)
  t.equal(pages[0]?.take('tree').length, 2)
  late.say(follow)
  late.say({ kind: 'follow', rendition: 'other' })
  t.equal(swarm.swarms.load().followers, 5, 'a page follows one rendition')
})

test('in a large swarm a tree comes with the connections that it needs', async (t) => {
  const { pages } = following(80)
  for (const page of pages) {
    const [tree] = page.take('tree')
    for (const { parent, children } of tree?.stripes ?? []) {
      for (const id of [parent, ...children]) {
        if (id !== undefined) t.ok(page.entry.page.links.has(id))
      }
    }
    const at = page.heard.findIndex(({ kind }) => kind === 'tree')
    t.ok(page.heard.slice(0, at).every(({ kind }) => kind !== 'tree'))
  }
})

test('who leaves is replaced at once among few, and once a second among many', async (t) => {
  const few = following(8)
  few.pages[0]?.leave()
  for (const page of few.pages) page.heard.length = 0
  few.swarm.clock.advance(limits.planMsMin)
  t.equal(few.pages[1]?.take('tree').length, 1)
  const many = following(limits.promptLeaveMax + 20)
  many.swarm.clock.advance(limits.planMsMax)
  const before = await many.swarm.count('plans_total')
  for (const page of many.pages.slice(0, 10)) page.leave()
  many.swarm.clock.advance(limits.planMsMax - 1)
  t.equal(await many.swarm.count('plans_total'), before)
  many.swarm.clock.advance(1)
  t.equal(await many.swarm.count('plans_total'), before + 1)
})

test('who sends nothing any more is a leaf from then on', async (t) => {
  const { swarm, pages } = following(3)
  const [one, two] = pages as [ScriptedPage, ScriptedPage]
  one.state({ uploadBps: 0 })
  swarm.clock.advance(limits.planMsMin)
  const trees = one.take('tree')
  t.ok(trees.at(-1)?.stripes.every(({ parent, children }) => parent && children.length === 0))
  two.state({ uploadBps: 0 })
  pages[2]?.state({ uploadBps: 0 })
  swarm.clock.advance(limits.planMsMin)
  t.strictSame(two.take('tree').at(-1)?.stripes, [], 'nobody sends: there are no trees')
})

test('what the root of a stripe fetched is told to all who follow', async (t) => {
  const { swarm, pages } = following(3)
  const roots = pages.map((page) => ({ page, stripes: page.take('tree')[0]?.stripes ?? [] }))
  const root = roots.find(({ stripes }) => stripes[1]?.parent === undefined)?.page
  const others = pages.filter((page) => page !== root)
  others[0]?.got('live/0.1', 'bad')
  t.strictSame(others[1]?.take('digests'), [], 'not by anybody')
  root?.got('live/1.0')
  for (const page of others) {
    t.match(page.take('digests'), [{ parts: [{ key: 'live/1.0', digest: digestOf('live/1.0') }] }])
  }
  const many = following(200)
  for (const page of many.pages) page.heard.length = 0
  const first = many.pages.find(({ entry }) => entry.swarm.find(entry.page.id) !== undefined)
  for (const page of many.pages) page.got('live/5.0')
  t.strictSame(first?.take('digests'), [], 'they gather for a moment')
  many.swarm.clock.advance(limits.digestMsMax)
  t.equal(first?.take('digests').length, 1)
  t.equal(swarm.swarms.load().followers, 3)
})

test('renditions are bounded', async (t) => {
  const swarm = new ScriptedSwarm()
  const pages = swarm.enterMany(limits.renditionsMax + 1)
  for (const [at, page] of pages.entries()) page.say({ kind: 'follow', rendition: `r${at}` })
  t.equal(swarm.swarms.load().followers, limits.renditionsMax)
  t.equal(await swarm.count('limited_total', { limit: 'renditions' }), 1)
  for (const page of pages) page.leave()
  t.equal(swarm.clock.timers, 0, 'nothing is left running')
})
