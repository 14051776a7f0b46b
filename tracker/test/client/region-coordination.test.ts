/** The client of a region while leaders come and go. */
import { test } from 'tap'
import { callServices } from '../../src/client/call-lane.ts'
import { callLimits, callServerLimits, regionClientLimits } from '../../src/client/call-limits.ts'
import { decodeRequest, encodeItem, encodeRequest } from '../../src/client/coordination-codec.ts'
import { CoordinationServer } from '../../src/client/coordination-server.ts'
import { RegionCoordination } from '../../src/client/region-coordination.ts'
import type { KeyValue, WatchBatch } from '../../src/coordination.ts'
import { TrackerError } from '../../src/errors.ts'
import { groupOf } from '../../src/region/shard-of.ts'
import { encodeCommand } from '../../src/state/encode-command.ts'
import { describeBatch, put, textOf } from '../compliance/helpers.ts'
import { codeOf } from '../support/driver-group.ts'
import { type GroupsMember, GroupsStage } from '../support/groups-stage.ts'

const space = 'jobs'
const group = groupOf(space)
/** Schedules of breaks. */
const runs = Number(process.env.KAIRO_CLIENT_RUNS ?? 1)

async function region(seed = 1): Promise<GroupsStage> {
  const stage = new GroupsStage(seed)
  await stage.found(3, [group])
  return stage
}

/** Keeps what a watch brings. */
function collect(watch: AsyncIterable<WatchBatch>): { seen: string[]; error: unknown } {
  const kept: { seen: string[]; error: unknown } = { seen: [], error: undefined }
  const read = async () => {
    for await (const batch of watch) kept.seen.push(describeBatch(batch))
  }
  read().catch((error: unknown) => {
    kept.error = error
  })
  return kept
}

test('a leader that was cut off answers no read and no renewal as if it still led', async (t) => {
  const stage = await region()
  const [cutOff, other] = [stage.connect(), stage.connect()]
  const leader = stage.leader(space)
  const there = cutOff.coordination.keyspace(space)
  const lease = await stage.clock.result(there.grantLease(60_000))
  await stage.clock.result(put(there, 'k', 'old'))
  const rest = stage.members.filter((member) => member !== leader)
  // The client stays with the leader, behind the same cut.
  for (const { peerId } of rest) stage.network.isolate(peerId, [leader.peerId, cutOff.peerId])
  stage.network.isolate(other.peerId, [leader.peerId])
  const renewals: Promise<string>[] = []
  const reads: Promise<string>[] = []
  let isWritten = false
  const write = async () => {
    // It asks the leader that the others know at first, of which nothing is heard.
    while (!isWritten) {
      const outcome = await codeOf(put(other.coordination.keyspace(space), 'k', 'new'))
      isWritten = outcome === 'resolved'
    }
  }
  const written = write()
  for (let ms = 0; ms < 1_000; ms += 5) {
    const wasWritten = isWritten
    const read = there.get('k', { timeoutMs: 500 }).then(
      (item) => (wasWritten && textOf(item) === 'old' ? 'stale' : 'fresh'),
      (error: { code: string }) => error.code,
    )
    reads.push(read)
    // While its own lease lasts nobody else leads, and it may promise what it wants.
    if (isWritten) renewals.push(codeOf(there.renewLease(lease, { timeoutMs: 500 })))
    await stage.clock.pass(5)
  }
  t.ok(isWritten, 'the others have another leader')
  await written
  t.notOk((await stage.clock.result(Promise.all(reads))).includes('stale'))
  const renewed = new Set(await stage.clock.result(Promise.all(renewals)))
  t.same(renewed, new Set(['ERR_UNAVAILABLE']))
  await stage.stop()
})

test('a client follows the leader within milliseconds of its election', async (t) => {
  const stage = await region()
  const { coordination } = stage.connect()
  const keyspace = coordination.keyspace(space)
  await stage.clock.result(put(keyspace, 'k', '0'))
  for (let round = 1; round <= 3; round++) {
    const leader = stage.leader(space)
    // It hangs: nothing is refused, nothing answered.
    leader.clock.pause()
    const from = stage.clock.nowMs
    await stage.clock.until(() =>
      stage.members.some((member) => member !== leader && member.leads(group)),
    )
    // It says so once it has committed something, and the news takes as long as any frame.
    await stage.clock.pass(10)
    const electedMs = stage.clock.nowMs - from
    await stage.clock.result(put(keyspace, 'k', String(round)))
    const tookMs = stage.clock.nowMs - from - electedMs
    t.ok(tookMs <= 20, `elected after ${electedMs} ms, done ${tookMs} ms later`)
    leader.clock.resume()
    await stage.clock.pass(2_000)
    t.equal(textOf(await stage.clock.result(keyspace.get('k'))), String(round))
  }
  t.ok(coordination.counters.leaderChanges >= 3)
  await stage.stop()
})

