/**
 * The trees of a live rendition: along which way each page gets each stripe. Pure: the same followers and the same plan before make the same plan.
 *
 * *Flat*, with few followers (up to `flatMax`) or few that send: there are as many stripes as pages that send, each page is the root of one and the parent
 * of all others in it. When some leave their stripes go to those that stay, until a quarter too many are left; a stripe has its page for as long as that is there.
 *
 * *Groups*, with more: `stripes` stripes, half as many as pages that send while those are fewer than two groups. A group is one page a stripe, its
 * seats; each is the parent of the rest of its group in its own stripe, and nothing anywhere else. Groups form a tree with `branches`
 * below each, and a page's parent in its own stripe is the page on the same seat of the group above; the first group's pages are the roots. So a page has the same
 * few neighbours in all stripes, some stripes + 4. Pages without a seat (they do not send, or are left over) are guests: children of
 * all pages of one group. No page has more than stripes + `childrenBeyondStripes` children, or + `childrenStretch` where guests would be left;
 * who is left then gets each stripe by HTTP, as a root without children. Depth grows with the logarithm to base `branches`.
 *
 * What was planned stays. An empty seat goes to a guest of its group that sends, which is connected to most of those it has to be, else to the best one without a seat, else to one of
 * the last group, which is dissolved. Who comes new is a guest until there are enough for a group.
 */
import { type PageId, protocolLimits, type StripePlace } from '@kairo/client/protocol'
import { treeLimits as limits } from '../../limits/swarm.ts'

/** A page that is to be in the trees. */
export interface Follower {
  readonly id: PageId
  /** Whether it sends to others. */
  readonly canServe: boolean
  /** How good a root it is; more is better. */
  readonly score: number
}

/** Places of pages, and what the next plan has to know. */
export interface TreePlan {
  readonly kind: 'none' | 'flat' | 'groups'
  readonly stripes: number
  /** By group and stripe, who is the inner node; one group where the trees are flat, in which a page may have several seats. */
  readonly seats: readonly (readonly PageId[])[]
  /** Group of each guest. */
  readonly guests: ReadonlyMap<PageId, number>
  /** By page and stripe. */
  readonly places: ReadonlyMap<PageId, readonly StripePlace[]>
}

/** There are no trees. */
export const noTrees: TreePlan = {
  ...{ kind: 'none', stripes: 0, seats: [], guests: new Map(), places: new Map() },
}

/** Plans the trees. A follower comes once. */
export function planTrees(followers: readonly Follower[], before: TreePlan = noTrees): TreePlan {
  const servers = followers.filter(({ canServe }) => canServe)
  if (servers.length === 0 || followers.length < 2) return noTrees
  return isFlat(followers.length, servers.length, before)
    ? planFlat(followers, servers, before)
    : planGroups(followers, servers, before)
}

function isFlat(followers: number, servers: number, { kind }: TreePlan): boolean {
  const { flatMax, flatSlack, stripesMin } = limits
  const slack = kind === 'flat' ? flatSlack : kind === 'groups' ? -flatSlack : 0
  const serversMin = 2 * stripesMin - (kind === 'groups' ? flatSlack : 0)
  return followers <= flatMax + slack || servers < serversMin
}

