// The pool of media children with scripted children that crash, hang, lie and grow, and with real signals.
import { fileURLToPath } from 'node:url'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { KairoError } from '../../../src/errors.ts'
import { mediaChildLimits as limits } from '../../../src/limits/media-child.ts'
import { type Logger, silentLogger } from '../../../src/logger.ts'
import type { AccessUnit } from '../../../src/media/access-unit.ts'
import type { MediaRun, MediaRunHandlers } from '../../../src/media/child/media-run.ts'
import { MediaPool, type MediaPoolInit } from '../../../src/media/child/pool.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { until } from '../../support/until.ts'

const childPath = fileURLToPath(new URL('./children/scripted.ts', import.meta.url))
const unit: AccessUnit = { kind: 'video', dts: 0, pts: 0, keyframe: true, data: Buffer.from('abc') }

function scripted(t: Test, init: Partial<MediaPoolInit> = {}) {
  const clock = new ManualClock()
  const registry = new Registry()
  const lines: { readonly message: string; readonly fields: object }[] = []
  const note = (fields: object, message: string) => void lines.push({ message, fields })
  const logger: Logger = { ...silentLogger, warn: note, error: note, child: () => logger }
  const pool = new MediaPool(
    { clock, logger, registry },
    { warm: 0, childrenMax: 3, childPath, ...init },
  )
  t.teardown(() => pool.stop())
  pool.start()
  const follow = (script: string, handlers: MediaRunHandlers = {}): MediaRun =>
    pool.run({ type: 'probe', path: script }, handlers)
  const metric = async (name: string, labels: Record<string, string> = {}) => {
    const { values } = (await registry.getSingleMetric(`kairo_media_${name}`)?.get()) ?? {
      values: [],
    }
    return values.find((one) =>
      Object.entries(labels).every(([key, value]) => one.labels[key] === value),
    )?.value
  }
  return { pool, clock, lines, follow, metric }
}

/** The job has begun: its child has given a sign of life. */
function begun(follow: (script: string, handlers: MediaRunHandlers) => MediaRun, script: string) {
  const { promise, resolve } = Promise.withResolvers<MediaRun>()
  const run: MediaRun = follow(script, { onProgress: () => resolve(run) })
  return promise
}

test('a job takes units, gives units, and its result', async (t) => {
  const { follow, metric, pool } = scripted(t)
  const got: unknown[] = []
  const run = follow('echo', {
    onUnit: (output, one) => got.push([output, one.data.toString()]),
    onConfig: (output, config) => got.push([output, config.codec]),
  })
  run.configure(1, {
    ...{ kind: 'audio', codec: 'opus', codecString: 'opus', sampleRate: 48_000, channels: 2 },
    ...{ samplesPerFrame: 960, description: new Uint8Array(11) },
  })
  void run.write(1, unit)
  void run.write(0, { ...unit, data: Buffer.from('def') })
  run.finish()
  run.finish()
  t.equal(await run.done, 'echoed')
  t.same(got, [
    [1, 'opus'],
    [1, 'abc'],
    [0, 'def'],
  ])
  t.equal(await metric('jobs_total', { job: 'probe', result: 'done' }), 1)
  t.equal(await metric('cpu_seconds_total', { job: 'probe' }), 1.5)
  t.equal(await metric('damaged_units_total', { job: 'probe' }), 2)
  t.same(pool.stats(), [], 'no child outlives its job')
  void run.write(0, unit)
  run.cancel()
})

test('what goes wrong in a child is one error with a reason', async (t) => {
  const { follow, metric, lines } = scripted(t, { childrenMax: 6 })
  const cases = [
    ['crash', 'ERR_WORKER', /SIGSEGV/, undefined],
    ['exit', 'ERR_WORKER', /code 3/, undefined],
    ['garbage', 'ERR_WORKER', /frame/, 'garbage'],
    ['wrong-way', 'ERR_WORKER', /only the peer sends/, 'garbage'],
    ['fat', 'ERR_WORKER', /memory/, 'memory'],
    ['refuse', 'ERR_MEDIA', /no pictures/, undefined],
  ] as const
  await Promise.all(
    cases.map(([script, code, message]) =>
      t.rejects(follow(script).done, { code, message }, script),
    ),
  )
  for (const [script, , , reason] of cases) {
    if (reason !== undefined) t.ok(await metric('kills_total', { reason }), `${script} is killed`)
  }
  t.equal(await metric('jobs_total', { result: 'failed' }), cases.length)
  t.match(JSON.stringify(lines), /what FFmpeg says/, 'the error output is in the log')
})

