/** How a client of a simulation finds the leader: it asks somebody, and goes where it is sent. */
import type { Draw } from '../simulated-folder.ts'
import type { Life, SimulatedMember } from './simulated-member.ts'
import type { Answer, World } from './world.ts'

/** One client's idea of who leads. */
export class Route {
  readonly #world: World
  readonly #draw: Draw
  #target: SimulatedMember | undefined

  constructor(world: World, draw: Draw, first?: SimulatedMember) {
    this.#world = world
    this.#draw = draw
    this.#target = first
  }

  /** Asks this one next. */
  turnTo(target: SimulatedMember): void {
    this.#target = target
  }

  /** Asks once. */
  async ask<Value>(
    timeoutMs: number,
    work: (life: Life) => Promise<Value>,
  ): Promise<Answer<Value>> {
    const { present } = this.#world
    const target = this.#target ?? present[this.#draw(present.length)]
    if (target === undefined) return { type: 'refused', error: undefined }
    const answer = await this.#world.ask(target, timeoutMs, work)
    if (answer.type === 'ok') this.#target = target
    else this.#target = this.#leaderIn(answer)
    return answer
  }

  #leaderIn(answer: Answer<unknown>): SimulatedMember | undefined {
    if (answer.type !== 'refused') return undefined
    const { leader } = (answer.error ?? {}) as { leader?: string }
    return this.#world.members.find(({ peerId }) => peerId === leader)
  }
}
