/** Locks of uploads over a hand-driven clock: who gets one, who waits, and who is refused. */
import { test } from 'tap'
import { uploadLimits } from '../../../src/limits/upload.ts'
import { createRegistry } from '../../../src/metrics/registry.ts'
import { UploadLocks } from '../../../src/vod/upload/upload-locks.ts'
import { UploadMetrics } from '../../../src/vod/upload/upload-metrics.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { metricOf } from '../../support/registry-value.ts'

function locksWithClock() {
  const clock = new ManualClock()
  const registry = createRegistry()
  const locks = new UploadLocks({ clock, metrics: new UploadMetrics(registry, () => 0) })
  const refused = () => metricOf(registry, 'kairo_vod_uploads_total', { outcome: 'refused-locked' })
  return { clock, locks, refused }
}

const { signal } = new AbortController()

test('whoever waits takes over in order, and each holder is asked to let go', async (t) => {
  const { locks, refused } = locksWithClock()
  const asked: string[] = []
  const [first, second] = [locks.newLock('a'), locks.newLock('a')]
  await first.lock(signal, () => void asked.push('first'))
  const waiting = second.lock(signal, () => void asked.push('second'))
  t.same(asked, ['first'])
  await first.unlock()
  await waiting
  t.ok(locks.isHeld('a'))
  await second.unlock()
  t.notOk(locks.isHeld('a'))
  t.equal(await refused(), 0)
})

test('too many that wait, and a holder that does not let go, are refused and counted', async (t) => {
  const { clock, locks, refused } = locksWithClock()
  await locks.newLock('a').lock(signal, () => {})
  const waiting = Array.from({ length: uploadLimits.lockWaitersMax }, () =>
    locks.newLock('a').lock(signal, () => {}),
  )
  await t.rejects(
    locks.newLock('a').lock(signal, () => {}),
    { code: 'ERR_LOCKED' },
  )
  t.equal(await refused(), 1)
  const outcomes = Promise.allSettled(waiting)
  clock.advance(uploadLimits.lockWaitMsMax)
  t.ok((await outcomes).every(({ status }) => status === 'rejected'))
  t.equal(await refused(), 1 + uploadLimits.lockWaitersMax)
})

test('a client that leaves while it waits is not a refused one', async (t) => {
  const { locks, refused } = locksWithClock()
  await locks.newLock('a').lock(signal, () => {})
  const leaving = new AbortController()
  const waiting = locks.newLock('a').lock(leaving.signal, () => {})
  leaving.abort()
  await t.rejects(waiting, { code: 'ERR_LOCKED' })
  t.equal(await refused(), 0)
})
