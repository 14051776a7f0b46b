// How far away a peer is, and whether it is there.
import { test } from 'tap'
import { Heartbeat } from '../../src/mesh/heartbeat.ts'
import { meshLimits as limits } from '../../src/mesh/limits.ts'
import { ManualClock } from '../support/manual-clock.ts'

function stage(random = 0) {
  const clock = new ManualClock()
  const sent: number[] = []
  const told: (number | string)[] = []
  const heartbeat = new Heartbeat(
    { clock, random: () => random },
    {
      send: ({ no }) => sent.push(no),
      onRtt: (rttMs) => told.push(rttMs),
      onSilent: () => told.push('silent'),
    },
  )
  heartbeat.start()
  return { clock, sent, told, heartbeat }
}

test('the round trip is the newest answer, and a little of those before', async (t) => {
  const { clock, sent, told, heartbeat } = stage()
  t.equal(heartbeat.rttMs, undefined)
  clock.advance(100)
  heartbeat.takePong(sent[0] as number)
  clock.advance(limits.pingEveryMs - 100 + 200)
  heartbeat.takePong(sent[1] as number)
  t.strictSame(told, [100, 100 + limits.rttWeight * 100])
  heartbeat.takePong(sent[1] as number)
  t.equal(told.length, 2, 'one answer to each')
})

test('an answer that comes after the next ping says nothing', async (t) => {
  const { clock, sent, told, heartbeat } = stage()
  clock.advance(limits.pingEveryMs + 50)
  heartbeat.takePong(sent[0] as number)
  t.strictSame(told, [])
  heartbeat.takePong(sent[1] as number)
  t.strictSame(told, [50])
})

test('three pings without a word, and the peer is not there', async (t) => {
  const { clock, sent, told, heartbeat } = stage(1)
  const everyMs = limits.pingEveryMs * 0.9
  clock.advance(everyMs * 2)
  heartbeat.heard()
  clock.advance(everyMs * 4 - 1)
  t.strictSame(told, [])
  clock.advance(1)
  t.strictSame(told, ['silent'])
  clock.advance(everyMs * 10)
  t.equal(sent.length, 6)
  t.equal(told.length, 1)
})
