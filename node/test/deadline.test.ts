/** Deadlines on a clock that the test moves, and waiting that a signal ends. */
import { test } from 'tap'
import { abortReason, deadline, unlessAborted } from '../src/deadline.ts'
import { KairoError } from '../src/errors.ts'
import { ManualClock } from './support/manual-clock.ts'

test('a deadline fires on time, with its parent, or not at all once cleared', async (t) => {
  const clock = new ManualClock()
  const late = deadline(clock, 1_000)
  await clock.advance(999)
  t.notOk(late.signal.aborted)
  await clock.advance(1)
  t.match(late.signal.reason, { code: 'ERR_TIMEOUT', message: /1000 ms/ })
  t.ok(late.expired)

  const parent = new AbortController()
  const child = deadline(clock, 1_000, parent.signal)
  const cleared = deadline(clock, 1_000, parent.signal)
  cleared.clear()
  const stopped = new KairoError('ERR_STOPPED', 'stopped')
  parent.abort(stopped)
  t.equal(child.signal.reason, stopped)
  t.notOk(child.expired)
  t.notOk(cleared.signal.aborted, 'it let go of its parent')
  t.equal(deadline(clock, 1_000, parent.signal).signal.reason, stopped, 'a parent that has fired')
  await clock.advance(5_000)
  t.notOk(cleared.signal.aborted, 'and of the clock')
})

test('a wait ends with the promise or with the signal, whichever is first', async (t) => {
  const controller = new AbortController()
  const { signal } = controller
  t.equal(await unlessAborted(Promise.resolve(1), signal), 1)
  t.equal(await unlessAborted(Promise.resolve(2), undefined), 2)
  await t.rejects(unlessAborted(Promise.reject(new Error('its own')), signal), {
    message: 'its own',
  })
  const never = new Promise<number>(() => {})
  const waiting = unlessAborted(never, signal)
  controller.abort(new KairoError('ERR_STOPPED', 'stopped'))
  await t.rejects(waiting, { code: 'ERR_STOPPED' })
  await t.rejects(unlessAborted(Promise.resolve(1), signal), { code: 'ERR_STOPPED' }, 'has fired')
  const foreign = new Error('closed')
  t.match(abortReason(AbortSignal.abort(foreign)), { code: 'ERR_TIMEOUT', cause: foreign })
})
