// Live transcoding under pressure: children that lag, input that piles up, a machine that is too small.
import { test } from 'tap'
import { KairoError } from '../../src/errors.ts'
import { TranscodeBench } from '../support/transcode-bench.ts'

test('a child that falls behind loses rungs until it keeps up, and gets them back', async (t) => {
  const bench = new TranscodeBench()
  const source = bench.source()
  bench.jobs.onRun = (run) => {
    // The more rungs, the slower: two are what this machine can do.
    if (run.job.video.length > 2) run.delayMs = 5_000
  }
  await source.play(40_000)
  const stream = bench.stream()
  t.equal(stream.rungs.length, 2)
  t.ok(stream.rungs.every(({ state }) => state === 'live'))
  t.match(stream.dropped.find(({ name }) => name === '720p')?.reason, /fell behind/)
  t.ok((await bench.metric('kairo_transcode_dropped_total', 'behind')) >= 2)
  t.ok((await bench.metric('kairo_transcode_restarts_total', 'behind')) >= 2)
  t.equal(bench.jobs.alive.length, 1)
  bench.jobs.onRun = () => {}
  await source.play(75_000)
  t.equal(bench.stream().rungs.length, 4)
  t.equal(bench.jobs.alive.length, 1)
})

test('a child that catches up is given the time', async (t) => {
  const bench = new TranscodeBench()
  const source = bench.source()
  bench.jobs.onRun = (run) => {
    run.delayMs = 6_000
  }
  await source.play(7_000)
  const child = bench.jobs.last
  for (; child.delayMs > 0; child.delayMs -= 100) await source.play(1_000)
  t.equal(bench.jobs.runs.length, 1)
  t.ok((bench.stream().speed ?? 0) > 1)
})

test('a lag shows while it lasts', async (t) => {
  const bench = new TranscodeBench()
  const source = bench.source()
  await source.play(2_000)
  bench.jobs.last.delayMs = 3_500
  await source.play(5_000)
  t.ok(bench.stream().rungs.every(({ state }) => state === 'behind'))
  t.ok((await bench.metric('kairo_transcode_lag_seconds')) > 3.4)
  t.equal(await bench.metric('kairo_transcode_rungs', 'behind'), 4)
})

test('input that piles up costs a rung at once, and nobody waits', async (t) => {
  const bench = new TranscodeBench()
  const source = bench.source()
  await source.play(4_000)
  bench.jobs.last.queuedBytes = 40e6
  await source.play(100)
  t.equal(bench.jobs.runs.length, 2)
  t.equal(bench.stream().rungs.length, 3)
})

test('a child that always piles up ends with nothing left to give', async (t) => {
  const bench = new TranscodeBench({ quality: 'low-cpu' })
  const source = bench.source()
  await source.play(3_000)
  bench.jobs.onRun = (run) => {
    run.queuedBytes = 40e6
  }
  bench.jobs.last.queuedBytes = 40e6
  await source.play(3_000)
  t.strictSame(bench.stream().rungs, [])
  t.equal(bench.stream().phase, 'idle')
  t.strictSame(bench.jobs.alive, [])
})

test('a child that begins too late leaves out what nobody waits for any more', async (t) => {
  const bench = new TranscodeBench()
  const source = bench.source()
  await source.play(3_000)
  bench.jobs.refusal = new KairoError('ERR_LIMIT', 'all children have work')
  bench.jobs.last.fail(new KairoError('ERR_WORKER', 'crashed'))
  await source.play(9_000)
  bench.jobs.refusal = undefined
  await source.play(3_000)
  for (const rendition of source.session.live) {
    const gaps = rendition.gapsMs()
    t.equal(gaps.length, 1)
    t.ok((gaps[0] ?? 0) > 3_000 && (gaps[0] ?? 0) < 8_000)
  }
  t.ok((await bench.metric('kairo_transcode_skipped_seconds_total')) > 3)
  t.ok(bench.jobs.last.units[0]?.keyframe)
})

test('a small machine makes what is most useful, and says so', async (t) => {
  const bench = new TranscodeBench({ cores: 0.25 })
  const source = bench.source()
  await source.play(3_000)
  const stream = bench.stream()
  t.strictSame(
    stream.rungs.map(({ name }) => name),
    ['480p', '240p'],
  )
  t.match(stream.dropped.find(({ name }) => name === '720p')?.reason, /cores, and 0\.\d\d of those/)
  t.ok(bench.service.headroomCores < 0.1)
  const none = new TranscodeBench({ cores: 0.01 })
  await none.source().play(3_000)
  t.match(none.stream(), { phase: 'idle', rungs: [] })
  t.equal(await none.metric('kairo_transcode_headroom_cores'), 0.01)
  t.equal(await none.metric('kairo_transcode_rungs', 'live'), 0)
  t.equal(await none.metric('kairo_transcode_dropped_total', 'budget'), 4)
})

test('two streams share, and the second is not left with nothing', async (t) => {
  const bench = new TranscodeBench({ cores: 0.5 })
  const first = bench.source('first')
  await first.play(3_000)
  t.equal(bench.stream('first').rungs.length, 4)
  const second = bench.source('second')
  for (let second_ = 0; second_ < 8; second_ += 1) {
    await first.play(500)
    await second.play(500)
  }
  t.ok(bench.stream('second').rungs.some(({ name }) => name === '480p'))
  t.ok(bench.stream('first').rungs.some(({ name }) => name === '480p'))
  t.ok(bench.stream('first').rungs.length < 4)
})

test('measured costs of a child reach admission, but not those of one that catches up', async (t) => {
  const bench = new TranscodeBench()
  const source = bench.source()
  await source.play(2_000)
  const child = bench.jobs.last
  for (let second = 0; second < 30; second += 1) {
    child.cpuS += 3
    await source.play(1_000)
  }
  t.ok((await bench.metric('kairo_transcode_cost_factor_ratio')) > 1.5)
  t.ok(Math.abs((bench.stream().cores ?? 0) - 3) < 0.2)
})
