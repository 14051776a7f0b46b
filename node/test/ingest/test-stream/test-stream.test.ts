// The watch over the test stream's child, with scripted children that crash, hang and refuse.
import { fileURLToPath } from 'node:url'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { TestStream, type TestStreamState } from '../../../src/ingest/test-stream/test-stream.ts'
import { testStreamLimits } from '../../../src/limits.ts'
import { type Logger, silentLogger } from '../../../src/logger.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { until } from '../../support/until.ts'

const childPath = fileURLToPath(new URL('./children/scripted.ts', import.meta.url))

/** A test stream with a scripted child; `lines` are what it logs. */
function scripted(t: Test, script: string) {
  const clock = new ManualClock()
  const registry = new Registry()
  const lines: { readonly message: string; readonly fields: Record<string, unknown> }[] = []
  const note = (fields: object, message: string) => {
    lines.push({ message, fields: { ...fields } })
  }
  const logger: Logger = { ...silentLogger, info: note, warn: note, child: () => logger }
  const stream = new TestStream(
    { clock, logger, registry },
    { rtmpUrl: `rtmp://127.0.0.1/live/${script}`, childPath },
  )
  t.teardown(() => stream.stop())
  const metric = async (name: string) => {
    const { values } = (await registry.getSingleMetric(`kairo_test_stream_${name}`)?.get()) ?? {
      values: [],
    }
    return values[0]?.value
  }
  return { stream, clock, lines, metric }
}

/** Waits until the child has brought the stream to `state`. */
async function reached(stream: TestStream, state: TestStreamState): Promise<void> {
  await until(() => stream.status.state === state, state)
}

test('runs, counts, and stops', async (t) => {
  const { stream, lines, metric, clock } = scripted(t, 'good')
  t.same(stream.status, { state: 'stopped', error: null })
  stream.start()
  stream.start()
  t.equal(stream.status.state, 'starting', 'a second start changes nothing')
  await reached(stream, 'running')
  await until(async () => (await metric('frames_total')) === 60)
  t.equal(await metric('frames_skipped_total'), 3)
  t.equal(await metric('cpu_seconds_total'), 0.75)
  t.equal(await metric('running'), 1)
  await stream.stop()
  t.same(stream.status, { state: 'stopped', error: null })
  t.equal(await metric('running'), 0)
  t.equal(await metric('restarts_total'), 0)
  t.equal(clock.timers, 0, 'no timer is left')
  t.notOk(JSON.stringify(lines).includes('/live/good'), 'the key is not logged')
})

test('a crash is told and followed by restarts, later each time', async (t) => {
  const { stream, clock, lines, metric } = scripted(t, 'crash')
  stream.start()
  const waits: unknown[] = []
  for (let i = 0; i < 3; i++) {
    await reached(stream, 'retrying')
    t.match(stream.status.error, /SIGSEGV/)
    waits.push(lines.at(-1)?.fields.waitMs)
    clock.advance(testStreamLimits.restartMsMax)
    t.equal(stream.status.state, 'starting')
  }
  t.same(waits, [500, 1_000, 2_000])
  t.equal(await metric('restarts_total'), 3)
})

test('a refusal by the receiver is told with what FFmpeg said', async (t) => {
  const { stream, lines } = scripted(t, 'refused')
  stream.start()
  await reached(stream, 'retrying')
  t.equal(stream.status.error, 'publish: refused')
  t.equal(lines.at(-1)?.fields.stderr, 'what FFmpeg says')
})

test('a machine without encoders is left alone', async (t) => {
  const { stream, clock, metric } = scripted(t, 'unavailable')
  stream.start()
  await reached(stream, 'unavailable')
  t.equal(stream.status.error, 'no encoder here')
  clock.advance(60_000)
  t.equal(stream.status.state, 'unavailable')
  t.equal(await metric('restarts_total'), 0)
  await stream.stop()
})

test('a child that says nothing is killed and replaced', async (t) => {
  const { stream, clock } = scripted(t, 'silent')
  stream.start()
  clock.advance(testStreamLimits.startMsMax)
  await reached(stream, 'retrying')
  t.match(stream.status.error, /SIGKILL/)
})

test('a child that falls silent while running is killed', async (t) => {
  const { stream, clock, metric } = scripted(t, 'good')
  stream.start()
  await until(async () => (await metric('frames_total')) === 60)
  clock.advance(testStreamLimits.silenceMsMax)
  await reached(stream, 'retrying')
  t.match(stream.status.error, /SIGKILL/)
})

test('a child that does not end when told is killed', async (t) => {
  const { stream, clock, lines } = scripted(t, 'deaf')
  stream.start()
  await reached(stream, 'running')
  const stopped = stream.stop()
  clock.advance(testStreamLimits.stopMsMax)
  await stopped
  t.match(lines.at(-1)?.message, /killed/)
  t.equal(stream.status.state, 'stopped')
})
