/** The circuit breaker and the budget of second requests, by every sequence of events that a property test finds. */
import fc from 'fast-check'
import { test } from 'tap'
import {
  type BreakerState,
  closedBreaker,
  mayAsk,
  onAbandoned,
  onAsked,
  onFailure,
  onSuccess,
} from '../../../src/content/fetch/breaker.ts'
import { HedgeBudget } from '../../../src/content/fetch/hedge-budget.ts'
import { LatencyWindow } from '../../../src/content/fetch/latency-window.ts'
import { fetchLimits } from '../../../src/limits/fetch.ts'

const { breakerMsMin, breakerMsMax, breakerScoreMax, lieOpenings } = fetchLimits

function failTimes(state: BreakerState, times: number, nowMs: number): BreakerState {
  let next = state
  for (let count = 0; count < times; count += 1) next = onFailure(next, 'failed', nowMs)
  return next
}

test('the breaker', async (t) => {
  await t.test('opens after failures in a row, not after some among many', async (t) => {
    t.equal(failTimes(closedBreaker, breakerScoreMax - 1, 0).kind, 'closed')
    t.same(failTimes(closedBreaker, breakerScoreMax, 7), {
      kind: 'open',
      untilMs: 7 + breakerMsMin,
      openings: 1,
    })
    let state = closedBreaker
    for (let count = 0; count < 100; count += 1) {
      state = onSuccess(onFailure(state, 'failed', count))
    }
    t.equal(state.kind, 'closed')
  })

  await t.test('half-open lets one trial through, and believes it', async (t) => {
    const open = failTimes(closedBreaker, breakerScoreMax, 0)
    t.notOk(mayAsk(open, breakerMsMin - 1))
    t.ok(mayAsk(open, breakerMsMin))
    const trial = onAsked(open)
    t.equal(trial.kind, 'half-open')
    t.notOk(mayAsk(trial, 1e12))
    t.same(onSuccess(trial), closedBreaker)
    t.same(onFailure(trial, 'failed', 50), {
      kind: 'open',
      untilMs: 50 + 2 * breakerMsMin,
      openings: 2,
    })
    t.ok(mayAsk(onAbandoned(trial, 60), 60), 'a trial given up frees its place')
  })

  await t.test('a lie opens at once and for longer; late answers change nothing', async (t) => {
    const lied = onFailure(closedBreaker, 'lied', 0)
    t.same(lied, {
      kind: 'open',
      untilMs: breakerMsMin * 2 ** (lieOpenings - 1),
      openings: lieOpenings,
    })
    t.equal(onSuccess(lied), lied)
    t.equal(onFailure(lied, 'failed', 5), lied)
    t.equal(onAbandoned(lied, 5), lied)
    const again = onFailure(lied, 'lied', 0)
    t.match(again, { untilMs: breakerMsMax })
  })

  await t.test('for any events', async (t) => {
    type Event = 'ask' | 'succeed' | 'fail' | 'lie' | 'abandon'
    const events = fc.array(
      fc.record({
        event: fc.constantFrom<Event>('ask', 'succeed', 'fail', 'lie', 'abandon'),
        afterMs: fc.nat(20_000),
      }),
      { maxLength: 200 },
    )
    fc.assert(
      fc.property(events, (sequence) => {
        let state = closedBreaker
        let nowMs = 0
        let openSinceMs = 0
        for (const { event, afterMs } of sequence) {
          nowMs += afterMs
          const before = state
          if (event === 'ask') {
            const asked = mayAsk(state, nowMs)
            // Never while it rests; and a rest is never longer than the limit.
            if (before.kind === 'open' && asked !== before.untilMs <= nowMs) return false
            if (before.kind === 'half-open' && asked) return false
            if (asked) state = onAsked(state)
          } else if (event === 'succeed') state = onSuccess(state)
          else if (event === 'abandon') state = onAbandoned(state, nowMs)
          else state = onFailure(state, event === 'lie' ? 'lied' : 'failed', nowMs)
          if (event === 'lie' && state.kind !== 'open') return false
          if (state.kind === 'open' && before.kind !== 'open') openSinceMs = nowMs
          if (state.kind === 'open' && state.untilMs > nowMs + breakerMsMax) return false
          if (before.kind === 'open' && state.kind === 'closed') return false
          if (openSinceMs > nowMs) return false
        }
        // Whatever came before: after the longest rest it is asked, and one good answer is enough.
        const rested = state.kind === 'half-open' ? onFailure(state, 'failed', nowMs) : state
        if (!mayAsk(rested, nowMs + breakerMsMax)) return false
        return onSuccess(onAsked(rested)).kind === 'closed'
      }),
    )
    t.pass()
  })
})

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
