/** Who counts as one guesser, and for how long. */
import { test } from 'tap'
import { FailureLimiter } from '../src/failure-limiter.ts'
import { ManualClock } from './support/manual-clock.ts'

const bounds = { failuresMax: 20, windowMs: 60_000, addressesMax: 1_000 }

function failOften(limiter: FailureLimiter, address: string): void {
  for (let count = 0; count < bounds.failuresMax; count += 1) {
    limiter.fail(address)
  }
}

test('failure limiter', async (t) => {
  t.test('refuses after too many, until the window is over', async (t) => {
    const clock = new ManualClock()
    const limiter = new FailureLimiter({ clock }, bounds)
    failOften(limiter, '192.0.2.1')
    t.equal(limiter.waitMs('192.0.2.1'), bounds.windowMs)
    t.equal(limiter.waitMs('192.0.2.2'), 0)
    clock.advance(bounds.windowMs)
    t.equal(limiter.waitMs('192.0.2.1'), 0)
    limiter.fail('192.0.2.1')
    t.equal(limiter.waitMs('192.0.2.1'), 0, 'a new window counts from one')
  })

  t.test('one customer is one guesser', async (t) => {
    const limiter = new FailureLimiter({ clock: new ManualClock() }, bounds)
    failOften(limiter, '2001:db8::1')
    t.ok(limiter.waitMs('2001:db8:0:0:ffff::2') > 0, 'the same /64')
    t.equal(limiter.waitMs('2001:db8:0:1::1'), 0)
    t.equal(limiter.waitMs('::1'), 0)
    failOften(limiter, '::ffff:192.0.2.1')
    t.ok(limiter.waitMs('192.0.2.1') > 0, 'an IPv4 address however it is written')
  })

  t.test('remembers a bounded number of addresses', async (t) => {
    const limiter = new FailureLimiter({ clock: new ManualClock() }, bounds)
    failOften(limiter, 'first')
    for (let index = 1; index < bounds.addressesMax; index += 1) {
      limiter.fail(`address ${index}`)
    }
    t.ok(limiter.waitMs('first') > 0)
    limiter.fail('one more')
    t.equal(limiter.waitMs('first'), 0)
  })
})
