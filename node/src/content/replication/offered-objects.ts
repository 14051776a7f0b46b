/**
 * Objects that other peers offered and that are to be fetched: in order of arrival, some at a time, no faster than agreed, so that
 * viewers' requests go first.
 */
import type { CancelTimer, Clock } from '../../clock.ts'
import { replicationLimits } from '../../limits/replication.ts'
import type { Digest } from '../digest.ts'
import type { OfferedObject } from './offer-codec.ts'

/** An offered object and who offered it. */
export interface Offered extends OfferedObject {
  readonly peerId: string
}

/** How a queue works. */
export interface OfferedObjectsInit {
  readonly clock: Clock
  /** Fetches one; what it rejects with is told to `onFailure`. */
  readonly fetch: (object: Offered) => Promise<void>
  readonly onFailure: (error: Error) => void
}

/** The queue of offered objects. */
export class OfferedObjects {
  readonly #init: OfferedObjectsInit
  readonly #waiting = new Map<Digest, Offered>()
  readonly #waitingOf = new Map<string, number>()
  #running = 0
  /** Bytes that may be fetched now; falls below zero with the last object taken. */
  #budget: number = replicationLimits.burstBytesMax
  #budgetMs: number
  #cancelWake: CancelTimer | undefined
  #stopped = false

  constructor(init: OfferedObjectsInit) {
    this.#init = init
    this.#budgetMs = init.clock.monotonicMs()
  }

  /** Objects that wait. */
  get size(): number {
    return this.#waiting.size
  }

  /** Queues an object; false when it waits already or too many do. */
  add(object: Offered): boolean {
    const ofPeer = this.#waitingOf.get(object.peerId) ?? 0
    if (this.#stopped || this.#waiting.has(object.digest)) return false
    if (this.#waiting.size >= replicationLimits.queueMax) return false
    if (ofPeer >= replicationLimits.queuePerPeerMax) return false
    this.#waiting.set(object.digest, object)
    this.#waitingOf.set(object.peerId, ofPeer + 1)
    this.#pump()
    return true
  }

  /** Forgets what waits. */
  stop(): void {
    this.#stopped = true
    this.#cancelWake?.()
    this.#waiting.clear()
    this.#waitingOf.clear()
  }

  #pump(): void {
    this.#refill()
    while (this.#running < replicationLimits.fetchesMax && this.#waiting.size > 0) {
      if (this.#budget <= 0) {
        this.#wakeLater()
        return
      }
      const [next] = this.#waiting.values()
      if (next === undefined) return
      this.#take(next)
    }
  }

  #take(object: Offered): void {
    this.#waiting.delete(object.digest)
    const ofPeer = (this.#waitingOf.get(object.peerId) ?? 1) - 1
    if (ofPeer === 0) this.#waitingOf.delete(object.peerId)
    else this.#waitingOf.set(object.peerId, ofPeer)
    this.#budget -= object.bytes
    this.#running += 1
    const over = (): void => {
      this.#running -= 1
      if (!this.#stopped) this.#pump()
    }
    this.#init.fetch(object).catch(this.#init.onFailure).finally(over)
  }

  #refill(): void {
    const nowMs = this.#init.clock.monotonicMs()
    const earned = ((nowMs - this.#budgetMs) / 1_000) * replicationLimits.bytesPerSecondMax
    this.#budget = Math.min(this.#budget + earned, replicationLimits.burstBytesMax)
    this.#budgetMs = nowMs
  }

  #wakeLater(): void {
    const delayMs = Math.ceil((1_000 * (1 - this.#budget)) / replicationLimits.bytesPerSecondMax)
    this.#cancelWake?.()
    this.#cancelWake = this.#init.clock.after(delayMs, () => this.#pump())
  }
}
