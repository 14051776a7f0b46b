// Pulls over scripted children and a hand-driven clock: publishing, pace, retries, and what owners change.
import { Registry } from 'prom-client'
import { test } from 'tap'
import { KairoError } from '../../../src/errors.ts'
import { PullService } from '../../../src/ingest/pull/service.ts'
import type { PullStatus } from '../../../src/ingest/pull/stream-pull.ts'
import type { OwnedStream } from '../../../src/ingest/stream-keys.ts'
import type { StreamOptions } from '../../../src/ingest/stream-options.ts'
import { pullLimits as limits } from '../../../src/limits/pull.ts'
import { silentLogger } from '../../../src/logger.ts'
import type { AccessUnit, AudioConfig } from '../../../src/media/access-unit.ts'
import type { Json } from '../../../src/media/child/job.ts'
import type { PublicationSink, Publishing, PublishRequest } from '../../../src/media/sink.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { RecordingSink } from '../../support/recording-publishing.ts'
import { metricOf } from '../../support/registry-value.ts'
import { ScriptedRemoteJobs } from '../../support/scripted-remote-jobs.ts'

const config: AudioConfig = {
  ...{ kind: 'audio', codec: 'aac', codecString: 'mp4a.40.2', sampleRate: 48_000, channels: 2 },
  ...{ samplesPerFrame: 1_024, description: Buffer.from([0x11, 0x90]) },
}
const unit: AccessUnit = {
  ...{ kind: 'audio', dts: 0, pts: 0, keyframe: true, data: Buffer.alloc(1_000) },
}
const url = 'rtsp://user:password@camera.example:554/stream?key=1'
const broken = (): KairoError => new KairoError('ERR_TIMEOUT', 'the source sends nothing')

class Bench implements Publishing {
  readonly clock = new ManualClock()
  readonly registry = new Registry()
  readonly jobs = new ScriptedRemoteJobs()
  readonly requests: PublishRequest[] = []
  readonly sinks: RecordingSink[] = []
  readonly service: PullService
  refusal: KairoError | undefined
  /** While it is there, others are asked before a publisher is admitted. */
  asking: Promise<void> | undefined
  options: StreamOptions = { pullUrl: url }
  #listener: (name: string, options: StreamOptions) => void = () => {}

  constructor() {
    const owned = { name: 'cam', streamKey: 'own-key' } as OwnedStream
    this.service = new PullService({
      ...{ clock: this.clock, logger: silentLogger, registry: this.registry, random: () => 0 },
      ...{ media: this.jobs, publishing: this },
      keys: { get: (name) => (name === 'cam' ? owned : undefined), list: () => [owned] },
      streamOptions: {
        get: () => this.options,
        onChange: (listener) => {
          this.#listener = listener
          return () => {}
        },
      },
    })
  }

  publish(request: PublishRequest): PublicationSink | Promise<PublicationSink> {
    if (this.refusal !== undefined) throw this.refusal
    this.requests.push(request)
    return this.asking === undefined ? this.#admit() : this.asking.then(() => this.#admit())
  }

  #admit(): PublicationSink {
    const sink = new RecordingSink()
    this.sinks.push(sink)
    return sink
  }

  set(options: StreamOptions, name = 'cam'): void {
    this.options = options
    this.#listener(name, options)
  }

  get status(): PullStatus | undefined {
    return this.service.status()[0]
  }

  get sink(): RecordingSink {
    const sink = this.sinks.at(-1)
    if (sink === undefined) throw new Error('nothing was published')
    return sink
  }

  /** The source is there and sends. */
  open(leftOut = 0): void {
    const { handlers } = this.jobs.last
    const tracks = { video: false, audio: 1, leftOut }
    this.jobs.last.note({ event: 'opened', format: 'rtsp', ...tracks })
    handlers.onConfig?.(1, config)
    handlers.onUnit?.(1, unit)
  }
}

