/** What a caller is told of a proposal is what became of it. */
import { test } from 'tap'
import { driverLimits } from '../../src/driver/driver-limits.ts'
import { Proposals } from '../../src/driver/proposals.ts'
import { TrackerError } from '../../src/errors.ts'
import type { Entry } from '../../src/raft/types.ts'
import { codeOf, DriverStage, type TestMember } from '../support/driver-group.ts'

const command = (text: string) => ({ command: new TextEncoder().encode(text) })
const entry = (index: number, term: number, text = 'x'): Entry => ({
  ...{ index, term, type: 'EntryNormal' },
  data: new TextEncoder().encode(text),
})

const lostError = () => new TrackerError('ERR_NOT_LEADER', 'lost')
const quiet = { onOverload: () => {}, lostError }
const stopped = new TrackerError('ERR_STOPPED', 'x')

/** Proposals that have places in the log, by index and term, in the order in which they got them. */
function placed(...places: readonly (readonly [index: number, term: number])[]) {
  const proposals = new Proposals(quiet)
  const outcomes = places.map(([index, term]) => {
    const outcome = proposals.add(command('x'), undefined).then(
      (result) => result,
      ({ code }: TrackerError) => code,
    )
    proposals.place(proposals.takeBatch(), [entry(index, term)])
    return outcome
  })
  return { proposals, outcomes }
}

test('an outcome is that of the entry that has both the index and the term of the proposal', async (t) => {
  const { proposals, outcomes } = placed([6, 2], [7, 2], [8, 2], [9, 2])
  proposals.applied(entry(5, 1), 'before', false)
  proposals.applied(entry(6, 2), 'mine', false)
  t.equal(proposals.count, 3)
  // Another's stands in its place, so none of that term can follow.
  proposals.applied(entry(7, 3), 'another', false)
  t.equal(proposals.count, 0)
  const lost = 'ERR_NOT_LEADER'
  t.same(await Promise.all(outcomes), ['mine', lost, lost, lost])
})

test('what is in the log outlives the leadership that it was made in, until a time', async (t) => {
  const { proposals, outcomes } = placed([6, 2], [7, 2])
  const waiting = codeOf(proposals.add(command('x'), undefined))
  t.equal(proposals.keep(1_000, lostError()), 2)
  t.equal(await waiting, 'ERR_NOT_LEADER', 'what is not in the log is not done')
  t.equal(proposals.count, 2)
  t.equal(proposals.expire(999), 0)
  proposals.applied(entry(6, 2), 'mine', false)
  t.equal(proposals.keep(2_000, lostError()), 0, 'nobody gets more time by another loss')
  t.equal(proposals.expire(1_000), 1)
  t.same(await Promise.all(outcomes), ['mine', 'ERR_UNKNOWN_OUTCOME'])
  t.equal(proposals.count, 0)
  proposals.applied(entry(7, 2), 'late', false)
})

test('whose leadership comes back tells its proposals of both times apart', async (t) => {
  // The entries of term 2 were cut off here, and some of them stand elsewhere still.
  const older = placed([8, 2], [9, 2], [10, 2])
  const { proposals } = older
  proposals.keep(1_000, lostError())
  const newer = [8, 9].map((index) => {
    const outcome = codeOf(proposals.add(command('x'), undefined))
    proposals.place(proposals.takeBatch(), [entry(index, 4)])
    return outcome
  })
  proposals.applied(entry(7, 2), 0, false)
  proposals.applied(entry(8, 2), 'eight', false)
  proposals.applied(entry(9, 2), 'nine', false)
  proposals.applied(entry(10, 5), 'another', false)
  t.same(await Promise.all(older.outcomes), ['eight', 'nine', 'ERR_NOT_LEADER'])
  t.same(await Promise.all(newer), ['ERR_NOT_LEADER', 'ERR_NOT_LEADER'])
  t.equal(proposals.count, 0)
})