function planFlat(
  followers: readonly Follower[],
  servers: readonly Follower[],
  before: TreePlan,
): TreePlan {
  const stripes = flatStripes(servers.length, before)
  const best = byScore(servers).map(({ id }) => id)
  const kept = before.kind === 'flat' ? (before.seats[0] ?? []) : []
  const free = new Set(best)
  let next = 0
  const seats = Array.from({ length: stripes }, (_, stripe) => {
    const id = kept[stripe]
    // Who has several seats keeps one for certain.
    return id !== undefined && free.delete(id) ? id : undefined
  })
  const roots = seats.map((id, stripe) => {
    const spare = id ?? firstOf(free)
    if (spare !== undefined) {
      free.delete(spare)
      return spare
    }
    const again = kept[stripe]
    if (again !== undefined && best.includes(again)) return again
    next += 1
    return best[(next - 1) % best.length] as PageId
  })
  const childrenMax = Math.max(
    limits.flatMax + limits.flatSlack - 1,
    stripes + limits.childrenStretch,
  )
  // Those that send first: each of them has to reach all.
  const ordered = [...servers, ...followers.filter(({ canServe }) => !canServe)]
  const inside = ordered.slice(0, childrenMax + 1).map(({ id }) => id)
  const places = new Map<PageId, StripePlace[]>()
  for (const { id } of ordered.slice(childrenMax + 1))
    places.set(
      id,
      roots.map(() => alone),
    )
  for (const id of inside) {
    const children = inside.filter((other) => other !== id)
    places.set(
      id,
      roots.map((root) => (root === id ? { children } : { parent: root, children: [] })),
    )
  }
  return { kind: 'flat', stripes, seats: [roots], guests: new Map(), places }
}

function flatStripes(servers: number, { kind, stripes }: TreePlan): number {
  const isKept = kind === 'flat' && servers <= stripes && stripes <= Math.ceil((servers * 4) / 3)
  return isKept ? stripes : Math.min(servers, protocolLimits.stripesMax)
}

function planGroups(
  followers: readonly Follower[],
  servers: readonly Follower[],
  before: TreePlan,
): TreePlan {
  const stripes = groupStripes(servers.length, before)
  const isKept = before.kind === 'groups' && before.stripes === stripes
  const serving = new Set(servers.map(({ id }) => id))
  const seats = isKept
    ? before.seats.map((group) => group.map((id) => (serving.has(id) ? id : undefined)))
    : []
  const seated = new Set(seats.flat())
  const free = byScore(servers.filter(({ id }) => !seated.has(id))).map(({ id }) => id)
  const guestsBefore = isKept ? before.guests : new Map<PageId, number>()
  const groups = fillSeats(seats, new Set(free), { stripes, guestsBefore })
  const inGroups = new Set(groups.flat())
  const left = followers.map(({ id }) => id).filter((id) => !inGroups.has(id))
  const guests = seatGuests(left, groups, guestsBefore)
  const places = placesOf(groups, guests, left, isKept ? before : noTrees)
  return { kind: 'groups', stripes, seats: groups, guests, places }
}

function groupStripes(servers: number, { kind, stripes }: TreePlan): number {
  const ideal = Math.min(limits.stripes, Math.max(limits.stripesMin, Math.floor(servers / 2)))
  const isNear = kind === 'groups' && Math.abs(ideal - stripes) < 2
  return isNear && (stripes === ideal || ideal < limits.stripes) ? stripes : ideal
}

/** Fills all seats, and makes groups of those who are left. `free` loses those who get a seat. */
function fillSeats(
  seats: readonly (readonly (PageId | undefined)[])[],
  free: Set<PageId>,
  { stripes, guestsBefore }: { stripes: number; guestsBefore: ReadonlyMap<PageId, number> },
): PageId[][] {
  const guestsOf = new Map<number, PageId[]>()
  for (const id of free) {
    const group = guestsBefore.get(id)
    if (group !== undefined) guestsOf.set(group, [...(guestsOf.get(group) ?? []), id])
  }
  const groups = seats.map((group) => [...group])
  for (let at = 0; at < groups.length; at += 1) {
    const group = groups[at] as (PageId | undefined)[]
    for (let stripe = 0; stripe < stripes; stripe += 1) {
      while (group[stripe] === undefined && groups.length > at) {
        const id = guestsOf.get(at)?.find((guest) => free.has(guest)) ?? firstOf(free)
        if (id !== undefined) {
          free.delete(id)
          group[stripe] = id
        } else {
          // The last group, which may be this one.
          for (const member of groups.pop() ?? []) if (member !== undefined) free.add(member)
        }
      }
    }
  }
  while (free.size >= stripes) {
    const group = [...free].slice(0, stripes)
    for (const id of group) free.delete(id)
    groups.push(group)
  }
  return groups as PageId[][]
}

