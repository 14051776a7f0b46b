// Deadlines from the buffer.
import fc from 'fast-check'
import { test } from 'tap'
import { deadlineOf, readPlayhead, type Span } from '../../src/hls/deadline.ts'
import { hlsLimits as limits } from '../../src/hls/limits.ts'
import { mediaOf } from '../support/hls-parts.ts'

const segment = (startS: number): Span => ({ startS, durationS: 4, isPart: false })
const part = (startS: number): Span => ({ startS, durationS: 0.5, isPart: true })
const at = (positionS: number, bufferedS: number, rate = 1) => ({ positionS, bufferedS, rate })

test('the playhead: what is buffered in a row from the position on', async (t) => {
  t.match(readPlayhead(mediaOf(5, [])), at(5, 0))
  t.match(readPlayhead(mediaOf(5, [[4, 9]])), at(5, 4))
  t.match(readPlayhead(mediaOf(5, [[0, 3]])), at(5, 0), 'what lies behind is no buffer')
  t.match(readPlayhead(mediaOf(5, [[8, 12]])), at(5, 0), 'nor is what lies ahead')
  t.match(readPlayhead(mediaOf(0, [[0.05, 4]])), at(0, 4), 'a small hole is jumped over')
  t.match(
    readPlayhead(
      mediaOf(1, [
        [0, 4],
        [4.05, 8],
        [9, 12],
      ]),
    ),
    at(1, 7),
  )
  t.equal(readPlayhead(mediaOf(1, [[0, 4]], 2)).rate, 2)
  t.equal(readPlayhead(mediaOf(1, [[0, 4]], 0)).rate, 1, 'who stands still may go on')
})

test('without a buffer everything is urgent, wherever it is', async (t) => {
  t.same(deadlineOf(segment(0), undefined, 100), { deadlineMs: 100, isUrgent: true })
  t.same(deadlineOf(segment(0), at(0, 0), 100), { deadlineMs: 100, isUrgent: true })
  t.same(
    deadlineOf(segment(4_000), at(0, 0), 100),
    { deadlineMs: 100, isUrgent: true },
    'a live player is still at 0 when it loads its first segment',
  )
})

test('the next segment is due when the buffer ends', async (t) => {
  const due = deadlineOf(segment(28), at(20, 8), 1_000)
  t.same(due, { deadlineMs: 1_000 + 8_000 - limits.appendMs, isUrgent: false })
  t.equal(
    deadlineOf(segment(28), at(20, 8, 2), 0).deadlineMs,
    4_000 - limits.appendMs,
    'twice as fast',
  )
  t.equal(
    deadlineOf(segment(40), at(20, 8), 0).deadlineMs,
    20_000 - limits.appendMs,
    'a later one later',
  )
  t.equal(
    deadlineOf(segment(20), at(20, 8), 0).deadlineMs,
    8_000 - limits.appendMs,
    'another level in place of what is there: when that ends',
  )
})

test('nearly empty is urgent: two seconds, half a segment, or one part', async (t) => {
  t.equal(deadlineOf(segment(22), at(20, 1.9), 0).isUrgent, true)
  t.equal(deadlineOf(segment(22), at(20, 2.1), 0).isUrgent, false)
  const short: Span = { startS: 20.5, durationS: 1, isPart: false }
  t.equal(deadlineOf(short, at(20, 0.6), 0).isUrgent, false, 'segments of a second')
  t.equal(deadlineOf(short, at(20, 0.4), 0).isUrgent, true)
  t.equal(deadlineOf(part(21), at(20, 1), 0).isUrgent, false)
  t.equal(deadlineOf(part(20.4), at(20, 0.4), 0).isUrgent, true)
  t.equal(
    deadlineOf(segment(30), at(20, 1), 0).isUrgent,
    false,
    'what is not next is not what lacks',
  )
})

test('property: later with more buffer, never before now, never later for a faster player', async () => {
  const seconds = fc.double({ min: 0, max: 100, noNaN: true })
  const span = fc.record({
    startS: seconds,
    durationS: fc.double({ min: 0.1, max: 10, noNaN: true }),
    isPart: fc.boolean(),
  })
  fc.assert(
    fc.property(
      span,
      seconds,
      seconds,
      seconds,
      fc.double({ min: 0.5, max: 4, noNaN: true }),
      (of, position, less, more, rate) => {
        const small = deadlineOf(of, at(position, less), 50)
        const large = deadlineOf(of, at(position, less + more), 50)
        const fast = deadlineOf(of, at(position, less, Math.max(1, rate)), 50)
        return (
          small.deadlineMs >= 50 &&
          large.deadlineMs >= small.deadlineMs &&
          fast.deadlineMs <= small.deadlineMs
        )
      },
    ),
  )
})
