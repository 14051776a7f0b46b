// One peer owns a stream at a time, by a real region in memory and in virtual time: who waits, who is refused, who ends.
import { CurrentCoordination } from '@kairo/tracker/program'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { groupOf } from '../../../tracker/src/region/shard-of.ts'
import { type GroupsClient, GroupsStage } from '../../../tracker/test/support/groups-stage.ts'
import type { Numbers } from '../../src/coordination/held-stream.ts'
import { StreamLeases, type TakenStream } from '../../src/coordination/stream-leases.ts'
import { type OwnedStream, StreamOwners } from '../../src/coordination/stream-owners.ts'
import { KairoError } from '../../src/errors.ts'
import { streamLeaseLimits as limits } from '../../src/limits/stream-leases.ts'
import { silentLogger } from '../../src/logger.ts'
import { metricOf } from '../support/registry-value.ts'

const stream = 'k51live'
const space = `streams/${stream}`
const none: Numbers = { nextMsn: 0, discontinuitySequence: 0 }

/** A region and the peers that publish through it. */
class Stage extends GroupsStage {
  /** Peers that nobody has a connection to. */
  readonly unreachable = new Set<string>()
  /** What records say of the stream's owner. */
  heardOwner: string | undefined

  static async make(): Promise<Stage> {
    const stage = new Stage()
    await stage.found(3, [groupOf(space)])
    return stage
  }

  peer(peerId?: string): Peer {
    return new Peer(this, peerId)
  }

  /** The region answers nobody. */
  cutOff(): void {
    for (const { peerId } of this.members) this.network.isolate(peerId)
  }
}

/** A peer with the stream's key. */
class Peer {
  readonly peerId: string
  readonly client: GroupsClient
  readonly registry = new Registry()
  readonly leases: StreamLeases
  changes = 0
  /** False as before its tracker has come up. */
  isInRegion = true
  readonly #stage: Stage

  constructor(stage: Stage, peerId?: string) {
    this.#stage = stage
    this.client = stage.connect()
    this.peerId = peerId ?? this.client.peerId
    this.leases = new StreamLeases({
      clock: this.client.clock,
      logger: silentLogger,
      registry: this.registry,
      coordination: new CurrentCoordination(() =>
        this.isInRegion ? this.client.coordination : undefined,
      ),
      peerId: this.peerId,
      isConnected: (other) => !stage.unreachable.has(other),
      heardOwner: () => stage.heardOwner,
    })
  }

  ask(
    init: { numbers?: Numbers; signal?: AbortSignal; waitMsMax?: number } = {},
  ): Promise<TakenStream> {
    return this.leases.take(stream, {
      numbers: none,
      signal: new AbortController().signal,
      waitMsMax: 60_000,
      onChange: () => {
        this.changes += 1
      },
      ...init,
    })
  }

  take(init: Parameters<Peer['ask']>[0] = {}): Promise<TakenStream> {
    return this.#stage.clock.result(this.ask(init))
  }

  owners(ids: readonly string[] = [stream]): Promise<OwnedStream[]> {
    const { coordination } = this.client
    const owners = new StreamOwners({ coordination, peerId: this.peerId, leases: this.leases })
    return this.#stage.clock.result(owners.read(ids))
  }

  /** As a SIGKILL: nothing is said any more. */
  kill(): void {
    this.#stage.network.isolate(this.client.peerId)
    this.#stage.unreachable.add(this.peerId)
    this.client.clock.pause()
  }

  async states(): Promise<readonly [confirmed: number, unconfirmed: number]> {
    const name = 'kairo_stream_leases'
    return [
      await metricOf(this.registry, name, { state: 'confirmed' }),
      await metricOf(this.registry, name, { state: 'unconfirmed' }),
    ]
  }
}

/** Another stream of the one shard that this region has. */
const neighbour = Array.from({ length: 1_000 }, (_, index) => `k51other${index}`).find(
  (id) => groupOf(`streams/${id}`) === groupOf(space),
) as string

/** As the owner, another peer, and one that is cut off see it. */
async function ownerIsTold(t: Test, stage: Stage, a: Peer, b: Peer): Promise<void> {
  const [own] = await a.owners()
  t.match(own, { id: stream, state: 'owned', isSelf: true, owner: { peerId: a.peerId } })
  const leftMs = own?.leftMs ?? 0
  t.ok(leftMs > limits.ttlMs / 2 && leftMs < limits.ttlMs, `${leftMs} ms`)
  const [other, nobody] = await b.owners([stream, neighbour])
  t.match(other, { state: 'owned', isSelf: false, owner: { peerId: a.peerId }, token: own?.token })
  t.equal(other?.leftMs, undefined, 'only its owner knows')
  t.match(nobody, { id: neighbour, state: 'free', owner: undefined, token: undefined })
  const c = stage.peer()
  stage.network.isolate(c.client.peerId)
  const [unknown] = await c.owners()
  t.match(unknown, { state: 'unknown', owner: undefined, problem: /\w/ })
}