test('of what a snapshot may hold nothing is known, whichever term it was placed in', async (t) => {
  const { proposals, outcomes } = placed([9, 2], [7, 4], [8, 4], [9, 4])
  t.equal(proposals.passed(8), 2)
  proposals.applied(entry(9, 4), 'mine', false)
  const [unknown, lost] = ['ERR_UNKNOWN_OUTCOME', 'ERR_NOT_LEADER']
  t.same(await Promise.all(outcomes), [lost, unknown, unknown, 'mine'])
})

test('a change of members that is being left joint is kept like any other', async (t) => {
  for (const end of ['left', 'expired', 'passed', 'stopped'] as const) {
    const proposals = new Proposals(quiet)
    const change = { transition: 'ConfChangeTransitionAuto', changes: [] } as const
    const outcome = codeOf(
      proposals.add({ change: { ...change, context: new Uint8Array() } }, undefined),
    )
    const joint = { ...entry(6, 2), type: 'EntryConfChangeV2' } as const
    proposals.place(proposals.takeBatch(), [joint])
    proposals.applied(joint, 'joint', true)
    t.equal(proposals.keep(1_000, lostError()), 1)
    if (end === 'left') proposals.applied({ ...joint, index: 7, term: 3 }, 'left', false)
    if (end === 'expired') t.equal(proposals.expire(1_000), 1)
    if (end === 'passed') t.equal(proposals.passed(7), 1)
    if (end === 'stopped') proposals.stop(stopped)
    t.equal(await outcome, end === 'left' ? 'resolved' : 'ERR_UNKNOWN_OUTCOME', end)
    t.equal(proposals.count, 0)
  }
})

test('the end of a group ends what is in its log without a known outcome, and says why', async (t) => {
  const { proposals } = placed()
  const inLog = proposals.add(command('x'), undefined)
  proposals.place(proposals.takeBatch(), [entry(6, 2)])
  const waiting = proposals.add(command('x'), undefined)
  proposals.stop(stopped)
  await t.rejects(inLog, { code: 'ERR_UNKNOWN_OUTCOME', cause: stopped })
  await t.rejects(waiting, { code: 'ERR_STOPPED' })
})

