// Restreaming over scripted children and a hand-driven clock: beginnings, queues, failures, and what owners change.
import { Registry } from 'prom-client'
import { test } from 'tap'
import { KairoError } from '../../src/errors.ts'
import { restreamLimits as limits } from '../../src/limits/restream.ts'
import { silentLogger } from '../../src/logger.ts'
import type { AccessUnit, AudioConfig, VideoConfig } from '../../src/media/access-unit.ts'
import { RestreamService } from '../../src/restream/service.ts'
import { misfitOf, type RestreamTarget, refusalOf } from '../../src/restream/target.ts'
import type { RestreamFailure } from '../../src/restream/target-sender.ts'
import type { TargetStatus } from '../../src/restream/target-status.ts'
import { FakePublishedSession } from '../support/fake-published-session.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { ScriptedRemoteJobs } from '../support/scripted-remote-jobs.ts'

const video: VideoConfig = {
  ...{ kind: 'video', codec: 'h264', codecString: 'avc1.64001f', width: 1280, height: 720 },
  ...{ frameRate: 30, description: Buffer.from('avcC') },
}
const audio: AudioConfig = {
  ...{ kind: 'audio', codec: 'aac', codecString: 'mp4a.40.2', sampleRate: 48_000, channels: 2 },
  ...{ samplesPerFrame: 1_024, description: Buffer.from([0x11, 0x90]) },
}
const a: RestreamTarget = { name: 'a', url: 'rtmp://a.example/live/key-a', enabled: true }
const b: RestreamTarget = { name: 'b', url: 'srt://b.example:9000?streamid=key-b', enabled: true }
const gone = (): KairoError => new KairoError('ERR_NO_PROVIDER', 'the target is gone')

class Bench {
  readonly clock = new ManualClock()
  readonly registry = new Registry()
  readonly jobs = new ScriptedRemoteJobs()
  readonly failures: RestreamFailure[] = []
  readonly service: RestreamService
  readonly session = new FakePublishedSession('main')
  targets: readonly RestreamTarget[]
  #frame = 0

  constructor(...targets: RestreamTarget[]) {
    this.targets = targets
    this.service = new RestreamService({
      ...{ clock: this.clock, logger: silentLogger, registry: this.registry, random: () => 0 },
      media: this.jobs,
      streamNames: () => ['main', 'idle'],
      targetsOf: (name) => (name === 'main' ? this.targets : []),
      streamKeyOf: () => 'own-key-12345678',
      onFailed: (failure) => this.failures.push(failure),
    })
    this.service.start()
  }

  begin(): this {
    this.service.sessionStarted(this.session)
    this.session.configure(video)
    this.session.configure(audio)
    return this
  }

