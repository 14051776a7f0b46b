/**
 * How often somebody may do something: a bucket of tokens each. The rule is one for all: a bucket begins full, gains `perSecond`
 * tokens a second, in fractions and up to `burst`, and each leave to do something takes one of them.
 */
import type { Clock } from './clock.ts'

/** What a bucket holds and gains. */
export interface TokenRate {
  /** Tokens of a full bucket. */
  readonly burst: number
  readonly perSecond: number
}

/** One bucket, for who keeps it with other things; {@link takeToken} fills it. */
export interface TokenBucket {
  tokens: number
  /** Monotonic milliseconds of the last filling. */
  filledMs: number
}

/** A full bucket. */
export function fullBucket({ burst }: TokenRate, nowMs: number): TokenBucket {
  return { tokens: burst, filledMs: nowMs }
}

/** Fills a bucket as far as the time since the last filling does, and takes one token; false when there is none. */
export function takeToken(
  bucket: TokenBucket,
  { burst, perSecond }: TokenRate,
  nowMs: number,
): boolean {
  const sinceMs = nowMs - bucket.filledMs
  if (sinceMs > 0) {
    bucket.tokens = Math.min(burst, bucket.tokens + (sinceMs * perSecond) / 1_000)
    bucket.filledMs = nowMs
  }
  if (bucket.tokens < 1) return false
  bucket.tokens -= 1
  return true
}

/** The bounds of buckets by name. */
export interface TokenBucketsInit extends TokenRate {
  /** Buckets that are remembered. */
  readonly bucketsMax: number
  /**
   * What becomes of a new name while all buckets are in use: the one unused for longest is forgotten, which is right where anybody can
   * make up names; or it is refused, where all of them together must be bounded too. Default: `forget`.
   */
  readonly whenFull?: 'forget' | 'refuse'
}

interface NamedBucket extends TokenBucket {
  refusals: number
}

/** Buckets by name; a bounded number of them. */
export class TokenBuckets {
  readonly #clock: Clock
  readonly #init: TokenBucketsInit
  /** The one unused for longest first. */
  readonly #buckets = new Map<string, NamedBucket>()

  constructor(components: { readonly clock: Clock }, init: TokenBucketsInit) {
    this.#clock = components.clock
    this.#init = init
  }

  /** Takes one token; false when there is none. */
  take(name: string): boolean {
    const nowMs = this.#clock.monotonicMs()
    const known = this.#buckets.get(name)
    if (known === undefined && !this.#makeRoom(nowMs)) return false
    const bucket = known ?? { ...fullBucket(this.#init, nowMs), refusals: 0 }
    this.#buckets.delete(name)
    this.#buckets.set(name, bucket)
    const isTaken = takeToken(bucket, this.#init, nowMs)
    bucket.refusals = isTaken ? 0 : bucket.refusals + 1
    return isTaken
  }

  /** How often in a row a name was refused for want of a token; 0 for one that is not remembered. */
  refusalsOf(name: string): number {
    return this.#buckets.get(name)?.refusals ?? 0
  }

  /** Forgets what is full again, which changes nothing, and else the one unused for longest, if that may be. */
  #makeRoom(nowMs: number): boolean {
    const { burst, perSecond, bucketsMax, whenFull = 'forget' } = this.#init
    if (this.#buckets.size < bucketsMax) return true
    const fillMs = (burst / perSecond) * 1_000
    for (const [name, { filledMs }] of this.#buckets) {
      const isFull = nowMs - filledMs >= fillMs
      const mustGo = whenFull === 'forget' && this.#buckets.size >= bucketsMax
      if (!isFull && !mustGo) break
      this.#buckets.delete(name)
    }
    return this.#buckets.size < bucketsMax
  }
}
