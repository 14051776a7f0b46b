/** What a folder answers to a conditional or ranged request for one of its files, by the rules of the cache. Pure. */
import type { CacheRequest, Fields } from '../message.ts'
import { selectRanges } from '../rules/byte-ranges.ts'
import { evaluateConditional, rangeApplies } from '../rules/conditional.ts'

/** The status, and for 200 and 206 which bytes, both ends included; of an empty file `last` is -1. */
export type FileAnswer =
  | { readonly status: 304 }
  | { readonly status: 412 }
  | { readonly status: 416 }
  | { readonly status: 200 | 206; readonly first: number; readonly last: number }

/**
 * Judges a request for a file of `length` bytes (RFC 9110 13.2.2, 14.2). Several ranges at once get the whole file.
 * @param headers of the whole answer, with `etag`, `date` and `last-modified`.
 */
export function judgeFile(
  request: CacheRequest,
  headers: Fields,
  length: number,
  nowMs: number,
): FileAnswer {
  const file = {
    ...({ status: 200, headers, method: 'GET', complete: true, varyFields: {} } as const),
    requestTimeMs: nowMs,
    responseTimeMs: nowMs,
  }
  const precondition = evaluateConditional(request, file)
  if (precondition === 'precondition-failed') return { status: 412 }
  if (precondition === 'not-modified') return { status: 304 }
  const ranges = rangeApplies(request, file)
    ? selectRanges(request.headers.range ?? '', length)
    : undefined
  if (ranges === 'unsatisfiable') return { status: 416 }
  const [only] = ranges ?? []
  return only === undefined || ranges?.length !== 1
    ? { status: 200, first: 0, last: length - 1 }
    : { status: 206, first: only.first, last: only.last }
}
