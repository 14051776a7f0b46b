/** The budget of second requests and the judgement of lateness, by every sequence that a property test finds. */
import fc from 'fast-check'
import { test } from 'tap'
import { HedgeBudget } from '../../../src/content/fetch/hedge-budget.ts'
import { LatencyWindow } from '../../../src/content/fetch/latency-window.ts'
import { fetchLimits } from '../../../src/limits/fetch.ts'

test('second requests never exceed their share, and one is always possible after quiet', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 2_000 }), (sequence) => {
      const budget = new HedgeBudget()
      let earned = 0
      let spent = 0
      for (const isHedge of sequence) {
        if (!isHedge) {
          budget.earn()
          earned += 1
        } else if (budget.spend()) spent += 1
        if (spent > 1 + earned * fetchLimits.hedgeShareMax + 1e-9) return false
      }
      for (let count = 0; count < 20; count += 1) budget.earn()
      return budget.spend()
    }),
  )
  const budget = new HedgeBudget()
  for (let count = 0; count < 10_000; count += 1) budget.earn()
  let burst = 0
  while (budget.spend()) burst += 1
  t.equal(burst, fetchLimits.hedgeBurstMax)
})

test('lateness is judged by the newest latencies', async (t) => {
  const window = new LatencyWindow()
  t.equal(window.hedgeMs, fetchLimits.hedgeMsDefault)
  for (let count = 0; count < fetchLimits.hedgeSamplesMin; count += 1) window.add(1)
  t.equal(window.hedgeMs, fetchLimits.hedgeMsMin)
  for (let count = 0; count < fetchLimits.latencySamplesMax; count += 1) window.add(100 + count)
  t.equal(window.hedgeMs, 100 + Math.ceil(fetchLimits.latencySamplesMax * 0.95) - 1)
  for (let count = 0; count < fetchLimits.latencySamplesMax; count += 1) window.add(1e6)
  t.equal(window.hedgeMs, fetchLimits.hedgeMsMax)
})

test('a simulated network: hedging cuts the tail, the breaker cuts the waste', async (t) => {
  // Deterministic: a linear congruential generator (Numerical Recipes).
  let seed = 42
  const random = (): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return seed / 2 ** 32
  }
  const latency = (): number => (random() < 0.03 ? 2_000 : 5 + random() * 10)
  const window = new LatencyWindow()
  const budget = new HedgeBudget()
  const plain: number[] = []
  const hedged: number[] = []
  let extra = 0
  for (let count = 0; count < 5_000; count += 1) {
    const first = latency()
    plain.push(first)
    budget.earn()
    let ms = first
    if (first > window.hedgeMs && budget.spend()) {
      extra += 1
      ms = Math.min(first, window.hedgeMs + latency())
    }
    window.add(Math.min(first, ms))
    hedged.push(ms)
  }
  const p99 = (values: number[]): number => values.sort((a, b) => a - b)[4_950] ?? 0
  t.equal(p99(plain), 2_000)
  t.ok(p99(hedged) < 50, `p99 ${p99(hedged)} ms`)
  t.ok(extra <= 1 + 5_000 * fetchLimits.hedgeShareMax)
})
