/** What to do with a request, given what is stored for its key (RFC 9111 4). */
import type { CacheRequest, Fields, StoredHead } from '../message.ts'
import { type CacheControl, requestControl } from './cache-control.ts'
import { evaluateConditional, sliceGuard, validationFields } from './conditional.ts'
import { connectionOptions } from './connection.ts'
import { fieldOf, listOf } from './field.ts'
import { dateOf, type Freshness, freshnessOf } from './freshness.ts'
import type { RulePolicy } from './rule-policy.ts'
import { forbidsStale, isOnlyPurged, mayServeOnError, staleWindowS } from './stale.ts'
import { sharesAuthorised } from './storable.ts'
import { matchesVary } from './vary.ts'

/** Why nothing stored could be used, in the words of RFC 9211 2.2. */
export type MissReason = 'uri-miss' | 'vary-miss' | 'partial'

/** Why a request goes to the origin past the cache, and its answer is not kept. */
export type PassReason = 'method' | 'upgrade' | 'body' | 'authorization' | 'precondition'

/** What to do with a request. */
export type Decision =
  /** Serve it. When it is not `complete`, bytes that are missing are fetched under its {@link sliceGuard}. */
  | {
      readonly kind: 'hit'
      readonly stored: StoredHead
      readonly ageS: number
      readonly ttlS: number
    }
  /** Serve it, and ask the origin behind the answer (RFC 5861 3; a soft purge). `ttlS` is 0 or less. */
  | {
      readonly kind: 'stale'
      readonly stored: StoredHead
      readonly ageS: number
      readonly ttlS: number
      /** For the request behind it. */
      readonly conditional: Fields
      readonly candidates: readonly StoredHead[]
    }
  /** Ask the origin first, with these fields; without any the whole is fetched anew. */
  | {
      readonly kind: 'validate'
      readonly stored: StoredHead
      readonly ageS: number
      readonly ttlS: number
      readonly conditional: Fields
      /** What the condition names, for {@link validatedBy}; the first is `stored`. */
      readonly candidates: readonly StoredHead[]
      /** The stored response may answer when the origin fails. */
      readonly staleIfErrorAllowed: boolean
      /** Its own staleness, or the client's wish. */
      readonly reason: 'stale' | 'request'
    }
  | { readonly kind: 'miss'; readonly reason: MissReason }
  /** `only-if-cached` and nothing to give: 504 (RFC 9111 5.2.1.7). */
  | { readonly kind: 'unavailable' }
  | { readonly kind: 'pass'; readonly reason: PassReason }

/** What to do with the request, given all that is stored under its key. */
export function decide(
  request: CacheRequest,
  candidates: readonly StoredHead[],
  nowMs: number,
  policy: RulePolicy,
): Decision {
  const pass = passReason(request)
  if (pass !== undefined) return { kind: 'pass', reason: pass }
  const wish = requestControl(request)
  const selected = candidates
    .filter((stored) => isUsable(request, stored))
    .sort((a, b) => generatedMs(b) - generatedMs(a) || b.responseTimeMs - a.responseTimeMs)
  const [stored] = selected
  if (stored === undefined) {
    return wish.onlyIfCached
      ? { kind: 'unavailable' }
      : { kind: 'miss', reason: missReason(request, candidates) }
  }
  const decision = judge(request, wish, stored, selected, nowMs, policy)
  const served = decision.kind === 'hit' || decision.kind === 'stale'
  return wish.onlyIfCached && !served ? { kind: 'unavailable' } : decision
}

/** What to do with the selected response. */
function judge(
  request: CacheRequest,
  wish: CacheControl,
  stored: StoredHead,
  selected: readonly StoredHead[],
  nowMs: number,
  policy: RulePolicy,
): Decision {
  const freshness = freshnessOf(stored, nowMs, policy)
  const { control, ageS } = freshness
  // What others may not get is asked of the origin for each (RFC 9111 3.5).
  if (fieldOf(request.headers, 'authorization') !== undefined && !sharesAuthorised(control)) {
    return { kind: 'pass', reason: 'authorization' }
  }
  // Conditions for writers are the origin's to refuse (RFC 9111 4.3.2): what is stored may be older than what they are about.
  if (evaluateConditional(request, stored) === 'precondition-failed') {
    return { kind: 'pass', reason: 'precondition' }
  }
  const ttlS = ttlWithPurge(stored, freshness, nowMs)
  const fresh = ttlS > 0 && !control.noCache
  const wanted = wantsValidation(wish, control, fresh, ageS, ttlS)
  if (fresh && !wanted) return { kind: 'hit', stored, ageS, ttlS }
  const conditional = validationFields(selected)
  if (!wanted && mayServeStale(stored, freshness, wish, policy)) {
    return { kind: 'stale', stored, ageS, ttlS, conditional, candidates: selected }
  }
  return {
    kind: 'validate',
    stored,
    ageS,
    ttlS,
    conditional,
    candidates: selected,
    staleIfErrorAllowed: mayServeOnError(stored, nowMs, policy, 'unreachable', request),
    reason: fresh ? 'request' : 'stale',
  }
}

