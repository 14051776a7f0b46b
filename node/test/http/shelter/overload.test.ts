/** When the peer counts as overloaded, and when it does no more. */
import { test } from 'tap'
import { memoryShare } from '../../../src/http/shelter/machine-memory.ts'
import { Overload } from '../../../src/http/shelter/overload.ts'
import { Watermark } from '../../../src/http/shelter/watermark.ts'
import { overloadLimits as limits } from '../../../src/limits/shelter.ts'
import { keepingLogger, type Line } from '../../support/http-exchange.ts'

test('a watermark rises and falls after some looks in a row, at different marks', async (t) => {
  const mark = new Watermark({ high: 10, low: 5 })
  const looks = (...values: number[]): boolean[] => values.map((value) => mark.look(value))
  t.strictSame(looks(11, 9, 11, 10, 11), [false, false, false, false, false], 'one is none')
  t.notOk(mark.isHigh)
  t.strictSame(looks(11), [true])
  t.ok(mark.isHigh)
  t.notOk(looks(9, 6, 5, 4, 4, 4, 6, 4, 4, 4).includes(true), 'between the marks it stays')
  t.strictSame(looks(4), [true])
  t.notOk(mark.isHigh)
})

test('overload by memory and by a slow event loop, said once each', async (t) => {
  const lines: Line[] = []
  const overload = new Overload({ logger: keepingLogger(lines) })
  const look = (times: number, lateMs: number, share: number): void => {
    const load = { lateMs, busyMs: lateMs, memoryShare: share }
    for (let index = 0; index < times; index += 1) overload.look(load)
  }
  look(10, 0, 0.5)
  t.equal(overload.reason, undefined)
  look(limits.looksToRise, limits.lagMsHigh + 1, 0.5)
  t.equal(overload.reason, 'event-loop')
  look(limits.looksToRise, limits.lagMsHigh + 1, 0.95)
  t.equal(overload.reason, 'memory')
  look(limits.looksToFall, 0, 0.95)
  t.equal(overload.reason, 'memory')
  look(limits.looksToFall, 0, 0.5)
  t.equal(overload.reason, undefined)
  t.strictSame(
    lines.map(({ level }) => level),
    ['warn', 'warn', 'warn', 'info'],
  )
})

test('a machine that others keep busy is no overload of this peer', async (t) => {
  const overload = new Overload({ logger: keepingLogger([]) })
  const late = { lateMs: 10 * limits.lagMsHigh, memoryShare: 0.5 }
  for (let look = 0; look < 10; look += 1) overload.look({ ...late, busyMs: 20 })
  t.equal(overload.reason, undefined)
  for (let look = 0; look < 10; look += 1) overload.look({ ...late, busyMs: late.lateMs })
  t.equal(overload.reason, 'event-loop')
})

test('the memory of this process is a share', async (t) => {
  const share = memoryShare()
  t.ok(share > 0 && share < 1, String(share))
})
