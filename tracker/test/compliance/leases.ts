/** Leases: what goes with them and when, and locks that are made of them. */
import type { Coordination, FencingToken, Keyspace } from '../../src/coordination.ts'
import type { ComplianceTest, Stage } from './coordination.ts'
import { bytes, put, rejects, takeEvents, textOf } from './helpers.ts'

/** No whole seconds, so that an engine which counts in them must not round down. */
const TTL_MS = 2_300
const OWNERS = 6
const ROUNDS = 3

/** What a lock protects: it remembers the largest token it saw and refuses older ones. */
class FencedResource {
  readonly tokens: FencingToken[] = []
  isInUse = false

  enter(token: FencingToken): string | undefined {
    if (this.isInUse) return 'somebody is in there'
    const last = this.tokens.at(-1)
    const isNewer =
      last === undefined ||
      token.term > last.term ||
      (token.term === last.term && token.index > last.index)
    if (!isNewer) return 'an older token'
    this.tokens.push(token)
    this.isInUse = true
    return undefined
  }
}

/** Takes a lock, waiting by watch while another has it. */
async function lock(keyspace: Keyspace, key: string, leaseId: string): Promise<FencingToken> {
  for (;;) {
    const { succeeded, token, revision } = await keyspace.transact({
      when: [{ key, exists: false }],
      then: [{ type: 'put', key, value: bytes(leaseId), leaseId }],
    })
    if (succeeded) return token
    for await (const { events } of keyspace.watch(key, { after: revision })) {
      if (events.some((event) => event.type === 'deleted' && event.key === key)) break
    }
  }
}

async function ownInTurn(
  coordination: Coordination,
  stage: Stage,
  resource: FencedResource,
): Promise<string | undefined> {
  const keyspace = coordination.keyspace(stage.name)
  const leaseId = await keyspace.grantLease(60_000)
  for (let round = 0; round < ROUNDS; round++) {
    const token = await lock(keyspace, 'lock', leaseId)
    const problem = resource.enter(token)
    if (problem !== undefined) return problem
    await keyspace.get('lock')
    const item = await keyspace.get('lock')
    if (textOf(item) !== leaseId) return 'another holds the lock'
    if (item?.token.index !== token.index) return 'the key carries another token'
    resource.isInUse = false
    await keyspace.transact({
      when: [{ key: 'lock', leaseId }],
      then: [{ type: 'delete', key: 'lock' }],
    })
  }
  return undefined
}

/** Waits until a key is gone, and gives the time that it took. */
async function untilGone(stage: Stage, keyspace: Keyspace, key: string): Promise<number> {
  const from = stage.clock.monotonicMs()
  const { revision, items } = await keyspace.list(key)
  if (items.length === 0) return 0
  for await (const { events } of keyspace.watch(key, { after: revision })) {
    if (events.some((event) => event.type === 'deleted')) break
  }
  return stage.clock.monotonicMs() - from
}

