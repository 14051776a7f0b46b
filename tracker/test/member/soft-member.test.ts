/** The soft state of a region of several members: told to whoever leads, asked from anywhere, there again soon after another one leads. */
import { type Test, test } from 'tap'
import { callServices } from '../../src/client/call-lane.ts'
import { RegionCoordination } from '../../src/client/region-coordination.ts'
import { encodeSoftRequest } from '../../src/client/soft-request.ts'
import { SoftMember } from '../../src/member/soft-member.ts'
import { shardCount, shardOf } from '../../src/region/shard-of.ts'
import { encodeQuestions } from '../../src/soft/questions.ts'
import { softClientLimits, softLimits, softServerLimits } from '../../src/soft/soft-limits.ts'
import type { SoftNews, StreamQuestion, StreamReply, ToldSubject } from '../../src/soft/swarms.ts'
import { type GroupsMember, GroupsStage } from '../support/groups-stage.ts'

const load = { uploadFreeKbps: 9_000, busyPermille: 100, coordinate: undefined }
const [stream, other] = ['stream-a', 'stream-c']
const groups = [...new Set([shardOf(stream), shardOf(other)])]

/** What a peer holds: so many viewers, whole segments 10 to 19, and two parts of the one after. */
function held(viewers: number, more: Partial<ToldSubject> = {}): ToldSubject {
  const ranges = [{ first: 10, count: 10 }]
  const parts = [
    [20, 0],
    [20, 1],
  ] as const
  return { stream, rendition: '', viewers, ranges, parts, ...more }
}

function news(...subjects: ToldSubject[]): SoftNews {
  return { held: subjects, gone: [], load }
}

/** Members with the soft state beside their drivers. */
class SoftStage extends GroupsStage {
  readonly soft = new Map<string, SoftMember>()
  readonly strangers = new Set<string>()

  async start(count: number): Promise<void> {
    await this.found(count, groups)
    const peerIds = this.members.map(({ peerId }) => peerId)
    for (const { lane, groups: access, clock, peerId } of this.members) {
      const coordination = new RegionCoordination({
        ...{ lane, clock, members: { candidates: () => peerIds } },
        onLeader: (group) => soft.leaderChanged(group),
      })
      const soft = new SoftMember({
        ...{ lane, access, clock, random: this.random },
        admits: (peer) => !this.strangers.has(peer),
        tellLeader: (shard, message, options) => coordination.tellLeader(shard, message, options),
      })
      soft.start()
      this.soft.set(peerId, soft)
    }
  }

  of(member: GroupsMember | string): SoftMember {
    return this.soft.get(typeof member === 'string' ? member : member.peerId) as SoftMember
  }

  async ask(member: GroupsMember | string, question: StreamQuestion): Promise<StreamReply> {
    const [reply] = await this.clock.result(this.of(member).ask([question]))
    return reply as StreamReply
  }

  override async stop(): Promise<void> {
    for (const soft of this.soft.values()) await this.clock.result(soft.stop())
    await super.stop()
  }
}

async function stageOf(count: number, t: Test): Promise<SoftStage> {
  const stage = new SoftStage(4)
  await stage.start(count)
  t.teardown(() => stage.stop())
  return stage
}

const viewersOf = (name: string): StreamQuestion => ({
  type: 'viewers',
  stream: name,
  rendition: '',
})

