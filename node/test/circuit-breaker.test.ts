/** The circuit breaker, by hand and by every sequence of events that a property test finds. */
import fc from 'fast-check'
import { test } from 'tap'
import {
  type Attempt,
  type AttemptOutcome,
  CircuitBreaker,
  type CircuitBreakerInit,
} from '../src/circuit-breaker.ts'
import { ManualClock } from './support/manual-clock.ts'

const bounds = {
  failuresMax: 5,
  keptShare: 0.5,
  retryMsMin: 1_000,
  retryMsMax: 60_000,
  lieOpenings: 4,
}

function setUp(init: Partial<CircuitBreakerInit> = {}) {
  const clock = new ManualClock()
  const opened: [string, number][] = []
  const breaker = new CircuitBreaker(
    { clock },
    { ...bounds, onOpened: (...notice) => opened.push(notice), ...init },
  )
  const all = (outcome: AttemptOutcome, times: number): void => {
    for (let count = 0; count < times; count += 1) breaker.begin()?.end(outcome)
  }
  return { clock, breaker, opened, all }
}

/** Leave that must be given. */
function leave(breaker: CircuitBreaker): Attempt {
  const attempt = breaker.begin()
  if (attempt === undefined) throw new Error('it is left alone')
  return attempt
}

test('it opens after failures in a row, not after some among many', async (t) => {
  const { breaker, opened, all } = setUp()
  all('failed', bounds.failuresMax - 1)
  t.notOk(breaker.isOpen)
  all('failed', 1)
  t.ok(breaker.isOpen)
  t.same(opened, [['failed', 1]])
  t.equal(breaker.begin(), undefined)

  const some = setUp()
  for (let count = 0; count < 100; count += 1) {
    some.all('failed', 1)
    some.all('succeeded', 1)
  }
  t.notOk(some.breaker.isOpen)

  const strict = setUp({ keptShare: 0 })
  strict.all('failed', bounds.failuresMax - 1)
  strict.all('succeeded', 1)
  strict.all('failed', bounds.failuresMax - 1)
  t.notOk(strict.breaker.isOpen, 'in a row')
  strict.all('abandoned', 100)
  strict.all('failed', 1)
  t.ok(strict.breaker.isOpen, 'what was given up says nothing')
})

test('half-open lets one trial through, and believes it', async (t) => {
  const { clock, breaker, opened, all } = setUp()
  all('failed', bounds.failuresMax)
  clock.advance(bounds.retryMsMin - 1)
  t.equal(breaker.begin(), undefined)
  clock.advance(1)
  const first = leave(breaker)
  t.equal(breaker.begin(), undefined, 'one at a time')
  first.end('abandoned')
  const second = leave(breaker)
  t.ok(breaker.isOpen)
  second.end('failed')
  second.end('succeeded')
  t.ok(breaker.isOpen, 'only the first word counts')
  t.same(opened.at(-1), ['failed', 2])
  clock.advance(2 * bounds.retryMsMin - 1)
  t.equal(breaker.begin(), undefined, 'the wait has doubled')
  clock.advance(1)
  leave(breaker).end('succeeded')
  t.notOk(breaker.isOpen)
  all('failed', bounds.failuresMax - 1)
  t.notOk(breaker.isOpen, 'and what was before is forgotten')
})

test('what was under way when it opened proves nothing new', async (t) => {
  const { clock, breaker, all } = setUp()
  const late = [leave(breaker), leave(breaker), leave(breaker)]
  all('failed', bounds.failuresMax)
  late[0]?.end('succeeded')
  t.ok(breaker.isOpen)
  clock.advance(bounds.retryMsMin)
  const trial = leave(breaker)
  late[1]?.end('failed')
  late[2]?.end('succeeded')
  t.ok(breaker.isOpen)
  t.equal(breaker.begin(), undefined, 'the trial goes on')
  trial.end('succeeded')
  t.notOk(breaker.isOpen)
})

test('a lie opens at once and for longer', async (t) => {
  const { clock, breaker, opened } = setUp()
  const [first, second] = [leave(breaker), leave(breaker)]
  first.end('lied')
  t.same(opened, [['lied', bounds.lieOpenings]])
  clock.advance(bounds.retryMsMin * 2 ** (bounds.lieOpenings - 1) - 1)
  t.equal(breaker.begin(), undefined)
  clock.advance(1)
  const trial = leave(breaker)
  second.end('lied')
  trial.end('succeeded')
  t.ok(breaker.isOpen, 'a trial from before another lie')
  clock.advance(bounds.retryMsMax - 1)
  t.equal(breaker.begin(), undefined)
  clock.advance(1)
  t.ok(breaker.begin(), 'but no longer than the longest wait')
})

test('waits are shortened at random by their share', async (t) => {
  const clock = new ManualClock()
  const breaker = new CircuitBreaker(
    { clock, random: () => 0.5 },
    { ...bounds, failuresMax: 1, retryJitterShare: 0.5, onOpened: () => {} },
  )
  leave(breaker).end('failed')
  clock.advance(bounds.retryMsMin * 0.75 - 1)
  t.equal(breaker.begin(), undefined)
  clock.advance(1)
  t.ok(breaker.begin())
})

test('for any events', async (t) => {
  const event = fc.record({
    what: fc.constantFrom<AttemptOutcome | 'begin'>(
      ...(['begin', 'begin', 'succeeded', 'failed', 'lied', 'abandoned'] as const),
    ),
    which: fc.nat(9),
    afterMs: fc.nat(20_000),
  })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200 }), (events) => {
      const { clock, breaker, opened } = setUp()
      let running: Attempt[] = []
      let trial: Attempt | undefined
      let openedAtMs = 0
      for (const { what, which, afterMs } of events) {
        clock.advance(afterMs)
        const wasOpen = breaker.isOpen
        const openings = opened.length
        if (what === 'begin') {
          const attempt = breaker.begin()
          // One trial at a time, and none while it rests; closed it refuses nobody.
          if (attempt === undefined && !wasOpen) return false
          if (attempt !== undefined && wasOpen) {
            if (trial !== undefined && running.includes(trial)) return false
            if (clock.monotonicMs() - openedAtMs < bounds.retryMsMin) return false
            trial = attempt
          }
          if (attempt !== undefined) running.push(attempt)
          continue
        }
        const ended = running[which % Math.max(running.length, 1)]
        if (ended === undefined) continue
        running = running.filter((one) => one !== ended)
        ended.end(what)
        if (what === 'lied' && !breaker.isOpen) return false
        if (wasOpen && !breaker.isOpen && (ended !== trial || what !== 'succeeded')) return false
        if (opened.length > openings || (what === 'lied' && wasOpen)) {
          openedAtMs = clock.monotonicMs()
          trial = undefined
        }
      }
      // Whatever came before: after the longest rest it is asked, and one good answer is enough.
      if (trial !== undefined && running.includes(trial)) trial.end('failed')
      clock.advance(bounds.retryMsMax)
      breaker.begin()?.end('succeeded')
      return !breaker.isOpen
    }),
  )
  t.pass()
})
