/** Fills: in time, some at a time, again when they failed, and over a restart. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { FillService } from '../../../src/content/fill/fill-service.ts'
import { isWithin, parseTimeWindow } from '../../../src/content/fill/time-window.ts'
import { KairoError } from '../../../src/errors.ts'
import { fillLimits } from '../../../src/limits/fill.ts'
import { silentLogger } from '../../../src/logger.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { metric } from '../../support/stores.ts'

const HOUR_MS = 3_600_000
/** Midnight, UTC. */
const midnightMs = Date.UTC(2026, 0, 1)

/** Fills whose reads end when the test says so. */
function someFills(t: Test, file: string, startMs = midnightMs) {
  const clock = new ManualClock(startMs)
  const registry = new Registry()
  const reads: { url: string; end: (result: number | Error) => void }[] = []
  const fills = new FillService(
    {
      ...{ clock, registry, logger: silentLogger },
      load: (url, signal) =>
        new Promise((resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason))
          const end = (result: number | Error): void =>
            typeof result === 'number' ? resolve(result) : reject(result)
          reads.push({ url, end })
        }),
    },
    { file },
  )
  fills.start()
  t.teardown(() => fills.stop())
  return { clock, registry, reads, fills }
}

const fileIn = (t: Test): string => join(t.testdir({}), 'fills.json')

test('a daily time, also across midnight', async (t) => {
  const at = (text: string, hours: number): boolean | undefined => {
    const window = parseTimeWindow(text)
    return window && isWithin(window, midnightMs + hours * HOUR_MS)
  }
  t.strictSame(
    [0.99, 1, 5.99, 6].map((hours) => at('01:00-06:00', hours)),
    [...[false, true, true, false]],
  )
  t.strictSame(
    [21.9, 22, 23.9, 24, 25, 26].map((hours) => at('22:00-02:00', hours)),
    [...[false, true, true, true, true, false]],
  )
  t.equal(at('00:00-00:00', 13), true, 'the whole day')
  for (const text of ['', '1:00-2:00', '24:00-01:00', '01:60-02:00', '01:00']) {
    t.equal(parseTimeWindow(text), undefined)
  }
})

test('some at a time, in order', async (t) => {
  const { reads, fills, registry } = someFills(t, fileIn(t))
  fills.order(['a', 'b', 'c'], '')
  t.strictSame(
    reads.map(({ url }) => url),
    ['a', 'b'],
  )
  t.equal(await metric(registry, 'kairo_fill_waiting'), 3)
  reads[0]?.end(1_000)
  await settle()
  t.equal(reads[2]?.url, 'c')
  t.match(fills.list(), [{ url: 'a', state: 'done', bytes: 1_000 }, { state: 'waiting' }, {}])
  fills.order(['b'], '')
  t.equal(reads.length, 3, 'what runs is not begun again')
  fills.clear()
  t.strictSame(
    fills.list().map(({ url }) => url),
    ['b', 'c'],
  )
})

test('what is ordered for the night waits for it', async (t) => {
  const { clock, reads, fills } = someFills(t, fileIn(t), midnightMs - HOUR_MS)
  t.throws(() => fills.order(['x'], 'tonight'), { code: 'ERR_INVALID_INPUT' })
  fills.order(['a'], '01:00-06:00')
  await clock.pass(HOUR_MS)
  t.equal(reads.length, 0)
  await clock.pass(HOUR_MS + fillLimits.lookMs)
  t.equal(reads.length, 1)
})

test('one that failed is tried again, so often', async (t) => {
  const { clock, reads, fills, registry } = someFills(t, fileIn(t))
  fills.order(['a'], '')
  for (let attempt = 1; attempt <= fillLimits.attemptsMax; attempt += 1) {
    t.equal(reads.length, attempt)
    reads.at(-1)?.end(new KairoError('ERR_NO_PROVIDER', 'the origin is away'))
    await settle()
    t.equal(reads.length, attempt, 'not at once')
    await clock.pass(fillLimits.retryMsMax + fillLimits.lookMs)
  }
  t.match(fills.list(), [{ state: 'failed', attempts: 3, problem: 'the origin is away' }])
  t.equal(await metric(registry, 'kairo_fill_attempts_total', { code: 'ERR_NO_PROVIDER' }), 3)
  fills.order(['a'], '')
  t.match(fills.list(), [{ state: 'waiting', attempts: 0 }])
})

test('the list outlives a restart, with what was running', async (t) => {
  const file = fileIn(t)
  const first = someFills(t, file)
  first.fills.order(['a', 'b', 'c'], '')
  first.reads[0]?.end(7)
  await settle()
  await first.fills.stop()
  const second = someFills(t, file)
  t.match(second.fills.list(), [{ state: 'done', bytes: 7 }, { state: 'waiting' }, {}])
  t.equal(second.fills.list()[1]?.attempts, 0, "a stop is nobody's failure")
  t.strictSame(
    second.reads.map(({ url }) => url),
    ['b', 'c'],
  )
  await second.clock.pass(fillLimits.saveMs)
  await writeFile(file, 'something else')
  t.throws(() => someFills(t, file), { code: 'ERR_STORAGE' })
  t.equal(await readFile(file, 'utf8'), 'something else', 'it is not overwritten')
})

test('the list is bounded: done ones leave it for new ones', async (t) => {
  const { reads, fills } = someFills(t, fileIn(t))
  const names = Array.from({ length: fillLimits.fillsMax }, (_, index) => `url ${index}`)
  fills.order(names, '')
  t.throws(() => fills.order(['more'], ''), { code: 'ERR_LIMIT' })
  reads[0]?.end(1)
  await settle()
  fills.order(['more'], '')
  t.equal(fills.list().length, fillLimits.fillsMax)
  t.notOk(fills.list().some(({ url }) => url === 'url 0'))
})
