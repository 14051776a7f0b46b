/**
 * Parts whose bytes are all there, on their way to be trusted: hashed, and compared with what the edge says of them. What came by HTTP alone is
 * its own proof. A part that other pages brought and of which nothing is known waits for its digest, no longer than its wish allows.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import { digestOf, type PartDigests } from '../integrity/part-digests.ts'
import type { PartMemory } from '../memory/part-memory.ts'
import type { PartKey } from '../protocol/part-key.ts'
import { engineLimits as limits } from './limits.ts'

/** What it works with. */
export interface VerificationComponents {
  readonly clock: Clock
  readonly memory: PartMemory
  readonly digests: PartDigests
}

/** Who is told. */
export interface VerificationInit {
  /** The part is sealed. `digest`: of one that came by HTTP alone. */
  readonly onVerified: (key: PartKey, digest: string | undefined) => void
  /** Nothing is known of a part that is all there. */
  readonly onUnknown: (key: PartKey) => void
  /** The part is dropped. `peers`: who brought some of it; nobody, when nothing is known against its bytes. */
  readonly onRefused: (key: PartKey, peers: readonly string[]) => void
}

interface Unverified {
  readonly digest: string
  cancelWait: CancelTimer
}

/** The check of one page. */
export class Verification {
  readonly #components: VerificationComponents
  readonly #init: VerificationInit
  /** Hashed, and waiting to be told what they should be. */
  readonly #waiting = new Map<PartKey, Unverified>()
  readonly #hashing = new Set<PartKey>()

  constructor(components: VerificationComponents, init: VerificationInit) {
    this.#components = components
    this.#init = init
  }

  /**
   * Checks a part that is complete in memory.
   * @param deadlineMs when the player needs it; undefined: it does not, yet
   */
  async check(key: PartKey, deadlineMs: number | undefined): Promise<void> {
    const { memory } = this.#components
    if (this.#hashing.has(key) || this.#waiting.has(key)) return
    const bytes = memory.join(key)
    this.#hashing.add(key)
    const digest = await digestOf(bytes)
    this.#hashing.delete(key)
    // It may have been evicted, or have begun anew, meanwhile.
    if (!memory.isComplete(key) || memory.join(key) !== bytes) return
    if (memory.peersOf(key).length === 0) this.#accept(key, digest)
    else if (this.#components.digests.get(key) === undefined) this.#wait(key, digest, deadlineMs)
    else this.#compare(key, digest)
  }

  /** The player needs a part by then: it may be one that waits. */
  hasten(key: PartKey, deadlineMs: number): void {
    const unverified = this.#waiting.get(key)
    if (unverified !== undefined) this.#setTimer(key, unverified, deadlineMs)
  }

  /** Digests have become known. */
  told(keys: readonly PartKey[]): void {
    for (const key of keys) {
      const unverified = this.#waiting.get(key)
      if (unverified === undefined) continue
      this.forget(key)
      this.#compare(key, unverified.digest)
    }
  }

  /** Keys of parts that wait for their digest. */
  get unknown(): readonly PartKey[] {
    return [...this.#waiting.keys()]
  }

  /** The part is gone. */
  forget(key: PartKey): void {
    this.#waiting.get(key)?.cancelWait()
    this.#waiting.delete(key)
  }

  stop(): void {
    for (const key of [...this.#waiting.keys()]) this.forget(key)
  }

  #wait(key: PartKey, digest: string, deadlineMs: number | undefined): void {
    const unverified = { digest, cancelWait: () => {} }
    this.#waiting.set(key, unverified)
    this.#setTimer(key, unverified, deadlineMs)
    this.#init.onUnknown(key)
    const [oldest] = this.#waiting.keys()
    if (this.#waiting.size > limits.unverifiedMax) this.#refuse(oldest as PartKey, [])
  }

  #setTimer(key: PartKey, unverified: Unverified, deadlineMs: number | undefined): void {
    const { clock } = this.#components
    const leftMs = (deadlineMs ?? Number.POSITIVE_INFINITY) - limits.digestMarginMs - clock.nowMs()
    unverified.cancelWait()
    unverified.cancelWait = clock.after(
      Math.max(limits.digestWaitMsMin, Math.min(limits.digestWaitMs, leftMs)),
      () => this.#refuse(key, []),
    )
  }

  #compare(key: PartKey, digest: string): void {
    const { memory, digests } = this.#components
    if (!memory.isComplete(key)) return
    const known = digests.get(key)
    if (known?.digest === digest) this.#accept(key, undefined)
    else this.#refuse(key, memory.peersOf(key))
  }

  #accept(key: PartKey, digest: string | undefined): void {
    this.#components.memory.seal(key)
    this.#init.onVerified(key, digest)
  }

  #refuse(key: PartKey, peers: readonly string[]): void {
    this.forget(key)
    this.#components.memory.drop(key)
    this.#init.onRefused(key, peers)
  }
}
