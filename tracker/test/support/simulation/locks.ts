/**
 * Who believes to hold a lock, by true time, and what the tokens say. At no moment do two believe it; each acquisition has a larger token
 * than the one before; and a resource that looks at tokens is never written by one that was overtaken.
 */
import type { FencingToken } from '../../../src/coordination.ts'
import { promise } from './violation.ts'

interface Belief {
  readonly holder: string
  readonly leaseId: string
  readonly token: FencingToken
  untilMs: number
}

/** One lock. */
export class LockRecord {
  #belief: Belief | undefined
  /** The largest token that the resource behind the lock has seen. */
  #written: FencingToken = { term: 0, index: 0 }
  #acquired: FencingToken = { term: 0, index: 0 }

  /** Somebody believes from now on, until a time. */
  begin(nowMs: number, belief: Belief): void {
    this.#checkAlone(nowMs, belief.holder)
    promise(
      isAfter(belief.token, this.#acquired),
      () => `fencing: ${belief.holder} has ${text(belief.token)} behind ${text(this.#acquired)}`,
    )
    this.#acquired = belief.token
    this.#belief = { ...belief }
  }

  /** The holder believes longer. */
  extend(nowMs: number, holder: string, untilMs: number): void {
    this.#checkAlone(nowMs, holder)
    if (this.#belief?.holder === holder)
      this.#belief.untilMs = Math.max(this.#belief.untilMs, untilMs)
  }

  /** The holder believes no more. */
  end(holder: string): void {
    if (this.#belief?.holder === holder) this.#belief = undefined
  }

  /** The holder writes to what the lock protects. */
  write(holder: string, token: FencingToken): void {
    promise(
      !isAfter(this.#written, token),
      () => `fencing: ${holder} believes with ${text(token)} behind ${text(this.#written)}`,
    )
    this.#written = token
  }

  /** The group ended a lease because it ran out. */
  expired(nowMs: number, leaseId: string): void {
    const belief = this.#belief
    promise(
      belief === undefined || belief.leaseId !== leaseId || belief.untilMs <= nowMs,
      () =>
        `leases: ${leaseId} ran out ${(belief?.untilMs ?? 0) - nowMs} ms before its holder stops`,
    )
  }

  #checkAlone(nowMs: number, holder: string): void {
    const belief = this.#belief
    promise(
      belief === undefined || belief.holder === holder || belief.untilMs <= nowMs,
      () => `lease exclusivity: ${belief?.holder} and ${holder} believe at ${nowMs}`,
    )
  }
}

function isAfter(a: FencingToken, b: FencingToken): boolean {
  return a.term > b.term || (a.term === b.term && a.index > b.index)
}

function text({ term, index }: FencingToken): string {
  return `${term}/${index}`
}
