/** Viewers in the whole region: told at once as far as they are known, read again while somebody looks. */
import type { StreamQuestion, StreamReply } from '@kairo/tracker'
import { test } from 'tap'
import { SwarmViewers } from '../../src/coordination/swarm-viewers.ts'
import { swarmViewersLimits as limits } from '../../src/limits/swarms.ts'
import { silentLogger } from '../../src/logger.ts'
import { ManualClock } from '../support/manual-clock.ts'

function stage(answer: (stream: string) => StreamReply) {
  const clock = new ManualClock()
  const asked: string[][] = []
  const ask = async (questions: readonly StreamQuestion[]): Promise<StreamReply[]> => {
    asked.push(questions.map(({ stream }) => stream))
    return questions.map(({ stream }) => answer(stream))
  }
  const state = { swarms: { ask } as { readonly ask: typeof ask } | undefined }
  const viewers = new SwarmViewers({ clock, logger: silentLogger, swarms: () => state.swarms })
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  return { clock, asked, viewers, turn, state }
}

const reply = (viewers: number): StreamReply => ({ type: 'viewers', viewers, holders: 1 })
const unknown: StreamReply = { type: 'unknown', code: 'ERR_UNAVAILABLE', message: 'nobody leads' }

test('a list is read at once, all streams together, and no sooner again than it must be', async (t) => {
  const { clock, asked, viewers, turn } = stage((stream) => (stream === 'b' ? unknown : reply(7)))
  t.same([viewers.of('a'), viewers.of('b')], [undefined, undefined])
  await turn()
  t.same(asked, [['a', 'b']])
  t.same([viewers.of('a'), viewers.of('b')], [7, undefined])
  await turn()
  t.equal(asked.length, 1)
  clock.advance(limits.readMs)
  viewers.of('a')
  await turn()
  t.equal(asked.length, 2)
})

test('who is not looked at is not read, and what is old is not told', async (t) => {
  let isThere = true
  const { clock, asked, viewers, turn } = stage(() => (isThere ? reply(1) : unknown))
  viewers.of('a')
  await turn()
  clock.advance(limits.interestMs + 1)
  t.equal(viewers.of('b'), undefined)
  await turn()
  t.same(asked.at(-1), ['b'], 'nobody wants the other any more')
  isThere = false
  clock.advance(limits.readMs)
  t.equal(viewers.of('b'), 1)
  await turn()
  clock.advance(limits.oldMs)
  t.equal(viewers.of('b'), undefined)
  await turn()
})

test('without a tracker nothing is asked; failures are no reason to fail', async (t) => {
  const { clock, asked, viewers, turn, state } = stage(() => {
    throw new Error('gone')
  })
  const { swarms } = state
  state.swarms = undefined
  t.equal(viewers.of('a'), undefined)
  await turn()
  t.same(asked, [])
  state.swarms = swarms
  for (const _ of [1, 2]) {
    viewers.of('a')
    await turn()
    clock.advance(limits.readMs)
  }
  t.equal(asked.length, 2)
  for (let at = 0; at < limits.streamsMax + 5; at++) viewers.of(`s${at}`)
  await turn()
  t.equal(asked.at(-1)?.length, limits.streamsMax)
})
