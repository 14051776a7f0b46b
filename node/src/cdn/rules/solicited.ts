/** Answers that nobody asked for: an origin that is confused must not confuse the cache and its clients. */
import type { Fields, ResponseHead } from '../message.ts'
import { parseContentRange } from './byte-ranges.ts'
import { fieldOf, withoutFields } from './field.ts'

/**
 * The head of a response as an answer to what was sent; undefined when it is none. A 304 answers a condition (RFC 9110 15.4.5): without one there
 * is nothing that it could be about. A 206 answers a range (RFC 9110 15.3.7): without one it is taken as a 200 when its part is the whole.
 */
export function solicited(sent: Fields, response: ResponseHead): ResponseHead | undefined {
  const { status, headers } = response
  const has = (name: string): boolean => fieldOf(sent, name) !== undefined
  if (status === 304) {
    return has('if-none-match') || has('if-modified-since') ? response : undefined
  }
  if (status !== 206 || has('range')) return response
  const range = parseContentRange(fieldOf(headers, 'content-range') ?? '')
  if (range?.first !== 0 || range.last + 1 !== range.length) return undefined
  return { status: 200, headers: withoutFields(headers, (name) => name === 'content-range') }
}
