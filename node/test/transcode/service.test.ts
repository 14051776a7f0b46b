// Live transcoding from the first picture to the last: planning, replacing children, giving up and taking back, over scripted
// children and a hand-driven clock.
import { test } from 'tap'
import { KairoError } from '../../src/errors.ts'
import { FakePublishedSession } from '../support/fake-published-session.ts'
import { fullHd, opus, TranscodeBench } from '../support/transcode-bench.ts'

const crash = (): KairoError => new KairoError('ERR_WORKER', 'killed by SIGKILL')

test('a ladder comes by itself, out of one child, from the first picture on', async (t) => {
  const bench = new TranscodeBench()
  const source = bench.source()
  await source.play(900)
  t.equal(bench.stream().phase, 'measuring')
  t.equal(bench.jobs.runs.length, 0)
  await source.play(2_000)
  t.equal(bench.jobs.runs.length, 1)
  const { job, units, configs } = bench.jobs.last
  t.strictSame(
    job.video.map(({ name }) => name),
    ['720p', '480p', '360p', '240p'],
  )
  t.strictSame(job.audio, [])
  t.strictSame(configs, [fullHd])
  t.equal(units[0]?.pts, 0, 'what was measured is not lost')
  const stream = bench.stream()
  t.match(stream, { phase: 'running', quality: 'auto', restarts: 0, pid: 1_000 })
  t.match(stream.source?.video, { width: 1920, frameRate: 30, bitrateBps: 6_000_000 })
  t.ok(stream.rungs.every(({ state }) => state === 'live'))
  t.equal(stream.dropped.find(({ name }) => name === '2160p')?.reason, 'the source has 1080 lines')
  t.strictSame(
    source.session.live.map(({ name }) => name),
    ['720p', '480p', '360p', '240p'],
  )
  source.session.end()
  t.strictSame(bench.jobs.alive, [])
  t.strictSame(bench.service.status().streams, [])
  t.equal(source.session.live.length, 4, 'renditions end with their session')
})

test('a child that is killed costs no picture', async (t) => {
  const bench = new TranscodeBench()
  const source = bench.source()
  await source.play(5_500)
  bench.jobs.last.fail(crash())
  await source.play(3_000)
  t.equal(bench.jobs.runs.length, 2)
  t.match(bench.stream(), { phase: 'running', restarts: 1 })
  for (const rendition of source.session.live) t.strictSame(rendition.gapsMs(), [])
  const { job, units } = bench.jobs.last
  t.equal(units[0]?.keyframe, true)
  t.equal(units[0]?.pts, 4 * 90_000, 'it begins at the keyframe before')
  t.strictSame(job.resumeAt, Array(4).fill(165 * 3_000), 'and goes on where the renditions are')
  t.equal(await bench.metric('kairo_transcode_restarts_total', 'ERR_WORKER'), 1)
  t.equal(await bench.metric('kairo_transcode_skipped_seconds_total'), 0)
})

test('a child that hangs is found within a moment and replaced', async (t) => {
  const bench = new TranscodeBench()
  const source = bench.source()
  await source.play(5_000)
  const hanging = bench.jobs.last
  hanging.frozen = true
  await source.play(2_000)
  t.equal(hanging.state, 'cancelled')
  t.equal(bench.jobs.runs.length, 2)
  for (const rendition of source.session.live) t.strictSame(rendition.gapsMs(), [])
  t.equal(await bench.metric('kairo_transcode_restarts_total', 'stall'), 1)
})

test('a child that still loads is given the time, but not for ever', async (t) => {
  const bench = new TranscodeBench()
  bench.jobs.onRun = (run) => {
    run.frozen = true
  }
  const source = bench.source()
  await source.play(9_000)
  t.equal(bench.jobs.runs.length, 1)
  await source.play(4_000)
  t.equal(bench.jobs.runs.length, 2)
})

test('a child that is silent because its source is, is left alone', async (t) => {
  const bench = new TranscodeBench()
  await bench.source().play(5_000)
  await bench.clock.pass(20_000)
  t.equal(bench.jobs.runs.length, 1)
  t.equal(bench.jobs.alive.length, 1)
})

test('a peer that was held up itself does not kill children for it', async (t) => {
  const bench = new TranscodeBench()
  const source = bench.source()
  await source.play(5_000)
  const child = bench.jobs.last
  child.frozen = true
  await source.play(100)
  bench.clock.holdUp(5_000)
  await bench.clock.pass(250)
  t.equal(child.state, 'running', 'what it said meanwhile waits in the pipe')
  await bench.clock.pass(250)
  t.equal(child.state, 'cancelled', 'if it said anything')
})

