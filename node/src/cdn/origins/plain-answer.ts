/** Small answers that Kairo gives in an origin's name: for folders, and for buckets whose own words are not for viewers. */
import { STATUS_CODES } from 'node:http'
import type { Fields } from '../message.ts'
import type { OriginResponse } from '../origin.ts'

/** An answer that says its status in words, and nothing in answer to HEAD. */
export function plainAnswer(method: string, status: number, headers: Fields = {}): OriginResponse {
  const body = Buffer.from(`${status} ${STATUS_CODES[status] ?? 'Error'}\n`)
  const isEmpty = status === 304
  return {
    status,
    headers: isEmpty
      ? headers
      : {
          'content-type': 'text/plain; charset=utf-8',
          'content-length': String(body.length),
          ...headers,
        },
    body: isEmpty || method === 'HEAD' ? pieces([]) : pieces([body]),
  }
}

/** The answer to a method that only reads are allowed for (RFC 9110 15.5.6). */
export function methodNotAllowed(method: string): OriginResponse {
  return plainAnswer(method, 405, { allow: 'GET, HEAD' })
}

async function* pieces(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}
