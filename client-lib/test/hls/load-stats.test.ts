// What hls.js is told of a load, and what its own estimator makes of it.
import fc from 'fast-check'
import { test } from 'tap'
import { loadingOf, newStats, Progress } from '../../src/hls/load-stats.ts'
import { arrival } from '../support/told-engine.ts'

/** Bits a second as hls.js's AbrController takes them from a load whose parsing ended when it did. */
function sampled(
  { start, first, end }: ReturnType<typeof newStats>['loading'],
  bytes: number,
  ttfbMs = 100,
): number {
  return (bytes * 8_000) / (end - start - Math.min(first - start, ttfbMs))
}

test('a part that HTTP alone brought keeps its times', async (t) => {
  const own = arrival({ firstMs: 1_150, lastMs: 1_400, bps: 1 })
  t.same(loadingOf(own, 1_000, 1_500), { start: 1_000, first: 1_150, end: 1_400 })
})

test('a part that was there before is as fast as it came', async (t) => {
  const bytes = new Uint8Array(500_000)
  const pushed = arrival({
    bytes,
    httpBytes: 0,
    peerBytes: 500_000,
    firstMs: 0,
    lastMs: 900,
    bps: 5e6,
  })
  const loading = loadingOf(pushed, 1_000, 1_001)
  t.equal(Math.round(sampled(loading, bytes.length)), 5e6)
  t.equal(loading.end, 1_001)
  t.equal(loading.first - loading.start, 0)
  const kept = arrival({ bytes, httpBytes: 500_000, firstMs: 0, lastMs: 900, bps: 5e6 })
  t.equal(Math.round(sampled(loadingOf(kept, 1_000, 1_001), bytes.length)), 5e6, 'also from memory')
})

test('a part that waited for somebody else is as fast as it came', async (t) => {
  const bytes = new Uint8Array(500_000)
  const waited = arrival({
    bytes,
    httpBytes: 0,
    peerBytes: 500_000,
    firstMs: 5_000,
    lastMs: 5_800,
    bps: 5e6,
  })
  const loading = loadingOf(waited, 1_000, 5_801)
  t.equal(Math.round(sampled(loading, bytes.length)), 5e6)
  t.equal(loading.first - loading.start, 100, 'the wait is no time to a first byte')
})

test('without a rate the times of the bytes have to do', async (t) => {
  const unknown = arrival({ httpBytes: 0, peerBytes: 1_000, firstMs: 5_000, lastMs: 5_800, bps: 0 })
  t.same(loadingOf(unknown, 4_990, 6_000), { start: 5_190, first: 5_200, end: 6_000 })
})

test('property: times are in order, and finite', async () => {
  const ms = fc.integer({ min: 0, max: 1e6 })
  fc.assert(
    fc.property(
      ms,
      ms,
      ms,
      ms,
      fc.integer({ min: 0, max: 1e9 }),
      fc.boolean(),
      (startMs, firstMs, spanMs, waitMs, bps, isPeer) => {
        const bytes = new Uint8Array(1_000)
        const by = isPeer ? { httpBytes: 0, peerBytes: 1_000 } : {}
        const came = arrival({ bytes, ...by, firstMs, lastMs: firstMs + spanMs, bps })
        const { start, first, end } = loadingOf(
          came,
          startMs,
          Math.max(startMs, firstMs + spanMs) + waitMs,
        )
        return Number.isFinite(start) && start <= first && first <= end
      },
    ),
  )
})

test('progress: other pages by themselves are not shown, HTTP at its own rate', async (t) => {
  const stats = newStats()
  stats.loading.start = 1_000
  const progress = new Progress()
  progress.came(stats, 60_000, false, 2_000)
  t.match(stats, { loaded: 0, loading: { first: 0 } })
  progress.came(stats, 20_000, true, 3_000)
  t.match(stats, { loaded: 80_000, loading: { first: 3_000 } })
  progress.came(stats, 20_000, true, 4_000)
  t.match(stats, { loaded: 100_000 })
  // 40,000 bytes in a second by HTTP: 100,000 in 2.5.
  t.equal(stats.loading.first, 4_000 - 2_500)
})

test('progress by HTTP alone is as hls.js’s own', async (t) => {
  const stats = newStats()
  stats.loading.start = 1_000
  const progress = new Progress()
  progress.came(stats, 10, true, 1_200)
  progress.came(stats, 10, true, 1_900)
  t.match(stats, { loaded: 20, loading: { first: 1_200 } })
})