  /** Plays pictures at 30 a second, each second a keyframe, with sound between. */
  async play(frames: number): Promise<void> {
    for (let count = 0; count < frames; count++) {
      const pts = this.#frame * 3_000
      const unit = { dts: pts, pts, data: Buffer.alloc(100) }
      this.session.unit({ ...unit, kind: 'video', keyframe: this.#frame % 30 === 0 })
      this.session.unit({ ...unit, kind: 'audio', keyframe: true })
      this.#frame += 1
      this.clock.advance(1000 / 30)
    }
    await settle()
  }

  target(name: string): TargetStatus {
    const status = this.service.status()[0]?.targets.find((each) => each.name === name)
    if (status === undefined) throw new Error(`no target ${name}`)
    return status
  }

  async metric(name: string, labels: Record<string, string> = {}): Promise<number> {
    const found = await this.registry.getSingleMetric(name)?.get()
    const values = found?.values.filter((value) =>
      Object.entries(labels).every(([key, text]) => (value.labels as never)[key] === text),
    )
    return values?.reduce((sum, { value }) => sum + value, 0) ?? 0
  }
}

test('a target gets everything from a keyframe on', async (t) => {
  const bench = new Bench(a).begin()
  await bench.play(40)
  const run = bench.jobs.last
  const { job, units, configs } = run
  t.match(job, { type: 'push', url: a.url })
  t.strictSame(configs, [video, audio])
  t.equal(units.length, 80)
  t.match(units[0], { kind: 'video', keyframe: true })
  t.equal(bench.target('a').state, 'connecting')
  run.note({ event: 'connected' })
  t.match(bench.target('a'), { state: 'sending', host: 'rtmp://a.example' })
  bench.clock.advance(1_000)
  run.note({ event: 'sent', bytes: 5_000 })
  t.match(bench.target('a'), { bytes: 5_000, bitrateBps: 40_000 })
  t.equal(await bench.metric('kairo_restream_sent_bytes_total'), 5_000)
  t.equal(await bench.metric('kairo_restream_targets', { state: 'sending' }), 1)
  bench.session.end()
  t.ok(bench.jobs.last.finished, 'what is under way is sent')
  bench.clock.advance(limits.finishMsMax)
  t.equal(bench.jobs.last.state, 'cancelled', 'but not for ever')
  t.equal(await bench.metric('kairo_restream_cut_total'), 1)
  t.match(bench.service.status(), [{ live: false, targets: [{ state: 'off' }] }])
})

test('a child that tells what cannot be has failed', async (t) => {
  const bench = new Bench(a).begin()
  await bench.play(2)
  bench.jobs.last.note({ event: 'connected' })
  t.equal(bench.target('a').state, 'sending')
  bench.jobs.last.note({ event: 'sent', bytes: -1 })
  await settle()
  t.match(bench.target('a'), {
    ...{ state: 'waiting', bytes: 0, error: /^the push said what cannot be: bytes: / },
  })
  t.equal(await bench.metric('kairo_restream_failures_total', { code: 'ERR_WORKER' }), 1)
  t.match(bench.failures, [{ target: 'a', final: false }])
})

test('pictures that come before their sound are held until both are known', async (t) => {
  const bench = new Bench(a)
  bench.service.sessionStarted(bench.session)
  bench.session.configure(video)
  const picture = (pts: number): AccessUnit => ({
    ...{ kind: 'video', dts: pts, pts, keyframe: pts === 0, data: Buffer.alloc(10) },
  })
  bench.session.unit(picture(0))
  bench.session.unit(picture(3_000))
  t.equal(bench.jobs.runs.length, 0)
  bench.session.configure(audio)
  bench.session.unit({ ...picture(3_100), kind: 'audio', keyframe: true })
  t.strictSame(bench.jobs.last.configs, [video, audio])
  t.equal(bench.jobs.last.units.length, 3)

  const silent = new Bench(a)
  silent.service.sessionStarted(silent.session)
  silent.session.configure(video)
  for (let pts = 0; pts <= 93_000; pts += 3_000) silent.session.unit(picture(pts))
  t.strictSame(silent.jobs.last.configs, [video], 'a stream without sound is not held for ever')
})

test('a slow target loses pictures up to a keyframe, and nobody else does', async (t) => {
  const bench = new Bench(a, b).begin()
  await bench.play(30)
  const [slow, fast] = bench.jobs.runs
  if (slow === undefined || fast === undefined) throw new Error('two children were expected')
  slow.reach(0)
  for (let second = 0; second < 10; second++) {
    await bench.play(30)
    fast.reach(fast.units.at(-1)?.dts ?? 0)
  }
  t.ok(bench.target('a').dropped > 0)
  t.equal(bench.target('b').dropped, 0)
  t.equal(await bench.metric('kairo_restream_queue_full_total', { limit: 'time' }), 1)
  const sent = slow.units.length
  const lastMs = (slow.units.at(-1)?.dts ?? 0) / 90
  t.ok(lastMs <= limits.queueMsMax + 50, `${lastMs}`)
  // In the middle of a group of pictures.
  await bench.play(10)
  slow.reach(slow.units.at(-1)?.dts ?? 0)
  await bench.play(30)
  t.ok(slow.units.length > sent)
  t.match(slow.units[sent], { kind: 'video', keyframe: true }, 'it goes on with a keyframe')

  slow.queuedBytes = limits.queueBytesMax + 1
  await bench.play(1)
  t.equal(await bench.metric('kairo_restream_queue_full_total', { limit: 'bytes' }), 1)
})

test('a target that fails is tried again for ever, ever later', async (t) => {
  const bench = new Bench(a).begin()
  await bench.play(10)
  let waitMs: number = limits.retryMsMin
  for (let attempt = 1; attempt <= 8; attempt++) {
    t.equal(bench.jobs.runs.length, attempt)
    bench.jobs.last.fail(gone())
    await settle()
    t.match(bench.target('a'), { state: 'waiting', error: 'the target is gone' })
    await bench.play(30 * Math.ceil(waitMs / 1000) + 31)
    waitMs = Math.min(limits.retryMsMax, waitMs * 2)
  }
  t.equal(bench.target('a').retries, 8)
  t.equal(bench.failures.length, 1, 'failures in a row are told once')
  t.match(bench.failures, [{ stream: 'main', target: 'a', final: false }])
  t.equal(await bench.metric('kairo_restream_failures_total', { code: 'ERR_NO_PROVIDER' }), 8)
  bench.jobs.last.note({ event: 'connected' })
  bench.clock.advance(limits.healthyMs)
  bench.jobs.last.note({ event: 'sent', bytes: 1 })
  bench.jobs.last.fail(gone())
  await settle()
  t.equal(bench.failures.length, 2, 'after a good time it is news again')
  bench.service.retry('main', 'a')
  await bench.play(31)
  t.equal(bench.jobs.runs.length, 10, 'an operator need not wait')
  t.throws(() => bench.service.retry('main', 'x'), { code: 'ERR_NOT_FOUND' })
  t.throws(() => bench.service.retry('idle', 'a'), { code: 'ERR_NOT_FOUND' })
})

test('no child is free: it waits for one', async (t) => {
  const bench = new Bench(a)
  bench.jobs.refusal = new KairoError('ERR_LIMIT', 'all have work')
  bench.begin()
  await bench.play(3)
  t.match(bench.target('a'), { state: 'waiting', error: 'all have work' })
  bench.jobs.refusal = undefined
  await bench.play(70)
  t.equal(bench.target('a').state, 'connecting')
})

test('an owner changes targets while the stream is live', async (t) => {
  const bench = new Bench(a).begin()
  await bench.play(5)
  const [first] = bench.jobs.runs
  bench.targets = [a, b]
  bench.service.optionsChanged('main')
  await bench.play(30)
  t.equal(bench.jobs.runs.length, 2)
  t.equal(first?.finished, false, 'the one that stays notices nothing')
  bench.targets = [{ ...a, enabled: false }, b]
  bench.service.optionsChanged('main')
  t.equal(first?.finished, true)
  t.match(bench.target('a'), { state: 'off', enabled: false })
  await bench.play(60)
  t.equal(bench.jobs.runs.length, 2)
  bench.targets = [{ ...a, url: 'rtmp://c.example/live/x' }]
  bench.service.optionsChanged('main')
  await bench.play(60)
  t.match(bench.jobs.last.job, { url: 'rtmp://c.example/live/x' })
  bench.service.optionsChanged('idle')
  bench.service.stop()
  t.equal(bench.jobs.last.state, 'cancelled')
})

test('another configuration begins another connection', async (t) => {
  const bench = new Bench(a).begin()
  await bench.play(5)
  bench.session.configure({ ...video, description: Buffer.from('other') })
  t.ok(bench.jobs.last.finished)
  await bench.play(30)
  t.equal(bench.jobs.runs.length, 2)
  t.equal(bench.target('a').retries, 0)
  bench.session.configure({ ...video, codec: 'av1', description: Buffer.from('third') })
  await bench.play(31)
  t.match(bench.target('a'), { state: 'failed', error: /AV1/ })
  bench.service.retry('main', 'a')
  await bench.play(31)
  t.equal(bench.target('a').state, 'failed')
  bench.session.configure(video)
  await bench.play(31)
  t.equal(bench.target('a').state, 'connecting')
})

test('addresses', async (t) => {
  t.match(refusalOf('http://a.example/x', undefined), /rtmp/)
  t.match(refusalOf('srt://a.example:1?mode=listener', undefined), /caller/)
  t.match(refusalOf('srt://', undefined), /host/)
  t.match(refusalOf('rtmp://127.0.0.1/live/own%2Dkey-12345678', 'own-key-12345678'), /itself/)
  t.match(refusalOf('rtmp://h/live/%zzown-key-12345678', 'own-key-12345678'), /itself/)
  t.equal(refusalOf('rtmps://a.example/live/other', 'own-key-12345678'), undefined)
  const hevc: VideoConfig = { ...video, codec: 'hevc' }
  t.match(misfitOf(a.url, [hevc]), /HEVC/)
  t.equal(misfitOf(b.url, [hevc, audio]), undefined)
  t.match(misfitOf(b.url, [{ ...video, codec: 'vp9' }]), /VP9/)
  const bench = new Bench({ ...a, url: 'rtmp://h/live/own-key-12345678' }).begin()
  await bench.play(31)
  t.match(bench.target('a'), { state: 'failed', error: /itself/ })
  t.equal(bench.jobs.runs.length, 0)
  t.throws(() => bench.service.check('main', 'rtmp://h/own-key-12345678'), {
    code: 'ERR_INVALID_INPUT',
  })
  bench.service.check('main', a.url)
})