test('a stopped child is killed when it is silent for too long', async (t) => {
  const { follow, clock, metric } = scripted(t)
  const run = await begun(follow, 'hang')
  process.kill(run.pid as number, 'SIGSTOP')
  clock.advance(limits.silenceMsMax - 1)
  t.equal(await metric('kills_total', { reason: 'silence' }), undefined)
  clock.advance(1 + limits.watchdogGraceMs)
  await t.rejects(run.done, { code: 'ERR_WORKER', message: /no sign of life/ })
  t.equal(await metric('kills_total', { reason: 'silence' }), 1)
})

test('a child that is killed from outside is an error at once', async (t) => {
  const { follow } = scripted(t)
  const run = await begun(follow, 'hang')
  process.kill(run.pid as number, 'SIGKILL')
  await t.rejects(run.done, { code: 'ERR_WORKER', message: /SIGKILL/ })
})

test('a child that never begins its job is killed', async (t) => {
  const { follow, clock } = scripted(t)
  const run = follow('mute')
  clock.advance(limits.startMsMax + limits.watchdogGraceMs)
  await t.rejects(run.done, { code: 'ERR_WORKER', message: /did not start/ })
})

test('a child that beats and does nothing is stuck', async (t) => {
  const { follow, clock, metric } = scripted(t)
  const run = await begun(follow, 'beat')
  clock.advance(limits.stuckMsMax - 1_000)
  clock.advance(1_001)
  await t.rejects(run.done, { code: 'ERR_WORKER', message: /no progress/ })
  t.equal(await metric('kills_total', { reason: 'stuck' }), 1)
})

test('a paused run is not watched, and goes on', async (t) => {
  const { follow, clock } = scripted(t)
  const got: number[] = []
  const run: MediaRun = follow('echo', { onUnit: (output) => got.push(output) })
  run.pause()
  void run.write(0, unit)
  clock.advance(10 * limits.silenceMsMax)
  run.finish()
  run.resume()
  t.equal(await run.done, 'echoed')
  t.same(got, [0])
})

test('cancelling ends the child, also one that is paused or deaf', async (t) => {
  const { follow, pool, metric } = scripted(t)
  const run = await begun(follow, 'hang')
  run.pause()
  run.cancel()
  await t.rejects(run.done, { code: 'ERR_STOPPED' })
  t.equal(await metric('jobs_total', { result: 'cancelled' }), 1)
  t.same(pool.stats(), [])
})

test('a writer is held back, and one that does not care is cut off', async (t) => {
  const { follow, metric } = scripted(t)
  const run = await begun(follow, 'deaf')
  const large = { ...unit, data: Buffer.alloc(4 * 2 ** 20) }
  t.ok(run.write(0, large) instanceof Promise, 'a full pipe is told')
  t.ok(run.queuedBytes > 0)
  t.ok(((await metric('queued_bytes')) as number) > 0)
  while (run.queuedBytes > 0 && run.queuedBytes <= limits.queuedBytesMax) void run.write(0, large)
  await t.rejects(run.done, { code: 'ERR_WORKER', message: /keep up/ })
})

test('the writer’s promise settles when its child dies', async (t) => {
  const { follow } = scripted(t)
  const run = await begun(follow, 'deaf')
  const room = run.write(0, { ...unit, data: Buffer.alloc(4 * 2 ** 20) })
  run.cancel()
  await room
  t.pass('nobody waits for ever')
})

test('a receiver that throws costs its job', async (t) => {
  const { follow, lines } = scripted(t)
  const run = follow('echo', {
    onUnit: () => {
      throw new Error('a bug')
    },
  })
  void run.write(0, unit)
  await t.rejects(run.done, { code: 'ERR_WORKER', message: /takes its output/ })
  t.match(JSON.stringify(lines.map(({ message }) => message)), /receiver/)
})

