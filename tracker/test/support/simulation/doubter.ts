/**
 * A client that looks for two members who both think that they lead. It writes at the newer one and reads at the older one, which must not
 * answer with what was before.
 */
import type { Draw } from '../simulated-folder.ts'
import { MapClient, type MapHistory } from './map-client.ts'
import type { SimulatedMember } from './simulated-member.ts'
import type { World } from './world.ts'

const CLIENT = 50

/** The client. */
export class Doubter {
  readonly #world: World
  readonly #draw: Draw
  readonly #client: MapClient
  #values = 0

  constructor(world: World, history: MapHistory) {
    this.#world = world
    this.#draw = world.fork(800)
    this.#client = new MapClient(world, history, CLIENT)
  }

  /** Looks until the run ends. */
  async run(): Promise<void> {
    while (!this.#world.isEnding) {
      await this.#world.sleep(4 + this.#draw(12))
      const leaders = this.#world.present.filter(({ isLeader }) => isLeader)
      if (leaders.length < 2 || this.#world.isEnding) continue
      const [newest, older] = leaders.sort((a, b) => termOf(b) - termOf(a)) as [
        SimulatedMember,
        SimulatedMember,
      ]
      this.#values += 1
      const value = `doubt ${this.#values}`
      const isDone = await this.#client.askAt(newest, { kind: 'put', key: 'a', value })
      if (!isDone) continue
      this.#world.counts.doubts += 1
      await this.#client.askAt(older, { kind: 'get', key: 'a' })
    }
  }
}

function termOf({ running }: SimulatedMember): number {
  return running?.state.term ?? 0
}
