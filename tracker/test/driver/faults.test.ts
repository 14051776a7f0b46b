/** Disks that fill up or fail, clocks that jump, members that are stopped, rules that are broken. */
import { test } from 'tap'
import type { TrackerError } from '../../src/errors.ts'
import { codeOf, DriverStage, type TestMember } from '../support/driver-group.ts'
import { systemError } from '../support/simulated-folder.ts'

test('a full disk acknowledges nothing; a leader with one hands over, and goes on when there is room', async (t) => {
  const stage = new DriverStage()
  const members = await stage.found(3)
  const leader = await stage.leader()
  await stage.result(leader.propose('a'))
  let isFull = true
  const refuse = (call: string) =>
    isFull && (call === 'write' || call === 'create') ? systemError('ENOSPC') : undefined
  leader.logFolder.interfere = refuse
  leader.snapshotFolder.interfere = refuse
  const outcome = codeOf(leader.propose('b'))
  await stage.clock.settle()
  t.equal(await codeOf(leader.propose('c')), 'ERR_STORAGE')
  const others = members.filter((member) => member !== leader)
  const next = await stage.leader(1, others)
  t.match(await stage.result(outcome), /resolved|ERR_UNKNOWN_OUTCOME/)
  await stage.result(next.propose('d'))
  const { match = 0 } =
    next.driver.status(1).progress.find(({ memberId }) => memberId === leader.id) ?? {}
  t.ok(match < next.driver.status(1).commit, 'it acknowledged nothing meanwhile')
  isFull = false
  await stage.clock.until(() => leader.notebook().lines.length === next.notebook().lines.length)
  t.equal(leader.failure, undefined)
  t.ok(leader.driver.counters.diskFull > 0)
  await stage.stop()
})

test('one member alone with a full disk waits for room', async (t) => {
  const stage = new DriverStage()
  const [member] = (await stage.found(1)) as [TestMember]
  let isFull = true
  member.logFolder.interfere = (call) =>
    isFull && call === 'write' ? systemError('ENOSPC') : undefined
  const outcome = member.propose('a')
  await stage.clock.pass(3_000)
  t.same(member.notebook().lines, [])
  isFull = false
  t.equal(await stage.result(outcome), 1)
  await stage.stop()
})

test('a disk that fails stops the driver, and callers hear it', async (t) => {
  const stage = new DriverStage()
  const [member] = (await stage.found(1)) as [TestMember]
  member.logFolder.interfere = (call) => (call === 'sync' ? systemError('EIO') : undefined)
  t.equal(await stage.result(codeOf(member.propose('a'))), 'ERR_UNKNOWN_OUTCOME')
  t.equal(member.failure?.code, 'ERR_STORAGE')
  t.equal(await codeOf(member.propose('b')), 'ERR_STORAGE')
  t.equal(await codeOf(member.driver.barrier(1)), 'ERR_STORAGE')
  t.throws(() => member.driver.status(1), { code: 'ERR_STORAGE' })
  await stage.stop()
})

test('nothing that was acknowledged is lost with the power, whenever it goes', async (t) => {
  for (let seed = 1; seed <= 6; seed++) {
    const stage = new DriverStage({}, seed)
    const members = await stage.found(3)
    const acknowledged = new Set<string>()
    const ask = (member: TestMember, text: string) =>
      member.propose(text).then(
        () => acknowledged.add(text),
        (error: TrackerError) => error.code,
      )
    for (let round = 0; round < 8; round++) {
      const leader = members.find((member) => member.isLeader())
      if (leader !== undefined)
        for (let at = 0; at < 5; at++) void ask(leader, `${seed} ${round} ${at}`)
      await stage.clock.pass(stage.draw(4))
      const victims = members.filter(() => stage.draw(2) === 0)
      for (const victim of victims) victim.losePower()
      await stage.clock.pass(stage.draw(30))
      for (const victim of victims) await stage.result(victim.revive())
      await stage.clock.pass(150)
    }
    await stage.leader()
    await stage.clock.pass(1_000)
    const [first, ...others] = members.map((member) => member.notebook().lines)
    for (const lines of others) t.same(lines, first, `seed ${seed}`)
    for (const text of acknowledged) t.ok(first?.includes(text), `seed ${seed}: ${text}`)
    t.ok(acknowledged.size > 5, `${acknowledged.size} acknowledged`)
    await stage.stop()
  }
})

test('a leader that was stopped leads no more when it goes on, and answers no read of before', async (t) => {
  const stage = new DriverStage()
  const members = await stage.found(3)
  const leader = await stage.leader()
  await stage.result(leader.propose('a'))
  await stage.clock.pass(100)
  leader.clock.pause()
  const startMs = stage.clock.nowMs
  const next = await stage.leader(
    1,
    members.filter((member) => member !== leader),
  )
  t.ok(stage.clock.nowMs - startMs < 100, `${stage.clock.nowMs - startMs} ms`)
  t.equal(await stage.result(next.propose('b')), 2)
  const read = leader.driver.barrier(1).then(() => leader.notebook().lines.length)
  leader.clock.resume()
  // It is answered by a leader of now or not at all.
  t.match(await stage.result(codeOf(read)), 'ERR_NOT_LEADER')
  await stage.clock.pass(300)
  t.notOk(leader.isLeader())
  t.same(leader.notebook().lines, ['a', 'b'])
  await stage.stop()
})

