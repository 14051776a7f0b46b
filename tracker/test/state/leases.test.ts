/** Leases at the leader: whole time at the start of a term, renewals that a quorum confirmed, ends that are proposed until they happen. */
// biome-ignore-all lint/suspicious/noThenProperty: a transaction's branch is called so, and nobody awaits one.
import fc from 'fast-check'
import { test } from 'tap'
import { encodeCommand } from '../../src/state/encode-command.ts'
import { GroupState } from '../../src/state/group-state.ts'
import { leaseLimits } from '../../src/state/state-limits.ts'
import { ManualClock } from '../support/manual-clock.ts'

const TTL_MS = 10_000
const wholeMs = TTL_MS * (1 + leaseLimits.driftShare)
const confirmed = async (): Promise<void> => undefined

/** A group of one member, whose proposals wait until the test applies them. */
class LeaseStage {
  readonly clock = new ManualClock()
  readonly proposed: Uint8Array[] = []
  readonly state: GroupState
  /** Proposals are carried out while they are made. */
  isAtOnce = false
  term = 1
  index = 0

  constructor() {
    this.state = new GroupState({
      clock: this.clock,
      propose: (command) => {
        if (this.isAtOnce) this.apply(command)
        else this.proposed.push(command)
      },
    })
  }

  lead(term: number | undefined): void {
    if (term !== undefined) this.term = term
    this.state.lead(term)
  }

  apply(command: Uint8Array) {
    this.index += 1
    return this.state.apply({ index: this.index, term: this.term, command })
  }

  grant(ttlMs = TTL_MS): string {
    const result = this.apply(encodeCommand({ type: 'grant-lease', ttlMs }))
    if (result.type !== 'granted') throw new Error(result.type)
    return result.leaseId
  }

  put(key: string, leaseId: string): void {
    const transaction = { then: [{ type: 'put', key, value: Buffer.from(key), leaseId }] } as const
    this.apply(encodeCommand({ type: 'transact', keyspace: 'k', transaction }))
  }

  /** Applies what was proposed. */
  settle(): void {
    for (const command of this.proposed.splice(0)) this.apply(command)
  }

  /** Moves time on, applying what is proposed meanwhile. */
  pass(ms: number): void {
    this.clock.advance(ms)
    this.settle()
  }

  get keys(): string[] {
    return this.state.list('k', '').items.map(({ key }) => key)
  }
}

function leading(): LeaseStage {
  const stage = new LeaseStage()
  stage.lead(1)
  return stage
}

test('a lease ends after its time by the slowest clock, not before', async (t) => {
  const stage = leading()
  const leaseId = stage.grant()
  stage.put('a', leaseId)
  stage.pass(wholeMs - 1)
  t.same(stage.keys, ['a'])
  stage.pass(1)
  t.same(stage.keys, [])
  t.equal(stage.state.status.leases, 0)
  t.equal(stage.clock.timers, 0, 'nothing runs where there is no lease')
  t.equal(stage.state.counters.leasesExpired, 1)
})

test('wall time that jumps ends no lease', async (t) => {
  const stage = leading()
  stage.put('a', stage.grant())
  stage.clock.jumpMs = 3_600_000
  stage.pass(wholeMs - 1)
  t.same(stage.keys, ['a'])
})

test('a renewal begins the time anew, from when it was asked', async (t) => {
  const stage = leading()
  const leaseId = stage.grant()
  stage.put('a', leaseId)
  stage.pass(9_000)
  let confirm = () => undefined as undefined
  const renewal = stage.state.renewLeases(
    [leaseId, 'none'],
    () =>
      new Promise<void>((resolve) => {
        confirm = () => void resolve()
      }),
  )
  stage.pass(3_000)
  t.same(stage.keys, ['a'], 'no end is proposed while the quorum is asked')
  confirm()
  t.same(await renewal, [true, false])
  stage.pass(wholeMs - 3_000 - 1)
  t.same(stage.keys, ['a'])
  stage.pass(1)
  t.same(stage.keys, [])
  t.match(stage.state.status, { renewals: 1, renewalsRefused: 1 })
})

