/** What a cache carries out again when the run before was cut off. */
import { type Test, test } from 'tap'
import { CdnCache } from '../../src/cdn/cdn-cache.ts'
import { cdnLimits } from '../../src/limits/cdn.ts'
import { silentLogger } from '../../src/logger.ts'
import { createRegistry } from '../../src/metrics/registry.ts'
import { ManualClock } from '../support/manual-clock.ts'

const BEGINNING = 1_000_000

async function open(t: Test, directory: string): Promise<CdnCache> {
  const components = { clock: new ManualClock(), logger: silentLogger, registry: createRegistry() }
  const cache = new CdnCache(components, { directory })
  await cache.start()
  t.teardown(() => cache.stop())
  return cache
}

/** A log that begins at a number, as that of a new peer does, and is now at another; `asked` are the numbers that it was asked for. */
function logOf(generation: number) {
  const asked: number[] = []
  return {
    asked,
    generation: () => generation,
    since: (from: number) => {
      asked.push(from)
      return { everything: from < BEGINNING, purges: [] }
    },
  }
}

function add({ index }: CdnCache): void {
  const head = {
    ...{ status: 200, headers: {}, method: 'GET' as const, varyFields: {}, complete: true },
    ...{ requestTimeMs: 0, responseTimeMs: 0 },
  }
  const body = { length: 1, sliceBytes: 65_536, slices: ['0'.repeat(64)] }
  const entry = index.add({
    ...{ key: 'http://site.example/', rule: 'site', host: 'site.example', tags: [] },
    ...{ head, body, rangeable: true },
  })
  index.keep(entry)
}

test('a run that was cut off costs no more than the purges of that run', async (t) => {
  const directory = t.testdir({})
  const first = await open(t, directory)
  first.catchUp(logOf(BEGINNING))
  add(first)
  first.index.purge({ by: 'url', url: 'http://site.example/another' }, 'hard')
  // No stop: what follows reads what a crash leaves.
  const second = await open(t, directory)
  const log = logOf(BEGINNING + 1)
  second.catchUp(log)
  t.same(log.asked, [BEGINNING], 'from where the run before had begun')
  t.equal(second.index.size, 1)
})

test('without a word on how far the cache was, the log decides', async (t) => {
  const cache = await open(t, t.testdir({ 'index.journal': '{"t":"open","boot":"x"}\n' }))
  add(cache)
  const log = logOf(BEGINNING + 1)
  cache.catchUp(log)
  t.same(log.asked, [BEGINNING + 1 - cdnLimits.purgesRepeated])
  t.equal(cache.index.size, 0)
})

test('after an orderly end nothing is carried out again', async (t) => {
  const directory = t.testdir({})
  const first = await open(t, directory)
  first.catchUp(logOf(BEGINNING))
  await first.stop()
  const second = await open(t, directory)
  const log = logOf(BEGINNING)
  second.catchUp(log)
  t.same(log.asked, [])
})
