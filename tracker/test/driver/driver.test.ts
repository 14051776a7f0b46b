/** Three members in memory: they elect, replicate, lose members and lines, come back, and keep what they acknowledged. */
import { test } from 'tap'
import { codeOf, DriverStage } from '../support/driver-group.ts'

test('one member alone leads at once and keeps what it acknowledged', async (t) => {
  const stage = new DriverStage()
  const [member] = await stage.found(1)
  if (member === undefined) throw new Error('no member')
  t.equal(await stage.result(member.propose('a')), 1)
  t.equal(await stage.result(member.propose('b')), 2)
  await stage.result(member.driver.barrier(1))
  await stage.result(member.restart())
  await stage.leader()
  t.same(member.notebook().lines, ['a', 'b'])
  t.equal(await stage.result(member.propose('c')), 3)
  member.losePower()
  await stage.result(member.revive())
  await stage.leader()
  t.same(member.notebook().lines, ['a', 'b', 'c'])
  await stage.stop()
})

test('three members elect one, and all of them apply what it acknowledged', async (t) => {
  const stage = new DriverStage()
  const members = await stage.found(3)
  const leader = await stage.leader()
  t.equal(await stage.result(leader.propose('a')), 1)
  await stage.result(leader.driver.barrier(1))
  await stage.clock.pass(200)
  for (const member of members) t.same(member.notebook().lines, ['a'])
  const follower = members.find((member) => member !== leader)
  t.equal(follower?.driver.leaderPeerId(1), leader.peerId)
  t.equal(await codeOf(follower?.propose('b') as Promise<unknown>), 'ERR_NOT_LEADER')
  await stage.stop()
})

test('when the leader is killed another one serves, and the old one catches up', async (t) => {
  const stage = new DriverStage()
  const members = await stage.found(3)
  const leader = await stage.leader()
  await stage.result(leader.propose('a'))
  // Programs that just began are patient.
  await stage.clock.pass(3_000)
  leader.kill()
  const startMs = stage.clock.nowMs
  const others = members.filter((member) => member !== leader)
  const next = await stage.leader(1, others)
  t.equal(
    next.notebook().ledWith,
    1,
    'it has all that was acknowledged when it is told that it leads',
  )
  t.ok(stage.clock.nowMs - startMs < 100, `${stage.clock.nowMs - startMs} ms`)
  t.equal(await stage.result(next.propose('b')), 2)
  await stage.result(leader.revive())
  await stage.clock.pass(500)
  for (const member of members) t.same(member.notebook().lines, ['a', 'b'])
  await stage.stop()
})
