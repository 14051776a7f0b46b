/** How often somebody may do something: a bucket of tokens each, filled at a steady rate. */
import type { Clock } from '../../clock.ts'

/** The bounds of a bucket. */
export interface TokenBucketInit {
  /** Tokens of a full bucket. */
  readonly burst: number
  readonly perSecond: number
  /** Buckets that are remembered; the one unused for longest goes. */
  readonly bucketsMax: number
}

/** Buckets by name. */
export class TokenBuckets {
  readonly #clock: Clock
  readonly #init: TokenBucketInit
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>()

  constructor(components: { readonly clock: Clock }, init: TokenBucketInit) {
    this.#clock = components.clock
    this.#init = init
  }

  /** Takes one token; false when there is none. */
  take(name: string): boolean {
    const { burst, perSecond, bucketsMax } = this.#init
    const nowMs = this.#clock.monotonicMs()
    const bucket = this.#buckets.get(name) ?? { tokens: burst, atMs: nowMs }
    bucket.tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) / 1_000) * perSecond)
    bucket.atMs = nowMs
    this.#buckets.delete(name)
    this.#buckets.set(name, bucket)
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= bucketsMax) break
      this.#buckets.delete(oldest)
    }
    if (bucket.tokens < 1) return false
    bucket.tokens -= 1
    return true
  }
}
