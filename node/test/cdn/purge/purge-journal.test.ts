/** What a peer's journal says of purges that come to it by several ways. */
import { Registry } from 'prom-client'
import { test } from 'tap'
import { PurgeJournal } from '../../../src/cdn/purge/purge-journal.ts'
import { PurgeLedger } from '../../../src/cdn/purge/purge-ledger.ts'
import { signPurge } from '../../../src/cdn/purge/purge-message.ts'
import { PurgeMetrics } from '../../../src/cdn/purge/purge-metrics.ts'
import { silentLogger } from '../../../src/logger.ts'
import { newSigner } from '../../support/adverts.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { MemoryPurgeStorage } from '../../support/purge-network.ts'
import { SmallCache } from '../../support/small-cache.ts'

const URL_A = 'https://cdn.example/a'

test('a purge that was learned of from a neighbour tells its issuer all the same what it took', async (t) => {
  const signer = await newSigner()
  const ledger = new PurgeLedger()
  const purgeable = new SmallCache()
  const clock = new ManualClock()
  const metrics = new PurgeMetrics(new Registry(), {
    logPurges: () => ledger.size,
    isCaughtUp: () => true,
  })
  const journal = new PurgeJournal(
    { clock, logger: silentLogger, metrics, ledger, purgeable },
    { storage: new MemoryPurgeStorage() },
  )
  await journal.start()
  t.teardown(() => journal.stop())
  const signed = (sequence: number) =>
    signPurge(signer, {
      ...{ issuer: signer.peerId, epoch: 'e', sequence, issuedAtMs: clock.now() },
      ...{ selector: { by: 'url', url: URL_A }, mode: 'hard' },
    })

  purgeable.put(URL_A, 'old')
  const missed = signed(1)
  await journal.carryOutMissed([missed], [])
  t.equal(purgeable.responses.size, 0)
  purgeable.put(URL_A, 'new')
  t.equal(await journal.carryOut(missed), 1)
  t.equal(purgeable.responses.size, 1, 'it is not carried out twice')

  const direct = signed(2)
  t.equal(await journal.carryOut(direct), 1)
  t.equal(await journal.carryOut(direct), 1)
  t.equal(purgeable.responses.size, 0)
})
