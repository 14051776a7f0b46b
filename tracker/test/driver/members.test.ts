/** Members come and go, and those who were away catch up: by appends, by snapshots, over lines that lose and break. */
import { test } from 'tap'
import { driverLimits } from '../../src/driver/driver-limits.ts'
import { codeOf, DriverStage, type TestMember } from '../support/driver-group.ts'

/** Joins a member: it listens, then the leader adds it. */
async function add(
  stage: DriverStage,
  member: TestMember,
  type: 'add-voter' | 'add-learner' = 'add-voter',
): Promise<void> {
  const leader = await stage.leader()
  member.driver.joinGroup(1, member.notebook(), [leader.peerId])
  const change = { type, memberId: member.id, peerId: member.peerId }
  await stage.result(leader.driver.changeMembers(1, [change]))
}

/** Many proposals, all acknowledged. */
async function write(stage: DriverStage, count: number, text = 'line'): Promise<void> {
  const leader = await stage.leader()
  for (let done = 0; done < count; ) {
    const some = Math.min(2_000, count - done)
    const all = Array.from({ length: some }, (_, at) => leader.propose(`${text} ${done + at}`))
    await stage.result(Promise.all(all))
    done += some
  }
}

test('a group grows from one to three and shrinks again', async (t) => {
  const stage = new DriverStage()
  await stage.found(1)
  const [first] = stage.members as [TestMember]
  await stage.result(first.propose('a'))
  const second = await stage.member()
  const third = await stage.member()
  await add(stage, second, 'add-learner')
  await stage.clock.until(() => second.notebook().lines.length === 1)
  await add(stage, second)
  await add(stage, third)
  await stage.result(first.propose('b'))
  await stage.clock.pass(500)
  for (const member of stage.members) t.same(member.notebook().lines, ['a', 'b'])
  t.same(first.driver.status(1).confState.voters, [1, 2, 3])
  t.same(third.driver.status(1).members, [first.address, second.address, third.address])
  // The leader leaves; the others go on.
  await stage.result(first.driver.changeMembers(1, [{ type: 'remove', memberId: 1 }]))
  const rest = [second, third]
  const next = await stage.leader(1, rest)
  t.equal(await stage.result(next.propose('c')), 3)
  t.same(next.driver.status(1).confState.voters, [2, 3])
  await stage.result(first.driver.removeGroup(1))
  t.same(first.driver.groupIds, [])
  await stage.result(first.restart())
  t.same(first.driver.groupIds, [])
  await stage.stop()
})

test('two voters change at once through a joint configuration', async (t) => {
  const stage = new DriverStage()
  await stage.found(3)
  const leader = await stage.leader()
  const [four, five] = [await stage.member(), await stage.member()]
  for (const member of [four, five])
    member.driver.joinGroup(
      1,
      member.notebook(),
      stage.members.map(({ peerId }) => peerId),
    )
  const leavers = stage.members.slice(0, 3).filter((member) => member !== leader)
  const result = await stage.result(
    leader.driver.changeMembers(1, [
      { type: 'add-voter', memberId: 4, peerId: four.peerId },
      { type: 'add-voter', memberId: 5, peerId: five.peerId },
      ...leavers.map(({ id: memberId }) => ({ type: 'remove' as const, memberId })),
    ]),
  )
  t.same(result.voters, [leader.id, 4, 5].toSorted())
  t.same(result.votersOutgoing, [], 'it resolves when the joint configuration is left')
  for (const member of leavers) member.kill()
  t.equal(await stage.result(leader.propose('a')), 1)
  const wrong = leader.driver.changeMembers(1, [{ type: 'remove', memberId: 77 }])
  await stage.result(codeOf(wrong))
  t.same(leader.driver.status(1).confState.voters, [leader.id, 4, 5].toSorted())
  await stage.stop()
})

