/** Whose purges are carried out here (docs/decisions/0015), and which issuers are known to be none of those. */
import { purgeLimits } from '../../limits/purge.ts'
import type { OriginState } from './purge-ledger.ts'
import { originKey, type Purge } from './purge-message.ts'

/** The word by which every peer of the network is believed. */
const NETWORK = 'network'

/** What an operator has chosen. */
export class PurgeTrust {
  readonly #believed: ReadonlySet<string>
  readonly #ignored = new Map<string, Pick<Purge, 'issuer' | 'epoch'>>()

  /** @param purgePeers peer ids, or `network`; `self` is believed always. */
  constructor(purgePeers: readonly string[], self: string) {
    this.#believed = new Set([...purgePeers, self])
  }

  /** True when the purges of a peer are carried out. */
  believes(peerId: string): boolean {
    return this.#believed.has(NETWORK) || this.#believed.has(peerId)
  }

  /** Remembers not to ask for purges of this issuer's epoch again; false when that was known. */
  ignore({ issuer, epoch }: Pick<Purge, 'issuer' | 'epoch'>): boolean {
    const key = originKey({ issuer, epoch })
    if (this.#ignored.has(key)) return false
    this.#ignored.set(key, { issuer, epoch })
    const [oldest] = this.#ignored.keys()
    if (this.#ignored.size > purgeLimits.ignoredOriginsMax && oldest !== undefined) {
      this.#ignored.delete(oldest)
    }
    return true
  }

  /** What is ignored, for the state that others are told. */
  ignored(): OriginState[] {
    return [...this.#ignored.values()].map((origin) => ({
      ...origin,
      ...{ through: 0, beyond: [], floor: 0, ignored: true },
    }))
  }
}
