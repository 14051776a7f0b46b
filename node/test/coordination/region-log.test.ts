/** A log that a region keeps, by a real tracker in memory: what is there is never written over, and nothing goes into another region's log. */
import { Registry } from 'prom-client'
import { test } from 'tap'
import { groupOf } from '../../../tracker/src/region/shard-of.ts'
import { GroupsStage } from '../../../tracker/test/support/groups-stage.ts'
import type { RegionEntry } from '../../src/coordination/region-follower.ts'
import { RegionLog } from '../../src/coordination/region-log.ts'
import { RegionLogMetrics } from '../../src/coordination/region-log-metrics.ts'
import { silentLogger } from '../../src/logger.ts'
import { metricOf } from '../support/registry-value.ts'

async function started() {
  const stage = new GroupsStage()
  await stage.found(1, [groupOf('test')])
  const { clock, coordination } = stage.connect()
  const registry = new Registry()
  const metrics = new RegionLogMetrics(registry)
  const log = new RegionLog(
    { clock, logger: silentLogger, coordination, metrics, peerId: 'me' },
    { keyspace: 'test', valueBytesMax: 100, ageMsMax: 60_000, memberTtlMs: 60_000 },
  )
  const news: string[] = []
  let wholes = 0
  const take = (entries: Iterable<RegionEntry>): void => {
    for (const { name } of entries) news.push(name)
  }
  log.start({
    onWhole: async () => {
      wholes += 1
      take(log.entries())
    },
    onFollowing: () => {},
    onNews: async (entries) => take(entries),
    onMember: () => {},
    taken: () => 7,
    ageMs: ({ seenMs }) => clock.monotonicMs() - seenMs,
  })
  await stage.clock.until(() => log.isFollowing)
  const keyspace = stage.connect().coordination.keyspace('test')
  const put = (key: string, value: string) =>
    keyspace.transact({ then: [{ type: 'put', key, value: Buffer.from(value) }] })
  // So that its next call is on its way at once.
  await stage.clock.result(keyspace.get('id'))
  return { stage, log, keyspace, put, news, registry, wholes: () => wholes }
}

const entry = (name: string, value: string) => ({ name, value: Buffer.from(value) })

test('what is there stays, and whoever adds is told of it', async (t) => {
  const { stage, log, keyspace, put, news } = await started()
  t.same(await stage.clock.result(log.add([entry('a', '1')])), [])
  t.same(await stage.clock.result(log.add([entry('a', '1')])), [], 'again is no harm')
  // At the same time: the other one's is there first, and this peer has not heard of it.
  const others = Promise.all([put('entries/b', 'theirs'), put('entries/c', 'same')])
  const added = log.add([entry('b', 'mine'), entry('c', 'same'), entry('d', '2')])
  t.same(await stage.clock.result(added), ['b'])
  await stage.clock.result(others)
  await stage.clock.until(() => log.find('d') !== undefined)
  t.equal(
    Buffer.from((await stage.clock.result(keyspace.get('entries/b')))?.value ?? []).toString(),
    'theirs',
  )
  t.same([...news].sort(), ['a', 'b', 'c', 'd'], 'each is told once')
  t.same([...log.members], [['me', 7]])
  await stage.clock.result(log.stop())
  await stage.stop()
})

test('nothing is added to the log of another region', async (t) => {
  const { stage, log, keyspace, put, wholes } = await started()
  const other = put('id', '0123456789abcdef0123456789abcdef')
  const added = log.add([entry('a', '1')])
  await t.rejects(stage.clock.result(added), { code: 'ERR_NO_QUORUM' })
  await stage.clock.result(other)
  t.equal(await stage.clock.result(keyspace.get('entries/a')), undefined)
  await t.rejects(log.add([entry('a', '1')]), { code: 'ERR_NO_QUORUM' }, 'until it was read')
  await stage.clock.until(() => log.isFollowing)
  t.equal(wholes(), 2)
  t.same(await stage.clock.result(log.add([entry('a', '1')])), [])
  await stage.clock.result(log.stop())
  await stage.stop()
})

test('old entries go when one is added', async (t) => {
  const { stage, log, keyspace, registry } = await started()
  await stage.clock.result(log.add([entry('old', '1')]))
  await stage.clock.until(() => log.find('old') !== undefined)
  const revision = log.find('old')?.revision
  await stage.clock.pass(61_000)
  await stage.clock.result(log.add([entry('new', '1')]))
  await stage.clock.until(() => log.find('old') === undefined)
  t.ok(log.find('new'))
  t.equal(await metricOf(registry, 'kairo_coordination_log_trimmed_total'), 1)
  const horizon = (await stage.clock.result(keyspace.get('horizon')))?.value ?? []
  t.equal(Buffer.from(horizon).toString(), String(revision))
  await stage.clock.result(log.stop())
  t.same([...log.members], [['me', 7]], 'as this peer has read it last')
  t.equal(await stage.clock.result(keyspace.get('members/me')), undefined)
  await stage.stop()
})
