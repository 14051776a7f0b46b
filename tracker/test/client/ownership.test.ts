/** One owner at a time, who knows the moment that it may be one no longer. */
import { test } from 'tap'
import { Ownership } from '../../src/client/ownership.ts'
import type { FencingToken } from '../../src/coordination.ts'
import { TrackerError } from '../../src/errors.ts'
import { groupOf } from '../../src/region/shard-of.ts'
import { bytes, textOf } from '../compliance/helpers.ts'
import { GroupsStage } from '../support/groups-stage.ts'

const TTL_MS = 2_000
const space = 'streams'
const init = { ttlMs: TTL_MS, value: bytes('me') }

async function region(): Promise<GroupsStage> {
  const stage = new GroupsStage()
  await stage.found(3, [groupOf(space)])
  return stage
}

/** A peer of the region with an ownership of its own. */
function peer(stage: GroupsStage) {
  const client = stage.connect()
  const { coordination, clock } = client
  return { ...client, ownership: new Ownership({ coordination, clock }) }
}

function isLater(token: FencingToken, before: FencingToken): boolean {
  return token.term > before.term || (token.term === before.term && token.index > before.index)
}

test('what is owned stays so while its owner renews', async (t) => {
  const stage = await region()
  const [one, two] = [peer(stage), peer(stage)]
  const owned = await stage.clock.result(one.ownership.acquire(space, 'live', init))
  await stage.clock.pass(TTL_MS * 10)
  t.notOk(owned.signal.aborted)
  t.equal(await stage.clock.result(two.ownership.tryAcquire(space, 'live', init)), undefined)
  const item = await stage.clock.result(two.coordination.keyspace(space).get('live'))
  t.equal(textOf(item), 'me')
  t.same(item?.token, owned.token)
  await stage.clock.result(owned.update(bytes('me, still')))
  const updated = await stage.clock.result(two.coordination.keyspace(space).get('live'))
  t.equal(textOf(updated), 'me, still')
  t.same(updated?.token, owned.token, 'its token stays')
  await stage.clock.result(owned.release())
  t.ok(owned.signal.aborted)
  const next = await stage.clock.result(two.ownership.tryAcquire(space, 'live', init))
  t.ok(next && isLater(next.token, owned.token))
  t.same(one.ownership.counters, { acquired: 1, waited: 0, lost: 0, released: 1 })
  await stage.stop()
})

test('whoever waits is the owner as soon as the one before lets go', async (t) => {
  const stage = await region()
  const [one, two] = [peer(stage), peer(stage)]
  const owned = await stage.clock.result(one.ownership.acquire(space, 'live', init))
  const waiting = two.ownership.acquire(space, 'live', init)
  await stage.clock.pass(TTL_MS * 3)
  t.equal(two.ownership.counters.waited, 1, 'by a watch, not by asking again and again')
  const before = stage.clock.nowMs
  const [next] = await stage.clock.result(Promise.all([waiting, owned.release()]))
  t.ok(stage.clock.nowMs - before < 50)
  t.ok(isLater(next.token, owned.token))
  await stage.stop()
})

test('an owner that is cut off knows that it is none before anybody else is one', async (t) => {
  for (const rate of [0.95, 1, 1.05]) {
    const stage = await region()
    const two = peer(stage)
    // Its clock runs slower or faster than everybody else's.
    const clock = stage.clock.view({ rate })
    const slow = stage.connect()
    const ownership = new Ownership({ coordination: slow.coordination, clock })
    const owned = await stage.clock.result(ownership.acquire(space, 'live', init))
    await stage.clock.pass(1_234)
    const waiting = two.ownership.acquire(space, 'live', init)
    let lostMs = 0
    owned.signal.addEventListener('abort', () => {
      lostMs = stage.clock.nowMs
    })
    stage.network.isolate(slow.peerId)
    const next = await stage.clock.result(waiting)
    const takenMs = stage.clock.nowMs
    t.ok(lostMs > 0 && lostMs < takenMs, `lost at ${lostMs}, taken at ${takenMs} ms`)
    t.ok(isLater(next.token, owned.token))
    t.match(owned.signal.reason, { code: 'ERR_LEASE_NOT_FOUND' })
    t.equal(ownership.counters.lost, 1)
    await t.rejects(owned.update(bytes('late')), { code: 'ERR_LEASE_NOT_FOUND' })
    await stage.stop()
  }
})

