/**
 * How much one source network is answered: a bucket of answers that refills with time. Keeps whoever forges addresses from
 * turning this server on them, and one that asks without end from taking it from the others.
 */
import type { Clock } from '../clock.ts'
import { dnsLimits } from '../limits/dns.ts'
import { clientSubnet } from '../nearest/client-subnet.ts'
import { TokenBuckets } from '../token-buckets.ts'

/** What becomes of one more answer: sent whole, sent empty so that a real client comes back by TCP, or not sent. */
export type RateVerdict = 'send' | 'cut' | 'drop'

/** Counts by source network; remembers a bounded number of them. */
export class SourceRate {
  readonly #answers: TokenBuckets

  constructor(components: { readonly clock: Clock }) {
    const { answersPerSecondMax, answerBurstMax, sourcesMax } = dnsLimits
    this.#answers = new TokenBuckets(components, {
      ...{ burst: answerBurstMax, perSecond: answersPerSecondMax, bucketsMax: sourcesMax },
    })
  }

  /** Judges an answer to an address. */
  judge(address: string): RateVerdict {
    const source = clientSubnet(address)
    if (this.#answers.take(source)) return 'send'
    return this.#answers.refusalsOf(source) % dnsLimits.slip === 0 ? 'cut' : 'drop'
  }
}