test('a follower that was stopped counts the time before what came meanwhile', async (t) => {
  const stage = new DriverStage()
  const members = await stage.found(3)
  await stage.clock.pass(5_000)
  const leader = await stage.leader()
  const follower = members.find((member) => member !== leader) as TestMember
  follower.clock.pause()
  await stage.clock.pass(200)
  stage.network.cut(leader.peerId, follower.peerId)
  follower.clock.resume()
  await stage.clock.settle()
  // The heartbeats that waited are worth T from now on.
  await stage.clock.pass(35)
  t.equal(follower.driver.status(1).state, 'StateFollower')
  await stage.clock.pass(60)
  t.equal(follower.driver.status(1).state, 'StatePreCandidate')
  await stage.stop()
})

test('a wall clock that jumps ends no leadership', async (t) => {
  const stage = new DriverStage()
  const members = await stage.found(3)
  const leader = await stage.leader()
  const { term } = leader.driver.status(1)
  for (const jump of [3_600_000, -7_200_000, 40]) {
    for (const member of members) member.clock.jump(jump)
    await stage.clock.pass(500)
  }
  t.equal((await stage.leader()).id, leader.id)
  t.equal(leader.driver.status(1).term, term)
  await stage.stop()
})

test('an idle group keeps its leader, and one alone needs no timer', async (t) => {
  const stage = new DriverStage()
  await stage.found(3)
  const leader = await stage.leader()
  await stage.clock.pass(60_000)
  t.equal((await stage.leader()).id, leader.id)
  await stage.stop()
  const alone = new DriverStage()
  const [member] = (await alone.found(1)) as [TestMember]
  await alone.clock.pass(1_000)
  const { turns } = member.driver.counters
  await alone.clock.pass(60_000)
  t.equal(member.driver.counters.turns, turns)
  t.equal(await alone.result(member.propose('a')), 1)
  await alone.result(member.driver.barrier(1))
  await alone.stop()
})

test('a state machine that breaks stops its group only', async (t) => {
  const stage = new DriverStage()
  const [member] = (await stage.found(1)) as [TestMember]
  await stage.found(1, 2)
  member.notebook(1).apply = () => {
    throw new Error('broken')
  }
  t.equal(await stage.result(codeOf(member.propose('a', 1))), 'ERR_UNKNOWN_OUTCOME')
  t.equal(await codeOf(member.propose('a', 1)), 'ERR_UNAVAILABLE')
  t.equal(await stage.result(member.propose('a', 2)), 1)
  t.equal(member.driver.counters.groupsFailed, 1)
  t.ok(member.logged.some((line) => line.includes('broken')))
  await stage.stop()
})

test('when the line to the leader breaks, others take over sooner than T', async (t) => {
  for (const readMode of ['lease', 'safe'] as const) {
    const stage = new DriverStage({ readMode })
    const members = await stage.found(3)
    // Until nobody counts the start as a busy time.
    await stage.clock.pass(5_000)
    const leader = await stage.leader()
    leader.kill()
    const startMs = stage.clock.nowMs
    await stage.leader(
      1,
      members.filter((member) => member !== leader),
    )
    const tookMs = stage.clock.nowMs - startMs
    t.ok(tookMs <= (readMode === 'safe' ? 20 : 75), `${readMode}: ${tookMs} ms`)
    await stage.stop()
  }
})

test('frames that mean harm are counted and change nothing', async (t) => {
  const stage = new DriverStage()
  const members = await stage.found(3)
  const leader = await stage.leader()
  stage.network.tamper = (frame) => {
    if (stage.draw(3) > 0) return frame
    const changed = frame.slice()
    const at = stage.draw(changed.length)
    // The header's own fields: what is behind them is for the core to refuse.
    changed[at % 40] = stage.draw(256)
    return changed
  }
  await stage.clock.pass(2_000)
  stage.network.tamper = undefined
  await stage.clock.pass(1_000)
  const total = (name: 'framesMalformed' | 'framesForeign' | 'unknownMembers') =>
    members.reduce((sum, { driver }) => sum + driver.counters[name], 0)
  t.ok(total('framesMalformed') > 0)
  t.ok(total('framesForeign') > 0)
  t.ok(total('unknownMembers') > 0)
  t.ok((await stage.leader()).id > 0)
  t.equal(
    members.reduce((sum, { driver }) => sum + driver.counters.groupsFailed, 0),
    0,
  )
  t.ok(leader.driver.electionMs <= 1_000)
  await stage.stop()
})

test('the leader of many groups says all in one frame', async (t) => {
  const stage = new DriverStage()
  for (let group = 1; group <= 5; group++) await stage.found(3, group)
  const [first] = stage.members as [TestMember]
  for (let group = 1; group <= 5; group++) {
    const leader = await stage.leader(group)
    if (leader !== first) leader.driver.transferLeadership(group, first.id)
  }
  await stage.clock.until(() => [1, 2, 3, 4, 5].every((group) => first.isLeader(group)))
  await stage.clock.pass(200)
  const { framesSent, messagesSent } = first.driver.counters
  await stage.result(Promise.all([1, 2, 3, 4, 5].map((group) => first.propose('a', group))))
  const frames = first.driver.counters.framesSent - framesSent
  const messages = first.driver.counters.messagesSent - messagesSent
  t.ok(messages >= 10 && frames <= 6, `${messages} messages in ${frames} frames`)
  await stage.stop()
})
