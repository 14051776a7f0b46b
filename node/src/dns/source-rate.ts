/**
 * How much one source network is answered: a bucket of answers that refills with time. Keeps whoever forges addresses from
 * turning this server on them, and one that asks without end from taking it from the others.
 */
import type { Clock } from '../clock.ts'
import { dnsLimits } from '../limits/dns.ts'
import { clientSubnet } from '../nearest/client-subnet.ts'

interface Bucket {
  answers: number
  atMs: number
  /** Answers refused since it was last full enough. */
  refused: number
}

/** What becomes of one more answer: sent whole, sent empty so that a real client comes back by TCP, or not sent. */
export type RateVerdict = 'send' | 'cut' | 'drop'

/** Counts by source network; remembers a bounded number of them. */
export class SourceRate {
  readonly #clock: Clock
  readonly #buckets = new Map<string, Bucket>()

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock
  }

  /** Judges an answer to an address. */
  judge(address: string): RateVerdict {
    const { answersPerSecondMax, answerBurstMax, slip, sourcesMax } = dnsLimits
    const nowMs = this.#clock.monotonicMs()
    const key = clientSubnet(address)
    const before = this.#buckets.get(key) ?? { answers: answerBurstMax, atMs: nowMs, refused: 0 }
    const refilled = before.answers + ((nowMs - before.atMs) * answersPerSecondMax) / 1_000
    const answers = Math.min(answerBurstMax, refilled)
    // Moved to the end: whoever was heard of longest ago is the first.
    this.#buckets.delete(key)
    const [oldest] = this.#buckets.keys()
    if (this.#buckets.size >= sourcesMax && oldest !== undefined) this.#buckets.delete(oldest)
    if (answers >= 1) {
      this.#buckets.set(key, { answers: answers - 1, atMs: nowMs, refused: 0 })
      return 'send'
    }
    const refused = before.refused + 1
    this.#buckets.set(key, { answers, atMs: nowMs, refused })
    return refused % slip === 0 ? 'cut' : 'drop'
  }
}
