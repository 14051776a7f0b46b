/**
 * What a part is, by what pages claim that came to them by HTTP. Pure.
 *
 * - What a page says that the edge asked to fetch the part is believed, and told to others, until somebody says otherwise.
 * - What others say counts as a check of it. Where nobody was asked, two who say the same are believed.
 * - Where two say different things nothing is told until one digest has two voices; then the others have lied. Voices are counted by address group, so
 *   that one household decides nothing about another one, unless the whole swarm is one group.
 * - Where nobody agrees after `claimsMax` claims, or there are three digests and no two alike, the part varies from page to page and is nobody's to share.
 */
import type { PageId } from '@kairo/client/protocol'
import { pageSwarmLimits as limits } from '../../limits/swarm.ts'

/** What one page says a part is. */
export interface Claim {
  readonly page: PageId
  /** Address group. */
  readonly address: string
  readonly bytes: number
  readonly digest: string
}

/** What is believed of a part. */
export interface Belief {
  readonly claims: readonly Claim[]
  /** What others are told. */
  readonly told: Claim | undefined
  readonly state: 'open' | 'disputed' | 'varies'
}

/** What a claim changes. */
export interface Verdict extends Belief {
  /** What nobody was told before. */
  readonly isNews: boolean
  /** Those whom this claim agrees with, who said the same before. */
  readonly agreed: readonly PageId[]
  /** Those who said otherwise, once it is decided. */
  readonly liars: readonly PageId[]
}

/** Nothing is known. */
export const noBelief: Belief = { claims: [], told: undefined, state: 'open' }

/** Takes a claim. `isAsked`: the edge had asked the page to fetch the part; `isOneGroup`: all pages of the swarm have one address. */
export function judge(
  belief: Belief,
  claim: Claim,
  { isAsked, isOneGroup }: { readonly isAsked: boolean; readonly isOneGroup: boolean },
): Verdict {
  const nothing = { isNews: false, agreed: [], liars: [] }
  const isKnown = belief.claims.some(({ page }) => page === claim.page)
  // Who said something unasked says it again once it was asked.
  const isRepeated = isKnown && !(isAsked && belief.told === undefined && belief.state === 'open')
  const isFull = belief.claims.length >= limits.claimsMax
  if (isRepeated || belief.state === 'varies' || (isFull && !isKnown)) {
    return { ...belief, ...nothing }
  }
  const others = belief.claims.filter(({ page }) => page !== claim.page)
  const claims = [...others, claim]
  const agreed = others.filter((other) => isSame(other, claim)).map(({ page }) => page)
  const kinds = new Set(claims.map(nameOf))
  if (kinds.size === 1) {
    const isTold = belief.told !== undefined || isAsked || voices(claims, claim, isOneGroup) >= 2
    const told = isTold ? (belief.told ?? claim) : undefined
    const isNews = told !== undefined && belief.told === undefined
    return { claims, told, state: 'open', isNews, agreed, liars: [] }
  }
  const winner = claims.find((one) => voices(claims, one, isOneGroup) >= 2)
  if (winner === undefined) {
    const isHopeless = kinds.size >= 3 || claims.length >= limits.claimsMax
    const state = isHopeless ? 'varies' : 'disputed'
    return { ...nothing, claims, told: undefined, state }
  }
  const liars = claims.filter((one) => !isSame(one, winner)).map(({ page }) => page)
  const isNews = belief.told === undefined || !isSame(belief.told, winner)
  const honest = claims.filter((one) => isSame(one, winner))
  return { claims: honest, told: winner, state: 'open', isNews, agreed, liars }
}

function voices(claims: readonly Claim[], one: Claim, isOneGroup: boolean): number {
  const same = claims.filter((other) => isSame(other, one))
  return isOneGroup ? same.length : new Set(same.map(({ address }) => address)).size
}

function isSame(one: Claim, other: Claim): boolean {
  return one.digest === other.digest && one.bytes === other.bytes
}

function nameOf({ digest, bytes }: Claim): string {
  return `${digest} ${bytes}`
}
