/** What all parts of a simulation share: time, the network, the members, and what must hold. */

import { drawFrom } from '../log-stage.ts'
import { MemoryNetwork } from '../memory-network.ts'
import type { Draw } from '../simulated-folder.ts'
import { VirtualClock } from '../virtual-clock.ts'
import { Chronicle } from './chronicle.ts'
import { drawPlan, type Plan } from './plan.ts'
import { groupId, type Life, SimulatedMember } from './simulated-member.ts'
import { WireWatcher } from './wire-watcher.ts'

/** Events after which other work of this process has its turn. */
const EVENTS_AT_ONCE = 4_096
/** What is kept of what drivers say. */
const LOG_LINES_MAX = 20

/** What became of a call. `refused`: nothing was done. `unknown`: it may have been done, or may yet be. */
export type Answer<Value> =
  | { readonly type: 'ok'; readonly value: Value }
  | { readonly type: 'refused'; readonly error: unknown }
  | { readonly type: 'unknown' }

/** The world of one seed. */
export class World {
  readonly plan: Plan
  readonly clock: VirtualClock
  readonly network: MemoryNetwork
  readonly chronicle = new Chronicle()
  readonly wire = new WireWatcher(this.chronicle)
  readonly members: SimulatedMember[] = []
  readonly counts = {
    faults: 0,
    damageNoticed: 0,
    acknowledged: 0,
    reads: 0,
    changes: 0,
    acquired: 0,
    watched: 0,
    doubts: 0,
  }
  /** Draws of the clients; the network, the members and the faults have their own. */
  readonly draw: Draw
  /** Clients begin nothing any more. */
  isEnding = false
  failure: unknown
  /** Parts of the run that have not come to their end. */
  open = 0
  /** See SimulationReport. */
  trace = 0
  /** What the drivers said, the newest last. */
  readonly logged: string[] = []
  readonly #seed: number
  readonly #drawNetwork: Draw
  readonly #drawPlan: Draw
  readonly #onEnded = new Set<(member: SimulatedMember, life: Life) => void>()

  constructor(seed: number) {
    this.#seed = seed
    this.#drawPlan = this.fork(1)
    this.plan = drawPlan(seed, this.#drawPlan)
    this.draw = this.fork(2)
    this.#drawNetwork = this.fork(3)
    this.clock = new VirtualClock({ settled: quickly(), grainMs: 2 })
    this.network = new MemoryNetwork(this.clock)
  }

  /** A stream of numbers of its own, so that one part does not change what another draws. */
  fork(part: number): Draw {
    return drawFrom(Math.imul(this.#seed, 0x9e3779b1) + part * 7919)
  }

  /** Draws for the network: a frame's fate. */
  get drawNetwork(): Draw {
    return this.#drawNetwork
  }

  /** A machine that was never a member. */
  addMember(): SimulatedMember {
    const id = this.members.length + 1
    const member = new SimulatedMember(this, id, {
      rate: this.plan.rate(),
      draw: this.fork(100 + id),
    })
    this.members.push(member)
    return member
  }

  member(id: number): SimulatedMember | undefined {
    return this.members[id - 1]
  }

  /** Members who may be in the group and have a disk. */
  get present(): SimulatedMember[] {
    return this.members.filter(({ status }) => status === 'here')
  }

  /** Does something after a time. */
  later(ms: number, callback: () => void): void {
    this.clock.at(this.clock.nowMs + ms, callback)
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.later(ms, resolve))
  }

  /** Holds something against a promise; a broken one ends the run, whoever catches it on the way. */
  attempt<Result>(check: () => Result): Result {
    try {
      return check()
    } catch (error) {
      this.fail(error)
      throw error
    }
  }

  fail(error: unknown): void {
    this.failure ??= error
  }

  /** Tells when a process ends. */
  onEnded(listener: (member: SimulatedMember, life: Life) => void): void {
    this.#onEnded.add(listener)
  }

  ended(member: SimulatedMember, life: Life): void {
    for (const listener of this.#onEnded) listener(member, life)
  }

  /** A frame leaves. */
  noteFrame(bytes: number): void {
    this.trace = Math.imul(this.trace ^ (bytes + 4_099 * this.clock.nowMs), 0x01000193) >>> 0
  }

  /** A part of the run begins. */
  begin(part: Promise<void>): void {
    this.open += 1
    part.then(
      () => {
        this.open -= 1
      },
      (error: unknown) => this.fail(error),
    )
  }

  /** A driver says something. */
  log(who: string, message: string): void {
    this.logged.push(`${this.clock.nowMs} ${who}: ${message}`)
    if (this.logged.length > LOG_LINES_MAX) this.logged.shift()
  }

  /** Who is where, for people. */
  describe(): string {
    const lines = this.members.map(({ id, status, life }) => {
      if (life === undefined) return `member ${id} ${status}, off`
      const known = life.isUp && life.driver.groupIds.length > 0
      const group = known ? JSON.stringify(life.driver.status(groupId)) : 'no group'
      return `member ${id} ${status} at ${life.state.position}: ${group}`
    })
    return [...lines, `of ${this.chronicle.length} commands`, ...this.logged].join('\n')
  }

  /** Lets time pass; throws what failed meanwhile. */
  async pass(ms: number): Promise<void> {
    await this.clock.pass(ms)
    if (this.failure !== undefined) throw this.failure
  }

  /** Asks a member over a line that loses nothing, but the member may be stopped, killed or cut off from the others. */
  ask<Value>(
    member: SimulatedMember,
    timeoutMs: number,
    work: (life: Life) => Promise<Value>,
  ): Promise<Answer<Value>> {
    const { life } = member
    return new Promise((resolve) => {
      this.later(timeoutMs, () => resolve({ type: 'unknown' }))
      this.later(this.#lineMs(), () => {
        if (life === undefined || !life.isUp || member.life !== life) {
          resolve({ type: 'refused', error: undefined })
          return
        }
        const answer = (given: Answer<Value>) => {
          // An answer leaves while the process lives.
          if (member.life === life) this.later(this.#lineMs(), () => resolve(given))
        }
        life.clock.run(() => {
          if (member.life !== life) return
          work(life).then(
            (value) => answer({ type: 'ok', value }),
            (error: unknown) => answer(outcome(error)),
          )
        })
      })
    })
  }

  #lineMs(): number {
    return this.draw(4) / 2
  }
}

/** What an error says about the call that it ended. */
function outcome(error: unknown): { type: 'refused'; error: unknown } | { type: 'unknown' } {
  const { code } = error as { code?: string }
  return code === 'ERR_UNKNOWN_OUTCOME' ? { type: 'unknown' } : { type: 'refused', error }
}

/**
 * Waits for what happens without time passing: promises, and what waits for the next tick of the process. It does not go round the event
 * loop, which would cost more than all that a member does meanwhile. A long chain of promises may go on in the next millisecond; it
 * does so in every run of the seed.
 */
function quickly(): () => Promise<void> {
  let events = 0
  const executor = (resolve: () => void) => {
    process.nextTick(resolve)
  }
  return () => {
    events += 1
    if (events % EVENTS_AT_ONCE === 0) return new Promise((resolve) => setImmediate(resolve))
    return new Promise<void>(executor)
  }
}