test('children that fail in a row wait longer, then the rungs are given up and tried again', async (t) => {
  const bench = new TranscodeBench()
  const source = bench.source()
  await source.play(2_000)
  bench.jobs.onRun = (run) => run.fail(crash())
  bench.jobs.last.fail(crash())
  await source.play(8_000)
  t.equal(bench.jobs.runs.length, 5)
  const stream = bench.stream()
  t.equal(stream.phase, 'failed')
  t.match(stream.problem, /SIGKILL/)
  t.strictSame(source.session.live, [], 'players go to the source')
  t.match(stream.dropped.find(({ name }) => name === '480p')?.reason, /tried again later/)
  t.equal(bench.service.headroomCores, 8, 'others may have its share')
  t.equal(await bench.metric('kairo_transcode_dropped_total', 'failure'), 1)
  bench.jobs.onRun = () => {}
  await source.play(64_000)
  t.match(bench.stream(), { phase: 'running', problem: undefined })
  t.equal(source.session.live.length, 4)
})

test('hardware that fails gives way to software', async (t) => {
  const nvenc = { name: 'h264_nvenc', kind: 'hardware', ok: true } as const
  const x264 = { name: 'libx264', kind: 'software', ok: true } as const
  const encodersOf = (bench: TranscodeBench): string[] =>
    bench.jobs.last.job.video.map(({ encoder }) => encoder)

  await t.test('one that is named', async (t) => {
    const bench = new TranscodeBench({ encoders: [nvenc, x264] })
    const source = bench.source()
    await source.play(2_000)
    t.strictSame(encodersOf(bench), Array(4).fill('h264_nvenc'))
    bench.jobs.last.fail(new KairoError('ERR_MEDIA', 'h264_nvenc: no session is free'))
    await source.play(1_000)
    t.strictSame(encodersOf(bench), Array(4).fill('libx264'))
    const other = bench.source('other')
    await other.play(2_000)
    t.strictSame(encodersOf(bench), Array(4).fill('h264_nvenc'), 'for others it may work')
    other.session.end()
    await bench.clock.pass(10 * 60_000)
    await source.play(2_500)
    t.ok(bench.jobs.alive[0]?.job.video.every(({ encoder }) => encoder === 'libx264'))
    t.equal(bench.jobs.runs.length, 3, 'what runs is left alone')
  })

  await t.test('one that takes its process down', async (t) => {
    const bench = new TranscodeBench({ encoders: [nvenc, x264] })
    const source = bench.source()
    await source.play(2_000)
    bench.jobs.last.fail(crash())
    await source.play(500)
    t.strictSame(encodersOf(bench), Array(4).fill('h264_nvenc'), 'once may be chance')
    bench.jobs.last.fail(crash())
    await source.play(2_000)
    t.strictSame(encodersOf(bench), Array(4).fill('libx264'))
  })
})

test('another size of the source makes another ladder', async (t) => {
  const bench = new TranscodeBench()
  const source = bench.source()
  await source.play(4_000)
  const [first] = bench.jobs.runs
  source.session.configure({ ...fullHd, width: 1280, height: 720, description: Uint8Array.of(3) })
  await source.play(3_000)
  t.ok(first?.finished, 'the child before hands out what it has')
  t.strictSame(
    bench.jobs.last.job.video.map(({ name }) => name),
    ['480p', '360p', '240p'],
  )
  t.strictSame(
    source.session.live.map(({ name }) => name),
    ['480p', '360p', '240p'],
  )
  for (const rendition of source.session.live) t.strictSame(rendition.gapsMs(), [])
  t.equal(bench.stream().restarts, 0, 'this is no failure')
})

test('new parameters of the same picture go to the child that is there', async (t) => {
  const bench = new TranscodeBench()
  const source = bench.source()
  await source.play(4_000)
  source.session.configure({ ...fullHd, description: Uint8Array.of(3) })
  await source.play(1_000)
  t.equal(bench.jobs.runs.length, 1)
  t.equal(bench.jobs.last.configs.length, 2)
})

