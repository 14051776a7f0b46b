// The loop of the test stream on a clock that the test moves: pacing, catching up, skipping.
import { test } from 'tap'
import type { Encoder } from '../../../src/ingest/test-stream/encoder.ts'
import { Generator, type GeneratorComponents } from '../../../src/ingest/test-stream/generator.ts'
import { SecondBell } from '../../../src/ingest/test-stream/tone.ts'
import { ManualClock } from '../../support/manual-clock.ts'

/** A generator whose encoders note the times they are given. */
function recorded(clock: ManualClock) {
  const video: number[] = []
  const audio: number[] = []
  const drawn: [number, number][] = []
  const encoder = (times: number[]) =>
    ({ encode: (pts: number) => times.push(pts) }) as unknown as Encoder
  const components = {
    clock,
    picture: { draw: (index: number, wallMs: number) => drawn.push([index, wallMs]) },
    bell: new SecondBell(48_000),
    video: encoder(video),
    audio: { ...encoder(audio), samples: [new Float32Array(1_024), new Float32Array(1_024)] },
    output: { writeVideo: () => {}, writeAudio: () => {} },
  } as unknown as GeneratorComponents
  return { generator: new Generator(components, { frameRate: 30 }), video, audio, drawn }
}

const noError = (error: unknown) => {
  throw error
}

test('the first frame goes out at once, and a minute has exactly its frames', async (t) => {
  const clock = new ManualClock()
  const { generator, video, audio, drawn } = recorded(clock)
  generator.start(noError)
  t.same(video, [0], 'no wait for the first')
  clock.advance(60_000)
  generator.stop()
  t.equal(video.length, 1_801)
  t.same(video, [...video.keys()], 'no frame is left out or doubled')
  t.same(generator.progress, { frames: 1_801, skipped: 0 })
  for (const [index, wallMs] of drawn) {
    if (Math.abs(wallMs - 1_700_000_000_000 - (index * 1_000) / 30) > 1)
      t.fail(`frame ${index} is off`)
  }
  const soundMs = (audio.length * 1_024) / 48
  t.ok(soundMs >= 60_000 && soundMs < 60_100, `sound covers the picture: ${soundMs} ms`)
  t.same(audio.slice(0, 3), [0, 1_024, 2_048])
  t.equal(clock.timers, 0, 'stop leaves no timer')
})

test('after a pause it goes on at the present instead of sending the past', async (t) => {
  const clock = new ManualClock()
  const { generator, video, audio } = recorded(clock)
  generator.step()
  clock.advance(10_000)
  generator.step()
  t.same(video, [0, 300])
  t.same(generator.progress, { frames: 2, skipped: 299 })
  t.ok(audio.length < 10, `no burst of sound: ${audio.length} blocks`)
  t.ok((audio.at(-1) ?? 0) / 48 > 9_900, 'the sound is at the present, too')
})

test('a short delay is caught up', async (t) => {
  const clock = new ManualClock()
  const { generator, video } = recorded(clock)
  generator.step()
  clock.advance(300)
  let steps = 0
  while (generator.step() === 0) steps++
  t.equal(steps, 8, 'the frames of 300 ms, at once')
  t.same(video, [...video.keys()])
  t.equal(generator.progress.skipped, 0)
})

test('an error ends the loop and is told once', async (t) => {
  const clock = new ManualClock()
  const { generator, video } = recorded(clock)
  const errors: unknown[] = []
  video.push = () => {
    throw new Error('the receiver is gone')
  }
  generator.start((error) => errors.push(error))
  clock.advance(1_000)
  t.equal(errors.length, 1)
  t.equal(clock.timers, 0)
})
