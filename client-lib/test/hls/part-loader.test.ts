// The loader as hls.js's fragment loader uses it.
import type {
  FragmentLoaderContext,
  HlsConfig,
  Loader,
  LoaderCallbacks,
  LoaderConfiguration,
  LoaderContext,
} from 'hls.js'
import { test } from 'tap'
import { hlsLimits as limits } from '../../src/hls/limits.ts'
import { newStats } from '../../src/hls/load-stats.ts'
import { type LoaderHost, type LoadOutcome, PartLoader } from '../../src/hls/part-loader.ts'
import { sourceOfContext } from '../../src/hls/renditions.ts'
import { type ContextOf, contextOf, defaults, levelOf, loaderConfig } from '../support/hls-parts.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { arrival, ToldEngine } from '../support/told-engine.ts'

const tracks = {
  levels: [levelOf({ BANDWIDTH: '2000000', CODECS: 'avc1.4d401e' })],
  allAudioTracks: [],
}

/** hls.js's own loader, as far as it is one: it remembers what it was asked. */
class PlainLoader implements Loader<LoaderContext> {
  static readonly made: PlainLoader[] = []
  context: LoaderContext | null = null
  stats = newStats()
  readonly calls: string[] = []
  constructor() {
    PlainLoader.made.push(this)
  }
  callbacks: LoaderCallbacks<LoaderContext> | undefined
  load(context: LoaderContext, _: unknown, callbacks: LoaderCallbacks<LoaderContext>): void {
    this.context = context
    this.callbacks = callbacks
    this.calls.push('load')
  }
  abort(): void {
    this.calls.push('abort')
  }
  destroy(): void {
    this.calls.push('destroy')
  }
}

interface Told {
  readonly how: string
  readonly data?: unknown
  readonly code?: number
}

/** An ArrayBuffer's bytes, which tap does not compare. */
function bytesOf(data: unknown): number[] {
  return [...new Uint8Array(data as ArrayBuffer)]
}

function setUp(of: { isBound?: boolean } = {}) {
  const clock = new ManualClock(10_000)
  const engine = new ToldEngine()
  const outcomes: LoadOutcome[] = []
  const plain: number[] = []
  const playhead = { positionS: 20, bufferedS: 8, rate: 1 }
  const host: LoaderHost = {
    clock,
    engine: of.isBound === false ? undefined : engine,
    locate: (context) => sourceOfContext(tracks, context),
    playhead: () => playhead,
    loaders: new Set(),
    onLoad: (_, outcome) => outcomes.push(outcome),
    onPlain: (bytes) => plain.push(bytes),
  }
  const told: Told[] = []
  const config = { ...defaults, loader: PlainLoader } as unknown as HlsConfig
  const loader = new PartLoader(host, config)
  const callbacks: LoaderCallbacks<FragmentLoaderContext> = {
    onSuccess: ({ data, code }) => {
      told.push({ how: 'success', data, ...(code !== undefined && { code }) })
      // As hls.js does, within the call.
      loader.destroy()
    },
    onError: ({ code }) => {
      told.push({ how: 'error', code })
      loader.destroy()
    },
    onTimeout: () => {
      told.push({ how: 'timeout' })
      loader.destroy()
    },
    onAbort: () => {
      told.push({ how: 'abort' })
      loader.destroy()
    },
  }
  const load = (context: ContextOf = {}, more: Partial<LoaderConfiguration> = {}): void =>
    loader.load(contextOf(context), { ...loaderConfig, ...more }, callbacks)
  return { clock, engine, outcomes, plain, playhead, host, told, loader, callbacks, load }
}

test('media goes to the engine: key, URL, deadline', async (t) => {
  const { engine, load, outcomes, host } = setUp()
  load()
  t.match(engine.last, {
    key: /^m360_[\w-]+\/7$/,
    url: 'https://origin.example/v/7.m4s',
    isUrgent: false,
  })
  t.equal(engine.last.range, undefined)
  t.equal(host.loaders.size, 1)
  t.same(outcomes, [{ type: 'start' }])
  load({ part: 2, range: [100, 350] })
  t.match(engine.last, { key: /\/7\.2$/, range: { from: 100, to: 350 } })
})

