/** Whole trackers in threads of their own, on this machine's disk and clock: alone, restarted, three of them, and with a folder that is damaged. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { type Test, test } from 'tap'
import { type Clock, systemClock } from '../../src/clock.ts'
import type { WatchBatch } from '../../src/coordination.ts'
import type { AgentStatus } from '../../src/region/region-agent.ts'
import type { Tracker } from '../../src/tracker.ts'
import { workerLimits } from '../../src/worker/worker-limits.ts'
import { createTracker } from '../../src/worker/worker-tracker.ts'
import { ThreadLines } from '../support/thread-lines.ts'

const text = new TextEncoder()

/** The threads of this process, as they are begun. */
const threads: Worker[] = []
process.on('worker', (worker) => threads.push(worker))

/** The machine's, but for waits, which are over at once. */
class HastyClock implements Clock {
  readonly waitsMs: number[] = []
  readonly now = systemClock.now
  skippedMs = 0
  /** A wait is over only when this is. */
  until: Promise<void> | undefined

  monotonicMs(): number {
    return systemClock.monotonicMs() + this.skippedMs
  }

  after(delayMs: number, callback: () => void): () => void {
    this.waitsMs.push(delayMs)
    // Keeps the process alive: between two threads nothing else does.
    const timer = setTimeout(() => {
      if (this.until === undefined) callback()
      else void this.until.then(callback)
    }, 0)
    return () => clearTimeout(timer)
  }
}

/** A tracker that stops with its test, and a wait for what it tells of its region. */
class TestTracker {
  readonly tracker: Tracker
  readonly failures: Error[] = []
  readonly restarts: Error[] = []
  readonly clock = new HastyClock()
  readonly #events = new EventTarget()

  constructor(t: Test, lines: ThreadLines, peerId: string, folder: string, expectsPeers = false) {
    this.tracker = createTracker(
      {
        ...{ transport: lines.transport(peerId), mayJoin: () => true, clock: this.clock },
        onRestart: (error) => this.restarts.push(error),
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
  const standing = async ({ tracker }: TestTracker) =>
    (await tracker.figures())['lines.standing'] ?? 0
  while ((await Promise.all(members.map(standing))).join() !== '2,2,2') {
    // It takes a frame between members, and an answer.
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await kill(threads.at(-1))
  await c.until(isDeciding)
  t.equal(c.tracker.status.facts?.regionId, regionIds[2], 'a member whose thread ended is back')
  const fromC = { ...put, value: text.encode('from c again') }
  await c.tracker.coordination.keyspace('jobs').transact({ then: [fromC] })
  t.same((await b.tracker.coordination.keyspace('jobs').get('x'))?.value, fromC.value)
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

/** As a defect would, and no memory. */
async function kill(thread: Worker | undefined): Promise<void> {
  if (thread === undefined) throw new Error('a thread runs')
  const ended = once(thread, 'exit')
  await thread.terminate()
  await ended
}

test('a thread that ends by itself is followed by another, which knows what was written', async (t) => {
  const one = new TestTracker(t, new ThreadLines(), 'alone', t.testdir())
  await one.tracker.start()
  await one.until(isDeciding)
  const keyspace = one.tracker.coordination.keyspace('k')
  const value = text.encode('1')
  await keyspace.transact({ then: [{ type: 'put', key: 'a', value }] })
  one.tracker.setPeerFacts({ isReachable: false, load: 0.5, roles: ['other'] })
  const waiting = keyspace.watch('', {})[Symbol.asyncIterator]().next()
  const unknown = t.rejects(waiting, { code: 'ERR_UNKNOWN_OUTCOME' })
  const { swarms } = one.tracker
  await kill(threads.at(-1))
  await unknown
  t.match(one.tracker.status, { phase: 'idle', hasQuorum: false })
  await t.rejects(keyspace.get('a'), { code: 'ERR_UNAVAILABLE' })
  await one.until(isDeciding)
  t.same((await keyspace.get('a'))?.value, value)
  t.same((await one.tracker.view()).members[0]?.roles, ['other'], 'and what was told of the peer')
  t.same(one.clock.waitsMs, [workerLimits.restartMsMin])
  t.equal(one.restarts.length, 1)
  t.not(one.tracker.swarms, swarms, 'whoever tells it what is held begins anew')

  await kill(threads.at(-1))
  await one.until(isDeciding)
  one.clock.skippedMs += workerLimits.steadyMs
  await kill(threads.at(-1))
  await one.until(isDeciding)
  const { restartMsMin } = workerLimits
  t.same(one.clock.waitsMs, [restartMsMin, 2 * restartMsMin, restartMsMin], 'after long it is new')
  t.same(one.failures, [])
  const before = threads.length
  await Promise.allSettled([one.tracker.stop(), kill(threads.at(-1))])
  t.equal(threads.length, before, 'one that ends while it is stopped has no successor')
  await t.rejects(keyspace.get('a'), { code: 'ERR_STOPPED' })
})

test('a peer that comes while there is no thread is known to the next one', async (t) => {
  const lines = new ThreadLines()
  const home = t.testdir()
  const one = new TestTracker(t, lines, 'one', join(home, 'one'))
  await one.tracker.start()
  await one.until(isDeciding)
  const wait = Promise.withResolvers<void>()
  one.clock.until = wait.promise
  await kill(threads.at(-1))
  const other = new TestTracker(t, lines, 'other', join(home, 'other'), true)
  await other.tracker.start()
  wait.resolve()
  await other.until((status) => isDeciding(status) && status.memberCount === 2)
  t.equal(one.tracker.status.facts?.regionId, other.tracker.status.facts?.regionId)
})

test('threads that end again and again are given up', async (t) => {
  const one = new TestTracker(t, new ThreadLines(), 'alone', t.testdir())
  await one.tracker.start()
  const end = (worker: Worker): void => void worker.terminate()
  process.on('worker', end)
  t.teardown(() => process.off('worker', end))
  one.clock.skippedMs += workerLimits.steadyMs
  await kill(threads.at(-1))
  while (one.failures.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  t.match(one.failures, [{ code: 'ERR_STOPPED', message: "the tracker's thread ended" }])
  t.equal(one.clock.waitsMs.length, workerLimits.restartsMax)
  t.ok(one.clock.waitsMs.every((ms) => ms <= workerLimits.restartMsMax))
  await t.rejects(one.tracker.coordination.keyspace('k').get('a'), { code: 'ERR_STOPPED' })
  await one.tracker.stop()
})

test('a tracker that is stopped between two threads begins no more', async (t) => {
  const one = new TestTracker(t, new ThreadLines(), 'alone', t.testdir())
  await one.tracker.start()
  const before = threads.length
  const ended = once(threads.at(-1) as Worker, 'exit')
  void threads.at(-1)?.terminate()
  await ended
  await one.tracker.stop()
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(threads.length, before)
  t.same(one.restarts, [])
})
