/** A peer whose region an operator's etcd coordinates: a real one, that goes away and comes back. */
import { join } from 'node:path'
import { t, test } from 'tap'
import { EtcdProcess, needsEtcd } from '../../../tracker/test/support/etcd-process.ts'
import { checkRegion } from '../../src/doctor/region.ts'
import type { KairoError } from '../../src/errors.ts'
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
