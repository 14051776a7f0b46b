/** How much is under way to one peer: what is too much at once waits for its turn. */

interface Lane {
  running: number
  readonly waiting: (() => void)[]
}

/** Lanes by peer. */
export class PeerLanes {
  readonly #max: number
  readonly #lanes = new Map<string, Lane>()

  /** @param max tasks of one peer at the same time. */
  constructor(max: number) {
    this.#max = max
  }

  /** Runs a task when there is room; tasks of one peer begin in the order of their coming. */
  async run<Value>(peerId: string, task: () => Promise<Value>): Promise<Value> {
    const lane = this.#lanes.get(peerId) ?? { running: 0, waiting: [] }
    this.#lanes.set(peerId, lane)
    if (lane.running < this.#max) lane.running += 1
    else await new Promise<void>((resolve) => lane.waiting.push(resolve))
    try {
      return await task()
    } finally {
      const next = lane.waiting.shift()
      // Whoever waits takes this one's place.
      if (next !== undefined) next()
      else {
        lane.running -= 1
        if (lane.running === 0) this.#lanes.delete(peerId)
      }
    }
  }
}
