/** Trees of live renditions: every page gets every stripe once, nobody sends too much, and little changes when somebody leaves. */
import fc from 'fast-check'
import { test } from 'tap'
import { treeLimits as limits } from '../../../src/limits/swarm.ts'
import {
  type Follower,
  noTrees,
  planTrees,
  type TreePlan,
} from '../../../src/signalling/swarm/tree-plan.ts'
import { fuzzRuns } from '../../support/fuzz.ts'

function followers(count: number, from = 0): Follower[] {
  return Array.from({ length: count }, (_, at) => follower(from + at))
}

function follower(number: number, canServe = true): Follower {
  return { id: `p${number}`, canServe, score: (number * 7_919) % 101 }
}

interface Shape {
  /** Longest way to a page, in connections. */
  readonly depth: number
  readonly childrenMax: number
  /** Pages that are the root of something and send it to nobody. */
  readonly lone: number
  readonly innerMax: number
}

/** What a plan is like; throws for one that is none. */
function shapeOf(plan: TreePlan, all: readonly Follower[]): Shape {
  const ids = new Set(all.map(({ id }) => id))
  const serving = new Set(all.filter(({ canServe }) => canServe).map(({ id }) => id))
  const lone = new Set<string>()
  const inner = new Map<string, number>()
  let [depth, childrenMax] = [0, 0]
  check(plan.places.size === all.length, 'everybody has a place')
  for (let stripe = 0; stripe < plan.stripes; stripe += 1) {
    let roots = 0
    for (const id of ids) {
      const place = plan.places.get(id)?.[stripe]
      if (place === undefined) throw new Error(`${id} has no place in ${stripe}`)
      const { parent, children } = place
      childrenMax = Math.max(childrenMax, children.length)
      check(new Set(children).size === children.length, 'a child is one once')
      check(children.length === 0 || serving.has(id), 'who does not send has no children')
      if (children.length > 0) inner.set(id, (inner.get(id) ?? 0) + 1)
      for (const child of children) {
        check(plan.places.get(child)?.[stripe]?.parent === id, 'a child knows its parent')
      }
      if (parent === undefined) {
        if (children.length === 0) lone.add(id)
        else roots += 1
        continue
      }
      const siblings = plan.places.get(parent)?.[stripe]?.children
      check(siblings?.includes(id) === true, 'a parent knows its child')
      depth = Math.max(depth, heightOf(plan, id, stripe))
    }
    check(roots === 1, `one root that sends, not ${roots}`)
  }
  return { depth, childrenMax, lone: lone.size, innerMax: Math.max(0, ...inner.values()) }
}

function heightOf(plan: TreePlan, id: string, stripe: number): number {
  let height = 0
  let at: string | undefined = id
  while (at !== undefined) {
    at = plan.places.get(at)?.[stripe]?.parent
    if (at !== undefined) height += 1
    check(height <= plan.places.size, 'no way goes round')
  }
  return height
}

function check(isSo: boolean, what: string): void {
  if (!isSo) throw new Error(what)
}

/** Connections that a plan needs. */
function edgesOf({ places }: TreePlan): Set<string> {
  const edges = new Set<string>()
  for (const [id, stripes] of places) {
    for (const { parent } of stripes)
      if (parent !== undefined) edges.add([id, parent].sort().join())
  }
  return edges
}

function changesBetween(a: TreePlan, b: TreePlan): number {
  let changes = 0
  for (const [id, places] of b.places) {
    if (JSON.stringify(places) !== JSON.stringify(a.places.get(id))) changes += 1
  }
  return changes
}

test('nobody, one, and two', async (t) => {
  t.equal(planTrees([]), noTrees)
  t.equal(planTrees(followers(1)), noTrees)
  t.equal(planTrees([follower(1, false), follower(2, false)]), noTrees)
  const { stripes, places } = planTrees([follower(1), follower(2, false)])
  t.equal(stripes, 1)
  t.strictSame(places.get('p1'), [{ children: ['p2'] }])
  t.strictSame(places.get('p2'), [{ parent: 'p1', children: [] }])
})

test('up to eight are each the root of one stripe and the parent of all others in it', async (t) => {
  for (let count = 2; count <= limits.flatMax; count += 1) {
    const all = followers(count)
    const plan = planTrees(all)
    t.equal(plan.stripes, count)
    t.equal(new Set(plan.seats[0]).size, count)
    t.strictSame(shapeOf(plan, all), { depth: 1, childrenMax: count - 1, lone: 0, innerMax: 1 })
  }
})

test('a stripe has its page for as long as that is there', async (t) => {
  const eight = planTrees(followers(8))
  const seven = planTrees(followers(7), eight)
  t.equal(seven.stripes, 8, 'what is whose does not change because one left')
  const kept = (eight.seats[0] ?? []).map((id) => (id === 'p7' ? undefined : id))
  t.equal((seven.seats[0] ?? []).filter((id, at) => id === kept[at]).length, 7)
  const again = planTrees([...followers(7), follower(20)], seven)
  const taken = (again.seats[0] ?? []).filter((id, at) => id !== seven.seats[0]?.[at])
  t.strictSame(taken, ['p20'], 'who comes gets the stripe that somebody else had looked after')
  t.strictSame(planTrees(followers(7), seven).seats, seven.seats)
  t.equal(planTrees(followers(5), eight).stripes, 5, 'not when too many left')
})

