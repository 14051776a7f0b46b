/** The load meter: the fullest share counts, smoothed, and classes change with hysteresis. */
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { loadLimits } from '../../src/limits/nearest.ts'
import { silentLogger } from '../../src/logger.ts'
import { LoadMeter, machineProbes } from '../../src/nearest/load-meter.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { metricOf } from '../support/registry-value.ts'

function meterOf(t: Test, uplinkBitsPerSecond = 0) {
  const clock = new ManualClock()
  const registry = new Registry()
  const use = { loop: 0, processors: 0, bytesPerSecond: 0, connections: 0 }
  const sums = { loop: 0, processors: 0, bytes: 0, atMs: 0 }
  /** Counters as they would stand now. */
  const advance = () => {
    const elapsedMs = clock.monotonicMs() - sums.atMs
    sums.atMs += elapsedMs
    sums.loop += use.loop * elapsedMs
    sums.processors += use.processors * elapsedMs
    sums.bytes += (use.bytesPerSecond * elapsedMs) / 1_000
    return sums
  }
  const meter = new LoadMeter(
    {
      ...{ clock, registry, logger: silentLogger },
      probes: {
        eventLoopMs: () => ({ active: advance().loop, total: clock.monotonicMs() }),
        processorMs: () => ({ active: advance().processors, total: clock.monotonicMs() }),
        bytesSent: () => advance().bytes,
        connections: () => ({ open: use.connections, max: 1_000 }),
      },
    },
    { uplinkBitsPerSecond },
  )
  meter.start()
  t.teardown(() => meter.stop())
  return { meter, use, clock, registry, seconds: (count: number) => clock.advance(count * 1_000) }
}

test('the fullest share is the load', async (t) => {
  const { meter, use, seconds, registry } = meterOf(t, 100_000_000)
  use.loop = 0.3
  use.processors = 0.2
  use.connections = 100
  use.bytesPerSecond = 1_000_000
  seconds(30)
  t.match(meter.reading(), { busiest: 'event loop' })
  t.ok(Math.abs(meter.reading().load - 0.3) < 0.01)
  t.ok(Math.abs(meter.reading().freeBitsPerSecond - 92_000_000) < 100_000)
  use.bytesPerSecond = 10_000_000
  seconds(30)
  t.match(meter.reading(), { busiest: 'uplink' })
  t.ok(Math.abs(meter.reading().load - 0.8) < 0.01)
  t.ok(Math.abs((await metricOf(registry, 'kairo_nearest_load_ratio')) - 0.8) < 0.01)
  use.bytesPerSecond = 100_000_000
  seconds(30)
  t.equal(meter.reading().load, 1, 'never more than all')
  t.equal(meter.reading().freeBitsPerSecond, 0)
})

test('an uplink that nobody has stated is no load', (t) => {
  const { meter, use, seconds } = meterOf(t)
  use.bytesPerSecond = 1_000_000_000
  seconds(30)
  t.equal(meter.reading().load, 0)
  t.equal(meter.reading().freeBitsPerSecond, 0)
  t.end()
})

test('a step is smoothed', (t) => {
  const { meter, use, seconds } = meterOf(t)
  use.processors = 1
  seconds(1)
  t.ok(Math.abs(meter.reading().load - loadLimits.sampleWeight) < 0.01)
  t.end()
})

test('a class changes at its edge and goes back below it only', (t) => {
  const { meter, use, seconds } = meterOf(t)
  let changes = 0
  meter.onClassChange(() => {
    changes += 1
  })
  use.processors = 0.51
  seconds(30)
  t.equal(changes, 1, 'over the first edge')
  use.processors = 0.47
  seconds(30)
  t.equal(changes, 1, 'a little below it')
  use.processors = 0.4
  seconds(30)
  t.equal(changes, 2, 'well below it')
  use.processors = 0.99
  seconds(60)
  t.equal(changes, 2 + loadLimits.classEdges.length, 'each edge on the way up')
  t.end()
})

test('a listener that fails does not stop the others', (t) => {
  const { meter, use, seconds } = meterOf(t)
  let told = false
  meter.onClassChange(() => {
    throw new Error('on purpose')
  })
  const stop = meter.onClassChange(() => {
    told = true
  })
  use.processors = 0.6
  seconds(30)
  t.ok(told)
  stop()
  t.end()
})

test('the probes of this machine count upwards', (t) => {
  const probes = machineProbes()
  for (const probe of [probes.eventLoopMs, probes.processorMs]) {
    const { active, total } = probe()
    t.ok(active >= 0 && total >= active)
  }
  t.end()
})
