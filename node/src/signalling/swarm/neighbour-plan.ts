/**
 * Who connects to whom, when a page enters or has too few left. Pure; it costs the same however many pages there are.
 *
 * First some at random, even if they have a few connections more than others, so that no way through the swarm is long. Then, of those with fewer than
 * `neighboursMax` connections: up to a third from the page's own address group; then those that are near a near one, the neighbours with the least round trip
 * of those that it has, or of those just chosen; the rest at random, of some samples those with the fewest connections. In a swarm of a dozen everybody.
 */
import type { PageId } from '@kairo/client/protocol'
import { pageSwarmLimits as limits } from '../../limits/swarm.ts'
import type { Page } from './page.ts'
import type { PageSet } from './page-set.ts'

/** Where they are chosen from. */
export interface Neighbourhood {
  readonly pages: PageSet
  readonly find: (id: PageId) => Page | undefined
  /** 0 to 1. */
  readonly random: () => number
}

/** Up to `count` new neighbours of a page. */
export function chooseNeighbours(page: Page, count: number, near: Neighbourhood): Page[] {
  const { pages } = near
  const chosen = new Set<Page>()
  const take = (others: Iterable<Page>, countMax: number, linksMax: number): void => {
    for (const other of others) {
      if (chosen.size >= Math.min(countMax, count)) return
      if (isFree(page, other, linksMax)) chosen.add(other)
    }
  }
  const { neighboursMax, neighboursFar } = limits
  if (pages.size <= neighboursMax + 1) {
    take(allOf(pages), count, limits.neighboursFarMax)
    return [...chosen]
  }
  const samples = sample(limits.samplesPerNeighbour * count, near)
  take(samples, neighboursFar, limits.neighboursFarMax)
  const third = Math.ceil(count / 3)
  take(some(pages.ofGroup(page.address), neighboursMax), chosen.size + third, neighboursMax)
  take(nearOnes([page, ...chosen], near), chosen.size + third, neighboursMax)
  const byLinks = samples.sort((a, b) => a.links.size - b.links.size)
  take(byLinks, count, neighboursMax)
  return [...chosen]
}

/** Different ones, at random. */
function sample(count: number, { pages, random }: Neighbourhood): Page[] {
  const samples = new Set<Page>()
  for (let left = count; left > 0; left -= 1) {
    samples.add(pages.at(Math.floor(random() * pages.size)))
  }
  return [...samples]
}

function allOf(pages: PageSet): Page[] {
  return Array.from({ length: pages.size }, (_, place) => pages.at(place))
}

function* some(pages: Iterable<Page>, countMax: number): Iterable<Page> {
  let left = countMax
  for (const page of pages) {
    if (left === 0) return
    left -= 1
    yield page
  }
}

/** Neighbours of the nearest neighbour of the first of these pages that has one. */
function nearOnes(pages: readonly Page[], { find }: Neighbourhood): Page[] {
  for (const page of pages) {
    const [nearest] = byRtt(page)
    const other = nearest === undefined ? undefined : find(nearest)
    if (other === undefined) continue
    return byRtt(other).flatMap((id) => find(id) ?? [])
  }
  return []
}

/** Neighbours whose round trip is known, the least first. */
function byRtt({ links }: Page): PageId[] {
  return [...links]
    .filter(([, { rttMs }]) => rttMs !== undefined)
    .sort(([, a], [, b]) => (a.rttMs as number) - (b.rttMs as number))
    .map(([id]) => id)
}

function isFree(page: Page, other: Page, linksMax: number): boolean {
  const isLinked = other === page || page.links.has(other.id)
  return !isLinked && other.line !== undefined && other.links.size < linksMax
}
