/** Whole trackers in threads of their own, on this machine's disk and clock: alone, restarted, three of them, and with a folder that is damaged. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import type { WatchBatch } from '../../src/coordination.ts'
import type { AgentStatus } from '../../src/region/region-agent.ts'
import type { Tracker } from '../../src/tracker.ts'
import { createTracker } from '../../src/worker/worker-tracker.ts'
import { ThreadLines } from '../support/thread-lines.ts'

const text = new TextEncoder()

/** A tracker that stops with its test, and a wait for what it tells of its region. */
class TestTracker {
  readonly tracker: Tracker
  readonly failures: Error[] = []
  readonly #events = new EventTarget()

  constructor(t: Test, lines: ThreadLines, peerId: string, folder: string, expectsPeers = false) {
    this.tracker = createTracker(
      {
        ...{ transport: lines.transport(peerId), mayJoin: () => true },
        peerFacts: { isReachable: true, load: 0, roles: ['edge'] },
        onStatus: () => this.#events.dispatchEvent(new Event('status')),
        onFailure: (error) => this.failures.push(error),
      },
      { folder, expectsPeers },
    )
    t.teardown(() => this.tracker.stop())
  }

  async until(isSo: (status: AgentStatus) => boolean): Promise<void> {
    while (!isSo(this.tracker.status)) await once(this.#events, 'status')
  }
}

const isDeciding = ({ phase, hasQuorum }: AgentStatus): boolean => phase === 'member' && hasQuorum

test('one tracker alone is a region, and a restart forgets nothing', async (t) => {
  const folder = t.testdir()
  const first = new TestTracker(t, new ThreadLines(), 'alone', folder)
  await t.rejects(() => first.tracker.coordination.keyspace('k').get('a'), { code: 'ERR_STOPPED' })
  await first.tracker.start()
  await first.until(isDeciding)
  const keyspace = first.tracker.coordination.keyspace('streams/one')
  const stop = new AbortController()
  const watch = keyspace.watch('', { signal: stop.signal })[Symbol.asyncIterator]()
  const { revision } = await keyspace.list('')
  const firstBatch = watch.next()
  const leaseId = await keyspace.grantLease(5_000)
  const done = await keyspace.transact({
    when: [{ key: 'owner', exists: false }],
    then: [
      { type: 'put', key: 'owner', value: text.encode('alone'), leaseId },
      { type: 'put', key: 'kept', value: text.encode('1') },
    ],
  })
  t.ok(done.succeeded)
  t.ok(done.revision > revision)
  const batch = (await firstBatch).value as WatchBatch
  t.equal(batch.revision, done.revision)
  t.same(batch.events.map((event) => (event.type === 'put' ? event.item.key : event.key)).sort(), [
    'kept',
    'owner',
  ])
  stop.abort()
  t.same(await watch.next(), { done: true, value: undefined })
  await keyspace.renewLease(leaseId)
  await keyspace.revokeLease(leaseId)
  t.equal(await keyspace.get('owner'), undefined, 'a revoked lease takes its keys along')
  await t.rejects(keyspace.renewLease(leaseId), { code: 'ERR_LEASE_NOT_FOUND' })
  await t.rejects(keyspace.get('x'.repeat(2_000)), { code: 'ERR_INVALID_INPUT' })
  const view = await first.tracker.view()
  t.equal(view.groups.length, 17)
  t.ok(view.groups.every(({ hasQuorum }) => hasQuorum))
  t.ok(((await first.tracker.figures())['driver.applied'] ?? 0) > 0)
  await first.tracker.stop()
  await t.rejects(keyspace.get('kept'), { code: 'ERR_STOPPED' })

  const again = new TestTracker(t, new ThreadLines(), 'alone', folder)
  await again.tracker.start()
  await again.until(isDeciding)
  const kept = await again.tracker.coordination.keyspace('streams/one').get('kept')
  t.same(kept?.value, text.encode('1'))
  t.same(again.failures, [])
})

test('three trackers are one region, which goes on without one of them', async (t) => {
  const lines = new ThreadLines()
  const home = t.testdir()
  const members: TestTracker[] = []
  for (const peerId of ['a', 'b', 'c']) {
    const folder = join(home, peerId)
    const member = new TestTracker(t, lines, peerId, folder, peerId !== 'a')
    members.push(member)
    await member.tracker.start()
    await member.until(isDeciding)
  }
  const [a, b, c] = members as [TestTracker, TestTracker, TestTracker]
  const regionIds = members.map(({ tracker }) => tracker.status.facts?.regionId)
  t.equal(new Set(regionIds).size, 1, 'one region')
  const views = async () => (await a.tracker.view()).groups
  while ((await views()).some(({ voters, isChanging }) => voters.length < 3 || isChanging)) {
    // Asking is work for all of them.
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  const put = { type: 'put', key: 'x', value: text.encode('from c') } as const
  await c.tracker.coordination.keyspace('jobs').transact({ then: [put] })
  t.same((await b.tracker.coordination.keyspace('jobs').get('x'))?.value, put.value)
  lines.cut('a')
  const later = { ...put, value: text.encode('without a') }
  await b.tracker.coordination.keyspace('jobs').transact({ then: [later] })
  t.same((await c.tracker.coordination.keyspace('jobs').get('x'))?.value, later.value)
})

test('a folder that is damaged is said to be, and the thread ends with the tracker', async (t) => {
  const folder = t.testdir()
  const first = new TestTracker(t, new ThreadLines(), 'p', folder)
  await first.tracker.start()
  await first.until(isDeciding)
  await first.tracker.stop()
  writeFileSync(join(folder, 'region'), 'not what a peer knows of itself')
  const again = new TestTracker(t, new ThreadLines(), 'p', folder)
  await t.rejects(again.tracker.start(), { code: 'ERR_MALFORMED' })
})