test('of two changes at a time one is refused, and nothing of it is done', async (t) => {
  const stage = new DriverStage()
  await stage.found(3)
  const leader = await stage.leader()
  const [a, b] = stage.members.filter((member) => member !== leader) as [TestMember, TestMember]
  const codes = await stage.result(
    Promise.all([
      codeOf(leader.driver.changeMembers(1, [{ type: 'remove', memberId: a.id }])),
      codeOf(leader.driver.changeMembers(1, [{ type: 'remove', memberId: b.id }])),
    ]),
  )
  t.same(codes, ['resolved', 'ERR_UNAVAILABLE'])
  t.same(leader.driver.status(1).confState.voters, [leader.id, b.id].toSorted())
  await stage.stop()
})

test('a member that was away for long gets a snapshot, in pieces, over a bad line', async (t) => {
  const stage = new DriverStage({ segmentBytes: 16 * 1024 * 1024 })
  const members = await stage.found(3)
  const leader = await stage.leader()
  const away = members.find((member) => member !== leader) as TestMember
  away.kill()
  const text = 'x'.repeat(60)
  await write(stage, driverLimits.snapshotEntries + driverLimits.tailEntries + 1, text)
  await stage.clock.pass(100)
  t.equal(leader.driver.counters.snapshotsTaken, 1)
  let bulk = 0
  stage.network.settings.loses = (_, to, lane) => {
    if (lane === 'bulk' && to === away.peerId) bulk += 1
    // The first transfer loses a piece; the next one comes through.
    return lane === 'bulk' && bulk === 2
  }
  await stage.result(away.revive())
  const { length } = leader.notebook().lines
  await stage.clock.until(() => away.notebook().lines.length === length)
  t.equal(away.driver.counters.snapshotsReceived, 1)
  t.ok(leader.driver.counters.snapshotsNotSent >= 1)
  t.ok(bulk > 4, `${bulk} pieces`)
  await stage.clock.pass(10)
  t.equal(away.snapshotFolder.names().length, 1, 'older files are gone')
  await stage.result(away.restart())
  await stage.clock.until(() => away.notebook().lines.length === length)
  t.equal(await stage.result(leader.propose('more')), length + 1)
  await stage.stop()
})

test('a snapshot frees the log, and a restart begins with it', async (t) => {
  const stage = new DriverStage()
  const [member] = await stage.found(1)
  if (member === undefined) throw new Error('no member')
  await write(stage, 6_000, 'some text that fills segments of sixty-four kilobytes')
  await stage.clock.pass(100)
  t.ok(member.driver.counters.snapshotsTaken > 0, 'asked for because the oldest segment was held')
  t.ok(member.logFolder.names().length < 8, `${member.logFolder.names()}`)
  member.losePower()
  await stage.result(member.revive())
  await stage.leader()
  t.equal(member.notebook().lines.length, 6_000)
  await stage.stop()
})

test('a line that loses a tenth of all frames only costs time', async (t) => {
  const stage = new DriverStage({}, 7)
  stage.network.settings.loses = () => stage.draw(10) === 0
  await stage.found(3)
  let done = 0
  for (let at = 0; at < 30; at++) {
    const leader = stage.members.find((member) => member.isLeader())
    if (
      leader !== undefined &&
      (await stage.result(codeOf(leader.propose(`${at}`)))) === 'resolved'
    )
      done += 1
    await stage.clock.pass(20)
  }
  stage.network.settings.loses = () => false
  await stage.clock.pass(2_000)
  const [first, ...others] = stage.members.map((member) => member.notebook().lines)
  for (const lines of others) t.same(lines, first)
  t.ok((first?.length ?? 0) >= done && done > 15, `${done} of ${first?.length}`)
  await stage.stop()
})

test('a stranger is heard only where the region knows it', async (t) => {
  const known = new Set<string>()
  const stage = new DriverStage({})
  const members = await stage.found(3)
  const leader = await stage.leader()
  const outsider = await stage.member(9)
  // It claims to belong to the group, and to be another.
  const voters = [leader.address, outsider.address, { memberId: 8, peerId: 'peer-8' }]
  await stage.result(outsider.driver.createGroup(1, { voters }, outsider.notebook()))
  await stage.clock.pass(500)
  t.ok(leader.driver.counters.unknownMembers > 0)
  t.notOk(outsider.isLeader())
  t.equal((await stage.leader(1, members)).id, leader.id)
  t.equal(known.size, 0)
  await stage.stop()
})
