/** Answers GET and HEAD for something long that is read piece by piece: ranges, validators, and no more bytes than asked for. */
import type { IncomingHttpHeaders } from 'node:http'
import { selectRange, unsatisfiableRange } from './byte-range.ts'
import { matchesTag } from './entity-tag.ts'
import { pathOf } from './problem.ts'
import { problemAnswer } from './problem-answer.ts'
import type { StreamAnswer } from './stream-route.ts'

/** Something of known length that can be read from anywhere. */
export interface RangedSource {
  /** Bytes. */
  readonly length: number
  /** Strong validator with its quotes. */
  readonly etag: string
  /** Header fields of the whole: media type, disposition, caching. */
  readonly headers: Readonly<Record<string, string>>
  /** Exactly the bytes from `first` to `last`, both included. */
  readonly read: (first: number, last: number) => AsyncIterable<Uint8Array>
}

/** The answer to a request for `source` (RFC 9110 13 and 14). */
export function rangedAnswer(
  request: { readonly headers: IncomingHttpHeaders; readonly url: string },
  source: RangedSource,
): StreamAnswer {
  const { length, etag } = source
  const headers = { ...source.headers, etag, 'accept-ranges': 'bytes' }
  if (matchesTag(request.headers['if-none-match'], etag)) {
    return { status: 304, headers }
  }
  const { range, 'if-range': ifRange } = request.headers
  const applies = range !== undefined && (ifRange === undefined || ifRange === etag)
  const selected = applies ? selectRange(range, length) : undefined
  if (selected === 'unsatisfiable') {
    const { problem, headers: lengthField } = unsatisfiableRange(length, pathOf(request.url))
    return problemAnswer(problem, lengthField)
  }
  const { first, last } = selected ?? { first: 0, last: length - 1 }
  return {
    status: selected === undefined ? 200 : 206,
    headers: {
      ...headers,
      'content-length': String(last - first + 1),
      ...(selected === undefined ? {} : { 'content-range': `bytes ${first}-${last}/${length}` }),
    },
    body: source.read(first, last),
  }
}
