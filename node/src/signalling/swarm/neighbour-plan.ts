/**
 * Who connects to whom, when a page enters or has too few left. Pure; it costs the same however many pages there are.
 *
 * Of those with fewer than `neighboursMax` connections: up to a third from the page's own address group; then those that are near a near one, the
 * neighbours with the least round trip of those that it has, or of those just chosen; the rest at random, of some samples those with the fewest connections.
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
  const { pages, random } = near
  const chosen = new Set<Page>()
  const take = (other: Page | undefined, countMax: number): void => {
    if (other !== undefined && chosen.size < countMax && isFree(page, other)) chosen.add(other)
  }
  const third = Math.ceil(count / 3)
  let looks = 0
  for (const other of pages.ofGroup(page.address)) {
    if (looks === limits.neighboursMax || chosen.size === third) break
    looks += 1
    take(other, third)
  }
  for (const other of nearOnes([page, ...chosen], near)) take(other, 2 * third)
  if (pages.size <= limits.neighboursMax + 1) {
    for (let place = 0; place < pages.size; place += 1) take(pages.at(place), count)
    return [...chosen]
  }
  const samples = new Set<Page>()
  for (let left = limits.samplesPerNeighbour * count; left > 0; left -= 1) {
    samples.add(pages.at(Math.floor(random() * pages.size)))
  }
  const byLinks = [...samples].sort((a, b) => a.links.size - b.links.size)
  for (const other of byLinks) take(other, count)
  return [...chosen]
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

function isFree(page: Page, other: Page): boolean {
  const isLinked = other === page || page.links.has(other.id)
  return !isLinked && other.line !== undefined && other.links.size < limits.neighboursMax
}
