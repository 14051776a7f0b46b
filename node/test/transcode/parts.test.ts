// The small parts of live transcoding: meter, cache, costs, restarts, the machine.
import { test } from 'tap'
import type { AccessUnit } from '../../src/media/access-unit.ts'
import type { VideoFacts } from '../../src/media/ladder/plan.ts'
import type { VideoRung } from '../../src/media/ladder/rung.ts'
import { rungCores, sharedCores } from '../../src/transcode/cost-model.ts'
import { GopCache } from '../../src/transcode/gop-cache.ts'
import { SystemLoad, transcodeCores } from '../../src/transcode/machine.ts'
import { RestartPolicy } from '../../src/transcode/restart-policy.ts'
import { needsNewLadder, sourceFacts } from '../../src/transcode/source-facts.ts'
import { SourceMeter } from '../../src/transcode/source-meter.ts'
import { fullHd, opus } from '../support/transcode-bench.ts'

const picture = (ms: number, keyframe = false, bytes = 100): AccessUnit => ({
  ...{ kind: 'video', keyframe, data: new Uint8Array(bytes) },
  ...{ dts: ms * 90, pts: ms * 90 },
})

const sound = (ms: number): AccessUnit => ({ ...picture(ms, true, 10), kind: 'audio' })

test('a source is measured in a second', async (t) => {
  const measure = (rate: number, seconds: number, start = 0): SourceMeter => {
    const meter = new SourceMeter()
    for (let index = 0; index <= rate * seconds + 1; index += 1) {
      meter.add(picture(start + Math.round((index * 1000) / rate), false, 1_000))
    }
    return meter
  }
  t.match(measure(30, 1).first, { frameRate: 30 })
  t.match(measure(60, 1, 1e9).first, { frameRate: 60 })
  t.match(measure(29.97, 1).first, { frameRate: 30 })
  t.ok(Math.abs((measure(12.5, 2).first?.frameRate ?? 0) - 12.5) < 0.3)
  t.ok(Math.abs((measure(30, 1).first?.bitrateBps ?? 0) - 240_000) < 4_000)
  t.equal(measure(30, 0.9).first, undefined)
  const long = measure(30, 12)
  t.ok(Math.abs((long.latestBps ?? 0) - 240_000) < 4_000)
  t.equal(measure(30, 9).latestBps, undefined)
})

test('times that jump begin a measurement anew', async (t) => {
  const meter = new SourceMeter()
  for (let ms = 0; ms < 900; ms += 100) meter.add(picture(ms))
  meter.add(picture(3_600_000))
  t.equal(meter.first, undefined, 'an hour without pictures is no rate')
  meter.add(picture(5))
  for (let ms = 100; ms <= 1_200; ms += 100) meter.add(picture(ms))
  t.equal(Math.round(meter.first?.frameRate ?? 0), 10)
  const sparse = new SourceMeter()
  sparse.add(picture(0))
  sparse.add(picture(1_500))
  t.equal(sparse.first?.frameRate, undefined)
})

test('the cache begins with a keyframe and goes whole groups at a time', async (t) => {
  const cache = new GopCache('video')
  cache.add(picture(0), fullHd)
  cache.add(sound(0), opus)
  t.notOk(cache.ready, 'nothing to decode from')
  for (const start of [100, 2_100, 4_100]) {
    cache.add(picture(start, true), fullHd)
    cache.add(sound(start), opus)
    cache.add(picture(start + 1_000), fullHd)
  }
  const times = (ms: number): number[] => cache.from(ms * 90).map(({ unit }) => unit.pts / 90)
  t.same(times(2_500), [2_100, 2_100, 3_100, 4_100, 4_100, 5_100])
  t.same(times(4_099), [4_100, 4_100, 5_100], 'a rounding error is no reason to decode again')
  t.equal(times(4_000)[0], 2_100)
  t.equal(times(0)[0], 100, 'the first there is')
  t.equal(cache.keyframeFrom(150 * 90), 2_100 * 90)
  t.equal(cache.keyframeFrom(9_000 * 90), 4_100 * 90)
  cache.prune(2_099 * 90)
  t.equal(times(0)[0], 100)
  cache.prune(4_200 * 90)
  t.equal(times(0)[0], 4_100)
  t.equal(cache.bytes, 210)
  cache.clear()
  t.same([cache.ready, cache.bytes, cache.keyframeFrom(0)], [false, 0, undefined])
})

test('the cache is bounded in bytes and in time', async (t) => {
  const heavy = new GopCache('video')
  heavy.add(picture(0, true, 60e6), fullHd)
  heavy.add(picture(1_000, true, 60e6), fullHd)
  t.equal(heavy.bytes, 60e6)
  heavy.add(picture(2_000, false, 60e6), fullHd)
  t.notOk(heavy.ready, 'one group that is too large waits for its next keyframe')
  const long = new GopCache('video')
  for (let ms = 0; ms <= 16_000; ms += 1_000) long.add(picture(ms, ms % 8_000 === 0), fullHd)
  t.equal((long.from(0)[0]?.unit.pts ?? 0) / 90, 8_000)
  const audio = new GopCache('audio')
  for (let ms = 0; ms < 3_000; ms += 20) audio.add(sound(ms), opus)
  t.equal((audio.from(1_500 * 90)[0]?.unit.pts ?? 0) / 90, 1_000)
})