/** A group for each who has no seat, as long as there is room; the one that it was in, else one near the root. */
function seatGuests(
  left: readonly PageId[],
  groups: readonly (readonly PageId[])[],
  before: ReadonlyMap<PageId, number>,
): Map<PageId, number> {
  const guests = new Map<PageId, number>()
  const counts = groups.map(() => 0)
  const roomOf = (group: number, beyond: number): number =>
    1 + beyond - branchesOf(group, groups.length) - (counts[group] as number)
  const seat = (id: PageId, group: number): void => {
    counts[group] = (counts[group] as number) + 1
    guests.set(id, group)
  }
  for (const id of left) {
    const group = before.get(id)
    if (group === undefined || group >= groups.length) continue
    if (roomOf(group, limits.childrenStretch) > 0) seat(id, group)
  }
  for (const beyond of [limits.childrenBeyondStripes, limits.childrenStretch]) {
    let group = 0
    for (const id of left) {
      if (guests.has(id)) continue
      while (group < groups.length && roomOf(group, beyond) <= 0) group += 1
      if (group === groups.length) break
      seat(id, group)
    }
  }
  return guests
}

function placesOf(
  groups: readonly (readonly PageId[])[],
  guests: ReadonlyMap<PageId, number>,
  left: readonly PageId[],
  before: TreePlan,
): Map<PageId, readonly StripePlace[]> {
  const places = new Map<PageId, readonly StripePlace[]>()
  const guestsOf = guestsByGroup(guests, groups.length)
  const guestsBefore = guestsByGroup(before.guests, before.seats.length)
  const stays = groups.map((group, at) => isSameList(group, before.seats[at]))
  for (const [at, group] of groups.entries()) {
    const own = guestsOf[at] as PageId[]
    const above = Math.floor((at - 1) / limits.branches)
    const first = at * limits.branches + 1
    const around = [
      at,
      ...(at === 0 ? [] : [above]),
      ...Array.from({ length: limits.branches }, (_, n) => first + n),
    ]
    // What is around did not change: neither did the places, and nobody has to compare them.
    const isUntouched =
      isSameList(own, guestsBefore[at]) &&
      around.every((other) => stays[other] ?? before.seats[other] === undefined)
    if (isUntouched) {
      for (const id of [...group, ...own]) places.set(id, before.places.get(id) ?? [])
      continue
    }
    const below = groups.slice(first, first + limits.branches)
    const leaves = group.map((parent) => ({ parent, children: [] }))
    for (const [seat, id] of group.entries()) {
      const children = [
        ...below.map((other) => other[seat] as PageId),
        ...group.filter((other) => other !== id),
        ...own,
      ]
      const parent = at === 0 ? undefined : groups[above]?.[seat]
      const place = parent === undefined ? { children } : { parent, children }
      places.set(
        id,
        leaves.map((leaf, stripe) => (stripe === seat ? place : leaf)),
      )
    }
    for (const id of own) places.set(id, leaves)
  }
  const all = (groups[0] ?? []).map(() => alone)
  for (const id of left) if (!guests.has(id)) places.set(id, all)
  return places
}

function guestsByGroup(guests: ReadonlyMap<PageId, number>, groups: number): PageId[][] {
  const lists = Array.from({ length: groups }, (): PageId[] => [])
  for (const [id, group] of guests) lists[group]?.push(id)
  return lists
}

function isSameList(a: readonly PageId[], b: readonly PageId[] | undefined): boolean {
  return a.length === b?.length && a.every((id, at) => id === b[at])
}

/** Groups directly below a group. */
function branchesOf(group: number, groups: number): number {
  return Math.max(0, Math.min(limits.branches, groups - 1 - group * limits.branches))
}

/** The place of who gets a stripe by HTTP and passes it to nobody. */
const alone: StripePlace = { children: [] }

function byScore(followers: readonly Follower[]): Follower[] {
  return [...followers].sort((a, b) => b.score - a.score)
}

function firstOf<T>(set: ReadonlySet<T>): T | undefined {
  for (const one of set) return one
  return undefined
}