test('what members tell is known at the leaders, and asked from anywhere', async (t) => {
  const stage = await stageOf(3, t)
  stage.of('peer-1').tell(news(held(3), held(1, { stream: other, ranges: [] })))
  stage.of('peer-2').tell(news(held(4, { parts: [] })))
  await stage.clock.pass(softLimits.refreshMs + 50)
  t.same(await stage.ask('peer-3', viewersOf(stream)), { type: 'viewers', viewers: 7, holders: 2 })
  const holders = (wanted: Extract<StreamQuestion, { type: 'holders' }>['wanted']) =>
    stage.ask('peer-3', {
      ...{ type: 'holders', stream, rendition: '', wanted, order: 'upload', limit: 8 },
    })
  t.same(await holders({ type: 'part', segment: 20, part: 1 }), {
    type: 'holders',
    holders: [{ peerId: 'peer-1', uploadFreeKbps: 9_000, busyPermille: 100 }],
  })
  const whole = await holders({ type: 'segments', first: 10, count: 10 })
  t.equal(whole.type === 'holders' && whole.holders.length, 2)
  t.same(await holders({ type: 'segments', first: 10, count: 11 }), {
    type: 'holders',
    holders: [],
  })
  // Two shards at once, and the replies stand where their questions stood.
  const both = [viewersOf(other), viewersOf('nobody'), viewersOf(stream)].filter(
    ({ stream: name }) => groups.includes(shardOf(name)),
  )
  const replies = await stage.clock.result(stage.of('peer-3').ask(both))
  t.same(
    replies.map((reply) => (reply.type === 'viewers' ? reply.viewers : -1)),
    both.map(({ stream: name }) => (name === other ? 1 : name === stream ? 7 : 0)),
  )
  const totals = await stage.clock.result(stage.of('peer-2').totals({ timeoutMs: 200 }))
  t.match(totals, { viewers: 8, answered: groups.length, shards: shardCount, complete: 0 })
})

test('what is held anew takes the place of what was told, and what is gone is gone', async (t) => {
  const stage = await stageOf(3, t)
  const soft = stage.of('peer-1')
  soft.tell(news(held(3)))
  await stage.clock.pass(softLimits.refreshMs + 50)
  soft.tell(news(held(2, { ranges: [{ first: 15, count: 6 }], parts: [[21, 0]] })))
  await stage.clock.pass(softLimits.refreshMs + 50)
  const has = async (segment: number): Promise<number> => {
    const wanted = { type: 'segments', first: segment, count: 1 } as const
    const rest = { rendition: '', wanted, order: 'upload', limit: 8 } as const
    const reply = await stage.ask('peer-2', { type: 'holders', stream, ...rest })
    return reply.type === 'holders' ? reply.holders.length : -1
  }
  t.same([await has(10), await has(14), await has(15), await has(20)], [0, 0, 1, 1])
  t.match(await stage.ask('peer-2', viewersOf(stream)), { viewers: 2 })
  soft.tell({ held: [], gone: [{ stream, rendition: '' }], load })
  await stage.clock.pass(softLimits.refreshMs + 50)
  t.same(await stage.ask('peer-2', viewersOf(stream)), { type: 'viewers', viewers: 0, holders: 0 })
})

test('a new leader knows all of it within one refresh', async (t) => {
  const stage = await stageOf(5, t)
  for (const [index, { peerId }] of stage.members.entries()) {
    stage.of(peerId).tell(news(held(index + 1)))
  }
  await stage.clock.pass(softLimits.refreshMs + 50)
  const former = stage.leader(stream)
  t.match(await stage.ask(former, viewersOf(stream)), { viewers: 15, holders: 5 })
  stage.network.isolate(former.peerId)
  await stage.clock.until(() =>
    stage.members.some((member) => member !== former && member.leads(shardOf(stream))),
  )
  await stage.clock.pass(softLimits.refreshMs)
  const rest = stage.members.filter((member) => member !== former)
  const left = 15 - (stage.members.indexOf(former) + 1)
  for (const member of rest) {
    t.match(await stage.ask(member, viewersOf(stream)), { viewers: left, holders: 4 })
  }
  stage.network.heal()
  await stage.clock.pass(softLimits.quietMs + 3_000)
  t.match(await stage.ask(former, viewersOf(stream)), { viewers: 15, holders: 5 })
  t.ok((stage.of(former).counters.soft?.updates ?? 0) > 0, 'it counted while it led')
  t.match(stage.of(former).figures, { 'soft.known_peers': 0 }, 'and has forgotten since')
})