const facts: VideoFacts = {
  ...{ codec: 'h264', codecString: 'avc1.640028', width: 1920, height: 1080 },
  ...{ frameRate: 30, bitrateBps: 6e6, videoRange: 'SDR' },
}
const rung: VideoRung = {
  ...{ name: '720p', encoder: 'libx264', codec: 'h264', width: 1280, height: 720 },
  ...{ frameRate: undefined, bitrateBps: 3e6, bitrateMaxBps: 4e6, bufferMs: 1_000 },
  ...{ preset: 'veryfast', bFramesMax: 0, dynamicRange: 'sdr' },
}

test('costs: pixels, speed, codec, hardware and tone-mapping all count', async (t) => {
  const base = rungCores(rung, facts, false)
  t.ok(base > 0.1 && base < 0.4)
  t.ok(rungCores({ ...rung, preset: 'medium' }, facts, false) > base * 2)
  t.ok(rungCores({ ...rung, preset: 'unheard-of' }, facts, false) === base)
  t.ok(rungCores({ ...rung, codec: 'hevc' }, facts, false) > base * 2)
  t.ok(rungCores({ ...rung, frameRate: 15 }, facts, false) < base)
  t.ok(rungCores(rung, { ...facts, frameRate: undefined }, false) === base)
  t.ok(rungCores(rung, { ...facts, videoRange: 'PQ' }, false) > base * 2)
  t.ok(rungCores(rung, facts, true) < base / 5)
  t.equal(sharedCores(undefined, { video: false, audio: 1 }), 0.02)
  t.equal(sharedCores(facts, { video: false, audio: 0 }), 0)
  t.ok(sharedCores({ ...facts, codec: 'av1' }, { video: true, audio: 0 }) > 0.1)
})

test('restarts: at once, then later and later, then not for a while', async (t) => {
  const policy = new RestartPolicy()
  const waits = Array.from({ length: 5 }, () => policy.failed(100, 'end'))
  t.same(
    waits.map(({ waitMs, action }) => [action, waitMs]),
    [
      ['restart', 0],
      ['restart', 500],
      ['restart', 1_000],
      ['restart', 2_000],
      ['give-up', 60_000],
    ],
  )
  t.same(
    waits.map(({ suspectHardware }) => suspectHardware),
    [false, true, true, true, true],
  )
  for (let failure = 0; failure < 4; failure += 1) policy.failed(100, 'end')
  t.equal(policy.failed(100, 'end').waitMs, 120_000)
  t.same(policy.failed(60_000, 'end'), { action: 'restart', waitMs: 0, suspectHardware: false })
})

test('stalls in a row are judged more slowly', async (t) => {
  const policy = new RestartPolicy()
  t.equal(policy.stallMs, 1_000)
  policy.failed(100, 'stall')
  policy.failed(100, 'stall')
  t.equal(policy.stallMs, 4_000)
  policy.failed(20_000, 'end')
  t.equal(policy.stallMs, 1_000)
})

test('a share of the machine is left to playback', async (t) => {
  t.same(
    [1, 2, 4, 16].map((cores) => transcodeCores(0, cores)),
    [0.5, 1, 3, 15],
  )
  t.equal(transcodeCores(0.25, 8), 0.25)
})

test('the load of this machine is what its event loop and processors say', async (t) => {
  const calls: string[] = []
  const monitor = {
    count: 0,
    enable: () => calls.push('enable') > 0,
    disable: () => calls.push('disable') > 0,
    reset: () => {
      calls.push('reset')
    },
    percentile: (percentile: number) => (percentile === 99 ? 170e6 : 0),
  }
  const load = new SystemLoad(monitor)
  load.start()
  t.equal(load.eventLoopDelayMs(), 0, 'no sample yet')
  monitor.count = 9
  t.equal(load.eventLoopDelayMs(), 150, 'the wanted time between samples is no delay')
  t.ok(load.idleCores() >= 0)
  load.stop()
  t.same(calls, ['enable', 'reset', 'reset', 'disable'])
  const real = new SystemLoad()
  real.start()
  t.ok(real.eventLoopDelayMs() >= 0)
  real.stop()
})

test('what makes another ladder of a source', async (t) => {
  t.notOk(needsNewLadder(fullHd, { ...fullHd, description: Uint8Array.of(9) }))
  t.ok(needsNewLadder(fullHd, { ...fullHd, width: 1280 }))
  t.ok(needsNewLadder(fullHd, { ...fullHd, codec: 'hevc' }))
  const colour = { primaries: 9, transfer: 18, matrix: 9, fullRange: false }
  t.ok(needsNewLadder(fullHd, { ...fullHd, colour }))
  t.ok(needsNewLadder(opus, { ...opus, codec: 'aac' }))
  t.notOk(needsNewLadder(opus, { ...opus, channels: 1 }))
  t.equal(sourceFacts({ ...fullHd, colour }, opus, undefined).video?.videoRange, 'HLG')
  const pq = { ...colour, transfer: 16 }
  t.equal(sourceFacts({ ...fullHd, colour: pq }, undefined, undefined).video?.videoRange, 'PQ')
})
