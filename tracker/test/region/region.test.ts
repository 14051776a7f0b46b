/** Whole members in memory: they found, join, lose voters, meet, leave and come back. */
import { test } from 'tap'
import { encodeRoster } from '../../src/region/member-record.ts'
import { Region } from '../../src/region/region.ts'
import { regionTimes } from '../../src/region/region-limits.ts'
import {
  decodeJoinAnswer,
  decodeReport,
  decodeSeat,
  encodeDismissal,
  encodeInvitation,
  encodeJoinRequest,
  encodeOffer,
  encodeRegionId,
} from '../../src/region/region-messages.ts'
import { RegionStage, type StagePeer } from './support/region-stage.ts'

const text = new TextEncoder()

test('one peer founds, a second one joins and copies', async (t) => {
  const stage = new RegionStage(1)
  const one = await stage.add('one')
  await stage.together()
  t.equal(one.memberId, 1)
  t.equal(one.groups?.groupIds.length, 17)
  await put(stage, one, 'some', 'a', '1')
  const two = await stage.add('two', [one])
  await stage.together()
  t.equal(two.memberId, 2)
  t.equal(await get(stage, two, 'some', 'a'), '1')
  await stage.until(() => two.groups?.groupIds.length === 17, 60_000)
  await stage.voters((voters) => voters.join() === '1')
})

const bytes = (value: string): Uint8Array => text.encode(value)

async function put(stage: RegionStage, peer: StagePeer, name: string, key: string, value: string) {
  const then = [{ type: 'put', key, value: bytes(value) } as const]
  return stage.clock.result(peer.keyspace(name).transact({ then }))
}

async function get(stage: RegionStage, peer: StagePeer, name: string, key: string) {
  const found = await stage.clock.result(peer.keyspace(name).get(key))
  return found === undefined ? undefined : new TextDecoder().decode(found.value)
}

/** A region of so many members. */
async function region(stage: RegionStage, names: readonly string[]): Promise<StagePeer[]> {
  const peers: StagePeer[] = []
  for (const name of names) peers.push(await stage.add(name, peers))
  await stage.together(peers)
  return peers
}

const has = (ids: readonly number[], id: number): boolean => ids.includes(id)

test('seven peers: five vote, who dies is replaced, and nothing is lost', async (t) => {
  const stage = new RegionStage(2)
  const peers = await region(stage, ['p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7'])
  t.equal(new Set(peers.map(({ memberId }) => memberId)).size, 7)
  await stage.voters((voters) => voters.length === 5)
  await put(stage, peers[6] as StagePeer, 'things', 'a', '1')
  const [first, second] = peers as [StagePeer, StagePeer]
  const gone = [first.memberId, second.memberId]
  first.kill()
  await stage.voters((voters) => !has(voters, gone[0] as number))
  second.kill()
  await stage.voters((voters) => gone.every((id) => !has(voters, id)) && voters.length === 5)
  t.equal(await get(stage, peers[3] as StagePeer, 'things', 'a'), '1')
  // They come back, have no seat any more, and forget the groups.
  await first.start()
  await stage.together()
  t.equal(first.memberId, gone[0], 'as who it was')
  await stage.until(() => first.groups?.groupIds.length === 0, 60_000)
  t.equal(await get(stage, first, 'things', 'a'), '1')
  const view = await stage.clock.result(first.region.view())
  t.equal(view.groups.length, 17)
  t.ok(view.groups.every(({ hasQuorum, leader }) => hasQuorum && leader !== undefined))
  t.same(
    view.members.map(({ isAlive }) => isAlive),
    [true, false, true, true, true, true, true],
  )
  t.match(view.members[0], { peerId: 'p1', votes: 0, leads: 0, incarnation: 2 })
  t.ok(
    view.members.slice(2).every(({ leads }) => leads >= 2 && leads <= 6),
    'leaders are spread',
  )
  t.ok(view.groups.every(({ lag }) => lag.every(({ entries }) => entries < 100)))
})

test('two founders that meet become one region, and configuration comes along', async (t) => {
  const stage = new RegionStage(3)
  const one = await stage.add('one')
  await stage.clock.pass(2_000)
  const two = await stage.add('two')
  await stage.together([one])
  await stage.together([two])
  t.not(one.regionId, two.regionId)
  await put(stage, one, 'region', 'config/both', 'of one')
  await put(stage, two, 'region', 'config/both', 'of two')
  await put(stage, two, 'region', 'config/mine', 'of two')
  const lease = await stage.clock.result(two.keyspace().grantLease(60_000))
  const then = [{ type: 'put', key: 'config/leased', value: bytes('x'), leaseId: lease } as const]
  await stage.clock.result(two.keyspace().transact({ then }))
  const held = two.keyspace()
  stage.meet(one, two)
  await stage.together()
  t.equal(two.region.status.facts?.regionId, one.regionId, 'the later founded one moves')
  t.equal(two.memberId, 2)
  await t.rejects(held.renewLease(lease), { code: 'ERR_STOPPED' }, 'holders are told')
  t.equal(await get(stage, two, 'region', 'config/both'), 'of one')
  t.equal(await get(stage, two, 'region', 'config/mine'), 'of two')
  t.equal(await get(stage, two, 'region', 'config/leased'), undefined)
  t.equal(two.region.counters.joined, 1)
  t.same(one.region.status.conflicts, [])
})