export const leaseTests: readonly ComplianceTest[] = [
  {
    name: 'keys go with their lease, not before its time and not long after it',
    run: async (t, stage) => {
      const keyspace = stage.connect().keyspace(stage.name)
      const asked = stage.clock.monotonicMs()
      const lease = await keyspace.grantLease(TTL_MS)
      await put(keyspace, 'mine/1', 'x', lease)
      await put(keyspace, 'mine/2', 'x', lease)
      const { revision } = await put(keyspace, 'stays', 'x')
      t.equal((await keyspace.get('mine/1'))?.leaseId, lease)
      const batches = await takeEvents(keyspace.watch('', { after: revision }), 2)
      const took = stage.clock.monotonicMs() - asked
      t.ok(took >= TTL_MS, `not before: ${Math.round(took)} ms`)
      t.ok(took <= TTL_MS + stage.leaseSlackMs, `soon after: ${Math.round(took)} ms`)
      t.same(
        batches.flatMap(({ events }) => events.map((e) => e.type === 'deleted' && e.key)).sort(),
        ['mine/1', 'mine/2'],
      )
      t.equal(batches.length, 1, 'all at once')
      t.equal(textOf(await keyspace.get('stays')), 'x')
      await rejects(t, keyspace.renewLease(lease), 'ERR_LEASE_NOT_FOUND', 'it is over')
      await rejects(t, put(keyspace, 'late', 'x', lease), 'ERR_LEASE_NOT_FOUND', 'nothing joins it')
      t.equal(await keyspace.get('late'), undefined)
    },
  },
  {
    name: 'a renewal begins the time anew, and only a renewal does',
    run: async (t, stage) => {
      const keyspace = stage.connect().keyspace(stage.name)
      const lease = await keyspace.grantLease(TTL_MS)
      await put(keyspace, 'key', 'x', lease)
      let renewed = 0
      for (let i = 0; i < 3; i++) {
        await stage.wait(TTL_MS * 0.6)
        renewed = stage.clock.monotonicMs()
        await keyspace.renewLease(lease)
      }
      t.equal(textOf(await keyspace.get('key')), 'x', 'it outlived its first time')
      // Being used is no renewal.
      await stage.wait(TTL_MS * 0.4)
      await put(keyspace, 'key', 'y', lease)
      await untilGone(stage, keyspace, 'key')
      const took = stage.clock.monotonicMs() - renewed
      t.ok(took >= TTL_MS, `not before: ${Math.round(took)} ms`)
      t.ok(took <= TTL_MS + stage.leaseSlackMs, `soon after: ${Math.round(took)} ms`)
    },
  },
  {
    name: 'concurrent renewals are answered each',
    run: async (t, { connect, name }) => {
      const keyspace = connect().keyspace(name)
      const leases = await Promise.all(Array.from({ length: 5 }, () => keyspace.grantLease(30_000)))
      t.equal(new Set(leases).size, leases.length, 'every lease is another')
      await keyspace.revokeLease(leases[2] as string)
      const answers = await Promise.all(
        [...leases, ...leases].map((lease) =>
          keyspace.renewLease(lease).then(
            () => 'renewed',
            (error: { code?: string }) => error.code,
          ),
        ),
      )
      const gone = 'ERR_LEASE_NOT_FOUND'
      const expected = ['renewed', 'renewed', gone, 'renewed', 'renewed']
      t.same(answers, [...expected, ...expected])
    },
  },
  {
    name: 'a revoked lease takes its keys at once',
    run: async (t, { connect, name }) => {
      const [one, two] = [connect().keyspace(name), connect().keyspace(name)]
      const lease = await one.grantLease(60_000)
      await put(one, 'a', 'x', lease)
      await put(one, 'b', 'x', lease)
      await two.revokeLease(lease)
      t.same((await one.list('')).items, [])
      await one.revokeLease(lease)
      await one.revokeLease('987654321')
      t.pass('one that is not there is no error')
      await rejects(t, one.renewLease(lease), 'ERR_LEASE_NOT_FOUND', 'renewed')
      await rejects(t, one.renewLease('987654321'), 'ERR_LEASE_NOT_FOUND', 'one that never was')
      const late = one.transact({
        then: [
          { type: 'put', key: 'free', value: bytes('x') },
          { type: 'put', key: 'c', value: bytes('x'), leaseId: lease },
        ],
      })
      await rejects(t, late, 'ERR_LEASE_NOT_FOUND', 'put with it')
      t.same((await two.list('')).items, [], 'nothing of that transaction was done')
    },
  },
  {
    name: 'a key goes with the lease that it was put with last',
    run: async (t, { connect, name }) => {
      const keyspace = connect().keyspace(name)
      const [first, second] = [await keyspace.grantLease(60_000), await keyspace.grantLease(60_000)]
      await put(keyspace, 'freed', 'x', first)
      await put(keyspace, 'freed', 'y')
      await put(keyspace, 'moved', 'x', first)
      await put(keyspace, 'moved', 'y', second)
      await put(keyspace, 'again', 'x', first)
      await put(keyspace, 'again', 'y', first)
      await keyspace.revokeLease(first)
      const left = await keyspace.list('')
      t.same(
        left.items.map((item) => [item.key, item.leaseId]),
        [
          ['freed', undefined],
          ['moved', second],
        ],
      )
      await keyspace.revokeLease(second)
      t.same(
        (await keyspace.list('')).items.map(({ key }) => key),
        ['freed'],
      )
    },
  },
  {
    name: 'a lock has one owner at a time, and each a larger token',
    run: async (t, stage) => {
      const resource = new FencedResource()
      const clients = Array.from({ length: OWNERS }, () => stage.connect())
      const problems = await Promise.all(
        clients.map((client) => ownInTurn(client, stage, resource)),
      )
      t.same(
        problems.filter((problem) => problem !== undefined),
        [],
      )
      t.equal(resource.tokens.length, OWNERS * ROUNDS, 'everybody had it')
    },
  },
  {
    name: 'whoever waits gets the lock of an owner that renews no longer',
    run: async (t, stage) => {
      const [one, two] = [
        stage.connect().keyspace(stage.name),
        stage.connect().keyspace(stage.name),
      ]
      const asked = stage.clock.monotonicMs()
      const first = await lock(one, 'lock', await one.grantLease(TTL_MS))
      const second = await lock(two, 'lock', await two.grantLease(60_000))
      const took = stage.clock.monotonicMs() - asked
      t.ok(took >= TTL_MS && took <= TTL_MS + stage.leaseSlackMs, `after ${Math.round(took)} ms`)
      const isLater =
        second.term > first.term || (second.term === first.term && second.index > first.index)
      t.ok(isLater, 'and its token is larger')
    },
  },
]
