/** The random walk of whoever looks for relays. */
import type { PeerInfo } from '@libp2p/interface'
import { test } from 'tap'
import { pacedWalk } from '../../../src/host/reach/paced-walk.ts'
import { reachLimits } from '../../../src/limits/reach.ts'
import { ManualClock } from '../../support/manual-clock.ts'

test('the first peers come at once, each further one after a pause, and an end is heard during it', async (t) => {
  const clock = new ManualClock()
  const endless = {
    async *walk(): AsyncGenerator<PeerInfo> {
      for (;;) yield { multiaddrs: [] } as unknown as PeerInfo
    },
  }
  const stop = new AbortController()
  let met = 0
  const walking = (async () => {
    for await (const _ of pacedWalk({ clock }, endless).walk({ signal: stop.signal })) met += 1
  })()
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  await turn()
  t.equal(met, reachLimits.walkBurst)
  await clock.pass(reachLimits.walkPauseMs)
  await turn()
  t.equal(met, reachLimits.walkBurst + 1)
  stop.abort(new Error('enough'))
  await t.rejects(walking, { message: 'enough' })
})