test('calls under way when a leader hangs are asked again, or end soon without a known outcome', async (t) => {
  const stage = await region()
  const { coordination } = stage.connect()
  const keyspace = coordination.keyspace(space)
  await stage.clock.result(put(keyspace, 'k', '0'))
  const leader = stage.leader(space)
  leader.clock.pause()
  const from = stage.clock.nowMs
  const lease = codeOf(keyspace.grantLease(5_000))
  const read = codeOf(keyspace.get('k'))
  const write = codeOf(put(keyspace, 'k', '1'))
  t.equal(await stage.clock.result(read), 'resolved')
  t.equal(await stage.clock.result(lease), 'resolved')
  const againMs = stage.clock.nowMs - from
  t.equal(await stage.clock.result(write), 'ERR_UNKNOWN_OUTCOME')
  const tookMs = stage.clock.nowMs - from
  const { formerLeaderAgainMs, formerLeaderOnceMs } = regionClientLimits
  const soonerMs = formerLeaderOnceMs - formerLeaderAgainMs - 2 * callLimits.sweepMs
  t.ok(tookMs - againMs >= soonerMs, `${againMs} ms, what may be asked again`)
  t.ok(tookMs < 1_500, `${tookMs} ms`)
  t.equal(coordination.counters.unknownOutcomes, 1)
  leader.clock.resume()
  await stage.stop()
})

test('a call that is pending at a former leader gets its answer, unless that one hangs', async (t) => {
  for (const hangs of [false, true]) {
    const stage = await region()
    const { coordination } = stage.connect()
    const keyspace = coordination.keyspace(space)
    await stage.clock.result(put(keyspace, 'k', '0'))
    await stage.clock.pass(2_000)
    const leader = stage.leader(space)
    const changes = coordination.counters.leaderChanges
    let isDeaf = true
    stage.network.settings.loses = (_, to, lane) =>
      isDeaf && to === leader.peerId && lane === 'raft'
    // The others have it, and the leader never hears that: another one leads, and has committed it.
    const write = codeOf(put(keyspace, 'k', '1'))
    await stage.clock.pass(2)
    if (hangs) leader.clock.pause()
    await stage.clock.until(() => coordination.counters.leaderChanges > changes)
    const knownMs = stage.clock.nowMs
    await stage.clock.pass(hangs ? 0 : regionClientLimits.formerLeaderOnceMs + 100)
    isDeaf = false
    t.equal(await stage.clock.result(write), hangs ? 'ERR_UNKNOWN_OUTCOME' : 'resolved')
    const tookMs = stage.clock.nowMs - knownMs
    const { formerLeaderOnceMs } = regionClientLimits
    if (hangs) t.ok(tookMs <= formerLeaderOnceMs + callLimits.sweepMs + 1, `${tookMs} ms`)
    t.equal(textOf(await stage.clock.result(keyspace.get('k'))), '1')
    leader.clock.resume()
    await stage.stop()
  }
})

test('leadership that is handed over again and again fails no call, and nothing is done twice', async (t) => {
  const stage = new GroupsStage()
  await stage.found(5, [group])
  // Who takes over is nearer than the others, so that it begins before they have what was written last.
  const near = new Set<string>(['client-1'])
  stage.network.settings.delayMs = (from, to) => (near.has(from) && near.has(to) ? 1 : 4)
  const { coordination, clock } = stage.connect()
  const keyspace = coordination.keyspace(space)
  const codes = new Map<string, number>()
  let isOver = false
  const writers = Array.from({ length: 6 }, async (_, writer) => {
    for (let i = 0; !isOver; i++) {
      await new Promise<void>((resolve) => clock.after(1, resolve))
      const key = `w${writer}/${i}`
      const then = [{ type: 'put' as const, key, value: Buffer.from('x') }]
      const code = await keyspace.transact({ when: [{ key, exists: false }], then }).then(
        ({ succeeded }) => (succeeded ? 'done' : 'twice'),
        (error: { code: string }) => error.code,
      )
      codes.set(code, (codes.get(code) ?? 0) + 1)
    }
  })
  let kept = 0
  for (let round = 0; round < 8; round++) {
    const leader = stage.leader(space)
    const at = (stage.members.indexOf(leader) + 1) % 5
    const target = stage.members[at] as GroupsMember
    for (const { peerId } of stage.members) near.delete(peerId)
    near.add(leader.peerId).add(target.peerId)
    await stage.clock.pass(50)
    leader.driver.transferLeadership(group, at + 1)
    await stage.clock.until(() => target.leads(group) && !leader.leads(group))
    kept += leader.driver.counters.keptProposals
  }
  isOver = true
  await stage.clock.result(Promise.all(writers))
  t.same([...codes.keys()], ['done'], `${[...codes]}`)
  t.ok(kept > 0, 'some were in the log of a leader that went')
  await stage.stop()
})

