/** Single byte ranges (RFC 9110 14). Requests for several ranges at once get the whole representation. */
import type { PreparedResponse } from './prepared-response.ts'
import { createProblem, type Problem } from './problem.ts'

/** First and last byte of a representation, both included. */
export interface ByteRange {
  readonly first: number
  readonly last: number
}

const single = /^bytes=(\d{0,15})-(\d{0,15})$/i

/**
 * Reads a `Range` field for a representation of `length` bytes. Undefined when the field is to be ignored (another
 * unit, several ranges, malformed), `'unsatisfiable'` when no byte of it exists.
 */
export function selectRange(
  field: string,
  length: number,
): ByteRange | 'unsatisfiable' | undefined {
  const match = single.exec(field.trim())
  const [from, to] = [match?.[1] ?? '', match?.[2] ?? '']
  if (match === null || (from === '' && to === '')) {
    return undefined
  }
  if (from === '') {
    const suffix = Number(to)
    if (suffix === 0 || length === 0) {
      return 'unsatisfiable'
    }
    return { first: Math.max(0, length - suffix), last: length - 1 }
  }
  const first = Number(from)
  if (to !== '' && Number(to) < first) {
    return undefined
  }
  if (first >= length) {
    return 'unsatisfiable'
  }
  return { first, last: to === '' ? length - 1 : Math.min(Number(to), length - 1) }
}

/** The 206 answer with one range of a whole answer; its pieces are views, not copies. */
export function partialResponse(
  whole: PreparedResponse,
  range: ByteRange,
  length: number,
): PreparedResponse {
  const body: Uint8Array[] = []
  let start = 0
  for (const piece of whole.body) {
    const from = Math.max(range.first - start, 0)
    const to = Math.min(range.last + 1 - start, piece.byteLength)
    if (from < to) {
      body.push(piece.subarray(from, to))
    }
    start += piece.byteLength
  }
  return {
    status: 206,
    headers: { ...whole.headers, 'content-range': `bytes ${range.first}-${range.last}/${length}` },
    body,
  }
}

/** The problem of a range outside of a representation, and the field that names the length there is. */
export function unsatisfiableRange(
  length: number,
  instance: string,
): { readonly problem: Problem; readonly headers: Readonly<Record<string, string>> } {
  const detail = `the range lies outside the ${length} bytes there are`
  return {
    problem: createProblem(416, 'ERR_INVALID_INPUT', { detail, instance }),
    headers: { 'content-range': `bytes */${length}` },
  }
}
