/**
 * How a run ends: everything heals, and within a bounded time the group is whole again, serves whoever asks it at any member, and does
 * so once more after all machines lost their power at once.
 */
import type { FaultMaker } from './fault-maker.ts'
import { MapClient, type MapHistory } from './map-client.ts'
import { Membership } from './membership.ts'
import { groupId, type SimulatedMember } from './simulated-member.ts'
import { promise } from './violation.ts'
import type { World } from './world.ts'

const TICK_MS = 10
/** Ticks in which a healed group must be whole again. A snapshot that got stuck is given up after a tenth of it. */
const TICKS_MAX = 1_000
/** Numbers of clients that come last. */
const FIRST_CLIENT = 100

/** The end of a run. */
export class Ending {
  readonly #world: World
  readonly #history: MapHistory
  readonly #faults: FaultMaker
  readonly #membership: Membership
  #clients = FIRST_CLIENT

  constructor(world: World, history: MapHistory, faults: FaultMaker) {
    this.#world = world
    this.#history = history
    this.#faults = faults
    this.#membership = new Membership(world)
  }

  /** Goes through all of it. @throws Violation */
  async run(): Promise<void> {
    const world = this.#world
    world.isEnding = true
    this.#faults.heal()
    await this.#until('the clients come to an end', () => world.open === 0)
    await this.#until('the group is whole', () => this.#isWhole)
    for (const member of this.#inside) await this.#serve(member)
    for (const member of world.present) member.losePower()
    for (const member of world.present) void member.start()
    await this.#until('the group is whole after a blackout', () => this.#isWhole)
    for (const member of this.#inside) member.running?.state.check()
    for (const key of ['a', 'b', 'c']) await this.#ask(`reading ${key}`, { kind: 'get', key })
  }

  /** A member knows whom to ask, and applies what was written. */
  async #serve(member: SimulatedMember): Promise<void> {
    await this.#until(
      `member ${member.id} knows the leader`,
      () => member.running?.driver.leaderPeerId(groupId) !== undefined,
    )
    const value = `served ${member.id}`
    await this.#ask(value, { kind: 'put', key: 'a', value }, member)
    await this.#until(
      `member ${member.id} applies`,
      () => member.running?.state.position === this.#world.chronicle.length,
    )
  }

  async #ask(
    what: string,
    input: Parameters<MapClient['ask']>[0],
    first?: SimulatedMember,
  ): Promise<void> {
    this.#clients += 1
    const client = new MapClient(this.#world, this.#history, this.#clients, first)
    let isDone = false
    const asking = async () => {
      while (!isDone) {
        isDone = await client.ask(input)
        if (!isDone) await this.#world.sleep(TICK_MS)
      }
    }
    this.#world.begin(asking())
    await this.#until(what, () => isDone)
  }

  /** Members of the leader's configuration that have a disk. */
  get #inside(): SimulatedMember[] {
    const leader = this.#world.present.find(({ isLeader }) => isLeader)?.running
    if (leader === undefined) return []
    const { voters, votersOutgoing, learners } = leader.driver.status(groupId).confState
    const inside = new Set([...voters, ...votersOutgoing, ...learners])
    return this.#world.present.filter(({ id }) => inside.has(id))
  }

  get #isWhole(): boolean {
    const { chronicle, present } = this.#world
    const leaders = present.filter(({ isLeader }) => isLeader)
    const [leader] = leaders
    if (leaders.length !== 1 || leader?.running === undefined) return false
    const { confState, applied, commit } = leader.running.driver.status(groupId)
    if (confState.votersOutgoing.length > 0 || applied < commit) return false
    return this.#inside.every(({ running }) => running?.state.position === chronicle.length)
  }

  async #until(what: string, holds: () => boolean): Promise<void> {
    for (let tick = 0; tick < TICKS_MAX; tick++) {
      if (holds()) return
      await this.#world.pass(TICK_MS)
      // Who was removed last has not been told yet.
      if (tick % 50 === 49) this.#membership.dismiss()
    }
    promise(
      false,
      () => `liveness: not within ${TICKS_MAX} ticks: ${what}\n${this.#world.describe()}`,
    )
  }
}
