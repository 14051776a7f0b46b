/** The service with a real tracker in its thread: it decides alone, tells of itself, and fails without taking the peer along. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { t, test } from 'tap'
import { startCoordination } from '../support/coordination.ts'
import { metricOf } from '../support/registry-value.ts'
import { until } from '../support/until.ts'

t.setTimeout(120_000)

test('a tracker alone decides, and tells of itself', async (t) => {
  const { service, registry, host } = await startCoordination(t)
  const told: string[] = []
  service.onStatus(() => told.push(service.status.state))
  const keyspace = service.coordination.keyspace('test')
  await t.rejects(keyspace.get('a'), { code: 'ERR_UNAVAILABLE' }, 'not started')
  await t.rejects(service.view(), { code: 'ERR_STOPPED' })
  await service.start()
  t.equal(service.status.state, 'starting', 'nothing waits for it')
  await until(() => service.status.agent?.hasQuorum === true, 'the region')
  t.ok(told.includes('running'))
  service.ready()
  const value = Buffer.from('b')
  const { succeeded } = await keyspace.transact({ then: [{ type: 'put', key: 'a', value }] })
  t.ok(succeeded)
  t.same(Buffer.from((await keyspace.get('a'))?.value ?? []).toString(), 'b')
  await service.probe()
  const { name, members } = await service.view()
  t.equal(name, 'eu')
  t.match(members, [{ peerId: host.peerId, isReachable: true, roles: ['ingest'], votes: 17 }])
  t.equal(await metricOf(registry, 'kairo_tracker_up'), 1)
  t.equal(await metricOf(registry, 'kairo_tracker_members'), 1)
  t.equal(await metricOf(registry, 'kairo_tracker_quorum'), 1)
  await t.rejects(service.merge('00'), { code: 'ERR_INVALID_INPUT' })
  await service.stop()
  t.equal(service.status.state, 'stopped')
  await t.rejects(keyspace.get('a'), { code: 'ERR_UNAVAILABLE' })
  t.equal(await metricOf(registry, 'kairo_tracker_up'), 0)
})

test('a tracker whose thread ends is begun anew, and says so', async (t) => {
  const threads: Worker[] = []
  const note = (worker: Worker): void => void threads.push(worker)
  process.on('worker', note)
  t.teardown(() => process.off('worker', note))
  const { service, registry } = await startCoordination(t)
  await service.start()
  const isDeciding = () => service.status.agent?.hasQuorum === true
  await until(isDeciding, 'the region')
  t.equal(service.status.ended, undefined)
  const keyspace = service.coordination.keyspace('test')
  await keyspace.transact({ then: [{ type: 'put', key: 'a', value: Buffer.from('b') }] })
  await threads.at(-1)?.terminate()
  await until(() => service.status.ended !== undefined, 'the next thread')
  await until(isDeciding, 'the region again')
  t.match(service.status, { state: 'running', error: undefined, ended: { count: 1 } })
  t.ok(await keyspace.get('a'))
  t.equal(await metricOf(registry, 'kairo_tracker_restarts_total'), 1)
})

test('two peers: only who may join does', async (t) => {
  const first = await startCoordination(t, { regionPeers: [] })
  const second = await startCoordination(t)
  await first.service.start()
  await until(() => first.service.status.agent?.hasQuorum === true, 'the first region')
  await second.service.start()
  await until(() => second.service.status.agent?.hasQuorum === true, 'the second region')
  const address = first.host.multiaddrs()
  await second.host.dial(address, { signal: AbortSignal.timeout(60_000) })
  const refused = () => metricOf(first.registry, 'kairo_tracker_region_refused_total')
  const strangers = () => metricOf(first.registry, 'kairo_tracker_region_strangers_refused_total')
  const isTold = async () =>
    (await refused()) + (await strangers()) > 0 ||
    (second.service.status.agent?.conflicts.length ?? 0) > 0 ||
    (first.service.status.agent?.conflicts.length ?? 0) > 0
  await until(isTold, 'the refusal')
  t.equal((await first.service.view()).members.length, 1)
})

test('a tracker that cannot have its folder leaves the peer running', async (t) => {
  const file = join(t.testdir(), 'taken')
  writeFileSync(file, '')
  const { service, registry } = await startCoordination(t, { folder: join(file, 'tracker') })
  await service.start()
  await until(() => service.status.state === 'failed', 'the failure')
  t.throws(() => service.ready())
  t.ok(service.status.error)
  await t.rejects(service.view())
  await t.rejects(service.probe())
  await t.rejects(service.coordination.keyspace('x').get('a'), { code: 'ERR_UNAVAILABLE' })
  t.equal(await metricOf(registry, 'kairo_tracker_up'), 0)
})

test('an etcd that is not there', async (t) => {
  const { service } = await startCoordination(t, { coordinationUrl: 'etcd://127.0.0.1:1' })
  await service.start()
  await until(() => service.status.state === 'running', 'the client')
  t.equal(service.status.engine, 'etcd')
  await t.rejects(service.probe(), { code: 'ERR_NO_QUORUM' })
  await t.rejects(service.view(), { code: 'ERR_INVALID_INPUT' })
  const wrong = await startCoordination(t, { coordinationUrl: 'etcd://' })
  await wrong.service.start()
  await until(() => wrong.service.status.state === 'failed', 'the refusal')
  t.throws(() => wrong.service.ready(), { code: 'ERR_INVALID_INPUT' })
})
