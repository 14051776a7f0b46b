/** Network coordinates: they come to tell round trips, and one that lies cannot drag the others about. */
import fc from 'fast-check'
import { test } from 'tap'
import { coordinateLimits } from '../../src/limits/nearest.ts'
import type { NetworkCoordinate } from '../../src/nearest/peer-advert.ts'
import {
  coordinateDistance,
  unknownCoordinate,
  updateCoordinate,
} from '../../src/nearest/vivaldi.ts'

/** A repeatable source of chance (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Peers in space with an access link each; the round trip between two is what Vivaldi's model says, with some noise. */
function matrix(
  count: number,
  random: () => number,
  planeMs: number,
  linkMs: number,
): (a: number, b: number) => number {
  const places = Array.from({ length: count }, () => ({
    at: Array.from({ length: 3 }, () => random() * planeMs),
    link: 1 + random() * linkMs,
  }))
  return (a, b) => {
    const [one, other] = [places[a], places[b]] as [(typeof places)[0], (typeof places)[0]]
    const plane = Math.hypot(...one.at.map((x, axis) => x - (other.at[axis] as number)))
    return (plane + one.link + other.link) * (0.95 + random() * 0.1)
  }
}

function medianError(
  coordinates: readonly NetworkCoordinate[],
  rtt: (a: number, b: number) => number,
): number {
  const errors: number[] = []
  for (let a = 0; a < coordinates.length; a++) {
    for (let b = 0; b < a; b++) {
      const [one, other] = [coordinates[a], coordinates[b]] as NetworkCoordinate[]
      const told = coordinateDistance(one as NetworkCoordinate, other as NetworkCoordinate)
      errors.push(Math.abs(told - rtt(a, b)) / rtt(a, b))
    }
  }
  return errors.sort((x, y) => x - y)[errors.length >> 1] as number
}

/** Each peer measures random others; `lie` changes what a peer says of itself. */
function simulate(
  count: number,
  rounds: number,
  random: () => number,
  lie: (index: number, truth: NetworkCoordinate) => NetworkCoordinate = (_, truth) => truth,
  [planeMs, linkMs] = [150, 20],
) {
  const rtt = matrix(count, random, planeMs, linkMs)
  const coordinates = Array.from({ length: count }, () => unknownCoordinate)
  for (let round = 0; round < rounds; round++) {
    for (let own = 0; own < count; own++) {
      const other = (own + 1 + Math.floor(random() * (count - 1))) % count
      const [from, to] = [coordinates[own], coordinates[other]] as [
        NetworkCoordinate,
        NetworkCoordinate,
      ]
      coordinates[own] = updateCoordinate(from, lie(other, to), rtt(own, other), random)
    }
  }
  return { rtt, coordinates }
}

test('coordinates converge on networks that have the shape of the model', (t) => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const { coordinates, rtt } = simulate(24, 200, seeded(seed))
      return medianError(coordinates, rtt) < 0.15
    }),
    { numRuns: 10 },
  )
  t.end()
})

test('slow access links are heights, which no place in space could be', (t) => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const run = simulate(24, 200, seeded(seed), (_, truth) => truth, [1, 80])
      return medianError(run.coordinates, run.rtt) < 0.12
    }),
    { numRuns: 10 },
  )
  t.end()
})

test('a peer that lies about its place and certainty bends the map a little', (t) => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const liar = { position: [9_000, -9_000, 9_000], height: 0, error: 0 }
      const run = simulate(24, 200, seeded(seed), (index, truth) => (index === 0 ? liar : truth))
      const honest = run.coordinates.slice(1)
      return medianError(honest, (a, b) => run.rtt(a + 1, b + 1)) < 0.5
    }),
    { numRuns: 10 },
  )
  t.end()
})

test('no sample, whatever it claims, moves a peer further than the limit', (t) => {
  const anywhere = fc.double({ min: -10_000, max: 10_000, noNaN: true })
  const coordinate = fc.record({
    position: fc.tuple(anywhere, anywhere, anywhere),
    height: fc.double({ min: 0, max: 10_000, noNaN: true }),
    error: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  const rttMs = fc.double({ min: 0, max: 1e9, noNaN: true })
  fc.assert(
    fc.property(coordinate, coordinate, rttMs, fc.integer(), (own, remote, rtt, seed) => {
      const next = updateCoordinate(own, remote, rtt, seeded(seed))
      const moved = Math.hypot(
        ...next.position.map((x, axis) => x - (own.position[axis] as number)),
      )
      const { moveMsMax, errorMin, heightMsMin, valueMsMax } = coordinateLimits
      return (
        moved <= moveMsMax + 1e-6 &&
        Math.abs(next.height - own.height) <= moveMsMax + heightMsMin &&
        next.error >= errorMin &&
        next.error <= 1 &&
        next.height >= heightMsMin &&
        next.position.every((x) => Number.isFinite(x) && Math.abs(x) <= valueMsMax)
      )
    }),
  )
  t.end()
})

test('two peers at one point come apart', (t) => {
  const next = updateCoordinate(unknownCoordinate, unknownCoordinate, 50, () => 0.5)
  t.ok(coordinateDistance(next, unknownCoordinate) > 5)
  t.end()
})
