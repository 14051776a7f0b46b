/** A peer whose region an operator's etcd coordinates: a real one, that goes away and comes back. */
import { join } from 'node:path'
import type { Coordination } from '@kairo/tracker'
import { Registry } from 'prom-client'
import { t, test } from 'tap'
import { EtcdProcess, needsEtcd } from '../../../tracker/test/support/etcd-process.ts'
import { systemClock } from '../../src/clock.ts'
import { RegionLog } from '../../src/coordination/region-log.ts'
import { RegionLogMetrics } from '../../src/coordination/region-log-metrics.ts'
import { checkRegion } from '../../src/doctor/region.ts'
import type { KairoError } from '../../src/errors.ts'
import { silentLogger } from '../../src/logger.ts'
import { startCoordination } from '../support/coordination.ts'
import { until } from '../support/until.ts'

t.setTimeout(120_000)

test('etcd in place of the tracker', { skip: needsEtcd() }, async (t) => {
  const folder = t.testdir({ etcd: {} })
  const etcd = await EtcdProcess.start(join(folder, 'etcd'))
  t.teardown(() => etcd.kill())
  const { service } = await startCoordination(t, { folder, coordinationUrl: etcd.url })
  await service.start()
  await until(() => service.status.state === 'running', 'the client')
  const keyspace = service.coordination.keyspace('test')
  const value = Buffer.from('b')
  await keyspace.transact({ then: [{ type: 'put', key: 'a', value }] })
  t.equal(Buffer.from((await keyspace.get('a'))?.value ?? []).toString(), 'b')
  await t.test('the log of purges', async (t) => {
    const logs = [followed(service.coordination, 'first'), followed(service.coordination, 'second')]
    const [first, second] = logs as [RegionLog, RegionLog]
    await until(() => logs.every(({ isFollowing }) => isFollowing), 'both follow')
    t.same(await first.add([{ name: 'a', value }]), [])
    t.same(await second.add([{ name: 'a', value: Buffer.from('c') }]), ['a'], 'it is there')
    await until(() => second.find('a') !== undefined, 'the watch')
    await until(() => second.members.size === 2, 'both are told of')
    await first.stop()
    await until(() => second.members.size === 1, 'a goodbye')
    await second.stop()
  })
  const look = async () => {
    const failure = await service.probe().then(
      () => undefined,
      (error: KairoError) => error,
    )
    return checkRegion({ status: service.status, failure, folder })[0]?.status
  }
  t.equal(await look(), 'ok')
  await etcd.kill()
  t.equal(await look(), 'fail')
})

/** A log that does nothing with what comes. */
function followed(coordination: Coordination, peerId: string): RegionLog {
  const metrics = new RegionLogMetrics(new Registry())
  const log = new RegionLog(
    { clock: systemClock, logger: silentLogger, coordination, metrics, peerId },
    { keyspace: 'purges', valueBytesMax: 1_024, ageMsMax: 60_000, memberTtlMs: 60_000 },
  )
  log.start({
    onWhole: async () => {},
    onFollowing: () => {},
    onNews: async () => {},
    onMember: () => {},
    taken: () => 0,
    ageMs: () => 0,
  })
  return log
}
