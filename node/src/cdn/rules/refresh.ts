/** What a 304 does to stored responses (RFC 9111 4.3.4). */
import type { CacheRequest, ResponseHead, StoredHead } from '../message.ts'
import { entityTagOf, matchesStrongly, matchesWeakly } from './entity-tag.ts'
import { fieldOf, withoutFields } from './field.ts'
import { dateOf } from './freshness.ts'
import { formatHttpDate } from './http-date.ts'
import type { RulePolicy } from './rule-policy.ts'
import { type ExchangeTimes, keptFields, storable } from './storable.ts'
import { varyFields } from './vary.ts'

/** Fields that describe the stored bytes, whatever a 304 says (RFC 9111 3.2). */
const ofTheBytes = new Set([
  'content-length',
  'content-encoding',
  'content-range',
  'transfer-encoding',
])

/**
 * The stored responses that a 304 is about, of those that the validation named, the selected one first: all with its strong tag; else the first that
 * matches weakly or by date; else, when it names nothing, the only one there was. None: the origin must be asked again, without conditions.
 */
export function validatedBy(
  candidates: readonly StoredHead[],
  response: ResponseHead,
): readonly StoredHead[] {
  const tag = entityTagOf(response)
  if (tag !== undefined) {
    const tags = candidates.map((stored) => ({ stored, own: entityTagOf(stored) }))
    if (!tag.weak) {
      const same = tags.filter(({ own }) => own !== undefined && matchesStrongly(own, tag))
      if (same.length > 0) return same.map(({ stored }) => stored)
    }
    const weakly = tags.find(({ own }) => own !== undefined && matchesWeakly(own, tag))
    // A response without a tag that was validated by its date takes the tag that came.
    const untagged = tags.find(
      ({ stored, own }) => own === undefined && hasSameDate(stored, response),
    )
    return [weakly ?? untagged].filter((found) => found !== undefined).map(({ stored }) => stored)
  }
  if (fieldOf(response.headers, 'last-modified') !== undefined) {
    return candidates.filter((stored) => hasSameDate(stored, response)).slice(0, 1)
  }
  // Many servers leave the validators out; with one candidate there is no doubt which was meant.
  return candidates.length === 1 ? candidates : []
}

function hasSameDate(stored: StoredHead, response: ResponseHead): boolean {
  const modified = fieldOf(stored.headers, 'last-modified')
  return modified !== undefined && modified === fieldOf(response.headers, 'last-modified')
}

/**
 * The stored response with the fields of the 304 (RFC 9111 3.2), fresh anew; undefined when it may be kept no longer (`no-store`, `private`, a
 * cookie): it then answers this request and is forgotten, see {@link mergedHead}.
 */
export function refreshed(
  stored: StoredHead,
  request: CacheRequest,
  response: ResponseHead,
  times: ExchangeTimes,
  policy: RulePolicy,
): StoredHead | undefined {
  const head = mergedHead(stored, request, response, times)
  return storable(request, head, times.responseTimeMs, policy).store ? head : undefined
}

/** The stored response with the fields of the 304. */
export function mergedHead(
  stored: StoredHead,
  request: CacheRequest,
  response: ResponseHead,
  times: ExchangeTimes,
): StoredHead {
  const fresh = withoutFields(keptFields(response), (name) => ofTheBytes.has(name))
  // Age and Date are of the exchange; an old Age under a new Date would count twice.
  const old = withoutFields(stored.headers, (name) => name === 'age' || name === 'date')
  const date = dateOf(response, times.responseTimeMs) ?? times.responseTimeMs
  const headers = { ...old, ...fresh, date: formatHttpDate(date) }
  const { purgedMs, ...rest } = stored
  const head = { ...rest, ...times, headers }
  return {
    ...head,
    varyFields: varyFields(request, head) ?? stored.varyFields,
    // What was asked for before the purge proves nothing.
    ...(purgedMs !== undefined && times.requestTimeMs <= purgedMs ? { purgedMs } : {}),
  }
}