test('time counts from when a renewal was asked for, not from its answer', async (t) => {
  const stage = await region()
  const one = peer(stage)
  const owned = await stage.clock.result(one.ownership.acquire(space, 'live', init))
  // Answers take long from now on, though not as long as a lease.
  stage.network.settings.delayMs = (_, to) => (to === one.peerId ? 500 : 1)
  await stage.clock.pass(TTL_MS / 3 + 550)
  t.notOk(owned.signal.aborted)
  const renewedMs = stage.clock.nowMs - 550
  stage.network.isolate(one.peerId)
  let lostMs = 0
  owned.signal.addEventListener('abort', () => {
    lostMs = stage.clock.nowMs
  })
  await stage.clock.pass(TTL_MS * 2)
  t.ok(lostMs >= renewedMs + TTL_MS * 0.85 && lostMs <= renewedMs + TTL_MS * 0.95, `${lostMs}`)
  await stage.stop()
})

test('an owner whose machine slept, or whose process was stopped, is none when it wakes', async (t) => {
  const stage = await region()
  const one = peer(stage)
  const asleep = await stage.clock.result(one.ownership.acquire(space, 'slept', init))
  // Monotonic time stands still while a machine sleeps; wall time does not.
  one.clock.jump(TTL_MS)
  t.ok(asleep.signal.aborted, 'at once, without any timer')
  const stopped = await stage.clock.result(one.ownership.acquire(space, 'stopped', init))
  one.clock.pause()
  await stage.clock.pass(TTL_MS * 2)
  t.ok(stopped.signal.aborted)
  one.clock.resume()
  await stage.stop()
})

test('a leader that goes does not cost an owner what it owns', async (t) => {
  const stage = await region()
  const one = peer(stage)
  const owned = await stage.clock.result(one.ownership.acquire(space, 'live', init))
  for (let round = 0; round < 3; round++) {
    const leader = stage.leader(space)
    stage.network.isolate(leader.peerId)
    await stage.clock.pass(TTL_MS * 2)
    stage.network.heal()
    await stage.clock.pass(TTL_MS)
    t.notOk(owned.signal.aborted, `round ${round}`)
  }
  await stage.clock.result(owned.update(bytes('x')))
  await stage.clock.result(owned.release())
  await stage.stop()
})

test('an owner learns from an update that its key was taken away', async (t) => {
  const stage = await region()
  const one = peer(stage)
  const owned = await stage.clock.result(one.ownership.acquire(space, 'live', init))
  const keyspace = one.coordination.keyspace(space)
  await stage.clock.result(keyspace.transact({ then: [{ type: 'delete', key: 'live' }] }))
  await t.rejects(stage.clock.result(owned.update(bytes('x'))), { code: 'ERR_LEASE_NOT_FOUND' })
  t.ok(owned.signal.aborted)
  await stage.stop()
})

test('waiting can be given up, and leaves nothing behind', async (t) => {
  const stage = await region()
  const [one, two] = [peer(stage), peer(stage)]
  const owned = await stage.clock.result(one.ownership.acquire(space, 'live', init))
  const stop = new AbortController()
  const waiting = two.ownership.acquire(space, 'live', { ...init, signal: stop.signal })
  await stage.clock.pass(100)
  const reason = new Error('not any more')
  stop.abort(reason)
  await t.rejects(stage.clock.result(waiting), reason)
  await stage.clock.pass(100)
  const state = stage.leader(space).state(groupOf(space))
  t.equal(state.status.leases, 1, 'its lease is gone, not only forgotten')
  t.equal(state.status.watches, 0)
  await stage.clock.result(owned.release())
  await stage.stop()
})

test('an attempt of which nobody knows what became ends in one owner', async (t) => {
  let unknown = 0
  // The line breaks behind one frame after the other that goes to the leader; one of them is the transaction.
  for (let breaking = 1; breaking <= 6; breaking++) {
    const stage = await region()
    const one = peer(stage)
    const leader = stage.leader(space)
    let asked = 0
    stage.network.tamper = (frame, from, to, lane) => {
      if (lane === 'call' && from === one.peerId && to === leader.peerId) asked += 1
      if (asked === breaking && from === one.peerId) {
        asked += 1
        stage.clock.at(stage.clock.nowMs, () => {
          stage.network.disconnect(one.peerId, leader.peerId)
          stage.network.connect(one.peerId, leader.peerId)
        })
      }
      return frame
    }
    const owned = await stage.clock.result(one.ownership.acquire(space, 'live', init))
    const item = await stage.clock.result(one.coordination.keyspace(space).get('live'))
    t.same(item?.token, owned.token)
    t.notOk(owned.signal.aborted)
    unknown += one.coordination.counters.unknownOutcomes
    await stage.stop()
  }
  t.ok(unknown > 0, `${unknown} attempts had no known outcome`)
})

test('errors of the engine reach whoever wants to own something', async (t) => {
  const stage = await region()
  const one = peer(stage)
  const short = one.ownership.acquire(space, 'live', { ...init, ttlMs: 10 })
  await t.rejects(stage.clock.result(short), { code: 'ERR_INVALID_INPUT' })
  await one.coordination.stop()
  const late = one.ownership.acquire(space, 'live', init)
  await t.rejects(stage.clock.result(late), TrackerError)
  await stage.stop()
})