test('a member that has no news says so now and then, and one that breaks off is forgotten', async (t) => {
  const stage = await stageOf(3, t)
  const leader = stage.leader(stream)
  const teller = stage.members.find((member) => member !== leader) as GroupsMember
  const { counters } = stage.of(teller)
  t.equal(counters.feeder?.batches, 0)
  stage.of(teller).tell(news(held(3)))
  await stage.clock.pass(softLimits.refreshMs + 50)
  const told = stage.of(teller).counters.feeder?.batches ?? 0
  await stage.clock.pass(softLimits.ttlMs * 2)
  const quiet = (stage.of(teller).counters.feeder?.batches ?? 0) - told
  t.ok(quiet >= 5 && quiet <= 7, `${quiet} batches in a minute`)
  t.match(await stage.ask(leader, viewersOf(stream)), { viewers: 3 }, 'and is not forgotten')
  stage.of(leader).onLink(teller.peerId, true)
  t.match(await stage.ask(leader, viewersOf(stream)), { viewers: 3 })
  stage.of(leader).onLink(teller.peerId, false)
  t.match(await stage.ask(leader, viewersOf(stream)), { viewers: 0 })
  await stage.clock.pass(softLimits.quietMs + softLimits.refreshMs)
  t.match(await stage.ask(leader, viewersOf(stream)), { viewers: 3 }, 'until it tells again')
})

test('whoever asks too much, or has no business here, is refused', async (t) => {
  const stage = await stageOf(3, t)
  const leader = stage.leader(stream)
  const asker = stage.members.find((member) => member !== leader) as GroupsMember
  const shard = shardOf(stream)
  const ask = async (region: number, message: Uint8Array, at = shard): Promise<string> => {
    const request = encodeSoftRequest({ region, shard: at, message })
    const answer = asker.lane.ask(leader.peerId, callServices.soft, request, { timeoutMs: 500 })
    return await stage.clock.result(
      answer.then(
        () => 'answered',
        ({ code }: { code: string }) => code,
      ),
    )
  }
  const question = encodeQuestions([{ type: 'totals' }])
  t.equal(await ask(0, question), 'answered')
  t.equal(await ask(7, question), 'ERR_NOT_A_MEMBER', 'another region')
  t.equal(await ask(0, question, 0), 'ERR_MALFORMED', 'no shard')
  t.equal(await ask(0, Uint8Array.of(1)), 'ERR_INVALID_INPUT')
  const elsewhere = [1, 2, 3].find((group) => !groups.includes(group)) as number
  t.equal(await ask(0, question, elsewhere), 'ERR_NOT_LEADER')
  stage.strangers.add(asker.peerId)
  t.equal(await ask(0, question), 'ERR_NOT_A_MEMBER', 'a stranger')
  stage.strangers.clear()
  await stage.clock.pass(1_000)
  const many = Array.from({ length: softServerLimits.asksPerSecondMax + 5 }, () => ask(0, question))
  const refused = (await Promise.all(many)).filter((code) => code === 'ERR_OVERLOADED')
  t.ok(refused.length >= 4, `${refused.length} of them`)
  t.equal(stage.of(leader).counters.soft?.asksRefused, refused.length)
  await stage.clock.pass(1_000)
  t.equal(await ask(0, question), 'answered', 'a second later')
  const tooMany = Array.from({ length: softClientLimits.questionsMax + 1 }, () => viewersOf(stream))
  await t.rejects(stage.of(asker).ask(tooMany), { code: 'ERR_INVALID_INPUT' })
})

test('a shard that nobody leads is said to be unknown, and the others answer', async (t) => {
  const stage = await stageOf(3, t)
  const alone = stage.members[0] as GroupsMember
  stage.network.isolate(alone.peerId)
  await stage.clock.pass(3_000)
  const [reply] = await stage.clock.result(
    stage.of(alone).ask([viewersOf(stream)], { timeoutMs: 300 }),
  )
  t.match(reply, { type: 'unknown', code: 'ERR_UNAVAILABLE' })
  t.match(await stage.ask('peer-2', viewersOf(stream)), { type: 'viewers' })
})
