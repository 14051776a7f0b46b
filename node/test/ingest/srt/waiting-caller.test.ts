// A caller whose stream may be another peer's: it waits for the answer, for longer than it knows.
import { test } from 'tap'
import { KairoError } from '../../../src/errors.ts'
import { HANDSHAKE_TYPE } from '../../../src/ingest/srt/handshake-codec.ts'
import { CONTROL } from '../../../src/ingest/srt/packet.ts'
import { srtLimits } from '../../../src/limits/srt.ts'
import { settle } from '../../support/manual-clock.ts'
import { RecordingPublishing } from '../../support/recording-publishing.ts'
import { AdmissionRun, TestCaller } from '../../support/srt-caller.ts'
import { adtsFrame, h264Picture, TsWriter } from '../../support/ts-writer.ts'

const AUDIO = { pid: 0x101, type: 0x0f }
const VIDEO = { pid: 0x100, type: 0x1b }

test('a caller waits while others are asked, and is told that the stream is taken', async (t) => {
  const publishing = new RecordingPublishing('secret')
  const asked = Promise.withResolvers<void>()
  publishing.asking = asked.promise
  const run = new AdmissionRun(publishing)
  const caller = new TestCaller()
  run.receive(caller.induction())
  run.exchange(caller)
  await settle()
  t.equal(caller.answer, undefined)
  asked.resolve()
  t.ok(await run.connect(caller))
  t.equal(publishing.sinks.length, 1)

  const error = new KairoError('ERR_PUBLISHER_ACTIVE', 'the peer x publishes this stream')
  const taken = new RecordingPublishing('secret')
  taken.asking = Promise.reject(error)
  const other = new AdmissionRun(taken)
  const answer = await other.connect(new TestCaller())
  t.equal(answer?.type, 1_000 + 1_409)
})

test('a caller that was waited for is sent away when the peer stops', async (t) => {
  const publishing = new RecordingPublishing('secret')
  const asked = Promise.withResolvers<void>()
  publishing.asking = asked.promise
  const run = new AdmissionRun(publishing)
  const caller = new TestCaller()
  run.receive(caller.induction())
  run.exchange(caller)
  await settle()
  run.admission.stop()
  asked.resolve()
  const answer = await run.connect(caller)
  t.equal(answer?.type, 1_000 + 1_503)
  t.equal(publishing.sinks[0]?.endReason, 'error')
})

/** Calls while others are asked for longer than a caller waits. */
async function acceptedEarly() {
  const publishing = new RecordingPublishing('secret')
  const asked = Promise.withResolvers<void>()
  publishing.asking = asked.promise
  const run = new AdmissionRun(publishing)
  const caller = new TestCaller()
  run.receive(caller.induction())
  run.exchange(caller)
  await settle()
  run.clock.advance(srtLimits.acceptAfterMs)
  const answer = await run.connect(caller)
  return { publishing, asked, run, caller, answer }
}

test('a caller is accepted before it gives up, and publishes from the next keyframe once the stream is its own', async (t) => {
  const { publishing, asked, run, caller, answer } = await acceptedEarly()
  t.equal(answer?.type, HANDSHAKE_TYPE.conclusion)
  t.same(publishing.sinks, [])
  const writer = new TsWriter()
  const tracks = [VIDEO, AUDIO]
  const sends = (...pieces: Buffer[]): void => {
    for (const piece of pieces) run.receive(caller.data(piece))
  }
  let pts = 0
  const picture = (isKey: boolean): Buffer => {
    pts += 3_000
    return writer.pes({ pid: VIDEO.pid, data: h264Picture(isKey, 30), pts })
  }
  const sound = (): Buffer =>
    writer.pes({ pid: AUDIO.pid, data: adtsFrame(40), pts, streamId: 0xc0 })
  sends(writer.tables(...tracks), picture(true), sound(), picture(false))
  run.clock.advance(srtLimits.tickMs)
  run.exchange(caller)
  t.equal(caller.unacknowledged, 0, 'nothing holds the caller up')
  asked.resolve()
  await settle()
  const [sink] = publishing.sinks
  t.same(sink?.expected, [{ video: true, audio: true }])
  t.same(sink?.configs.map(({ kind }) => kind).sort(), ['audio', 'video'])
  sends(picture(false), sound(), picture(true), picture(false))
  t.same(
    sink?.units.map(({ kind, keyframe }) => `${kind} ${keyframe}`),
    ['audio true', 'video true', 'video false'],
  )
  t.equal(await run.metric('access_units_dropped_total', { reason: 'not-admitted' }), 4)
  run.receive(caller.control(CONTROL.shutdown))
  t.equal(sink?.endReason, 'closed')
})

test("an accepted caller whose stream is another's is sent away", async (t) => {
  const { publishing, asked, run, caller } = await acceptedEarly()
  asked.reject(new KairoError('ERR_PUBLISHER_ACTIVE', 'the peer x publishes this stream'))
  await settle()
  run.exchange(caller)
  t.equal(caller.received.at(-1)?.type, CONTROL.shutdown)
  t.equal(await run.metric('disconnects_total', { reason: 'refused' }), 1)
  t.equal(await run.metric('connections'), 0)
  t.same(publishing.sinks, [])
})

test('an accepted caller that leaves, or whose peer stops, publishes nothing any more', async (t) => {
  const left = await acceptedEarly()
  left.run.receive(left.caller.control(CONTROL.shutdown))
  const stopped = await acceptedEarly()
  stopped.run.admission.stop()
  for (const { publishing, asked, run } of [left, stopped]) {
    asked.resolve()
    await settle()
    t.same(publishing.sinks, [], 'its request is withdrawn')
    t.equal(await run.metric('disconnects_total'), 1)
    run.clock.advance(100)
    t.equal(run.clock.timers, 0)
  }
})