test('a receiver that refuses what the child says has it killed, with its words', async (t) => {
  const { follow, lines, metric } = scripted(t)
  const run = follow('echo', {
    onUnit: () => {
      throw new KairoError('ERR_WORKER', 'nobody sends such a picture')
    },
  })
  void run.write(0, unit)
  await t.rejects(run.done, {
    ...{ code: 'ERR_WORKER', message: /killed: nobody sends such a picture/ },
  })
  t.equal(await metric('kills_total', { reason: 'garbage' }), 1)
  t.notMatch(JSON.stringify(lines.map(({ message }) => message)), /receiver/)
})

test('a child that lingers is killed, and its result counts', async (t) => {
  const { follow, clock, metric } = scripted(t)
  const { promise, resolve } = Promise.withResolvers<void>()
  const run = follow('linger', { onNote: () => resolve() })
  await promise
  clock.advance(limits.lingerMsMax)
  t.equal(await run.done, 'done but here')
  t.equal(await metric('kills_total', { reason: 'linger' }), 1)
})

test('the pool is bounded', async (t) => {
  const { follow, metric, pool } = scripted(t, { childrenMax: 1 })
  await begun(follow, 'hang')
  t.throws(() => follow('hang'), { code: 'ERR_LIMIT' })
  t.equal(await metric('refused_total'), 1)
  t.match(pool.stats(), [{ state: 'working', job: 'probe', label: 'hang', rssBytes: 1_000 }])
  t.equal(await metric('children', { state: 'working', job: 'probe' }), 1)
  t.equal(await metric('rss_bytes'), 1_000)
})

test('warm children wait, are used first, and are replaced', async (t) => {
  const { follow, pool, clock } = scripted(t, { warm: 1 })
  await until(() => pool.stats()[0]?.state === 'warm')
  const { pid } = pool.stats()[0] ?? {}
  const run = follow('hang')
  t.equal(run.pid, pid, 'the warm child took the job')
  t.equal(pool.stats().length, 1)
  clock.advance(limits.refillMs)
  t.equal(pool.stats().length, 2, 'another is made')
  await until(() => pool.stats()[1]?.state === 'warm')
  clock.advance(10 * limits.startMsMax)
  t.equal(pool.stats()[1]?.state, 'warm', 'a child without a job is not watched')
})

test('a warm child that dies is replaced, later each time', async (t) => {
  const diesCold = fileURLToPath(new URL('./children/dies-cold.ts', import.meta.url))
  const { pool, clock, metric } = scripted(t, { warm: 1, childPath: diesCold })
  for (let round = 0; round < 3; round += 1) {
    await until(() => pool.stats().length === 0)
    t.equal(await metric('restarts_total'), round + 1)
    clock.advance(limits.refillMs * 2 ** round - 1)
    t.equal(pool.stats().length, 0)
    clock.advance(1)
    t.equal(pool.stats().length, 1)
  }
})

test('stopping ends everything', async (t) => {
  const { follow, pool, clock } = scripted(t, { warm: 1 })
  const run = await begun(follow, 'hang')
  const failed = t.rejects(run.done, { code: 'ERR_STOPPED' })
  await pool.stop()
  await failed
  t.same(pool.stats(), [])
  t.equal(clock.timers, 0, 'no timer is left')
  t.throws(() => follow('echo'), { code: 'ERR_STOPPED' })
  t.throws(() => process.kill(run.pid as number, 0), { code: 'ESRCH' })
  pool.start()
  pool.start()
  await pool.stop()
})

test('labels of jobs hold no secrets', async (t) => {
  const { pool, clock } = scripted(t)
  const url = 'rtmp://user:pass@host.example:1935/live/secret-key'
  const runs = [
    pool.run({ type: 'push', url, openTimeoutMs: 1, writeTimeoutMs: 1 }, {}),
    pool.run({ type: 'pull', url, openTimeoutMs: 1, readTimeoutMs: 1 }, {}),
    pool.run({ type: 'thumbnail', width: 160, height: 90 }, {}),
  ]
  t.same(
    pool.stats().map(({ label }) => label),
    ['rtmp://host.example:1935', 'rtmp://host.example:1935', '160x90'],
  )
  for (const run of runs) run.cancel()
  await Promise.allSettled(runs.map((run) => run.done))
  t.equal(clock.timers, 1, 'only the refill waits')
})
