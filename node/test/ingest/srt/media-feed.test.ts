// The feed's queue: order, bounds, and the ends.
import { Registry } from 'prom-client'
import { test } from 'tap'
import { MediaFeed } from '../../../src/ingest/srt/media-feed.ts'
import { createSrtMetrics } from '../../../src/ingest/srt/metrics.ts'
import { srtLimits } from '../../../src/limits/srt.ts'
import { silentLogger } from '../../../src/logger.ts'
import { settle } from '../../support/manual-clock.ts'
import { RecordingSink } from '../../support/recording-publishing.ts'
import { metricOf } from '../../support/srt-push.ts'
import { h264Picture, TsWriter } from '../../support/ts-writer.ts'

const VIDEO = { pid: 0x100, type: 0x1b }

function newFeed() {
  const registry = new Registry()
  const sink = new RecordingSink()
  const failures: unknown[] = []
  const metrics = createSrtMetrics(registry)
  const feed = new MediaFeed({ logger: silentLogger, metrics, sink }, (error) =>
    failures.push(error),
  )
  const writer = new TsWriter()
  let index = 0
  feed.push(writer.tables(VIDEO), 0)
  const picture = (keyframe = false, bytes = 30) => {
    const pts = index * 3_000
    index += 1
    const data = h264Picture(keyframe, bytes)
    // A PES packet of more than 64 KiB leaves its length open, and ends where the next begins.
    feed.push(writer.pes({ pid: VIDEO.pid, data, pts, open: bytes > 60_000 }), 0)
  }
  return { registry, sink, feed, picture, failures }
}

test('while the sink waits everything is queued, and then handed on in order', async (t) => {
  const { sink, picture } = newFeed()
  const gate = Promise.withResolvers<void>()
  sink.wait = gate.promise
  for (const keyframe of [true, false, false, true]) picture(keyframe)
  t.equal(sink.units.length, 1)
  sink.wait = undefined
  gate.resolve()
  await settle()
  t.same(
    sink.units.map(({ dts }) => dts),
    [0, 3_000, 6_000, 9_000],
  )
})

test('what does not fit is dropped up to the next keyframe, and counted', async (t) => {
  const { sink, picture, registry } = newFeed()
  const gate = Promise.withResolvers<void>()
  sink.wait = gate.promise
  picture(true)
  for (let count = 0; count < srtLimits.queueUnitsMax; count += 1) picture()
  picture()
  picture()
  sink.wait = undefined
  gate.resolve()
  await settle()
  picture()
  picture(true)
  picture()
  t.equal(sink.units.length, 1 + srtLimits.queueUnitsMax + 2)
  t.equal(sink.units.at(-2)?.keyframe, true)
  t.equal(await metricOf(registry, 'kairo_srt_queue_full_total'), 3)
})

test('bytes are bounded too', async (t) => {
  const { sink, picture, registry } = newFeed()
  sink.wait = new Promise(() => {})
  const bytes = 1024 * 1024
  picture(true)
  for (let sum = 0; sum <= srtLimits.queueBytesMax; sum += bytes) picture(false, bytes)
  t.ok((await metricOf(registry, 'kairo_srt_queue_full_total')) > 0)
})

test('an end hands on what waits; an abandonment does not', async (t) => {
  const ended = newFeed()
  ended.sink.wait = new Promise(() => {})
  for (const keyframe of [true, false, false]) ended.picture(keyframe)
  ended.feed.end('closed')
  ended.feed.end('again')
  t.equal(ended.sink.units.length, 3)
  t.equal(ended.sink.endReason, 'closed')
  const abandoned = newFeed()
  abandoned.sink.wait = new Promise(() => {})
  for (const keyframe of [true, false, false]) abandoned.picture(keyframe)
  abandoned.feed.abandon('replaced')
  t.equal(abandoned.sink.units.length, 1)
  t.equal(abandoned.sink.endReason, 'replaced')
})

test('a sink that fails while it waits is told of', async (t) => {
  const { sink, picture, failures, feed } = newFeed()
  sink.wait = Promise.reject(new Error('the disk is gone'))
  picture(true)
  await settle()
  t.match(failures, [{ message: 'the disk is gone' }])
  sink.wait = Promise.resolve()
  feed.abandon('error')
  await settle()
  t.equal(failures.length, 1)
})

test('a sink that throws after a wait is told of', async (t) => {
  const { sink, picture, failures } = newFeed()
  const gate = Promise.withResolvers<void>()
  sink.wait = gate.promise
  picture(true)
  picture()
  sink.write = () => {
    throw new Error('a fault of ours')
  }
  gate.resolve()
  await settle()
  t.match(failures, [{ message: 'a fault of ours' }])
})