test('what is nothing for the swarm goes to the loader of hls.js, on the same stats', async (t) => {
  const others: ContextOf[] = [
    { sn: 'initSegment' },
    { type: 'subtitle' },
    { bitrateTest: true },
    { level: 3 },
    { type: 'audio' },
    { url: 'blob:https://page.example/1' },
  ]
  for (const context of others) {
    const { engine, load, loader } = setUp()
    load(context)
    const plain = PlainLoader.made.at(-1)
    t.same(plain?.calls, ['load'], JSON.stringify(context))
    t.equal(plain?.stats, loader.stats)
    t.equal(engine.requests.length, 0)
    loader.abort()
    loader.destroy()
    t.same(plain?.calls, ['load', 'abort', 'destroy'])
  }
  const { load } = setUp({ isBound: false })
  load()
  t.same(PlainLoader.made.at(-1)?.calls, ['load'], 'without an engine, too')
})

test('media that comes past the engine is counted', async (t) => {
  for (const [context, counted] of [
    [{ bitrateTest: true }, [7]],
    [{ sn: 'initSegment' }, []],
    [{ type: 'subtitle' }, []],
  ] as const) {
    const { load, plain, told, loader } = setUp()
    load(context)
    loader.stats.loaded = 7
    const { callbacks } = PlainLoader.made.at(-1) as PlainLoader
    callbacks?.onSuccess({ url: '', data: 'x' }, loader.stats, contextOf(context), null)
    t.same(plain, counted)
    t.equal(told.length, 1)
  }
})

test('an arrival: bytes as they are, stats, destroyed within the call', async (t) => {
  const { engine, load, told, loader, clock, host, outcomes } = setUp()
  const { stats } = loader
  load()
  clock.advance(500)
  const bytes = Uint8Array.of(1, 2, 3)
  const came = arrival({ bytes, firstMs: 10_100, lastMs: 10_400, bps: 1_000 })
  engine.last.callbacks.onArrival(came)
  t.match(told, [{ how: 'success', code: 200 }])
  t.same(bytesOf(told[0]?.data), [1, 2, 3])
  t.match(stats, { loaded: 3, total: 3, aborted: false, retry: 0, bwEstimate: 1_000 })
  t.same(stats.loading, { start: 10_000, first: 10_100, end: 10_400 })
  t.equal(host.loaders.size, 0)
  t.equal(clock.timers, 0)
  t.equal(engine.last.isCancelled, false, 'what came is not cancelled')
  t.same(
    outcomes.map(({ type }) => type),
    ['start', 'loaded'],
  )
})

test('bytes that are a view of a larger buffer are handed over without the rest', async (t) => {
  const { engine, load, told } = setUp()
  load()
  const bytes = new Uint8Array([9, 1, 2, 9]).subarray(1, 3)
  engine.last.callbacks.onArrival(arrival({ bytes }))
  t.same(bytesOf(told[0]?.data), [1, 2])
})

test('progressive players get all of it as progress, then again', async (t) => {
  const { engine, loader, callbacks } = setUp()
  const seen: unknown[] = []
  loader.load(contextOf(), loaderConfig, {
    ...callbacks,
    onProgress: (_, __, data) => seen.push(data),
  })
  engine.last.callbacks.onArrival(arrival({ bytes: Uint8Array.of(5) }))
  t.same(seen.map(bytesOf), [[5]])
})

test('a failure is told at once, with its status; hls.js retries', async (t) => {
  const { engine, load, told, clock, outcomes } = setUp()
  load()
  engine.last.callbacks.onFailure(404, 'Not Found')
  t.same(told, [{ how: 'error', code: 404 }])
  t.equal(clock.timers, 0)
  t.same(outcomes.at(-1), { type: 'error', status: 404, text: 'Not Found' })
})

