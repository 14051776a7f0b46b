/**
 * A caller and the admission over a simulated network that loses, delays, repeats and swaps packets by a seed, in time that a
 * test moves: a failing seed fails again.
 */
import { t as root, type Test, test } from 'tap'
import { CONTROL } from '../../src/ingest/srt/packet.ts'
import { srtLimits } from '../../src/limits/srt.ts'
import { seededRandom } from '../support/content-peer.ts'
import { RecordingPublishing } from '../support/recording-publishing.ts'
import { AdmissionRun, TestCaller } from '../support/srt-caller.ts'
import { adtsFrame, TsWriter } from '../support/ts-writer.ts'

root.setTimeout(120_000)

const AUDIO = { pid: 0x101, type: 0x0f }
const FRAMES = 600
const STEP_MS = 5

interface World {
  readonly loss: number
  readonly latencyMs: number
  readonly passphrase?: string
  /** One way, with jitter on top. */
  readonly delayMs: number
  readonly jitterMs: number
  readonly initialSequence: number
}

interface Outcome {
  readonly frames: readonly number[]
  readonly late: number
  readonly lost: number
  /** Longest time between a frame's sending and its coming out. */
  readonly delayMsMax: number
}

/** Sends one audio frame every 5 ms and says which came out. */
async function simulate(seed: number, world: World): Promise<Outcome> {
  const random = seededRandom(seed)
  const publishing = new RecordingPublishing('secret')
  const run = new AdmissionRun(publishing, world.passphrase)
  const { latencyMs, initialSequence, passphrase } = world
  const caller = new TestCaller({
    latencyMs,
    initialSequence,
    ...(passphrase ? { passphrase } : {}),
  })
  await run.connect(caller)
  const [sink] = publishing.sinks
  if (sink === undefined) throw new Error('the caller was not admitted')

  const later = (send: () => void): void => {
    if (random() < world.loss) return
    const copies = random() < world.loss ? 2 : 1
    for (let copy = 0; copy < copies; copy += 1) {
      run.clock.after(world.delayMs + Math.floor(random() * world.jitterMs), send)
    }
  }
  const toListener = (packet: Buffer): void => later(() => run.receive(Buffer.from(packet)))
  const pump = (): void => {
    for (const { packet } of run.sent.splice(0)) {
      later(() => {
        for (const answer of caller.receive(packet)) toListener(answer)
      })
    }
  }

  const writer = new TsWriter()
  // The tables come first and are not what is tested.
  run.receive(caller.data(writer.tables(AUDIO)))
  const sentAtMs: number[] = []
  let delayMsMax = 0
  let seen = 0
  const look = (): void => {
    for (; seen < sink.units.length; seen += 1) {
      const frame = Math.round((sink.units[seen]?.dts ?? 0) / 1_920)
      delayMsMax = Math.max(delayMsMax, run.clock.monotonicMs() - (sentAtMs[frame] ?? 0))
    }
  }
  for (let step = 0; step < FRAMES + 200; step += 1) {
    if (step < FRAMES) {
      sentAtMs[step] = run.clock.monotonicMs()
      const pts = step * 1_920
      toListener(
        caller.data(writer.pes({ pid: AUDIO.pid, data: adtsFrame(30), pts, streamId: 0xc0 })),
      )
    } else if (step % 100 === 0) toListener(caller.control(CONTROL.keepAlive))
    for (let ms = 0; ms < STEP_MS; ms += 1) {
      run.clock.advance(1)
      pump()
      look()
    }
  }
  const late = await run.metric('packets_dropped_total', { reason: 'too-late' })
  const lost = await run.metric('packets_lost_total')
  return { frames: sink.units.map(({ dts }) => Math.round(dts / 1_920)), late, lost, delayMsMax }
}

/** Bound of a frame's way: there, its wait for repairs, and a tick to notice that it is over. */
function delayBound(world: World): number {
  return world.delayMs + world.jitterMs + world.latencyMs + 2 * srtLimits.tickMs
}

function inOrder(t: Test, frames: readonly number[], message: string): void {
  const sorted = frames.toSorted((a, b) => a - b)
  t.same(frames, sorted, `${message}: in order`)
  t.equal(new Set(frames).size, frames.length, `${message}: once`)
}

test('with time for repairs nothing is lost', async (t) => {
  for (let seed = 1; seed <= 12; seed += 1) {
    const world: World = {
      ...{ loss: 0.05, latencyMs: 600, delayMs: 5 + seed, jitterMs: 12 },
      initialSequence: seed % 2 === 0 ? 2 ** 31 - 100 : 1_000,
      ...(seed % 3 === 0 ? { passphrase: 'correct horse battery' } : {}),
    }
    const { frames, late, lost, delayMsMax } = await simulate(seed, world)
    t.equal(frames.length, FRAMES, `seed ${seed}`)
    t.equal(late, 0, `seed ${seed}`)
    t.ok(lost > 0, `seed ${seed}: ${lost} repaired`)
    t.ok(delayMsMax <= delayBound(world), `seed ${seed}: ${delayMsMax} ms`)
    inOrder(t, frames, `seed ${seed}`)
  }
})

test('without time for repairs what comes is in order and in time, and what does not is counted', async (t) => {
  for (let seed = 100; seed < 108; seed += 1) {
    const world: World = {
      ...{ loss: 0.2, latencyMs: 120, delayMs: 70, jitterMs: 30, initialSequence: 5 },
    }
    const { frames, late, delayMsMax } = await simulate(seed, world)
    t.ok(frames.length > FRAMES / 2 && frames.length < FRAMES, `seed ${seed}: ${frames.length}`)
    t.ok(late > 0, `seed ${seed}: ${late} given up`)
    t.ok(frames.length + late <= FRAMES + 1, `seed ${seed}: nothing is counted twice`)
    t.ok(delayMsMax <= delayBound(world), `seed ${seed}: ${delayMsMax} ms`)
    inOrder(t, frames, `seed ${seed}`)
  }
})
