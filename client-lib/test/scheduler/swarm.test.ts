/** Schedulers among themselves: what a swarm takes from its origin, and that it starts and plays on. */
import { test } from 'tap'
import { type SwarmPlan, SwarmWorld } from '../support/swarm-world.ts'

const vod: SwarmPlan = {
  seed: 1,
  pages: 3,
  joinWithinMs: 50,
  originBps: 4_000_000,
  uplinkBps: 10_000_000,
  rttMs: 20,
  edgeRttMs: 30,
  connectMs: 80,
  degree: 4,
  chunkBytes: 16_384,
  isLive: false,
  partMs: 4_000,
  partBytes: 1_000_000,
  parts: 12,
  bufferMs: 20_000,
  holdBackMs: 0,
  stripes: 4,
  treeDegree: 3,
}

const live: SwarmPlan = {
  ...vod,
  joinWithinMs: 1_000,
  isLive: true,
  originBps: 20_000_000,
  partMs: 333,
  partBytes: 83_000,
  parts: 60,
  bufferMs: 100_000,
  holdBackMs: 1_000,
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

test('three viewers of a video on a tight origin: one copy, and no later than one of three would be', async (t) => {
  const figures = new SwarmWorld(vod).run(120_000)
  t.ok(figures.offload > 0.65, `${figures.offload}`)
  t.ok(Math.max(...figures.startMs) < 3_000, `${figures.startMs}`)
  t.equal(sum(figures.stallMs), 0)
  t.equal(figures.played, 36)
})

test('the same on a fast origin: each starts as fast as alone', async (t) => {
  const plan = { ...vod, originBps: 100_000_000 }
  const alone = new SwarmWorld({ ...plan, pages: 1 }).run(120_000)
  const figures = new SwarmWorld(plan).run(120_000)
  const plainMs = 3 * (alone.startMs[0] ?? 0)
  t.ok(Math.max(...figures.startMs) <= plainMs, 'three at once share the origin')
  t.ok(figures.offload > 0.55, `${figures.offload}`)
})

test('a viewer alone takes every byte once, from the origin', async (t) => {
  const world = new SwarmWorld({ ...vod, pages: 1 })
  const figures = world.run(120_000)
  const bytes = sum(
    Array.from({ length: vod.parts }, (_, part) => world.bytesOf(world.keyOf(part))),
  )
  t.equal(figures.httpBytes, bytes)
})

test('live: eight viewers of low-latency parts take each about once', async (t) => {
  const figures = new SwarmWorld({ ...live, pages: 8 }).run(22_000)
  t.ok(figures.offload > 0.84, `${figures.offload}`)
  t.equal(sum(figures.stallMs), 0)
})

test('live: viewers that leave are no loss to the others', async (t) => {
  const world = new SwarmWorld({ ...live, pages: 8 })
  for (const at of [1, 2, 3]) world.at(4_000 + at * 3_000, () => world.pages[at]?.leave())
  const figures = world.run(22_000)
  const staying = figures.stallMs.filter((_, at) => ![1, 2, 3].includes(at))
  t.ok(Math.max(...staying) < 1_000, `${staying}`)
})

test('the same seed is the same swarm', async (t) => {
  const plan = { ...vod, pages: 5, parts: 4 }
  t.same(new SwarmWorld(plan).run(30_000), new SwarmWorld(plan).run(30_000))
})