test('what the engine cannot bring, and no server has refused, hls.js loads by itself', async (t) => {
  const { engine, load, told, clock, loader, host } = setUp()
  const before = PlainLoader.made.length
  load()
  engine.last.callbacks.onFailure(0, 'too long for the swarm')
  const plain = PlainLoader.made.at(-1)
  t.equal(PlainLoader.made.length, before + 1)
  t.same(plain?.calls, ['load'])
  t.same(told, [], 'hls.js hears of that loader alone')
  t.equal(clock.timers, 0)
  t.equal(host.loaders.size, 0)
  loader.abort()
  t.same(plain?.calls, ['load', 'abort'])
})

test('nothing within the time to a first byte: a timeout, and the engine is told to stop', async (t) => {
  const { engine, load, told, clock, host } = setUp()
  load()
  clock.advance(9_999)
  t.same(told, [])
  clock.advance(1)
  t.same(told, [{ how: 'timeout' }])
  t.equal(engine.last.isCancelled, true)
  t.equal(host.loaders.size, 0)
})

test('bytes from anybody count as a first one; then the whole has its time', async (t) => {
  const { engine, load, told, loader, clock } = setUp()
  load()
  clock.advance(9_000)
  loader.came('other/7', 10, true)
  loader.came(engine.last.key, 10, false)
  clock.advance(100_000)
  t.same(told, [])
  clock.advance(11_000)
  t.same(told, [{ how: 'timeout' }])
})

test('HTTP has to be on its way well before hls.js gives up', async (t) => {
  const { engine, load, loader, playhead, clock } = setUp()
  playhead.bufferedS = 30
  load({ start: 50 })
  t.equal(engine.last.deadlineMs, 10_000 + 10_000 * limits.waitShare)
  clock.advance(100)
  loader.came(engine.last.key, 10, false)
  t.match(
    engine.hastened,
    [{ deadlineMs: 10_100 + 30_000 - limits.appendMs, isUrgent: false }],
    'what comes has until the buffer ends',
  )
})

test('without timeouts in the policy there is none', async (t) => {
  const { load, clock, playhead, engine } = setUp()
  playhead.bufferedS = 60
  const loadPolicy = {
    ...loaderConfig.loadPolicy,
    maxTimeToFirstByteMs: Infinity,
    maxLoadTimeMs: Infinity,
  }
  load({ start: 80 }, { loadPolicy })
  t.equal(clock.timers, 0)
  t.equal(engine.last.deadlineMs, 10_000 + 60_000 - limits.appendMs)
})

test('abort: the engine stops, hls.js is told once, the stats say so', async (t) => {
  const { engine, load, told, loader, clock, outcomes } = setUp()
  const { stats } = loader
  load()
  loader.abort()
  t.same(told, [{ how: 'abort' }])
  t.equal(engine.last.isCancelled, true)
  t.equal(stats.aborted, true)
  t.equal(clock.timers, 0)
  engine.last.callbacks.onArrival(arrival())
  engine.last.callbacks.onFailure(0, '')
  loader.abort()
  t.equal(told.length, 1)
  t.same(
    outcomes.map(({ type }) => type),
    ['start', 'abort'],
  )
})

test('destroyed while it loads: nobody is told', async (t) => {
  const { engine, load, told, loader, clock } = setUp()
  load()
  loader.destroy()
  t.equal(engine.last.isCancelled, true)
  engine.last.callbacks.onArrival(arrival())
  clock.advance(1e6)
  t.same(told, [])
})

test('a playhead that jumps moves the deadline; one that plays on does not', async (t) => {
  const { engine, load, loader, playhead, clock } = setUp()
  load()
  clock.advance(1_000)
  playhead.positionS = 21
  playhead.bufferedS = 7
  loader.retime()
  t.same(engine.hastened, [])
  playhead.rate = 2
  loader.retime()
  t.match(engine.hastened, [{ deadlineMs: 11_000 + 3_500 - limits.appendMs, isUrgent: false }])
  playhead.bufferedS = 0
  loader.retime()
  t.match(engine.hastened[1], { deadlineMs: 11_000, isUrgent: true })
  clock.advance(500)
  loader.retime()
  t.equal(engine.hastened.length, 2, 'urgent is said once')
  loader.destroy()
  loader.retime()
  t.equal(engine.hastened.length, 2)
})
