/** What a caller is told of a proposal is what became of it. */
import { test } from 'tap'
import { Proposals } from '../../src/driver/proposals.ts'
import { TrackerError } from '../../src/errors.ts'
import type { Entry } from '../../src/raft/types.ts'
import { codeOf, DriverStage } from '../support/driver-group.ts'

const command = (text: string) => ({ command: new TextEncoder().encode(text) })
const entry = (index: number, term: number, text = 'x'): Entry => ({
  ...{ index, term, type: 'EntryNormal' },
  data: new TextEncoder().encode(text),
})

test('an outcome is that of the entry that stands at the place of the proposal', async (t) => {
  const proposals = new Proposals(() => {})
  const results = ['a', 'b', 'c'].map((text) => codeOf(proposals.add(command(text), undefined)))
  proposals.place(proposals.takeBatch(), [entry(6, 2), entry(7, 2), entry(8, 2), entry(9, 2)])
  proposals.applied(entry(7, 2), 'mine', false)
  proposals.applied(entry(8, 3), 'another', false)
  const lost = new TrackerError('ERR_UNKNOWN_OUTCOME', 'x')
  proposals.rejectAll(lost, lost)
  t.same(await Promise.all(results), ['resolved', 'ERR_UNAVAILABLE', 'ERR_UNKNOWN_OUTCOME'])
  t.equal(proposals.count, 0)
})

test('who gives up is told whether it may be done, and takes room until that is clear', async (t) => {
  const proposals = new Proposals(() => {})
  const [early, late, before] = [0, 1, 2].map(() => new AbortController()) as [
    AbortController,
    AbortController,
    AbortController,
  ]
  before.abort()
  t.equal(await codeOf(proposals.add(command('x'), before.signal)), 'ERR_UNAVAILABLE')
  const first = codeOf(proposals.add(command('a'), early.signal))
  const second = codeOf(proposals.add(command('b'), late.signal))
  early.abort()
  const batch = proposals.takeBatch()
  t.equal(batch.length, 1)
  proposals.place(batch, [entry(5, 1)])
  late.abort()
  t.same(await Promise.all([first, second]), ['ERR_UNAVAILABLE', 'ERR_UNKNOWN_OUTCOME'])
  t.equal(proposals.count, 1)
  proposals.applied(entry(5, 1), 1, false)
  t.equal(proposals.count, 0)
})

test('proposals are bounded by number and bytes', async (t) => {
  let refused = 0
  const proposals = new Proposals(() => {
    refused += 1
  })
  const all: Promise<string>[] = []
  for (let at = 0; at < 17; at++)
    all.push(codeOf(proposals.add({ command: new Uint8Array(2 * 1024 * 1024) }, undefined)))
  t.equal(await all[16], 'ERR_OVERLOADED')
  t.equal(refused, 1)
  const small = new Proposals(() => {})
  for (let at = 0; at < 16_384; at++) void codeOf(small.add(command('a'), undefined))
  t.equal(await codeOf(small.add(command('a'), undefined)), 'ERR_OVERLOADED')
  t.equal(small.takeBatch().length, 4_096)
})

test('a leader that is cut off ends what it appended without a known outcome', async (t) => {
  const stage = new DriverStage()
  const members = await stage.found(3)
  const leader = await stage.leader()
  stage.network.isolate(leader.peerId)
  const outcome = codeOf(leader.propose('lost'))
  const read = codeOf(leader.driver.barrier(1))
  await stage.clock.pass(1)
  const others = members.filter((member) => member !== leader)
  const next = await stage.leader(1, others)
  t.equal(await stage.result(next.propose('kept')), 1)
  t.equal(await stage.result(outcome), 'ERR_UNKNOWN_OUTCOME')
  t.match(await stage.result(read), /resolved|ERR_NOT_LEADER/)
  t.equal(await codeOf(leader.propose('late')), 'ERR_NOT_LEADER')
  stage.network.heal()
  await stage.clock.pass(1_000)
  for (const member of members) t.same(member.notebook().lines, ['kept'])
  await stage.stop()
})

test('what is proposed while a leader hands over is done, or was not done at all', async (t) => {
  const stage = new DriverStage()
  const members = await stage.found(3)
  const leader = await stage.leader()
  const target = members.find((member) => member !== leader) ?? leader
  leader.driver.transferLeadership(1, target.id)
  const codes = await Promise.all([
    stage.result(codeOf(leader.propose('a'))),
    stage.result(codeOf(leader.propose('b'))),
  ])
  t.ok(
    codes.every((code) => code === 'ERR_UNAVAILABLE' || code === 'ERR_NOT_LEADER'),
    `${codes}`,
  )
  await stage.clock.until(() => target.isLeader() && !leader.isLeader())
  t.equal(await stage.result(target.propose('c')), 1)
  t.throws(() => leader.driver.transferLeadership(1, leader.id), { code: 'ERR_NOT_LEADER' })
  await stage.stop()
})

test('commands that are nothing or too much, groups that are not here', async (t) => {
  const stage = new DriverStage()
  const [member] = await stage.found(1)
  if (member === undefined) throw new Error('no member')
  t.equal(await codeOf(member.driver.propose(1, new Uint8Array(0))), 'ERR_INVALID_INPUT')
  t.equal(await codeOf(member.driver.propose(1, new Uint8Array(20_000))), 'ERR_INVALID_INPUT')
  t.equal(await codeOf(member.propose('a', 5)), 'ERR_INVALID_INPUT')
  t.equal(await codeOf(member.driver.barrier(5)), 'ERR_INVALID_INPUT')
  t.throws(() => member.driver.status(5), { code: 'ERR_INVALID_INPUT' })
  const again = member.driver.createGroup(1, { voters: [member.address] }, member.notebook())
  t.equal(await codeOf(again), 'ERR_INVALID_INPUT')
  const waiting = codeOf(member.propose('a'))
  await stage.stop()
  t.equal(await waiting, 'ERR_STOPPED', 'it was not appended')
  t.equal(await codeOf(member.propose('a')), 'ERR_STOPPED')
})