test('who gives up is told whether it may be done, and takes room until that is clear', async (t) => {
  const proposals = new Proposals(quiet)
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
  const onOverload = () => {
    refused += 1
  }
  const proposals = new Proposals({ onOverload, lostError })
  const all: Promise<string>[] = []
  for (let at = 0; at < 17; at++)
    all.push(codeOf(proposals.add({ command: new Uint8Array(2 * 1024 * 1024) }, undefined)))
  t.equal(await all[16], 'ERR_OVERLOADED')
  t.equal(refused, 1)
  const small = new Proposals(quiet)
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

test('planned handovers under a stream of proposals fail none, and each is done once', async (t) => {
  const stage = new DriverStage()
  const members = await stage.found(5)
  // Who takes over is nearer than the others, so that it begins before they have what was proposed last.
  const near = new Set<string>()
  stage.network.settings.delayMs = (from, to) => (near.has(from) && near.has(to) ? 1 : 4)
  const outcomes = new Map<string, string>()
  const asked: Promise<void>[] = []
  const ask = async (member: TestMember, text: string) => {
    outcomes.set(text, await codeOf(member.propose(text)))
  }
  for (let round = 0; round < 6; round++) {
    const leader = await stage.leader()
    const { term } = leader.driver.status(1)
    const target = members[(members.indexOf(leader) + 1) % 5] as TestMember
    near.clear()
    near.add(leader.peerId).add(target.peerId)
    for (let ms = 0; ms < 12; ms++) {
      if (ms === 4) leader.driver.transferLeadership(1, target.id)
      for (let at = 0; at < 3; at++) asked.push(ask(leader, `${round} ${ms} ${at}`))
      await stage.clock.pass(1)
    }
    await stage.clock.until(() => target.isLeader() && target.driver.status(1).term > term)
  }
  await stage.result(Promise.all(asked))
  await stage.clock.pass(500)
  const { lines } = members[0]?.notebook() ?? { lines: [] }
  const of = (code: string) => [...outcomes].filter(([, is]) => is === code).map(([text]) => text)
  t.same(lines.toSorted(), of('resolved').toSorted(), 'each once, and nothing else')
  const refused = of('ERR_NOT_LEADER')
  t.equal(refused.length + lines.length, outcomes.size, 'the rest may be asked again')
  t.ok(refused.length > 0 && lines.length > 0, `${refused.length} refused`)
  const total = (name: 'keptProposals' | 'unknownProposals') =>
    members.reduce((sum, { driver }) => sum + driver.counters[name], 0)
  t.ok(total('keptProposals') > 0, 'some were in the log when it went')
  t.equal(total('unknownProposals'), 0)
  await stage.stop()
})

test('what is proposed while a leader hands over waits, and goes on where nobody took over', async (t) => {
  const stage = new DriverStage()
  const members = await stage.found(3)
  const leader = await stage.leader()
  const target = members.find((member) => member !== leader) as TestMember
  stage.network.cut(leader.peerId, target.peerId)
  leader.driver.transferLeadership(1, target.id)
  let isDone = false
  const outcome = leader.propose('a').then((result) => {
    isDone = true
    return result
  })
  const before = leader.driver.counters.turns
  await stage.clock.pass(10)
  t.notOk(isDone)
  t.ok(leader.driver.counters.turns - before < 20, 'it does not turn in vain')
  t.equal(await stage.result(outcome), 1)
  t.ok(leader.isLeader())
  await stage.stop()
})

test('what another leader wrote over is not done, and says so', async (t) => {
  const stage = new DriverStage()
  const members = await stage.found(3)
  const leader = await stage.leader()
  stage.network.isolate(leader.peerId)
  const outcomes = ['a', 'b', 'c'].map((text) => codeOf(leader.propose(text)))
  const others = members.filter((member) => member !== leader)
  const next = await stage.leader(1, others)
  await stage.result(next.propose('kept'))
  stage.network.heal()
  t.same(
    await stage.result(Promise.all(outcomes)),
    outcomes.map(() => 'ERR_NOT_LEADER'),
  )
  await stage.clock.pass(500)
  for (const member of members) t.same(member.notebook().lines, ['kept'])
  await stage.stop()
})

test('what a successor commits is done, and answered where it was asked', async (t) => {
  const stage = new DriverStage()
  const members = await stage.found(3)
  const leader = await stage.leader()
  const [first, second] = members.filter((member) => member !== leader) as [TestMember, TestMember]
  await stage.result(leader.propose('before'))
  // The others have it, and the leader does not hear that.
  for (const { peerId } of [first, second]) stage.network.cut(peerId, leader.peerId)
  const outcome = leader.propose('a')
  await stage.clock.pass(5)
  stage.network.cut(leader.peerId, first.peerId)
  stage.network.cut(leader.peerId, second.peerId)
  await stage.leader(1, [first, second])
  await stage.clock.until(() => !leader.isLeader())
  stage.network.heal()
  t.equal(await stage.result(outcome), 2)
  t.equal(leader.driver.counters.keptProposals, 1)
  t.equal(leader.driver.counters.unknownProposals, 0)
  await stage.stop()
})

test('of what a snapshot brings to a former leader nothing is known', async (t) => {
  const stage = new DriverStage()
  const members = await stage.found(3)
  const leader = await stage.leader()
  stage.network.isolate(leader.peerId)
  const outcome = leader.propose('mine')
  outcome.catch(() => {})
  const next = await stage.leader(
    1,
    members.filter((member) => member !== leader),
  )
  // More than a log of small segments holds, and than anybody keeps beside it.
  const lines = driverLimits.tailEntries * 2
  for (let from = 0; from < lines; from += 250) {
    const some = Array.from({ length: 250 }, (_, at) => next.propose(`${from + at}`.padEnd(64)))
    await stage.result(Promise.all(some))
  }
  stage.network.heal()
  await t.rejects(stage.result(outcome), {
    code: 'ERR_UNKNOWN_OUTCOME',
    message: /the state came as a whole/,
  })
  t.equal(leader.driver.counters.unknownProposals, 1)
  await stage.clock.until(() => leader.notebook().lines.length === lines)
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