test('founders that meet all at once end in one region', async (t) => {
  const stage = new RegionStage(4)
  for (const name of ['a', 'b', 'c', 'd']) await stage.add(name)
  for (const peer of stage.peers) await stage.together([peer])
  stage.meetAll()
  await stage.together()
  t.equal(new Set(stage.peers.map(({ memberId }) => memberId)).size, 4)
  await stage.voters((voters) => voters.length === 3)
})

test('peers that start at once and expect one another found one region', async (t) => {
  const stage = new RegionStage(5)
  const peers: StagePeer[] = []
  for (const name of ['a', 'b', 'c'])
    peers.push(await stage.add(name, peers, { expectsPeers: true }))
  await stage.together()
  t.equal(peers.filter(({ region: { counters } }) => counters.founded > 0).length, 1)
})

test('two regions of several members say so, and are merged by command', async (t) => {
  const stage = new RegionStage(6)
  const [a, b] = (await region(stage, ['a', 'b'])) as [StagePeer, StagePeer]
  const [c, d, e] = (await region(stage, ['c', 'd', 'e'])) as [StagePeer, StagePeer, StagePeer]
  await put(stage, a, 'region', 'config/key', 'of a')
  stage.meetAll()
  await stage.until(
    () => stage.peers.every(({ region: { status } }) => status.conflicts.length === 1),
    60_000,
  )
  await stage.clock.pass(20_000)
  t.not(a.regionId, c.regionId, 'nobody moves by itself')
  t.match(a.region.status.conflicts, [{ regionId: c.regionId, memberCount: 3 }])
  t.ok(a.region.status.conflicts[0]?.isOursToGiveWay)
  t.throws(() => a.region.merge('00'.repeat(16)), { code: 'ERR_INVALID_INPUT' })
  b.region.merge(c.regionId as string)
  await stage.together([b, c, d, e])
  // The other one is alone then, and follows by itself with what its region was configured to.
  await stage.together()
  t.equal(await get(stage, d, 'region', 'config/key'), 'of a')
  await stage.until(() => c.region.status.conflicts.length === 0, 60_000)
})

test('all restart, killed and in order', async (t) => {
  const stage = new RegionStage(7)
  const peers = await region(stage, ['a', 'b', 'c', 'd'])
  await stage.voters((voters) => voters.length === 3)
  const ids = peers.map(({ memberId }) => memberId)
  await put(stage, peers[3] as StagePeer, 'things', 'a', '1')
  for (const peer of peers) peer.kill()
  for (const peer of peers) await peer.start()
  await stage.together()
  t.same(
    peers.map(({ memberId }) => memberId),
    ids,
  )
  t.equal(await get(stage, peers[3] as StagePeer, 'things', 'a'), '1')
  for (const peer of peers) await peer.stop()
  for (const peer of peers) await peer.start()
  await stage.together()
  t.equal(await get(stage, peers[0] as StagePeer, 'things', 'a'), '1')
  t.same(
    peers.map(({ memberId }) => memberId),
    ids,
  )
  t.same(
    peers.map(({ region: { status } }) => status.facts?.incarnation),
    [3, 3, 3, 3],
  )
})

test('a member that stops hands over before it goes', async (t) => {
  const stage = new RegionStage(8)
  const peers = await region(stage, ['a', 'b', 'c'])
  await stage.voters((voters) => voters.length === 3)
  await stage.clock.pass(10_000)
  const leader = peers.find(({ groups }) => groups?.status(0).isLeader) as StagePeer
  await leader.stop()
  const others = peers.filter((peer) => peer !== leader)
  const atMs = stage.clock.nowMs
  await stage.clock.until(() => others.some(({ groups }) => groups?.status(0).isLeader))
  // A round trip is 100 ms.
  t.ok(stage.clock.nowMs - atMs < 500)
})