test('no acknowledged write is lost, none is done twice, and a watch sees each once', async (t) => {
  for (let seed = 1; seed <= runs; seed++) {
    const stage = await region(seed)
    const { coordination, clock } = stage.connect()
    const keyspace = coordination.keyspace(space)
    const { revision } = await stage.clock.result(put(keyspace, 'start', '0'))
    const watched = collect(keyspace.watch('w', { after: revision }))
    const outcomes = new Map<string, string>()
    let isOver = false
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let i = 0; !isOver; i++) {
        // So that there are not too many: one write every few milliseconds.
        await new Promise<void>((resolve) => clock.after(4 + writer, resolve))
        const key = `w${writer}/${i}`
        // Every key is put once, so whatever is done twice fails.
        const when = [{ key, exists: false }]
        const then = [{ type: 'put' as const, key, value: Buffer.from('x') }]
        outcomes.set(
          key,
          await keyspace.transact({ when, then }, { timeoutMs: 1_000 }).then(
            ({ succeeded }) => (succeeded ? 'done' : 'twice'),
            (error: { code: string }) => error.code,
          ),
        )
      }
    })
    const breaks = [
      (peerId: string) => stage.network.isolate(peerId),
      (peerId: string) => {
        for (const other of ['peer-1', 'peer-2', 'peer-3', 'client-1'])
          if (other !== peerId) stage.network.disconnect(peerId, other)
      },
      (peerId: string) => stage.network.cut(peerId, 'client-1'),
    ]
    for (let round = 0; round < breaks.length; round++) {
      breaks[round]?.(stage.leader(space).peerId)
      await stage.clock.pass(500 + stage.draw(300))
      stage.network.heal()
      await stage.clock.pass(500 + stage.draw(300))
    }
    isOver = true
    await stage.clock.result(Promise.all(writers))
    await stage.clock.pass(callLimits.beatMs * 2)
    const items: KeyValue[] = []
    for (let more = true; more; ) {
      const after = items.at(-1)?.key
      const options = after === undefined ? {} : { after }
      const page = await stage.clock.result(keyspace.list('w', options))
      items.push(...page.items)
      more = page.more
    }
    const there = new Set(items.map(({ key }) => key))
    const results = [...outcomes.values()]
    const lost = [...outcomes].filter(([key, outcome]) => outcome === 'done' && !there.has(key))
    t.same(lost, [], 'nothing acknowledged is lost')
    t.equal(results.filter((outcome) => outcome === 'twice').length, 0, 'nothing is done twice')
    const refused = [...outcomes].filter(
      ([key, outcome]) => outcome === 'ERR_UNAVAILABLE' && there.has(key),
    )
    t.same(refused, [], 'what was said not to be done was not')
    const inOrder = items.toSorted((a, b) => a.modRevision - b.modRevision)
    t.same(
      watched.seen,
      inOrder.map(({ key }) => `${key}=x`),
      'each change once, in order',
    )
    t.equal(watched.error, undefined)
    const done = results.filter((outcome) => outcome === 'done').length
    t.ok(done > 100, `${done} of ${results.length} were done`)
    await stage.stop()
  }
})

test('a watch of a group that goes on elsewhere does not fall behind what is remembered', async (t) => {
  const stage = await region()
  const { coordination } = stage.connect()
  const keyspace = coordination.keyspace(space)
  const { revision } = await stage.clock.result(put(keyspace, 'quiet', '0'))
  const watched = collect(keyspace.watch('quiet', { after: revision }))
  await stage.clock.pass(10)
  const writes = callServerLimits.progressRevisions + 1
  for (let i = 0; i < writes; i += 512) {
    const some = Array.from({ length: 512 }, () => put(keyspace, 'busy', 'x'))
    await stage.clock.result(Promise.all(some))
  }
  await stage.clock.pass(callServerLimits.progressMs + 10)
  const leader = stage.leader(space)
  const now = leader.states.get(group)?.revision ?? 0
  await stage.clock.result(
    leader.driver.propose(group, encodeCommand({ type: 'compact', revision: now - 100 })),
  )
  leader.clock.pause()
  await stage.clock.until(() => stage.members.some((one) => one !== leader && one.leads(group)))
  await stage.clock.pass(200)
  await stage.clock.result(put(keyspace, 'quiet', '1'))
  await stage.clock.pass(200)
  t.same(watched.seen, ['quiet=1'])
  t.equal(watched.error, undefined)
  leader.clock.resume()
  await stage.stop()
})