function isLater(token: TakenStream['token'], before: TakenStream['token']): boolean {
  if (token === undefined || before === undefined) return false
  return token.term > before.term || (token.term === before.term && token.index > before.index)
}

test('while one peer publishes a stream, another one is refused at once and told by whom', async (t) => {
  const stage = await Stage.make()
  const [a, b] = [stage.peer(), stage.peer()]
  const owned = await a.take()
  t.ok(owned.isConfirmed)
  t.ok(stage.clock.nowMs < 2_000)
  await stage.clock.pass(limits.ttlMs * 5)
  const beforeMs = stage.clock.nowMs
  await t.rejects(b.take(), {
    code: 'ERR_PUBLISHER_ACTIVE',
    message: `the peer ${a.peerId} publishes this stream`,
  })
  t.ok(stage.clock.nowMs - beforeMs < 100, `${stage.clock.nowMs - beforeMs} ms`)
  t.notOk(owned.lost.aborted)
  t.same(await a.states(), [1, 0])
  t.same(await b.states(), [0, 0])
  await ownerIsTold(t, stage, a, b)
  t.equal(await metricOf(b.registry, 'kairo_stream_leases_refused_total'), 1)
  await stage.stop()
})

test('the peer that takes over from a killed one waits for its lease, and numbers go on above', async (t) => {
  const stage = await Stage.make()
  const [a, b] = [stage.peer(), stage.peer()]
  const first = await a.take({ numbers: { nextMsn: 10, discontinuitySequence: 2 } })
  t.same(first.numbers, { nextMsn: 10, discontinuitySequence: 2 })
  // Far beyond the first block, one segment after the other.
  for (let nextMsn = 11; nextMsn <= 210; nextMsn++) {
    first.use({ nextMsn, discontinuitySequence: 3 })
    await stage.clock.pass(50)
  }
  a.kill()
  const killedMs = stage.clock.nowMs
  const second = await b.take()
  const waitedMs = stage.clock.nowMs - killedMs
  t.ok(waitedMs > limits.ttlMs / 2 && waitedMs < limits.ttlMs * 1.5, `${waitedMs} ms`)
  t.ok(second.isConfirmed)
  t.ok(isLater(second.token, first.token))
  const { nextMsn, discontinuitySequence } = second.numbers
  t.ok(nextMsn >= 210 && nextMsn <= 210 + limits.sequenceBlock, `${nextMsn}`)
  t.ok(discontinuitySequence >= 3, `${discontinuitySequence}`)
  await stage.stop()
})

test('whoever has published further than the region knows goes on from its own numbers', async (t) => {
  const stage = await Stage.make()
  const [a, b] = [stage.peer(), stage.peer()]
  const first = await a.take({ numbers: { nextMsn: 5, discontinuitySequence: 0 } })
  first.release()
  const second = await b.take({ numbers: { nextMsn: 1_000, discontinuitySequence: 0 } })
  t.equal(second.numbers.nextMsn, 1_000)
  second.release()
  t.equal((await a.take()).numbers.nextMsn, 1_000)
  await stage.stop()
})

test('a stream that is let go is free at once, and unused numbers come back', async (t) => {
  const stage = await Stage.make()
  const [a, b] = [stage.peer(), stage.peer()]
  const first = await a.take()
  first.use({ nextMsn: 3, discontinuitySequence: 1 })
  first.release()
  first.release()
  await stage.clock.pass(20)
  const second = await b.take()
  t.same(second.numbers, { nextMsn: 3, discontinuitySequence: 1 })
  t.ok(isLater(second.token, first.token))
  t.notOk(first.lost.aborted, 'nobody took it away')
  await stage.stop()
})

test('an owner that cannot be reached but renews is not waited for without end', async (t) => {
  const stage = await Stage.make()
  const [a, b] = [stage.peer(), stage.peer()]
  await a.take()
  stage.unreachable.add(a.peerId)
  let beforeMs = stage.clock.nowMs
  await t.rejects(b.take(), { code: 'ERR_PUBLISHER_ACTIVE' })
  t.ok(Math.abs(stage.clock.nowMs - beforeMs - limits.waitMsMax) < 100)
  beforeMs = stage.clock.nowMs
  await t.rejects(b.take({ waitMsMax: 700 }), { code: 'ERR_PUBLISHER_ACTIVE' })
  t.ok(Math.abs(stage.clock.nowMs - beforeMs - 700) < 100, 'less where the publisher waits less')
  await stage.clock.pass(limits.ttlMs * 2)
  const state = stage.leader(space).state(groupOf(space))
  t.same([state.status.leases, state.status.watches], [1, 0], 'waiting leaves nothing behind')
  await stage.stop()
})

