/**
 * Linearizable read points of one group. All that are asked for in one turn are one read of the core; they are answered when the
 * state machine has applied what was committed when they were asked.
 */
import { TrackerError } from '../errors.ts'
import type { ReadState } from '../raft/types.ts'
import { driverLimits } from './driver-limits.ts'

interface Round {
  readonly number: number
  readonly waiting: PromiseWithResolvers<void>[]
  /** What must be applied; known when the core has confirmed the leadership. */
  index: number | undefined
}

/** The read points that wait. */
export class Barriers {
  #gathering: PromiseWithResolvers<void>[] = []
  #rounds: Round[] = []
  #number = 0
  #count = 0

  get hasWaiting(): boolean {
    return this.#gathering.length > 0
  }

  /** Waits for the next read point; rejects with TrackerError ERR_OVERLOADED. */
  add(): Promise<void> {
    if (this.#count >= driverLimits.barriersMax)
      return Promise.reject(new TrackerError('ERR_OVERLOADED', 'too many reads wait'))
    this.#count += 1
    const waiting = Promise.withResolvers<void>()
    this.#gathering.push(waiting)
    return waiting.promise
  }

  /** Begins a round with all that gathered; returns the bytes that the core gives back with its answer. */
  begin(): Uint8Array {
    this.#number += 1
    this.#rounds.push({ number: this.#number, waiting: this.#gathering, index: undefined })
    this.#gathering = []
    const context = new Uint8Array(8)
    new DataView(context.buffer).setFloat64(0, this.#number, true)
    return context
  }

  /** The core has confirmed a round. */
  confirm({ index, requestContext }: ReadState): void {
    const { buffer, byteOffset } = requestContext
    const number = new DataView(buffer, byteOffset).getFloat64(0, true)
    const round = this.#rounds.find((each) => each.number === number)
    if (round !== undefined) round.index = index
  }

  /** Everything up to `index` is applied. */
  applied(index: number): void {
    if (this.#rounds.length === 0) return
    const isDone = (round: Round) => round.index !== undefined && round.index <= index
    if (!this.#rounds.some(isDone)) return
    const done = this.#rounds.filter(isDone)
    this.#rounds = this.#rounds.filter((round) => !isDone(round))
    for (const { waiting } of done) {
      this.#count -= waiting.length
      for (const each of waiting) each.resolve()
    }
  }

  /** Ends all that wait. Nothing was done, so asking again is always right. */
  rejectAll(error: TrackerError): void {
    const all = [...this.#rounds.flatMap(({ waiting }) => waiting), ...this.#gathering]
    this.#rounds = []
    this.#gathering = []
    this.#count = 0
    for (const each of all) each.reject(error)
  }
}