test('members that do not lead say who does, and what lies elsewhere is refused', async (t) => {
  const stage = await region()
  const client = stage.connect()
  const leader = stage.leader(space)
  const other = stage.members.find((member) => member !== leader)
  if (other === undefined) throw new Error('there are three members')
  const ask = (request: Parameters<typeof encodeRequest>[0], peerId = other.peerId) =>
    stage.clock.result(
      client.lane.ask(peerId, callServices.coordination, encodeRequest(request), {
        timeoutMs: 1_000,
      }),
    )
  const get = { type: 'get', group, keyspace: space, key: 'k' } as const
  await t.rejects(ask(get), { code: 'ERR_NOT_LEADER', leader: leader.peerId })
  const command = encodeCommand({ type: 'grant-lease', ttlMs: 5_000 })
  const notLeader = { code: 'ERR_NOT_LEADER', leader: leader.peerId }
  await t.rejects(ask({ type: 'propose', group, command }), notLeader)
  await t.rejects(ask({ type: 'renew', group, leaseId: '1-1' }), notLeader)
  const at = leader.peerId
  const elsewhere = { type: 'get', group, keyspace: 'another', key: 'k' } as const
  await t.rejects(ask(elsewhere, at), { code: 'ERR_INVALID_INPUT' })
  const then = [{ type: 'delete' as const, key: 'k' }]
  const moved = encodeCommand({ type: 'transact', keyspace: 'another', transaction: { then } })
  await t.rejects(ask({ type: 'propose', group, command: moved }, at), {
    code: 'ERR_INVALID_INPUT',
  })
  const expiry = encodeCommand({ type: 'expire-leases', term: 1, leaseIds: ['1-1'] })
  await t.rejects(ask({ type: 'propose', group, command: expiry }, at), { code: 'ERR_MALFORMED' })
  const nowhere = groupOf('another')
  await t.rejects(ask({ ...elsewhere, group: nowhere }, at), { code: 'ERR_NOT_LEADER' })
  const noise = client.lane.ask(at, callServices.coordination, Uint8Array.of(99), {
    timeoutMs: 1_000,
  })
  await t.rejects(stage.clock.result(noise), { code: 'ERR_MALFORMED' })
  await stage.stop()
})

test('peers that are not of the region are refused', async (t) => {
  const stage = await region()
  const [one, two] = [stage.connect(), stage.connect()]
  const { groups, clock } = stage.leader(space)
  const admits = (peerId: string) => peerId !== two.peerId
  const strict = new CoordinationServer({ lane: one.lane, access: groups, clock, admits })
  strict.start()
  const follow = encodeRequest({ type: 'follow' })
  const refused = two.lane.ask(one.peerId, callServices.coordination, follow, { timeoutMs: 500 })
  await t.rejects(stage.clock.result(refused), { code: 'ERR_NOT_A_MEMBER' })
  strict.stop()
  await stage.stop()
})

test('without any member calls end in time', async (t) => {
  const stage = new GroupsStage()
  const { coordination } = stage.connect()
  const call = coordination.keyspace(space).get('k', { timeoutMs: 500 })
  t.equal(await codeOf(stage.clock.result(call)), 'ERR_UNAVAILABLE')
  t.ok(stage.clock.nowMs <= 600)
  await coordination.stop()
})

test('what one member refuses without having done it is asked of another', async (t) => {
  const codes = ['ERR_STORAGE', 'ERR_UNAVAILABLE', 'ERR_NOT_LEADER', 'ERR_NOT_A_MEMBER'] as const
  for (const code of codes) {
    const stage = new GroupsStage()
    const [good, bad, client] = [stage.connect(), stage.connect(), stage.connect()]
    bad.lane.serve(callServices.coordination, (call) => call.refuse(new TrackerError(code, 'no')))
    good.lane.serve(callServices.coordination, (call) => {
      if (decodeRequest(call.payload).type === 'get') call.answer(encodeItem(undefined))
    })
    const members = { candidates: () => [bad.peerId, good.peerId] }
    const { lane, clock } = client
    const coordination = new RegionCoordination({ lane, clock, members })
    const read = coordination.keyspace(space).get('k', { timeoutMs: 2_000 })
    t.equal(await stage.clock.result(read), undefined, code)
    await coordination.stop()
  }
})

test('a member that stops ends its watches, and they go on elsewhere', async (t) => {
  const stage = await region()
  const { coordination } = stage.connect()
  const keyspace = coordination.keyspace(space)
  const { revision } = await stage.clock.result(put(keyspace, 'k', '0'))
  const watched = collect(keyspace.watch('k', { after: revision }))
  await stage.clock.pass(10)
  const leader = stage.leader(space)
  t.equal(leader.server.counters.watches, 1)
  leader.server.stop()
  t.equal(leader.server.counters.watches, 0)
  await stage.clock.result(leader.driver.stop())
  await stage.clock.result(put(keyspace, 'k', '1', undefined), 20_000)
  await stage.clock.pass(500)
  t.same(watched.seen, ['k=1'])
  await stage.stop()
})