test('no renewal is acknowledged', async (t) => {
  t.test('by a member that does not lead', async () => {
    const stage = new LeaseStage()
    const leaseId = stage.grant()
    await t.rejects(stage.state.renewLeases([leaseId], confirmed), { code: 'ERR_NOT_LEADER' })
  })

  t.test('when the quorum does not confirm', async () => {
    const stage = leading()
    const leaseId = stage.grant()
    const confirm = () => Promise.reject(new Error('no quorum'))
    await t.rejects(stage.state.renewLeases([leaseId], confirm), { message: 'no quorum' })
  })

  for (const next of [undefined, 2]) {
    t.test(`when the term is over before it is confirmed, then ${next}`, async () => {
      const stage = leading()
      const leaseId = stage.grant()
      const confirm = async () => stage.lead(next)
      await t.rejects(stage.state.renewLeases([leaseId], confirm), { code: 'ERR_NOT_LEADER' })
    })
  }

  t.test('once the end was proposed, even if that was lost', async () => {
    const stage = leading()
    const leaseId = stage.grant()
    stage.put('a', leaseId)
    stage.clock.advance(wholeMs)
    t.equal(stage.proposed.splice(0).length, 1)
    t.same(await stage.state.renewLeases([leaseId], confirmed), [false])
    t.same(stage.keys, ['a'])
    stage.pass(leaseLimits.proposeAgainMs)
    t.same(stage.keys, [], 'it was proposed again')
  })

  t.test('when the time is up, or the lease revoked, while the quorum is asked', async () => {
    const stage = leading()
    const slow = stage.grant()
    const late = async () => stage.clock.advance(wholeMs)
    t.same(await stage.state.renewLeases([slow], late), [false], 'its end is proposed')
    const other = stage.grant()
    const revoke = async () => {
      stage.apply(encodeCommand({ type: 'revoke-lease', leaseId: other }))
    }
    t.same(await stage.state.renewLeases([other], revoke), [false])
  })

  t.test('for more leases than a call may have', async () => {
    const leaseIds = Array.from({ length: leaseLimits.renewMax + 1 }, () => '1-1')
    const invalid = { code: 'ERR_INVALID_INPUT' }
    await t.rejects(leading().state.renewLeases(leaseIds, confirmed), invalid)
  })
})

test('a new leader gives every lease its whole time', async (t) => {
  const stage = new LeaseStage()
  stage.put('a', stage.grant())
  t.equal(stage.clock.timers, 0, 'a follower runs no time')
  stage.pass(100_000)
  t.same(stage.keys, ['a'])
  stage.lead(2)
  stage.pass(wholeMs - 1)
  stage.lead(2)
  stage.lead(3)
  stage.pass(wholeMs - 1)
  t.same(stage.keys, ['a'], 'a term of its own is a new leader')
  stage.lead(undefined)
  t.equal(stage.clock.timers, 0)
  stage.pass(100_000)
  t.same(stage.keys, ['a'])
  stage.lead(4)
  stage.pass(wholeMs)
  t.same(stage.keys, [])
})

test('an end that was proposed in an earlier term is void', async (t) => {
  const stage = leading()
  const leaseId = stage.grant()
  stage.put('a', leaseId)
  stage.clock.advance(wholeMs)
  stage.lead(2)
  // It was forwarded to the new leader, and has got an entry of the new term.
  stage.settle()
  t.same(stage.keys, ['a'])
  t.equal(stage.state.counters.expiriesVoid, 1)
  t.same(await stage.state.renewLeases([leaseId], confirmed), [true], 'it lives on')
})

test('a member that was given a snapshot runs the leases in it', async (t) => {
  const stage = leading()
  stage.put('a', stage.grant())
  const other = new LeaseStage()
  other.state.restore(stage.state.snapshot())
  other.lead(2)
  other.pass(5_000)
  other.state.restore(stage.state.snapshot())
  other.pass(wholeMs - 1)
  t.same(other.keys, ['a'])
  other.pass(1)
  t.same(other.keys, [])
})