test('who leaves hands its seats over first', async (t) => {
  const stage = new RegionStage(9)
  const peers = await region(stage, ['a', 'b', 'c', 'd'])
  await stage.voters((voters) => voters.length === 3)
  const [founder, ...others] = peers as [StagePeer, ...StagePeer[]]
  const atMs = stage.clock.nowMs
  await stage.clock.result(founder.region.leave())
  t.ok(stage.clock.nowMs - atMs < regionTimes.leaveMs, 'in time')
  t.equal(founder.region.status.phase, 'idle')
  t.equal(founder.groups, undefined)
  await stage.voters((voters) => !has(voters, 1) && voters.length === 3)
  const view = await stage.clock.result((others[0] as StagePeer).region.view())
  t.same(
    view.members.map(({ memberId }) => memberId),
    [2, 3, 4],
  )
  await t.rejects(stage.clock.result(founder.region.leave()), { code: 'ERR_INVALID_INPUT' })
  // Started again it is a newcomer.
  await founder.stop()
  await founder.start()
  stage.meetAll()
  await stage.together()
  t.equal(founder.memberId, 5)
})

test('the last one but one leaves, and the last one goes on', async (t) => {
  const stage = new RegionStage(10)
  const [a, b] = (await region(stage, ['a', 'b'])) as [StagePeer, StagePeer]
  await stage.until(() => b.groups?.groupIds.length === 17, 60_000)
  await put(stage, a, 'things', 'a', '1')
  await stage.clock.result(a.region.leave())
  await stage.together([b])
  t.equal(await get(stage, b, 'things', 'a'), '1')
})

test('without a quorum a peer is degraded, stays, and is helped by a command', async (t) => {
  const stage = new RegionStage(11)
  const [a, b, c] = (await region(stage, ['a', 'b', 'c'])) as [StagePeer, StagePeer, StagePeer]
  await stage.voters((voters) => voters.length === 3)
  const before = a.regionId
  b.kill()
  c.kill()
  await stage.until(() => a.region.status.isDegraded, 120_000)
  const view = await stage.clock.result(a.region.view())
  t.ok(view.groups.every(({ hasQuorum }) => !hasQuorum))
  // A newcomer waits for it.
  const d = await stage.add('d', [a])
  await stage.clock.pass(20_000)
  t.equal(d.region.status.waitsFor, before)
  t.equal(d.region.status.phase, 'looking')
  await stage.clock.result(a.region.forget())
  await stage.together()
  t.not(a.regionId, before)
  t.equal(d.memberId, 2)
  // The others come back: their region has a quorum, and an operator has to decide.
  await b.start()
  await c.start()
  stage.meetAll()
  await stage.until(() => a.region.status.conflicts.length === 1, 120_000)
  t.equal(b.regionId, before)
})

test('who lost its disk comes back as another member', async (t) => {
  const stage = new RegionStage(12)
  const peers = await region(stage, ['a', 'b', 'c', 'd'])
  await stage.voters((voters) => voters.length === 3)
  const lost = peers[1] as StagePeer
  const id = lost.memberId
  lost.kill()
  lost.replaceFolders(undefined)
  await lost.start()
  // It expects others, for it was given their addresses.
  stage.meetAll()
  await stage.together()
  t.equal(lost.memberId, 5)
  const atMs = stage.clock.nowMs
  await stage.voters((voters) => !has(voters, id) && voters.length === 3)
  t.ok(stage.clock.nowMs - atMs < 40_000, 'what it promised before is gone with the id')
})

test('who has a disk of yesterday does not go on as who it was', async (t) => {
  const stage = new RegionStage(13)
  const peers = await region(stage, ['a', 'b', 'c', 'd'])
  await stage.voters((voters) => voters.length === 3)
  const [, , , old] = peers as [StagePeer, StagePeer, StagePeer, StagePeer]
  t.equal(old.memberId, 4)
  // The region knows of a later start than this disk does.
  const roster = encodeRoster({ peerId: 'd', incarnation: 9 })
  const then = [{ type: 'put', key: 'roster/4', value: roster } as const]
  await stage.clock.result((peers[0] as StagePeer).keyspace().transact({ then }))
  old.kill()
  await old.start()
  await stage.until(() => old.region.status.facts?.memberId === 5, 60_000)
  await stage.together()
  // And who was struck off comes back as a newcomer, too.
  const struck = [{ type: 'delete', key: 'roster/5' } as const]
  await stage.clock.result((peers[0] as StagePeer).keyspace().transact({ then: struck }))
  old.kill()
  await old.start()
  await stage.until(() => old.region.status.facts?.memberId === 6, 60_000)
})

test('who may not join stays alone, and both know why', async (t) => {
  const stage = new RegionStage(14)
  const a = await stage.add('a')
  a.mayJoin = (peerId) => peerId !== 'b'
  await stage.together()
  const b = await stage.add('b', [a])
  await stage.together([b])
  t.not(a.regionId, b.regionId)
  await stage.clock.pass(20_000)
  t.not(a.regionId, b.regionId)
  t.match(b.region.status.conflicts, [{ regionId: a.regionId, isRefused: true }])
  t.ok(a.region.counters.refused > 0)
  t.equal(a.region.counters.admitted, 0)
})

