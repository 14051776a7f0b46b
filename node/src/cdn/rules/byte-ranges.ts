/** Byte ranges, one and several (RFC 9110 14). */
import { cdnRuleLimits } from '../../limits/cdn-rules.ts'

/** First and last byte of a representation, both included. */
export interface ByteRange {
  readonly first: number
  readonly last: number
}

/** A `Content-Range` (RFC 9110 14.4). */
export interface ContentRange extends ByteRange {
  /** Of the whole; undefined when the sender did not know it. */
  readonly length?: number
}

const spec = /^(\d{0,15})-(\d{0,15})$/
const contentRange = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i

/**
 * The ranges of a `Range` field of a representation of `length` bytes: in the order they were asked for, or sorted and joined where some overlap or lie
 * close (RFC 9110 15.3.7.2). Undefined when the field is to be ignored: another unit, malformed, or more ranges than are answered (14.2);
 * `'unsatisfiable'` when no byte of them exists (15.5.17).
 */
export function selectRanges(
  field: string,
  length: number,
): readonly ByteRange[] | 'unsatisfiable' | undefined {
  const equals = field.indexOf('=')
  if (field.slice(0, Math.max(equals, 0)).trim().toLowerCase() !== 'bytes') return undefined
  const specs = field
    .slice(equals + 1)
    .split(',', cdnRuleLimits.rangesMax * 2)
    .map((text) => text.trim())
    .filter((text) => text !== '')
  if (specs.length === 0 || specs.length > cdnRuleLimits.rangesMax) return undefined
  const ranges: ByteRange[] = []
  for (const text of specs) {
    const range = rangeOf(text, length)
    if (range === undefined) return undefined
    if (range !== 'unsatisfiable') ranges.push(range)
  }
  return ranges.length === 0 ? 'unsatisfiable' : coalesced(ranges)
}

function rangeOf(text: string, length: number): ByteRange | 'unsatisfiable' | undefined {
  const [, from = '', to = ''] = spec.exec(text) ?? []
  if (from === '' && to === '') return undefined
  if (from === '') {
    const suffix = Number(to)
    if (suffix === 0 || length === 0) return 'unsatisfiable'
    return { first: Math.max(0, length - suffix), last: length - 1 }
  }
  const first = Number(from)
  if (to !== '' && Number(to) < first) return undefined
  if (first >= length) return 'unsatisfiable'
  return { first, last: to === '' ? length - 1 : Math.min(Number(to), length - 1) }
}

/** Ranges that overlap or lie close are one, so that nobody gets a byte twice (RFC 9110 17.15). */
function coalesced(ranges: readonly ByteRange[]): readonly ByteRange[] {
  const sorted = [...ranges].sort((a, b) => a.first - b.first)
  const joined: ByteRange[] = []
  for (const range of sorted) {
    const before = joined.at(-1)
    if (before !== undefined && range.first - before.last <= cdnRuleLimits.rangeGapBytesMax) {
      joined[joined.length - 1] = { first: before.first, last: Math.max(before.last, range.last) }
    } else joined.push(range)
  }
  return joined.length === ranges.length ? ranges : joined
}

/** Reads a `Content-Range`; undefined when it is malformed or contradicts itself. */
export function parseContentRange(text: string): ContentRange | undefined {
  const [, from, to, whole] = contentRange.exec(text.trim()) ?? []
  if (from === undefined) return undefined
  const [first, last] = [Number(from), Number(to)]
  if (whole === '*') return first <= last ? { first, last } : undefined
  const length = Number(whole)
  return first <= last && last < length ? { first, last, length } : undefined
}
