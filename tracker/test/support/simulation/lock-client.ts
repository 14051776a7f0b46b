/** A client that takes a lock with a lease, works under it for as long as it believes, renews, gives it up or forgets it. */
// biome-ignore-all lint/suspicious/noThenProperty: a transaction's branch is called so, and nobody awaits one.
import type { FencingToken, KeyValue } from '../../../src/coordination.ts'
import type { CommandResult } from '../../../src/state/commands.ts'
import { encodeCommand } from '../../../src/state/encode-command.ts'
import type { Draw } from '../simulated-folder.ts'
import { keyspace } from './chronicle.ts'
import type { LockRecord } from './locks.ts'
import { Route } from './route.ts'
import { groupId, type Life } from './simulated-member.ts'
import type { Answer, World } from './world.ts'

/** The lock's key. */
export const lockKey = 'lock'
const encoder = new TextEncoder()
const TIMEOUT_MS = 600

interface Held {
  readonly leaseId: string
  readonly ttlMs: number
  /** Until when it may count on the lease, by its own clock. */
  untilMs: number
}

/** One client. Its clock runs at most a tenth slower than any member's. */
export class LockClient {
  readonly #world: World
  readonly #record: LockRecord
  readonly #name: string
  readonly #draw: Draw
  readonly #route: Route
  readonly #rate: number
  #lease: Held | undefined
  #isHolding = false

  constructor(world: World, record: LockRecord, number: number) {
    this.#world = world
    this.#record = record
    this.#name = `owner ${number}`
    this.#draw = world.fork(300 + number)
    this.#rate = 1 + this.#draw(101) / 1000
    this.#route = new Route(world, this.#draw)
  }

  /** Takes turns with the others until the run ends. */
  async run(): Promise<void> {
    while (!this.#world.isEnding) {
      await this.#world.sleep(20 + this.#draw(200))
      await this.#grant()
      const token = await this.#acquire()
      if (token !== undefined) await this.#hold(token)
      await this.#letGo()
    }
  }

  get #ownMs(): number {
    return this.#world.clock.nowMs * this.#rate
  }

  async #grant(): Promise<void> {
    const ttlMs = 2_000 + this.#draw(500)
    const askedMs = this.#ownMs
    const answer = await this.#propose(encodeCommand({ type: 'grant-lease', ttlMs }))
    if (answer.type !== 'ok' || answer.value.type !== 'granted') return
    const { leaseId } = answer.value
    this.#lease = { leaseId, ttlMs, untilMs: askedMs + ttlMs }
  }

  /** Tries until it has the lock, or its lease is over. */
  async #acquire(): Promise<FencingToken | undefined> {
    const lease = this.#lease
    if (lease === undefined) return undefined
    const { leaseId } = lease
    const command = encodeCommand({
      ...{ type: 'transact', keyspace },
      transaction: {
        when: [{ key: lockKey, exists: false }],
        then: [{ type: 'put', key: lockKey, value: encoder.encode(this.#name), leaseId }],
      },
    })
    while (!this.#world.isEnding && this.#ownMs < lease.untilMs) {
      const answer = await this.#propose(command)
      if (answer.type === 'ok' && answer.value.type === 'refused') return undefined
      if (answer.type === 'ok' && answer.value.type === 'transacted' && answer.value.succeeded)
        return this.#begin(lease, answer.value.token)
      if (answer.type === 'unknown') {
        const item = await this.#look()
        if (item?.leaseId === leaseId) return this.#begin(lease, item.token)
      }
      await this.#world.sleep(30 + this.#draw(100))
      await this.#renew(lease)
    }
    return undefined
  }

  #begin(lease: Held, token: FencingToken): FencingToken | undefined {
    if (this.#ownMs >= lease.untilMs) return undefined
    this.#world.counts.acquired += 1
    const belief = {
      ...{ holder: this.#name, leaseId: lease.leaseId, token },
      untilMs: lease.untilMs / this.#rate,
    }
    this.#isHolding = true
    this.#world.attempt(() => this.#record.begin(this.#world.clock.nowMs, belief))
    return token
  }

  async #hold(token: FencingToken): Promise<void> {
    const lease = this.#lease as Held
    // Some forget to renew, some give up soon.
    const renewals = this.#draw(6)
    const isForgetful = this.#draw(3) === 0
    for (let at = 0; at < renewals || isForgetful; at++) {
      await this.#world.sleep(lease.ttlMs / 5)
      if (this.#world.isEnding || this.#ownMs >= lease.untilMs) break
      this.#world.attempt(() => this.#record.write(this.#name, token))
      if (at < renewals && !(await this.#renew(lease))) break
    }
    this.#stop()
  }

  #stop(): void {
    this.#isHolding = false
    this.#record.end(this.#name)
  }

  /** Returns false when the lease is lost. */
  async #renew(lease: Held): Promise<boolean> {
    const askedMs = this.#ownMs
    const { leaseId, ttlMs } = lease
    const answer = await this.#route.ask(TIMEOUT_MS, ({ driver, state }) =>
      state.state.renewLeases([leaseId], () => driver.barrier(groupId)),
    )
    if (answer.type !== 'ok') return true
    if (answer.value[0] !== true) {
      lease.untilMs = 0
      this.#stop()
      return false
    }
    // An answer that came too late begins nothing again.
    if (this.#ownMs >= lease.untilMs) return true
    lease.untilMs = Math.max(lease.untilMs, askedMs + ttlMs)
    const untilMs = lease.untilMs / this.#rate
    if (this.#isHolding)
      this.#world.attempt(() => this.#record.extend(this.#world.clock.nowMs, this.#name, untilMs))
    return true
  }

  /** Gives the lease back, or leaves it to its end. */
  async #letGo(): Promise<void> {
    const lease = this.#lease
    this.#lease = undefined
    this.#stop()
    if (lease === undefined || this.#draw(3) === 0) return
    await this.#propose(encodeCommand({ type: 'revoke-lease', leaseId: lease.leaseId }))
  }

  async #look(): Promise<KeyValue | undefined> {
    const answer = await this.#route.ask(TIMEOUT_MS, async ({ driver, state }) => {
      await driver.barrier(groupId)
      return state.state.get(keyspace, lockKey)
    })
    return answer.type === 'ok' ? answer.value : undefined
  }

  #propose(command: Uint8Array): Promise<Answer<CommandResult>> {
    return this.#route.ask(
      TIMEOUT_MS,
      ({ driver }: Life) => driver.propose(groupId, command) as Promise<CommandResult>,
    )
  }
}
