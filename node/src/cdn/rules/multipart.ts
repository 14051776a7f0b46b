/** 206 answers, of one range and of several (RFC 9110 15.3.7). */
import type { Fields, StoredHead } from '../message.ts'
import type { ByteRange } from './byte-ranges.ts'
import { fieldOf, withoutFields } from './field.ts'

/** A piece of a 206's body: text, or bytes of the representation. */
export type PartialPiece =
  | { readonly kind: 'text'; readonly text: string }
  | ({ readonly kind: 'bytes' } & ByteRange)

/** A 206: its fields and what its body is made of, in order. */
export interface PartialAnswer {
  readonly headers: Fields
  readonly pieces: readonly PartialPiece[]
}

/**
 * The 206 with these ranges of a stored response of `length` bytes. `boundary` parts several ranges and must not occur in the bytes: make it of 128
 * random bits.
 */
export function partialAnswer(
  stored: StoredHead,
  ranges: readonly ByteRange[],
  length: number,
  boundary: string,
): PartialAnswer {
  const [only, ...others] = ranges
  const digests = new Set(['content-digest', 'content-md5'])
  const headers = withoutFields(stored.headers, (name) => digests.has(name))
  if (only !== undefined && others.length === 0) {
    return {
      headers: {
        ...headers,
        'content-range': contentRange(only, length),
        'content-length': String(only.last - only.first + 1),
      },
      pieces: [{ kind: 'bytes', ...only }],
    }
  }
  const type = fieldOf(stored.headers, 'content-type')
  const heads = ranges.map((range) => partHead(boundary, type, range, length))
  const pieces = ranges.flatMap((range, index): PartialPiece[] => [
    { kind: 'text', text: heads[index] ?? '' },
    { kind: 'bytes', ...range },
  ])
  const all: PartialPiece[] = [...pieces, { kind: 'text', text: `\r\n--${boundary}--\r\n` }]
  return {
    headers: {
      ...withoutFields(headers, (name) => name === 'content-range'),
      'content-type': `multipart/byteranges; boundary=${boundary}`,
      'content-length': String(all.reduce((sum, piece) => sum + sizeOf(piece), 0)),
    },
    pieces: all,
  }
}

function contentRange({ first, last }: ByteRange, length: number): string {
  return `bytes ${first}-${last}/${length}`
}

function partHead(
  boundary: string,
  type: string | undefined,
  range: ByteRange,
  length: number,
): string {
  const fields = [
    ...(type === undefined ? [] : [`Content-Type: ${type}`]),
    `Content-Range: ${contentRange(range, length)}`,
  ]
  return `\r\n--${boundary}\r\n${fields.join('\r\n')}\r\n\r\n`
}

/** Bytes that a piece takes; header text is Latin-1 on the wire. */
function sizeOf(piece: PartialPiece): number {
  return piece.kind === 'text' ? piece.text.length : piece.last - piece.first + 1
}
