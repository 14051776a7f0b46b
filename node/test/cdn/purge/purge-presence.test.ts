/** Whether purges can have been missed: judged by what was heard, and by the clocks. */
import { test } from 'tap'
import { PurgePresence } from '../../../src/cdn/purge/purge-presence.ts'
import { purgeLimits } from '../../../src/limits/purge.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { PurgeNetwork } from '../../support/purge-network.ts'

function caughtUp(): { clock: ManualClock; presence: PurgePresence } {
  const clock = new ManualClock()
  const presence = new PurgePresence({ clock, onChange: () => {} })
  presence.start(true)
  presence.touch(true, clock.monotonicMs())
  return { clock, presence }
}

test('a pause shows at the first question, before any timer has run', async (t) => {
  const { clock, presence } = caughtUp()
  t.equal(presence.isCaughtUp(), true)
  const askedMs = clock.monotonicMs()
  clock.advance(purgeLimits.pauseMs + 1)
  t.equal(presence.isCaughtUp(), false)
  presence.touch(true, askedMs)
  t.equal(presence.isCaughtUp(), false, 'an answer to a question from before says nothing')
  presence.touch(true, clock.monotonicMs())
  t.equal(presence.isCaughtUp(), true)
})

test('a neighbour that has come is heard first, a moment at most', async (t) => {
  const { clock, presence } = caughtUp()
  t.equal(presence.hearOut('b'), true)
  t.equal(presence.isCaughtUp(), false)
  t.equal(presence.vouchesTo('b'), true, 'both may wait for each other')
  t.equal(presence.vouchesTo('c'), false)
  presence.heard('b')
  t.equal(presence.isCaughtUp(), true)
  presence.hearOut('b')
  for (let waitedMs = 0; waitedMs <= purgeLimits.hearOutMsMax; waitedMs += purgeLimits.tickMs) {
    clock.advance(purgeLimits.tickMs)
    presence.tick(1)
  }
  t.equal(presence.isCaughtUp(), true)
  const names = Array.from({ length: purgeLimits.hearOutsBurst + 1 }, (_, index) => `${index}`)
  t.equal(names.map((name) => presence.hearOut(name)).at(-1), false, 'not too often')
})

test('a gap outlives a restart: responses from before it are gone', async (t) => {
  const network = PurgeNetwork.plain()
  t.teardown(() => network.stop())
  const peer = await network.make({ expectsPeers: false })
  await peer.start()
  const { everything } = peer.purges.since(peer.purges.generation())
  t.equal(everything, false)
  t.equal(peer.purges.since(peer.purges.generation() - 1).everything, true, 'before the log began')
  t.equal(peer.purges.since(peer.purges.generation() + 1).everything, true, 'from a lost log')
})

test('a region that keeps a log is read first, at the start and after each loss', async (t) => {
  const clock = new ManualClock()
  let isThere = true
  let asked = 0
  let silent = 0
  const presence = new PurgePresence({
    ...{ clock, onChange: () => {} },
    askRegion: () => {
      asked += 1
      return isThere
    },
    onRegionSilent: () => {
      silent += 1
    },
  })
  const tick = (ms: number): void => {
    for (let waitedMs = 0; waitedMs < ms; waitedMs += purgeLimits.tickMs) {
      clock.advance(purgeLimits.tickMs)
      presence.touch(true, clock.monotonicMs())
      presence.tick(1)
    }
  }
  presence.start(true, true)
  presence.touch(true, clock.monotonicMs())
  t.equal(presence.isCaughtUp(), false, 'neighbours alone do not do')
  t.equal(presence.vouchesTo('b'), false)
  t.equal(presence.readRegion(clock.monotonicMs()), true)
  t.equal(presence.isCaughtUp(), true)
  const askedMs = clock.monotonicMs()
  clock.advance(purgeLimits.pauseMs + 1)
  t.equal(presence.isCaughtUp(), false)
  presence.touch(true, clock.monotonicMs())
  t.equal(presence.readRegion(askedMs), false, 'an answer to a question from before says nothing')
  t.equal(presence.readRegion(clock.monotonicMs()), true)
  t.equal(presence.isCaughtUp(), true)
  t.equal(asked, 2)

  isThere = false
  clock.advance(purgeLimits.pauseMs + 1)
  t.equal(presence.isCaughtUp(), false)
  presence.touch(true, clock.monotonicMs())
  t.equal(presence.isCaughtUp(), true, 'one that was not followed is not waited for')
  presence.start(true, true)
  tick(purgeLimits.regionWaitMs)
  t.equal(presence.isCaughtUp(), false)
  tick(2 * purgeLimits.tickMs)
  t.equal(presence.isCaughtUp(), true)
  t.equal(silent, 1)
  presence.start(false, true)
  t.equal(presence.isCaughtUp(), true, 'a peer that is alone waits for nobody')
})
