/**
 * Reads that wait until the leader knows it still leads (section 6.4 of the thesis). Every read gets a number; a
 * heartbeat carries the newest number and its answer confirms every read up to there, so one round serves all reads
 * that came before it. The same numbers measure the leader's lease: it runs from the moment a heartbeat left that a
 * quorum answered.
 */
import { type JointVoters, jointCommitted } from './quorum.ts'
import type { Message } from './types.ts'

/** A read that waits. */
export interface WaitingRead {
  readonly sequence: number
  readonly request: Message
  /** The commit index when the read came: what it must see at least. */
  readonly index: number
}

interface Round {
  readonly sequence: number
  readonly tick: number
}

/** The reads that wait at one leader. */
export class ReadQueue {
  #sequence = 0
  #waiting: WaitingRead[] = []
  /** Rounds of heartbeats not yet answered by a quorum, with the tick they left at. */
  #rounds: Round[] = []
  readonly #acknowledged = new Map<number, number>()
  #leaseTick: number | undefined

  get count(): number {
    return this.#waiting.length
  }

  /** Number of the newest read that waits, 0 for none. */
  get newest(): number {
    return this.#waiting.at(-1)?.sequence ?? 0
  }

  /** Takes in a read and returns its number. */
  add(request: Message, index: number): number {
    this.#sequence += 1
    this.#waiting.push({ sequence: this.#sequence, request, index })
    return this.#sequence
  }

  /** Numbers a round of heartbeats that leaves now. */
  startRound(tick: number): number {
    this.#sequence += 1
    this.#rounds.push({ sequence: this.#sequence, tick })
    return this.#sequence
  }

  /** A member answered a heartbeat; returns the reads that are confirmed by it. */
  acknowledge(id: number, sequence: number, voters: JointVoters, self: number): WaitingRead[] {
    if (sequence <= (this.#acknowledged.get(id) ?? 0)) return []
    this.#acknowledged.set(id, sequence)
    const confirmed = jointCommitted(voters, (voter) =>
      voter === self ? this.#sequence : this.#acknowledged.get(voter),
    )
    let round = 0
    for (; (this.#rounds[round]?.sequence ?? Infinity) <= confirmed; round += 1) {
      this.#leaseTick = (this.#rounds[round] as Round).tick
    }
    this.#rounds = this.#rounds.slice(round)
    let ready = 0
    while ((this.#waiting[ready]?.sequence ?? Infinity) <= confirmed) ready += 1
    return this.#waiting.splice(0, ready)
  }

  /** Tick from which the lease runs, or undefined before the first answered round. */
  get leaseTick(): number | undefined {
    return this.#leaseTick
  }

  /** The term is over: whoever waits must ask again. Numbers go on, so that old answers confirm nothing new. */
  reset(): void {
    this.#waiting = []
    this.#rounds = []
    this.#acknowledged.clear()
    this.#leaseTick = undefined
  }
}