test('proposals that are carried out at once', async (t) => {
  const stage = leading()
  stage.isAtOnce = true
  for (let i = 0; i < 1_000; i++) stage.put(`${i}`, stage.grant(2_000 + i))
  stage.clock.advance(10_000)
  t.equal(stage.state.status.leases, 0)
  t.equal(stage.clock.timers, 0)
})

test('many leases are one timer, and ends come in batches', async (t) => {
  const stage = leading()
  const count = 20_000
  for (let i = 0; i < count; i++) stage.grant()
  t.equal(stage.clock.timers, 1)
  stage.clock.advance(wholeMs - 1)
  t.equal(stage.state.status.wakes, 0, 'nothing is done while nothing is due')
  stage.clock.advance(1)
  const most = leaseLimits.expireCommandsMax * leaseLimits.expireLeasesMax
  t.equal(stage.state.status.expiriesProposed, most, 'others come in between')
  stage.clock.advance(200)
  t.equal(stage.state.status.expiriesProposed, count)
  t.equal(stage.proposed.length, Math.ceil(count / leaseLimits.expireLeasesMax))
  stage.settle()
  t.equal(stage.state.status.leases, 0)
  t.equal(stage.clock.timers, 0)
})

test('leases with many keys fill a command sooner', async (t) => {
  const stage = leading()
  for (let i = 0; i < 8; i++) {
    const leaseId = stage.grant()
    for (let key = 0; key < 1_500; key++) stage.put(`${i}/${key}`, leaseId)
  }
  stage.clock.advance(wholeMs)
  t.equal(stage.proposed.length, 3)
  stage.settle()
  t.equal(stage.state.status.keys, 0)
  t.equal(stage.state.status.historyFloor, 0)
})

test('any renewals, revocations and passing of time', async () => {
  const action = fc.oneof(
    fc.record({ type: fc.constant('pass' as const), ms: fc.nat(6_000) }),
    fc.record({
      type: fc.constant('grant' as const),
      ttlMs: fc.integer({ min: 2_000, max: 9_000 }),
    }),
    fc.record({ type: fc.constant('renew' as const), lease: fc.nat(30) }),
    fc.record({ type: fc.constant('revoke' as const), lease: fc.nat(30) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 60, size: 'max' }), async (actions) => {
      const stage = leading()
      const leases: { id: string; ttlMs: number; fromMs: number; isRevoked: boolean }[] = []
      const nowMs = () => stage.clock.monotonicMs()
      for (const each of actions) {
        const lease = 'lease' in each ? leases[each.lease % Math.max(1, leases.length)] : undefined
        if (each.type === 'pass') stage.pass(each.ms)
        else if (each.type === 'grant') {
          const id = stage.grant(each.ttlMs)
          stage.put(id, id)
          leases.push({ id, ttlMs: each.ttlMs, fromMs: nowMs(), isRevoked: false })
        } else if (lease !== undefined && each.type === 'renew') {
          const [goesOn] = await stage.state.renewLeases([lease.id], confirmed)
          if (goesOn) lease.fromMs = nowMs()
        } else if (lease !== undefined) {
          stage.apply(encodeCommand({ type: 'revoke-lease', leaseId: lease.id }))
          lease.isRevoked = true
        }
        for (const { id, ttlMs, fromMs, isRevoked } of leases) {
          const isThere = stage.keys.includes(id)
          const passedMs = nowMs() - fromMs
          const isOver = passedMs > ttlMs * 1.1 + 2 * leaseLimits.wakeGapMs
          if (isThere && (isRevoked || isOver)) throw new Error(`${id} outlives its time`)
          if (!isThere && !isRevoked && passedMs < ttlMs * 1.1) throw new Error(`${id} ends early`)
        }
      }
      if (stage.clock.timers > 1) throw new Error('more than one timer')
    }),
    { numRuns: 200 },
  )
})
