/** A node that stops, one that waits for others until they are cut off, and one that never stops. */
import { test } from 'tap'
import { stopNode } from '../../src/host/stop-node.ts'
import { hostLimits } from '../../src/limits.ts'
import { silentLogger } from '../../src/logger.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'

function setUp(stop: (onCut: Promise<void>) => Promise<void>) {
  const clock = new ManualClock()
  const { promise: cut, resolve } = Promise.withResolvers<void>()
  const steps: string[] = []
  const connection = {
    abort: () => {
      steps.push('cut')
      resolve()
    },
  }
  const node = {
    getConnections: () => [connection] as never,
    stop: async () => {
      steps.push('stop')
      await stop(cut)
    },
  }
  const reach = {
    end: async () => {
      steps.push('reach')
    },
  }
  const stopped = stopNode({ node, reach }, { clock, logger: silentLogger })
  return { clock, steps, stopped }
}

test('in order, and nothing is cut', async (t) => {
  const { clock, steps, stopped } = setUp(async () => {})
  await stopped
  clock.advance(60_000)
  t.strictSame(steps, ['reach', 'stop'])
})

test('what waits for another peer is cut off', async (t) => {
  const { clock, steps, stopped } = setUp((cut) => cut)
  await settle()
  clock.advance(hostLimits.stopMsMax)
  await stopped
  t.strictSame(steps, ['reach', 'stop', 'cut'])
})

test('what never stops is left alone, and a failure is told', async (t) => {
  const { clock, stopped } = setUp(() => new Promise(() => {}))
  await settle()
  clock.advance(hostLimits.stopMsMax)
  clock.advance(hostLimits.stopMsMax)
  await t.resolves(stopped)
  await t.rejects(setUp(() => Promise.reject(new Error('broken'))).stopped, { message: 'broken' })
})