test('a child that tells what cannot be has failed', async (t) => {
  const bench = new Bench()
  bench.service.start()
  const opened = { event: 'opened', format: 'rtsp', video: true, audio: 1, leftOut: 0 }
  const notes: readonly Json[] = [
    'opened',
    { event: 'closed' },
    { ...opened, video: 1 },
    { ...opened, audio: limits.audioTracksMax + 1 },
    { ...opened, leftOut: -1 },
  ]
  for (const note of notes) {
    bench.jobs.last.note(note)
    await settle()
    t.match(bench.status, { state: 'waiting', error: /^the pull said what cannot be: / })
    bench.clock.advance(limits.retryMsMax)
  }
  t.equal(bench.requests.length, 0, 'nothing was published')
  bench.open()
  t.equal(bench.status?.state, 'pulling')
})

test('a source is published like any publisher', async (t) => {
  const bench = new Bench()
  bench.service.start()
  t.match(bench.jobs.last.job, { type: 'pull', url, readTimeoutMs: limits.readTimeoutMs })
  t.match(bench.status, { state: 'connecting', host: 'rtsp://camera.example:554' })
  bench.open()
  t.match(bench.requests, [{ streamKey: 'own-key', protocol: 'pull' }])
  t.notMatch(JSON.stringify([bench.requests, bench.status]), /password|key=1/)
  t.strictSame(bench.sink.expected, [{ video: false, audio: true }])
  t.strictSame(bench.sink.configs, [config])
  t.strictSame(bench.sink.units, [unit])
  bench.clock.advance(limits.rateWindowMs)
  bench.jobs.last.handlers.onUnit?.(1, unit)
  t.match(bench.status, { state: 'pulling', bitrateBps: 8_000 })
  const gauge = await bench.registry.getSingleMetric('kairo_pull_streams')?.get()
  t.match(gauge?.values, [{ value: 1, labels: { state: 'pulling' } }])
  bench.service.stop()
  t.equal(bench.jobs.last.state, 'cancelled')
  t.equal(bench.sink.endReason, 'closed')
})

test('tracks of sound that are too many are counted', async (t) => {
  const bench = new Bench()
  bench.service.start()
  bench.open(3)
  t.equal(bench.status?.state, 'pulling')
  t.equal(await metricOf(bench.registry, 'kairo_pull_left_out_tracks_total'), 3)
})

test('a source that is faster than real time waits', async (t) => {
  const bench = new Bench()
  bench.service.start()
  bench.open()
  const room = Promise.withResolvers<void>()
  bench.sink.wait = room.promise
  bench.jobs.last.handlers.onUnit?.(1, unit)
  t.equal(bench.jobs.last.paused, true)
  bench.jobs.last.handlers.onUnit?.(1, unit)
  room.resolve()
  await settle()
  t.equal(bench.jobs.last.paused, false)
})

test('a source that breaks off is tried again, ever later', async (t) => {
  const bench = new Bench()
  bench.service.start()
  let waitMs: number = limits.retryMsMin
  for (let attempt = 1; attempt <= 8; attempt++) {
    t.equal(bench.jobs.runs.length, attempt)
    bench.jobs.last.fail(broken())
    await settle()
    t.match(bench.status, { state: 'waiting', error: 'the source sends nothing' })
    bench.clock.advance(waitMs - 1)
    t.equal(bench.jobs.runs.length, attempt)
    bench.clock.advance(1)
    waitMs = Math.min(limits.retryMsMax, waitMs * 2)
  }
  bench.open()
  bench.clock.advance(limits.healthyMs)
  bench.jobs.last.end()
  await settle()
  t.match(bench.status, { state: 'waiting', error: 'the source has ended', retries: 8 })
  t.equal(bench.sink.endReason, 'closed')
  bench.clock.advance(limits.retryMsMin)
  t.equal(bench.jobs.runs.length, 10, 'after a good time it begins with the shortest wait')
})

