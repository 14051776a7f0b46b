/** Who connects to whom: the right number, nobody twice, near ones and far ones, and no long way through a swarm. */
import fc from 'fast-check'
import { test } from 'tap'
import { pageSwarmLimits as limits } from '../../../src/limits/swarm.ts'
import { chooseNeighbours } from '../../../src/signalling/swarm/neighbour-plan.ts'
import { join, Page, type PageLine } from '../../../src/signalling/swarm/page.ts'
import { PageSet } from '../../../src/signalling/swarm/page-set.ts'
import { fuzzRuns } from '../../support/fuzz.ts'

const line: PageLine = {
  tell: () => true,
  tellText: () => true,
  putOut: () => {},
  displaced: () => {},
}

function swarmOf(seed = 1) {
  const pages = new PageSet()
  const byId = new Map<string, Page>()
  let state = seed
  // A multiplicative generator (Park and Miller), so that every run sees the same.
  const random = (): number => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
  const near = { pages, random, find: (id: string) => byId.get(id) }
  const enter = (address: string): Page => {
    const id = `p${byId.size}`
    const page = new Page({ id, address, canConnect: true, uploadBps: 1, enteredMs: 0 })
    page.line = line
    byId.set(id, page)
    pages.add(page)
    for (const other of chooseNeighbours(page, limits.neighboursFirst, near)) join(page, other, 0)
    return page
  }
  return { pages, byId, near, enter }
}

test("in a small swarm everybody is everybody's neighbour", async (t) => {
  const { pages, enter } = swarmOf()
  for (let count = 0; count <= limits.neighboursFirst; count += 1) enter('h')
  for (let place = 0; place < pages.size; place += 1) {
    t.equal(pages.at(place).links.size, limits.neighboursFirst)
  }
})

test('any swarm: bounds hold, and whoever can gets neighbours', async () => {
  const step = fc.record({ address: fc.nat(5), isLeaving: fc.boolean(), who: fc.nat() })
  const property = fc.property(fc.array(step, { maxLength: 120 }), fc.nat(), (steps, seed) => {
    const { pages, near, enter } = swarmOf(seed + 1)
    for (const { address, isLeaving, who } of steps) {
      if (isLeaving && who % 3 === 0 && pages.size > 0) {
        const page = pages.at(who % pages.size)
        pages.delete(page)
        page.line = undefined
        for (const id of page.links.keys()) near.find(id)?.links.delete(page.id)
        continue
      }
      const page = enter(`h${address}`)
      const { size } = page.links
      if (size > limits.neighboursFirst) return false
      if (size < Math.min(2, pages.size - 1)) return false
      for (const id of page.links.keys()) {
        const other = near.find(id)
        if (other === page || other?.line === undefined) return false
        if (other.links.size > limits.neighboursFarMax) return false
      }
    }
    return true
  })
  fc.assert(property, { numRuns: fuzzRuns(200) })
})

test('those of the same address, and those near a near one, are chosen', async (t) => {
  const { near, enter } = swarmOf()
  for (let count = 0; count < 100; count += 1) enter('far')
  const [one, two] = [enter('home'), enter('home')]
  t.ok(one.links.has(two.id))
  const [first] = one.links.keys()
  const link = one.links.get(first as string)
  if (link !== undefined) link.rttMs = 1
  const friend = near.find(first as string)
  const candidates = [...(friend?.links ?? [])].filter(
    ([id]) => id !== one.id && !one.links.has(id),
  )
  for (const [id, { signals }] of candidates) {
    friend?.links.set(id, { sinceMs: 0, seenMs: 0, rttMs: 2, signals })
    near.find(id)?.links.delete(near.find(id)?.links.keys().next().value ?? '')
  }
  const chosen = chooseNeighbours(one, 6, near).map(({ id }) => id)
  t.ok(chosen.some((id) => candidates.some(([other]) => other === id)))
})

test('no way through a swarm is long, in whatever order pages came', async (t) => {
  const { pages, near, enter } = swarmOf()
  for (let count = 0; count < 2_000; count += 1) enter(`h${count}`)
  let links = 0
  for (let place = 0; place < pages.size; place += 1) links += pages.at(place).links.size
  t.ok(links / pages.size > limits.neighboursFirst)
  const seen = new Set(['p0'])
  let edge = ['p0']
  let steps = 0
  while (edge.length > 0) {
    steps += 1
    edge = edge
      .flatMap((id) => [...(near.find(id)?.links.keys() ?? [])])
      .filter((id) => {
        const isNew = !seen.has(id)
        seen.add(id)
        return isNew
      })
  }
  t.equal(seen.size, pages.size, 'everybody is reached')
  t.ok(steps <= 9, `${steps} steps`)
})
