/** Coordination over a real etcd. */
import { once } from 'node:events'
import { Etcd3 } from 'etcd3'
import { type Test, test } from 'tap'
import { Ownership } from '../../src/client/ownership.ts'
import { systemClock } from '../../src/clock.ts'
import { EtcdCoordination } from '../../src/etcd/etcd-coordination.ts'
import { runCompliance } from '../compliance/coordination.ts'
import { describeBatch, put, rejects, takeEvents, textOf } from '../compliance/helpers.ts'
import { EtcdProcess, needsEtcd } from '../support/etcd-process.ts'

const skip = needsEtcd()

function connect(etcd: EtcdProcess, region = 'test'): EtcdCoordination {
  return new EtcdCoordination({ clock: systemClock }, { url: etcd.url, region })
}

async function start(t: Test): Promise<EtcdProcess> {
  const etcd = await EtcdProcess.start(t.testdir())
  // While etcd is away only timers are left, and those of a clock keep no process alive.
  const keepAlive = setInterval(() => undefined, 1_000)
  t.teardown(async () => {
    clearInterval(keepAlive)
    await etcd.kill()
  })
  return etcd
}

/** Has etcd forget all changes up to now. */
async function compact(etcd: EtcdProcess): Promise<void> {
  const client = new Etcd3({ hosts: etcd.url.replace('etcd:', 'http:') })
  const { header } = await client.kv.range({ key: Buffer.from('x') })
  await client.kv.compact({ revision: header.revision, physical: true })
  client.close()
}

test('etcd keeps what every engine keeps', { skip }, async (t) => {
  const etcd = await start(t)
  await runCompliance(t, {
    clock: systemClock,
    // etcd looks for leases that are over twice a second, and gives them their time again when it was restarted.
    leaseSlackMs: 3_000,
    connect: () => connect(etcd),
    forget: () => compact(etcd),
    takeAway: async () => {
      await etcd.kill()
      return () => etcd.resume()
    },
  })
})

test('an etcd that hangs: what may be done is never asked twice', { skip }, async (t) => {
  const etcd = await start(t)
  const coordination = connect(etcd)
  const keyspace = coordination.keyspace('streams')
  await put(keyspace, 'k', '0')
  await etcd.freeze()
  const options = { timeoutMs: 800 }
  const append = keyspace.transact(
    { then: [{ type: 'put', key: 'k', value: Buffer.from('1') }] },
    options,
  )
  await rejects(t, append, 'ERR_UNKNOWN_OUTCOME', 'a transaction')
  await rejects(t, keyspace.get('k', options), 'ERR_UNAVAILABLE', 'a read')
  await rejects(t, keyspace.renewLease('123', options), 'ERR_UNAVAILABLE', 'a renewal')
  t.equal(coordination.counters.unknownOutcomes, 1)
  const patient = keyspace.get('k', { timeoutMs: 20_000 })
  etcd.thaw()
  t.match(textOf(await patient), /[01]/)
  await coordination.stop()
})

test('owning things over etcd', { skip }, async (t) => {
  const etcd = await start(t)
  const [one, two] = [connect(etcd), connect(etcd)]
  const clock = systemClock
  const init = { ttlMs: 2_000, value: Buffer.from('one') }
  const first = await new Ownership({ coordination: one, clock }).acquire('streams', 'live', init)
  const others = new Ownership({ coordination: two, clock })
  t.equal(await others.tryAcquire('streams', 'live', init), undefined)
  await first.update(Buffer.from('still one'))
  t.equal(textOf(await two.keyspace('streams').get('live')), 'still one')
  const waiting = others.acquire('streams', 'live', { ...init, value: Buffer.from('two') })
  // As if its process were gone: it renews no longer.
  await one.stop()
  if (!first.signal.aborted) await once(first.signal, 'abort')
  const second = await waiting
  t.ok(second.token.index > first.token.index)
  t.equal(textOf(await two.keyspace('streams').get('live')), 'two')
  await second.release()
  t.same((await two.keyspace('streams').list('')).items, [])
  await two.stop()
})

