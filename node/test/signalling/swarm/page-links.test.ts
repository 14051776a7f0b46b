/** Connections between pages are bounded; those that a tree needs, and young ones, stay. And how many pages there may be. */
import { test } from 'tap'
import { pageSwarmLimits as limits, swarmLimits, treeLimits } from '../../../src/limits/swarm.ts'
import { type ScriptedPage, ScriptedSwarm } from '../../support/swarm-pages.ts'

const held = [{ key: 'v/1', count: 1 }]

/** A swarm in which one page alone has a part, and others want it. */
function wanted(count: number) {
  const swarm = new ScriptedSwarm()
  const pages = swarm.enterMany(count)
  const [holder, ...others] = pages as [ScriptedPage, ...ScriptedPage[]]
  holder.want('v/1')
  holder.got('v/1')
  const far = others.filter(({ id }) => !holder.entry.page.links.has(id))
  return { swarm, pages, holder, far }
}

test('a page that many want something of has so many connections, and lets old ones go', async (t) => {
  const { swarm, holder, far } = wanted(80)
  const { links } = holder.entry.page
  const wanting = far.splice(0, limits.linksMax - links.size)
  for (const page of wanting) page.want('v/1')
  t.equal(links.size, limits.linksMax)
  const [late, later] = far.splice(0, 2) as [ScriptedPage, ScriptedPage]
  late.want('v/1')
  t.strictSame(late.take('from'), [], 'there is no room, so it fetches')
  t.equal(late.take('grant').length, 1)
  late.say({ kind: 'failed', key: 'v/1' })
  swarm.clock.advance(limits.linkKeptMs)
  const [oldest] = links.keys()
  holder.heard.length = 0
  later.want('v/1')
  t.match(later.take('from'), [{ peers: [holder.id] }])
  t.ok(links.has(later.id))
  t.match(holder.take('gone'), [{ id: oldest }])
  t.equal(links.size, limits.linksMax)
  t.equal(await swarm.count('limited_total', { limit: 'links' }), 1)
})

test('what a tree needs is not let go', async (t) => {
  const { swarm, pages, holder, far } = wanted(60)
  for (const page of pages) page.say({ kind: 'follow', rendition: 'live', partMs: 200 })
  swarm.clock.advance(treeLimits.planMsMax)
  const needed = new Set<string>()
  for (const { parent, children } of holder.take('tree').at(-1)?.stripes ?? []) {
    for (const id of [parent, ...children]) if (id !== undefined) needed.add(id)
  }
  t.ok(needed.size >= treeLimits.stripes)
  swarm.clock.advance(limits.linkKeptMs)
  holder.heard.length = 0
  holder.state({ held })
  const again = holder.take('peers').flatMap(({ connect }) => connect)
  t.ok(
    [...needed].every((id) => again.includes(id)),
    'what nobody tells of is tried again',
  )
  for (const page of far) page.want('v/1')
  const { links } = holder.entry.page
  t.ok(links.size <= limits.linksMax)
  for (const id of needed) t.ok(links.has(id))
})

test('of old connections those that a tree needs are not let go', async (t) => {
  const swarm = new ScriptedSwarm()
  const few = swarm.enterMany(treeLimits.flatMax)
  const [holder, ...others] = few as [ScriptedPage, ...ScriptedPage[]]
  for (const page of few) page.say({ kind: 'follow', rendition: 'live', partMs: 200 })
  swarm.clock.advance(treeLimits.planMsMin)
  holder.want('v/1')
  holder.got('v/1')
  const many = swarm.enterMany(60)
  swarm.clock.advance(limits.linkKeptMs)
  const { links } = holder.entry.page
  for (const page of many) if (!links.has(page.id)) page.want('v/1')
  t.equal(links.size, limits.linksMax)
  t.ok((await swarm.count('limited_total', { limit: 'links' })) > others.length)
  for (const { id } of others) t.ok(links.has(id))
})

test('pages of a swarm, and pages that may come back', async (t) => {
  const swarm = new ScriptedSwarm()
  const alone = { canConnect: false }
  const pages = swarm.enterMany(swarmLimits.pagesPerSwarmMax, alone)
  t.throws(() => swarm.enter(alone), /as many pages as it can/)
  t.equal(await swarm.count('limited_total', { limit: 'swarm-pages' }), 1)
  pages[0]?.leave()
  swarm.enter(alone)
  for (const page of pages) page.leave()
  const others = swarm.enterMany(swarmLimits.absentMax + 1)
  for (const page of others) page.leave(true)
  t.equal(swarm.swarms.load().pages, swarmLimits.absentMax + 1)
  t.equal(await swarm.count('limited_total', { limit: 'absent' }), 1)
})