test('a peer that was killed and is back does not wait for itself', async (t) => {
  const stage = await Stage.make()
  const a = stage.peer()
  const first = await a.take()
  first.use({ nextMsn: 40, discontinuitySequence: 0 })
  await stage.clock.pass(100)
  a.kill()
  stage.unreachable.clear()
  const back = stage.peer(a.peerId)
  const beforeMs = stage.clock.nowMs
  const second = await back.take({ numbers: { nextMsn: 64, discontinuitySequence: 0 } })
  t.ok(stage.clock.nowMs - beforeMs < 200, `${stage.clock.nowMs - beforeMs} ms`)
  t.ok(isLater(second.token, first.token))
  t.ok(second.numbers.nextMsn >= 64)
  await stage.clock.pass(limits.ttlMs * 3)
  t.notOk(second.lost.aborted)
  t.ok(second.isConfirmed, 'the end of the lease before takes nothing with it')
  await stage.stop()
})

test('without a quorum a publisher is taken unconfirmed, and confirmed as soon as there is one', async (t) => {
  const stage = await Stage.make()
  const [a, b] = [stage.peer(), stage.peer()]
  stage.cutOff()
  const beforeMs = stage.clock.nowMs
  const taken = await a.take({ numbers: { nextMsn: 7, discontinuitySequence: 0 } })
  t.ok(stage.clock.nowMs - beforeMs <= limits.answerMsMax)
  t.notOk(taken.isConfirmed)
  t.equal(taken.token, undefined)
  t.same(await a.states(), [0, 1])
  taken.use({ nextMsn: 300, discontinuitySequence: 0 })
  await stage.clock.pass(30_000)
  t.notOk(taken.lost.aborted)
  stage.network.heal()
  await stage.clock.until(() => taken.isConfirmed, 20_000)
  t.ok(taken.token)
  t.equal(a.changes, 1)
  t.same(await a.states(), [1, 0])
  await t.rejects(b.take(), { code: 'ERR_PUBLISHER_ACTIVE' })
  taken.release()
  await stage.clock.pass(20)
  t.equal((await b.take()).numbers.nextMsn, 300, 'what was used unconfirmed is told')
  await stage.stop()
})

test('without a quorum nobody writes over an owner that is heard and can be reached', async (t) => {
  const stage = await Stage.make()
  const a = stage.peer()
  stage.cutOff()
  stage.heardOwner = 'b'
  const refused = { code: 'ERR_PUBLISHER_ACTIVE', message: 'the peer b publishes this stream' }
  const beforeMs = stage.clock.nowMs
  await t.rejects(a.take(), refused)
  t.ok(stage.clock.nowMs - beforeMs >= limits.answerMsMax, 'the region is asked first')
  t.same(await a.states(), [0, 0])
  t.equal(await metricOf(a.registry, 'kairo_stream_leases_refused_total'), 1)
  stage.unreachable.add('b')
  t.notOk((await a.take()).isConfirmed, 'one that cannot be reached may be gone')
  await stage.stop()
})

test('a peer that just started waits a moment for its region, which decides whatever is heard', async (t) => {
  const stage = await Stage.make()
  const a = stage.peer()
  a.isInRegion = false
  stage.heardOwner = 'b'
  const asked = a.ask()
  await stage.clock.pass(limits.answerMsMax / 2)
  a.isInRegion = true
  t.ok((await stage.clock.result(asked)).isConfirmed)
  t.equal(a.changes, 0, 'it was never anything else')
  await stage.stop()
})

test('of two that published without a quorum one ends when it is back', async (t) => {
  const stage = await Stage.make()
  const [a, b] = [stage.peer(), stage.peer()]
  stage.cutOff()
  const both = [await a.take(), await b.take()]
  t.notOk(both.some(({ isConfirmed }) => isConfirmed))
  stage.network.heal()
  await stage.clock.until(() => both.some(({ lost }) => lost.aborted), 30_000)
  const [winner, loser] = both[0]?.lost.aborted ? [both[1], both[0]] : [both[0], both[1]]
  t.ok(winner?.isConfirmed)
  t.notOk(winner?.lost.aborted)
  t.match(loser?.lost.reason, { code: 'ERR_PUBLISHER_ACTIVE', message: /publishes this stream$/ })
  const lost = await Promise.all(
    [a, b].map(({ registry }) => metricOf(registry, 'kairo_stream_leases_lost_total')),
  )
  t.same(lost.sort(), [0, 1])
  await stage.stop()
})