test('many: no page sends much more than it takes, and the way is short', async (t) => {
  for (const count of [11, 16, 17, 24, 50, 100, 999, 10_000]) {
    const all = followers(count)
    const plan = planTrees(all)
    const { depth, childrenMax, lone, innerMax } = shapeOf(plan, all)
    t.equal(lone, 0, `${count}: all get it from others`)
    t.equal(innerMax, 1, 'a page is an inner node of one stripe')
    t.ok(childrenMax <= plan.stripes + limits.childrenBeyondStripes, `${childrenMax} children`)
    const groups = Math.floor(count / plan.stripes)
    t.ok(depth <= 2 + Math.log(2 * groups) / Math.log(limits.branches), `depth ${depth}`)
    const links = new Map<string, number>()
    for (const edge of edgesOf(plan)) {
      for (const id of edge.split(',')) links.set(id, (links.get(id) ?? 0) + 1)
    }
    const most = Math.max(...links.values())
    t.ok(most <= plan.stripes + 4, `${most} connections`)
  }
  const roots = planTrees(followers(500)).seats[0] ?? []
  const scores = followers(500)
    .map(({ score }) => score)
    .sort((a, b) => b - a)
  const worst = Math.min(...roots.map((id) => follower(Number(id.slice(1))).score))
  t.ok(worst >= (scores[limits.stripes - 1] ?? 0), 'the best are the roots')
})

test('those who do not send are leaves, and get it by HTTP when there are too many of them', async (t) => {
  const some = [
    ...followers(80),
    ...Array.from({ length: 20 }, (_, at) => follower(80 + at, false)),
  ]
  t.match(shapeOf(planTrees(some), some), { lone: 0 })
  const many = [
    ...followers(16),
    ...Array.from({ length: 90 }, (_, at) => follower(80 + at, false)),
  ]
  const plan = planTrees(many)
  const { lone, childrenMax } = shapeOf(plan, many)
  t.ok(lone > 0)
  t.ok(childrenMax <= plan.stripes + limits.childrenStretch)
  const few = [follower(1), follower(2), ...many.slice(16)]
  t.match(shapeOf(planTrees(few), few), { depth: 1 })
})

test('whoever comes and goes: a plan is one, and most of it stays', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('join' as const), canServe: fc.boolean() }),
    fc.record({ kind: fc.constant('join' as const), canServe: fc.constant(true) }),
    fc.record({ kind: fc.constant('leave' as const), who: fc.nat() }),
    fc.record({ kind: fc.constant('toggle' as const), who: fc.nat() }),
  )
  const start = fc.oneof(fc.nat(14), fc.nat(120))
  const property = fc.property(start, fc.array(step, { maxLength: 25 }), (count, steps) => {
    let all = followers(count)
    let plan = planTrees(all)
    let next = count
    for (const what of steps) {
      if (what.kind === 'join') {
        all = [...all, follower(next, what.canServe)]
        next += 1
      } else if (all.length > 0) {
        const at = what.who % all.length
        const one = all[at] as Follower
        const rest = all.filter((other) => other !== one)
        all = what.kind === 'leave' ? rest : [...rest, { ...one, canServe: !one.canServe }]
      }
      const before = plan
      plan = planTrees(all, before)
      if (plan === noTrees) continue
      const { childrenMax, innerMax } = shapeOf(plan, all)
      const isFlat = plan.kind === 'flat'
      const flatMax = limits.flatMax + limits.flatSlack - 1
      const bound = isFlat
        ? Math.max(flatMax, plan.stripes + limits.childrenStretch)
        : plan.stripes + limits.childrenStretch
      check(childrenMax <= bound, `${childrenMax} children of ${plan.stripes} stripes`)
      check(isFlat || innerMax <= 1, 'an inner node of one stripe')
      if (before.kind === 'groups' && plan.kind === 'groups' && before.stripes === plan.stripes) {
        // At most: a seat that changes, with the group around it, and a group that is dissolved, with those below and above.
        const changes = changesBetween(before, plan)
        check(changes <= 6 * (plan.stripes + 4), `${changes} of ${all.length} changed`)
      }
    }
  })
  fc.assert(property, { numRuns: fuzzRuns(150) })
})

test('one of many leaves: a handful of others hear of it', async (t) => {
  const all = followers(1_003)
  const plan = planTrees(all)
  for (const gone of [plan.seats[0]?.[3], plan.seats[50]?.[0], plan.seats.at(-1)?.[7]]) {
    const after = planTrees(
      all.filter(({ id }) => id !== gone),
      plan,
    )
    const changes = changesBetween(plan, after)
    t.ok(changes <= 2 * (plan.stripes + 4), `${changes} places changed`)
    const edges = edgesOf(plan)
    const fresh = [...edgesOf(after)].filter((edge) => !edges.has(edge))
    t.ok(fresh.length <= 12, `${fresh.length} new connections`)
  }
})