test('regions in one etcd are apart', { skip }, async (t) => {
  const etcd = await start(t)
  const [one, two] = [connect(etcd, 'eu/1'), connect(etcd, 'eu')]
  await put(one.keyspace('a'), 'k', 'one')
  await put(two.keyspace('1/a'), 'k', 'two')
  t.equal(textOf(await one.keyspace('a').get('k')), 'one')
  t.equal(textOf(await two.keyspace('1/a').get('k')), 'two')
  t.equal((await two.keyspace('a').list('')).items.length, 0)
  await Promise.all([one.stop(), two.stop()])
})

test('a watch goes on after etcd forgot what it had seen already', { skip }, async (t) => {
  const etcd = await start(t)
  const coordination = connect(etcd)
  const keyspace = coordination.keyspace('a')
  const { revision } = await put(keyspace, 'k', '0')
  const watch = keyspace.watch('k', { after: revision })[Symbol.asyncIterator]()
  await put(keyspace, 'k', '1')
  t.same(describeBatch((await watch.next()).value), 'k=1')
  await compact(etcd)
  await etcd.kill()
  await etcd.resume()
  await put(keyspace, 'k', '2')
  t.same(describeBatch((await watch.next()).value), 'k=2')
  await watch.return?.()
  await coordination.stop()
})

test('a member that is gone is passed over', { skip }, async (t) => {
  const etcd = await start(t)
  const [gone, there] = ['etcd://127.0.0.1:1', etcd.url.slice('etcd://'.length)]
  const init = { region: 'test', url: `${gone},${there}` }
  const coordination = new EtcdCoordination({ clock: systemClock }, init)
  const keyspace = coordination.keyspace('a')
  let revision = 0
  for (let i = 0; i < 10; i++) revision = (await put(keyspace, 'k', String(i))).revision
  const lease = await keyspace.grantLease(5_000)
  for (let i = 0; i < 5; i++) {
    await keyspace.renewLease(lease)
    const watch = takeEvents(keyspace.watch('k', { after: revision - 1 }), 1)
    t.same((await watch).map(describeBatch), ['k=9'])
  }
  t.ok(coordination.counters.retries > 0, 'it was asked, too')
  t.equal(coordination.counters.unknownOutcomes, 0)
  await coordination.stop()
})

test('a large catch-up comes whole, in fragments', { skip }, async (t) => {
  const etcd = await start(t)
  const coordination = connect(etcd)
  const keyspace = coordination.keyspace('a')
  const { revision } = await put(keyspace, 'start', '0')
  const value = 'x'.repeat(200_000)
  for (let i = 0; i < 60; i++) await put(keyspace, `k${i}`, value)
  const batches = await takeEvents(keyspace.watch('k', { after: revision }), 60)
  t.equal(batches.length, 60)
  await coordination.stop()
})

test('user and password', { skip }, async (t) => {
  const etcd = await start(t)
  const admin = new Etcd3({ hosts: etcd.url.replace('etcd:', 'http:') })
  await admin.user('root').create('p@ss:word')
  await admin.role('root').create()
  await admin.user('root').addRole('root')
  await admin.auth.authEnable()
  admin.close()
  const host = etcd.url.slice('etcd://'.length)
  const init = { region: 'test', url: `etcd://root:p%40ss%3Aword@${host}` }
  const coordination = new EtcdCoordination({ clock: systemClock }, init)
  const keyspace = coordination.keyspace('a')
  const { revision } = await put(keyspace, 'k', '0')
  await put(keyspace, 'k', '1')
  t.same((await takeEvents(keyspace.watch('k', { after: revision }), 1)).map(describeBatch), [
    'k=1',
  ])
  const lease = await keyspace.grantLease(5_000)
  await keyspace.renewLease(lease)
  await coordination.stop()
  for (const user of ['', 'root:wrong@']) {
    const stranger = new EtcdCoordination(
      { clock: systemClock },
      { region: 'test', url: `etcd://${user}${host}` },
    )
    await rejects(t, stranger.keyspace('a').get('k'), 'ERR_NOT_A_MEMBER', `as '${user}'`)
    await stranger.stop()
  }
})
