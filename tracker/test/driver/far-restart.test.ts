/** Members that are far from one another and know nothing of it yet: an election has to come to its end all the same. */
import { test } from 'tap'
import { DriverStage } from '../support/driver-group.ts'

test('members whose round trip is longer than the shortest timeout elect a leader after all of them restarted', async (t) => {
  const stage = new DriverStage()
  const members = await stage.found(3)
  stage.network.settings.delayMs = () => 120
  for (const member of members) member.kill()
  for (const member of members) await stage.result(member.revive())
  await stage.clock.pass(10_000)
  const leader = members.find((member) => member.isLeader())
  t.ok(leader, 'somebody leads')
  const term = leader?.driver.status(1).term
  await stage.clock.pass(20_000)
  t.equal(leader?.driver.status(1).term, term, 'and goes on')
  await stage.stop()
})
