/** Clocks that jump, and clocks that only look like it. */
import { test } from 'tap'
import { ClockRepair } from '../../../../src/media/child/file/clock-repair.ts'

const SECOND = 90_000
const STEP = 3_600

/** Mended times of packets, each a track and a time. */
function mended(clock: ClockRepair, packets: readonly (readonly [number, number])[]): number[] {
  return packets.map(([track, dts]) => dts + clock.offsetFor(track, dts))
}

/** Pictures of track 0 from `from` on, a step apart. */
const run = (from: number, count: number, track = 0) =>
  Array.from({ length: count }, (_, index) => [track, from + index * STEP] as const)

test('clock repair', async (t) => {
  await t.test('a steady clock is left alone', async (t) => {
    const clock = new ClockRepair()
    const packets = run(10 * SECOND, 50)
    t.same(
      mended(clock, packets),
      packets.map(([, dts]) => dts),
    )
    t.equal(clock.jumps, 0)
  })

  await t.test('a clock that begins anew goes on where the track was', async (t) => {
    const clock = new ClockRepair()
    const times = mended(clock, [...run(0, 50), ...run(0, 50)])
    t.same(
      times,
      run(0, 100).map(([, dts]) => dts),
    )
    t.equal(clock.jumps, 1)
  })

  await t.test('hours that are missing are closed', async (t) => {
    const times = mended(new ClockRepair(), [...run(0, 10), ...run(3_600 * SECOND, 10)])
    t.same(
      times,
      run(0, 20).map(([, dts]) => dts),
    )
  })

  await t.test('one damaged time moves nothing behind it', async (t) => {
    const clock = new ClockRepair()
    const times = mended(clock, [...run(0, 5), [0, 90 * SECOND], ...run(6 * STEP, 5)])
    t.same(
      times,
      run(0, 11).map(([, dts]) => dts),
    )
  })

  await t.test('tracks jump together, the one after the other', async (t) => {
    const clock = new ClockRepair()
    const both = (from: number, count: number) =>
      run(from, count).flatMap(([, dts]) => [[0, dts] as const, [1, dts + 7] as const])
    // The second track's last packet of old comes behind the first one's first of new.
    const packets = [...both(0, 50), [0, 0] as const, [1, 50 * STEP + 7] as const]
    mended(clock, packets)
    const [video = 0, audio = 0] = mended(clock, [
      [0, STEP],
      [1, STEP + 7],
    ])
    t.equal(audio - video, 7, 'in step as before')
  })

  await t.test('what is no jump', async (t) => {
    const clock = new ClockRepair()
    mended(clock, run(0, 50))
    mended(clock, [
      [1, 30 * SECOND],
      [1, 30 * SECOND + STEP],
    ])
    t.equal(clock.jumps, 0, 'a track that begins late')
    mended(clock, [[1, 30 * SECOND - STEP]])
    t.equal(clock.jumps, 0, 'a packet out of order')
    mended(clock, [[0, 31 * SECOND]])
    t.equal(clock.jumps, 0, 'a still track beside one that goes on')
  })
})
