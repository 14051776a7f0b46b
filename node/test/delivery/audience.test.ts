// Viewers are clients that asked within the window; the counter is bounded.
import { test } from 'tap'
import { Audience } from '../../src/delivery/audience.ts'
import { audienceLimits } from '../../src/limits.ts'
import { ManualClock } from '../support/manual-clock.ts'

test('a client counts once, and until the window has passed', async (t) => {
  const clock = new ManualClock()
  const audience = new Audience({ clock })
  audience.note('k1', '192.0.2.1')
  audience.note('k1', '192.0.2.1')
  audience.note('k1', '192.0.2.2')
  audience.note('k2', '192.0.2.3')
  t.equal(audience.viewers('k1'), 2)
  t.equal(audience.viewers('k2'), 1)
  clock.advance(audienceLimits.windowMs - 1)
  audience.note('k1', '192.0.2.2')
  clock.advance(2)
  t.equal(audience.viewers('k1'), 1, 'the one that went on asking')
  t.equal(audience.viewers('k2'), 0)
  t.equal(audience.viewers('k3'), 0)
})

test('streams beyond the limit are not counted', async (t) => {
  const audience = new Audience({ clock: new ManualClock() })
  for (let index = 0; index <= audienceLimits.streamsMax; index += 1) {
    audience.note(`k${index}`, '192.0.2.1')
  }
  t.equal(audience.viewers('k0'), 1)
  t.equal(audience.viewers(`k${audienceLimits.streamsMax}`), 0)
})
