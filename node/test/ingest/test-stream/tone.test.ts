// The bell of the test stream: in step with the clock, quiet, without clicks.
import { test } from 'tap'
import { SecondBell } from '../../../src/ingest/test-stream/tone.ts'

const rate = 48_000

/** Plays `seconds` in blocks as the encoder asks for them. */
function play(startWallMs: number, seconds: number): Float32Array {
  const bell = new SecondBell(rate)
  const all = new Float32Array(Math.ceil((seconds * rate) / 1_024) * 1_024)
  for (let at = 0; at < all.length; at += 1_024) {
    bell.fill(all.subarray(at, at + 1_024), startWallMs + (at * 1_000) / rate)
  }
  return all
}

test('a bell begins where a second of the wall clock begins', async (t) => {
  const samples = play(1_767_323_045_250, 3)
  const heard = samples.findIndex((value) => Math.abs(value) > 1e-4)
  t.ok(Math.abs(heard - 0.75 * rate) < 100, `first sound at sample ${heard}`)
  for (const second of [0.75, 1.75]) {
    const at = Math.round(second * rate)
    const before = samples.subarray(at - 400, at - 4)
    const after = samples.subarray(at + 100, at + 600)
    t.ok(
      before.every((value) => Math.abs(value) < 0.002),
      `quiet before ${second}`,
    )
    t.ok(
      after.some((value) => Math.abs(value) > 0.02),
      `sound after ${second}`,
    )
  }
})

test('is quiet, and does not click', async (t) => {
  const samples = play(1_767_323_045_000, 2)
  t.ok(samples.every((value) => Math.abs(value) <= 0.1))
  t.equal(samples[0], 0, 'begins from silence')
  let steepest = 0
  for (let i = 1; i < samples.length; i++) {
    steepest = Math.max(steepest, Math.abs((samples[i] ?? 0) - (samples[i - 1] ?? 0)))
  }
  t.ok(steepest < 0.02, `largest step ${steepest}`)
})

test('keeps step when the wall clock is set', async (t) => {
  const bell = new SecondBell(rate)
  const block = new Float32Array(1_024)
  bell.fill(block, 1_000_000)
  bell.fill(block, 1_000_500)
  bell.fill(block, 2_000_990)
  t.ok(
    block.subarray(490).some((value) => Math.abs(value) > 0.01),
    'rings 10 ms into the block',
  )
})
