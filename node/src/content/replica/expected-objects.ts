/** Objects that a feed has promised to bring: whoever needs one waits for it rather than fetch it a second time. */
import type { Clock } from '../../clock.ts'
import { abortReason, unlessAborted } from '../../deadline.ts'
import { contentLimits } from '../../limits.ts'
import type { Digest } from '../digest.ts'

/** The promised objects of one feed, in the order in which they come. */
export class ExpectedObjects {
  readonly #clock: Clock
  readonly #expected = new Map<Digest, Set<() => void>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Objects still to come. */
  get size(): number {
    return this.#expected.size
  }

  /** True when the feed is to bring the object. */
  has(digest: Digest): boolean {
    return this.#expected.has(digest)
  }

  /** Adds to what is to come. */
  add(digests: readonly Digest[]): void {
    for (const digest of digests) {
      if (!this.#expected.has(digest)) this.#expected.set(digest, new Set())
    }
  }

  /** Notes that an object has come: those promised before it do not come any more. */
  arrived(digest: Digest): void {
    if (!this.#expected.has(digest)) return
    for (const earlier of this.#expected.keys()) {
      this.drop(earlier)
      if (earlier === digest) return
    }
  }

  /** Notes that an object does not come; whoever waits for it looks elsewhere. */
  drop(digest: Digest): void {
    const waiters = this.#expected.get(digest)
    this.#expected.delete(digest)
    for (const wake of waiters ?? []) wake()
  }

  /** Nothing comes any more: the feed is over. */
  clear(): void {
    for (const digest of [...this.#expected.keys()]) this.drop(digest)
  }

  /**
   * Resolves when the object has come, or does not come, or for too long did not.
   * @throws KairoError when the signal fires.
   */
  async wait(digest: Digest, signal: AbortSignal): Promise<void> {
    const waiters = this.#expected.get(digest)
    if (waiters === undefined) return
    if (signal.aborted) throw abortReason(signal)
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = this.#clock.after(contentLimits.expectedMsMax, resolve)
    waiters.add(resolve)
    try {
      await unlessAborted(promise, signal)
    } finally {
      cancel()
      waiters.delete(resolve)
    }
  }
}