test('an owner that loses the region goes on, until another one is the owner', async (t) => {
  const stage = await Stage.make()
  const [a, b] = [stage.peer(), stage.peer()]
  const first = await a.take()
  stage.network.isolate(a.client.peerId)
  await stage.clock.until(() => !first.isConfirmed, limits.ttlMs)
  t.notOk(first.lost.aborted)
  t.ok(first.token, 'its token stays: it was the owner')
  t.same(await a.states(), [0, 1])
  stage.network.heal()
  await stage.clock.until(() => first.isConfirmed, 10_000)
  t.notOk(first.lost.aborted, 'nobody else was the owner')

  stage.network.isolate(a.client.peerId)
  stage.unreachable.add(a.peerId)
  const second = await b.take()
  t.ok(isLater(second.token, first.token))
  t.notOk(first.isConfirmed, 'it knew before')
  t.notOk(first.lost.aborted, 'it cannot know yet')
  stage.network.heal()
  await stage.clock.until(() => first.lost.aborted, 10_000)
  t.equal((first.lost.reason as KairoError).message, `the peer ${b.peerId} publishes this stream`)
  t.notOk(second.lost.aborted)
  await stage.stop()
})

test('a publication ends when its numbers were used by another one that has gone again', async (t) => {
  const stage = await Stage.make()
  const [a, b] = [stage.peer(), stage.peer()]
  stage.network.isolate(a.client.peerId)
  const cutOff = await a.take()
  const other = await b.take()
  other.use({ nextMsn: 5, discontinuitySequence: 0 })
  other.release()
  await stage.clock.pass(20)
  stage.network.heal()
  await stage.clock.until(() => cutOff.lost.aborted, 10_000)
  t.match(cutOff.lost.reason, { message: /published this stream meanwhile/ })
  t.equal((await a.take()).numbers.nextMsn, 5, 'the next one goes on above')
  await stage.stop()
})

test('whoever is gone before it was admitted leaves nothing behind', async (t) => {
  const stage = await Stage.make()
  const [a, b] = [stage.peer(), stage.peer()]
  const first = await a.take()
  stage.unreachable.add(a.peerId)
  const gone = new AbortController()
  const asked = b.ask({ signal: gone.signal })
  await stage.clock.pass(500)
  const reason = new KairoError('ERR_STOPPED', 'the client has gone')
  gone.abort(reason)
  await t.rejects(stage.clock.result(asked), reason)
  await t.rejects(b.take({ signal: gone.signal }), reason, 'nor one that was gone at once')
  first.release()
  await stage.clock.pass(limits.ttlMs * 2)
  const state = stage.leader(space).state(groupOf(space))
  t.same([state.status.leases, state.status.watches], [0, 0])
  t.same(await b.states(), [0, 0])
  await stage.stop()
})

test('a peer that stops lets its streams go, and takes none any more', async (t) => {
  const stage = await Stage.make()
  const [a, b] = [stage.peer(), stage.peer()]
  await a.take()
  await stage.clock.result(a.leases.stop())
  await t.rejects(a.ask(), { code: 'ERR_STOPPED' })
  t.ok((await b.take()).isConfirmed)
  stage.cutOff()
  const beforeMs = stage.clock.nowMs
  await stage.clock.result(b.leases.stop())
  t.ok(stage.clock.nowMs - beforeMs <= limits.releaseMsMax, 'bounded where nobody answers')
  await stage.stop()
})

test('what is in the region and is none of ours stops nobody for good', async (t) => {
  const stage = await Stage.make()
  const [a, other] = [stage.peer(), stage.connect()]
  const keyspace = other.coordination.keyspace(space)
  const put = (key: string) => ({ type: 'put' as const, key, value: Buffer.from('{"x":1}') })
  await stage.clock.result(keyspace.transact({ then: [put('sequence')] }))
  const taken = await a.take({ numbers: { nextMsn: 9, discontinuitySequence: 0 } })
  t.same(taken.numbers.nextMsn, 9)
  taken.release()
  await stage.clock.pass(20)
  await stage.clock.result(keyspace.transact({ then: [put('owner')] }))
  await t.rejects(a.take(), { message: 'another peer publishes this stream' })
  await stage.stop()
})