test('requests of strangers and stale ones do nothing', async (t) => {
  const stage = new RegionStage(15)
  const [a, b] = (await region(stage, ['a', 'b'])) as [StagePeer, StagePeer]
  await stage.until(() => b.groups?.groupIds.length === 17, 60_000)
  const regionId = a.regionId as string
  const handle = (kind: 'dismiss' | 'report' | 'offer' | 'invite', by: string, body: Uint8Array) =>
    stage.clock.result(b.region.handle(by, kind, body))
  const dismissal = (seat: number) => encodeDismissal({ regionId, group: 3, seat })
  await t.rejects(handle('dismiss', 'stranger', dismissal(1)), { code: 'ERR_NOT_A_MEMBER' })
  await t.rejects(handle('report', 'stranger', encodeRegionId(regionId)), {
    code: 'ERR_NOT_A_MEMBER',
  })
  await t.rejects(handle('report', 'a', encodeRegionId('00'.repeat(16))), {
    code: 'ERR_NOT_A_MEMBER',
  })
  await handle('dismiss', 'a', dismissal(1))
  t.ok(b.groups?.groupIds.includes(3), 'another seat was meant')
  const report = decodeReport(await handle('report', 'a', encodeRegionId(regionId)))
  const seat = report.groups.find(({ group }) => group === 3)?.seat as number
  const addresses = [{ memberId: 1, peerId: 'a' }]
  const next = decodeSeat(
    await handle('invite', 'a', encodeInvitation({ regionId, group: 3, addresses })),
  )
  t.not(next, seat)
  await handle('dismiss', 'a', dismissal(seat))
  t.ok(b.groups?.groupIds.includes(3), 'it was invited again meanwhile')
  const keys = [{ key: 'roster/9', value: bytes('x') }]
  await t.rejects(handle('offer', 'a', encodeOffer({ regionId, keys })), {
    code: 'ERR_INVALID_INPUT',
  })
  t.ok(b.region.counters.strangersRefused === 2)
})

test('peers that are let in at once by several members get ids of their own', async (t) => {
  const stage = new RegionStage(19)
  const peers = await region(stage, ['a', 'b'])
  const hello = { name: 'default', region: undefined, contacts: [] }
  const body = encodeJoinRequest({ regionId: peers[0]?.regionId as string, hello })
  const answers = await stage.clock.result(
    Promise.all(
      ['p', 'q', 'r', 's'].map((by, nth) =>
        (peers[nth % 2] as StagePeer).region.handle(by, 'join', body),
      ),
    ),
  )
  const ids = answers.map((answer) => {
    const decoded = decodeJoinAnswer(answer)
    return decoded.admitted ? decoded.facts.memberId : 0
  })
  t.same(ids.sort(), [3, 4, 5, 6])
})

test('another name is another region', async (t) => {
  const stage = new RegionStage(16)
  const a = await stage.add('a')
  const b = await stage.add('b', [a], { name: 'studio' })
  await stage.together([a])
  await stage.together([b])
  await stage.clock.pass(20_000)
  t.not(a.regionId, b.regionId)
  t.same(a.region.status.conflicts, [])
  t.throws(() => new Region({} as never, { peerId: 'x', expectsPeers: false, name: '' }), {
    code: 'ERR_INVALID_INPUT',
  })
})

test('over lines that are slow and lose frames it all comes about, too', async (t) => {
  const stage = new RegionStage(3)
  // A round trip is four of the shortest election timeouts.
  stage.network.settings.delayMs = () => 100
  stage.network.settings.loses = () => stage.draw(100) < 5
  const peers = await region(stage, ['a', 'b', 'c', 'd'])
  await stage.voters((voters) => voters.length === 3)
  const voter = peers.find(({ memberId }) => memberId === 2) as StagePeer
  voter.kill()
  await stage.voters((voters) => !has(voters, 2), 120_000)
  t.ok(stage.peers.every(({ region }) => region === voter.region || region.status.hasQuorum))
})

test('a member tells what it does', async (t) => {
  const stage = new RegionStage(18)
  const a = await stage.add('a')
  await stage.together()
  a.roles = ['gpu']
  a.region.touch()
  await stage.clock.pass(1_000)
  const view = await stage.clock.result(a.region.view())
  t.match(view.members, [{ memberId: 1, roles: ['gpu'], leads: 17, votes: 17, isAlive: true }])
  t.equal(view.name, 'default')
})
