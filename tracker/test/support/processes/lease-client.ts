/** A client that takes a lock with a lease of a real region, renews it while it works, and gives it up or forgets it. */
// biome-ignore-all lint/suspicious/noThenProperty: a transaction's branch is called so, and nobody awaits one.
import { setTimeout as delay } from 'node:timers/promises'
import { coordinationLimits, type FencingToken, type Keyspace } from '../../../src/coordination.ts'
import { TrackerError, type TrackerErrorCode } from '../../../src/errors.ts'
import type { Draw } from '../simulated-folder.ts'
import type { LockRecord } from '../simulation/locks.ts'
import { Violation } from '../simulation/violation.ts'

const LOCK = 'lock'
const CALL_MS = 800
const TTL_MS = coordinationLimits.leaseMsMin
const TURN_MS_MAX = 120

interface Held {
  readonly leaseId: string
  /** Until when it may count on the lease, by the clock that all clients share. */
  untilMs: number
}

type Answer<Value> = { readonly value: Value } | { readonly code: TrackerErrorCode }

/** One client. */
export class LeaseClient {
  readonly counts = { acquired: 0, renewed: 0 }
  readonly #keyspace: Keyspace
  readonly #record: LockRecord
  readonly #name: string
  readonly #draw: Draw

  constructor(keyspace: Keyspace, record: LockRecord, name: string, draw: Draw) {
    this.#keyspace = keyspace
    this.#record = record
    this.#name = name
    this.#draw = draw
  }

  /** Takes turns with the others until it is over. @throws Violation when two believe at one time, or a token goes back */
  async run(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      await delay(this.#draw(TURN_MS_MAX))
      const held = await this.#grant()
      if (held === undefined) continue
      const token = await this.#acquire(held)
      if (token !== undefined) await this.#hold(held, token, over)
      this.#record.end(this.#name)
      // Some leave theirs to its end.
      if (this.#draw(3) > 0) {
        await this.#call((options) => this.#keyspace.revokeLease(held.leaseId, options))
      }
    }
  }

  async #grant(): Promise<Held | undefined> {
    const askedMs = performance.now()
    const answer = await this.#call((options) => this.#keyspace.grantLease(TTL_MS, options))
    return 'value' in answer ? { leaseId: answer.value, untilMs: askedMs + TTL_MS } : undefined
  }

  /** The lock's token, when it has it. */
  async #acquire(held: Held): Promise<FencingToken | undefined> {
    const { leaseId } = held
    const put = { type: 'put', key: LOCK, value: Buffer.from(this.#name), leaseId } as const
    const answer = await this.#call((options) =>
      this.#keyspace.transact({ when: [{ key: LOCK, exists: false }], then: [put] }, options),
    )
    let token: FencingToken | undefined
    if ('value' in answer) token = answer.value.succeeded ? answer.value.token : undefined
    else if (answer.code === 'ERR_UNKNOWN_OUTCOME') token = await this.#look(leaseId)
    const nowMs = performance.now()
    if (token === undefined || nowMs >= held.untilMs) return undefined
    this.#record.begin(nowMs, {
      ...{ holder: this.#name, leaseId, token },
      untilMs: held.untilMs,
    })
    this.counts.acquired += 1
    return token
  }

  async #look(leaseId: string): Promise<FencingToken | undefined> {
    const answer = await this.#call((options) => this.#keyspace.get(LOCK, options))
    if (!('value' in answer) || answer.value?.leaseId !== leaseId) return undefined
    return answer.value.token
  }

  /** Works for some turns, and renews before each. */
  async #hold(held: Held, token: FencingToken, over: AbortSignal): Promise<void> {
    for (let turns = this.#draw(6); turns > 0 && !over.aborted; turns--) {
      const askedMs = performance.now()
      const answer = await this.#call((options) => this.#keyspace.renewLease(held.leaseId, options))
      // An answer that came too late begins nothing again.
      if (performance.now() >= held.untilMs) break
      if ('value' in answer) {
        held.untilMs = Math.max(held.untilMs, askedMs + TTL_MS)
        this.#record.extend(performance.now(), this.#name, held.untilMs)
        this.counts.renewed += 1
      } else if (answer.code === 'ERR_LEASE_NOT_FOUND') {
        throw new Violation(`leases: ${this.#name} lost ${held.leaseId} before its end`)
      }
      this.#record.write(this.#name, token)
      await delay(this.#draw(TURN_MS_MAX))
      if (performance.now() >= held.untilMs) break
    }
  }

  async #call<Value>(
    ask: (options: { timeoutMs: number }) => Promise<Value>,
  ): Promise<Answer<Value>> {
    try {
      return { value: await ask({ timeoutMs: CALL_MS }) }
    } catch (error) {
      if (error instanceof TrackerError) return { code: error.code }
      throw error
    }
  }
}