test('sound: Opus gets AAC, late sound joins, sound alone is enough', async (t) => {
  const bench = new TranscodeBench()
  const source = bench.source()
  source.withSound = true
  await source.play(3_000)
  t.strictSame(bench.jobs.last.job.audio, [])
  source.session.configure(opus)
  await source.play(3_000)
  t.match(bench.jobs.last.job.audio, [{ name: 'audio-aac' }])
  t.equal(bench.jobs.alive.length, 1)
  const sound = source.session.live.find(({ name }) => name === 'audio-aac')
  t.ok((sound?.units.length ?? 0) > 20)

  const radio = new TranscodeBench()
  const station = radio.source('radio', null)
  station.withSound = true
  station.withPictures = false
  station.session.configure(opus)
  await station.play(4_000)
  t.match(radio.jobs.last.job, { video: [], audio: [{ name: 'audio-aac' }] })
  radio.jobs.last.fail(crash())
  await station.play(1_000)
  t.strictSame(station.session.live[0]?.gapsMs(), [])
})

test('quality: changed while live, unknown, and none', async (t) => {
  const bench = new TranscodeBench({ quality: 'source' })
  const source = bench.source()
  await source.play(3_000)
  t.match(bench.stream(), { phase: 'idle', rungs: [] })
  bench.quality = '480p'
  bench.service.optionsChanged('show')
  await source.play(4_000)
  t.strictSame(
    bench.jobs.last.job.video.map(({ name }) => name),
    ['480p', '360p', '240p'],
  )
  bench.quality = 'mobile'
  bench.service.optionsChanged('show')
  await source.play(3_000)
  t.match(bench.jobs.last.job.video[0], { name: '720p', preset: 'faster' })
  t.equal(bench.jobs.alive.length, 1)
  bench.quality = 'best'
  bench.service.optionsChanged('show')
  t.match(bench.stream(), { phase: 'idle', problem: /there is no quality "best"/ })
  t.strictSame(bench.jobs.alive, [])
  t.strictSame(source.session.live, [])
  bench.service.optionsChanged('nobody')
})

test('a black beginning does not doom the ladder', async (t) => {
  const bench = new TranscodeBench()
  const source = bench.source()
  source.pictureBytes = 100
  await source.play(3_000)
  t.equal(bench.stream().phase, 'idle')
  t.match(bench.stream().dropped.find(({ name }) => name === '480p')?.reason, /only 24 kbit/)
  source.pictureBytes = 25_000
  await source.play(26_000)
  t.equal(bench.stream().rungs.length, 4)
  t.equal(bench.stream().rungs.find(({ name }) => name === '720p')?.bitrateBps, 2_800_000)
})

test('encoders that are not known yet are waited for', async (t) => {
  const bench = new TranscodeBench({ encoders: undefined })
  const source = bench.source()
  await source.play(3_000)
  t.equal(bench.stream().phase, 'measuring')
  bench.encoders = [{ name: 'libx264', kind: 'software', ok: true }]
  await source.play(500)
  t.equal(bench.stream().phase, 'running')
  t.equal(bench.jobs.last.units[0]?.pts, 0)
})

test('a full pool is asked again, a stopping one is not', async (t) => {
  const bench = new TranscodeBench()
  bench.jobs.refusal = new KairoError('ERR_LIMIT', 'all children have work')
  const source = bench.source()
  await source.play(3_000)
  t.match(bench.stream(), { phase: 'starting', problem: 'all children have work' })
  t.ok(bench.stream().rungs.every(({ state, lagMs }) => state === 'waiting' && lagMs === null))
  bench.jobs.refusal = undefined
  await source.play(3_000)
  t.equal(bench.stream().phase, 'running')
  bench.jobs.last.fail(new KairoError('ERR_STOPPED', 'the peer stops'))
  await source.play(100)
  t.strictSame(bench.service.status().streams, [])
  t.equal(source.session.listeners, 0)
})

test('a stream without a place for a rung says so', async (t) => {
  const bench = new TranscodeBench()
  const source = bench.source()
  source.session.refusal = new KairoError('ERR_LIMIT', 'a stream has at most 32 renditions')
  await source.play(2_000)
  t.equal(bench.stream().phase, 'idle')
  t.match(bench.stream().dropped.find(({ name }) => name === '480p')?.reason, /at most 32/)
})

test('stop ends everything', async (t) => {
  const bench = new TranscodeBench()
  const source = bench.source()
  await source.play(2_000)
  bench.service.stop()
  t.strictSame(bench.jobs.alive, [])
  t.equal(source.session.listeners, 0)
  t.equal(bench.clock.timers, 0)
  bench.service.sessionStarted(new FakePublishedSession('late'))
  t.strictSame(bench.service.status().streams, [])
})