/** A soft purge ends freshness at its moment. */
function ttlWithPurge(stored: StoredHead, freshness: Freshness, nowMs: number): number {
  if (stored.purgedMs === undefined) return freshness.ttlS
  const since = Math.max(0, Math.floor((nowMs - stored.purgedMs) / 1_000))
  return Math.min(freshness.ttlS, 0 - since)
}

/**
 * True when the client's directives rule the stored response out (RFC 9111 5.2.1). `max-age` alone, which reloads send, does not rule out what is fresh
 * and will never change (RFC 8246 2).
 */
function wantsValidation(
  wish: CacheControl,
  control: CacheControl,
  fresh: boolean,
  ageS: number,
  ttlS: number,
): boolean {
  if (wish.noCache) return true
  if (wish.minFreshS !== undefined && ttlS < wish.minFreshS) return true
  const tooOld = wish.maxAgeS !== undefined && ageS > wish.maxAgeS
  return tooOld && !(fresh && control.immutable)
}

/** True when a stale response may be served while a fresh one is fetched. */
function mayServeStale(
  stored: StoredHead,
  freshness: Freshness,
  wish: CacheControl,
  policy: RulePolicy,
): boolean {
  if (isOnlyPurged(stored, freshness)) return true
  const { control, ttlS } = freshness
  if (forbidsStale(control)) return false
  // A client takes what is staler only where the origin did not rule that out (RFC 9111 5.2.1.2, 4.2.4).
  const taken = control.sMaxageS === undefined ? (wish.maxStaleS ?? 0) : 0
  return -ttlS < Math.max(staleWindowS(control, 'revalidate', policy), taken)
}

/** Why the request is none for the cache at all. */
function passReason(request: CacheRequest): PassReason | undefined {
  if (request.method !== 'GET' && request.method !== 'HEAD') return 'method'
  if (wantsUpgrade(request)) return 'upgrade'
  // What a body of a GET means is not defined, and the key does not know of it (RFC 9110 9.3.1).
  return hasBody(request) ? 'body' : undefined
}

/** True when the client wants another protocol on this connection; `h2c` may be passed over (RFC 9110 7.8). */
function wantsUpgrade(request: CacheRequest): boolean {
  const upgrade = fieldOf(request.headers, 'upgrade')
  if (upgrade === undefined || !connectionOptions(request.headers).includes('upgrade')) return false
  return listOf(upgrade.toLowerCase()).some((protocol) => protocol !== 'h2c')
}

function hasBody(request: CacheRequest): boolean {
  if (fieldOf(request.headers, 'transfer-encoding') !== undefined) return true
  const length = fieldOf(request.headers, 'content-length')
  return length !== undefined && !/^0+$/.test(length)
}

/** True when the stored response can answer the request at all: method, variant, and parts that can be joined. */
function isUsable(request: CacheRequest, stored: StoredHead): boolean {
  if (stored.method === 'HEAD' && request.method !== 'HEAD') return false
  return isJoinable(request, stored) && matchesVary(request, stored)
}

/** Missing bytes can be added only to what is known to be the same (RFC 9111 3.3, 3.4). */
function isJoinable(request: CacheRequest, stored: StoredHead): boolean {
  return stored.complete || request.method === 'HEAD' || sliceGuard(stored) !== undefined
}

function missReason(request: CacheRequest, candidates: readonly StoredHead[]): MissReason {
  const readable = candidates.filter(({ method }) => method === 'GET' || request.method === 'HEAD')
  if (readable.length === 0) return 'uri-miss'
  return readable.some((stored) => matchesVary(request, stored)) ? 'partial' : 'vary-miss'
}

/** The most recent response is used (RFC 9111 4). */
function generatedMs(stored: StoredHead): number {
  return dateOf(stored, stored.responseTimeMs) ?? stored.responseTimeMs
}

/**
 * True when requests for the same key may wait for one answer of the origin (RFC 9111 4): not those whose answer is for one client, or is not to be
 * kept. Each follower is decided anew on what came.
 */
export function mayCollapse(request: CacheRequest): boolean {
  if (passReason(request) !== undefined) return false
  if (fieldOf(request.headers, 'authorization') !== undefined) return false
  return !requestControl(request).noStore
}
