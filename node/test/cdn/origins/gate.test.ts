/** Waiting in line at a gate. */
import { test } from 'tap'
import { Gate } from '../../../src/cdn/origins/gate.ts'
import { KairoError } from '../../../src/errors.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { codeOf } from '../../support/origin-parts.ts'

const never = new AbortController().signal

test('a gate', async (t) => {
  const clock = new ManualClock()
  const refused: string[] = []
  const gate = new Gate(
    { clock },
    {
      ...{ insideMax: 1, waitingMax: 2, waitMsMax: 1_000 },
      onRefused: (reason) => refused.push(reason),
    },
  )
  await gate.enter(never)

  await t.test('lets in who waits longest', async (t) => {
    const order: number[] = []
    const work = [1, 2].map(async (number) => {
      await gate.enter(never)
      order.push(number)
    })
    t.strictSame([gate.inside, gate.waiting], [1, 2])
    t.equal(await codeOf(gate.enter(never)), 'ERR_OVERLOADED')
    gate.leave()
    gate.leave()
    await Promise.all(work)
    t.strictSame(order, [1, 2])
    t.strictSame([gate.inside, gate.waiting, clock.timers], [1, 0, 0])
    t.strictSame(refused, ['queue-full'])
  })

  await t.test('whoever goes leaves no trace', async (t) => {
    const gone = new AbortController()
    const work = codeOf(gate.enter(gone.signal))
    gone.abort(new KairoError('ERR_STOPPED', 'gone'))
    t.equal(await work, 'ERR_STOPPED')
    t.equal(await codeOf(gate.enter(gone.signal)), 'ERR_STOPPED', 'nor who had gone before')
    t.strictSame([gate.waiting, clock.timers], [0, 0])
  })

  await t.test('nobody waits for ever, and all can be sent away', async (t) => {
    const late = codeOf(gate.enter(never))
    await clock.pass(1_000)
    t.equal(await late, 'ERR_OVERLOADED')
    t.strictSame(refused, ['queue-full', 'queue-timeout'])
    const waiting = codeOf(gate.enter(never))
    gate.refuseWaiting(new KairoError('ERR_NO_PROVIDER', 'dead'))
    t.equal(await waiting, 'ERR_NO_PROVIDER')
    gate.leave()
    await settle()
    t.strictSame([gate.inside, gate.waiting, clock.timers], [0, 0, 0])
  })
})