test('a stream that is taken, a peer without room, and an owner who changes their mind', async (t) => {
  const bench = new Bench()
  bench.jobs.refusal = new KairoError('ERR_LIMIT', 'all have work')
  bench.service.start()
  t.match(bench.status, { state: 'waiting', error: 'all have work' })
  bench.jobs.refusal = undefined
  bench.refusal = new KairoError('ERR_PUBLISHER_ACTIVE', 'cam already has a publisher')
  bench.clock.advance(limits.retryMsMin)
  bench.open()
  t.equal(bench.jobs.last.state, 'cancelled')
  t.match(bench.status, { state: 'waiting', error: /already/ })
  bench.refusal = undefined
  bench.clock.advance(2 * limits.retryMsMin)
  bench.open()
  t.equal(bench.status?.state, 'pulling')

  // Another publisher takes the stream: its session is over before this hears of it.
  bench.requests.at(-1)?.disconnect('replaced')
  t.equal(bench.sink.endReason, undefined, 'a session that is over is not ended again')
  t.match(bench.status, { state: 'waiting', error: /replaced/ })
  const runs = bench.jobs.runs.length
  bench.clock.advance(limits.replacedMs - 1)
  t.equal(bench.jobs.runs.length, runs)
  bench.clock.advance(1)
  bench.open()
  bench.set({ pullUrl: url, record: true })
  t.equal(bench.jobs.runs.length, runs + 1, 'another option changes nothing')
  bench.set({ pullUrl: 'srt://other.example:9000' })
  t.match(bench.jobs.last.job, { url: 'srt://other.example:9000' })
  t.equal(bench.sink.endReason, 'closed')
  bench.set({})
  t.same(bench.service.status(), [])
  bench.set({ pullUrl: 'srt://other.example:9000?mode=listener' })
  t.match(bench.status, { state: 'failed', error: /caller/ })
  bench.set({ pullUrl: url }, 'unknown')
  t.equal(bench.service.status().length, 1)
  bench.set({ pullUrl: url })
  bench.open()
  bench.requests.at(-1)?.disconnect('stopping')
  t.equal(bench.status?.state, 'off')
})

test('what the source sends while others are asked for the stream is kept, in order', async (t) => {
  const bench = new Bench()
  const { promise, resolve } = Promise.withResolvers<void>()
  bench.asking = promise
  bench.service.start()
  bench.open()
  t.equal(bench.sinks.length, 0)
  t.ok(bench.jobs.last.paused, 'nothing more is read')
  resolve()
  await settle()
  t.same(bench.sink.configs, [config])
  t.same(bench.sink.units, [unit])
  t.notOk(bench.jobs.last.paused)
  t.equal(bench.status?.state, 'pulling')
})

test('a pull that is refused after others were asked is tried again, and one that ends leaves nothing', async (t) => {
  const bench = new Bench()
  const refused = Promise.withResolvers<void>()
  bench.asking = refused.promise
  bench.service.start()
  bench.open()
  refused.reject(new KairoError('ERR_PUBLISHER_ACTIVE', 'the peer x publishes this stream'))
  await settle()
  t.match(bench.status, { state: 'waiting', error: 'the peer x publishes this stream' })
  t.equal(bench.sinks.length, 0)

  const late = Promise.withResolvers<void>()
  bench.asking = late.promise
  bench.clock.advance(limits.retryMsMax)
  bench.open()
  bench.service.stop()
  t.ok(bench.requests.at(-1)?.signal?.aborted, 'nobody is asked any more')
  late.resolve()
  await settle()
  t.equal(bench.sink.endReason, 'closed')
})

test('a source that sends on while others are asked is given up', async (t) => {
  const bench = new Bench()
  bench.asking = new Promise(() => {})
  bench.service.start()
  bench.open()
  for (let count = 0; count < limits.heldMax; count++) bench.jobs.last.handlers.onUnit?.(1, unit)
  t.match(bench.status, { state: 'waiting', error: /sends on/ })
})
