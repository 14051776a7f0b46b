/**
 * Headers of HLS answers. An immutable object's entity tag is its digest, and `Repr-Digest` (RFC 9530) lets any client check
 * it; the header objects are made once and shared by all answers that carry them.
 */
import { type Digest, digestOf } from '../content/digest.ts'
import type { ErrorCode } from '../errors.ts'
import { matchesTag } from '../http/entity-tag.ts'
import type { PreparedResponse } from '../http/prepared-response.ts'
import { createProblem, problemResponse } from '../http/problem.ts'
import { deliveryLimits } from '../limits.ts'

/** RFC 8216bis 4. */
export const PLAYLIST_TYPE = 'application/vnd.apple.mpegurl'
/** Parts, segments and init segments never change under their name: the msn grows for the life of a stream. */
const IMMUTABLE = 'public, max-age=31536000, immutable'
/** Answers to plain playlist requests are checked each time; the entity tag makes that cheap. */
const REVALIDATE = 'no-cache'

/** Headers of an answer. */
export type Headers = PreparedResponse['headers']

/** Headers of an object that never changes under its name; without a digest it carries no validators. */
export function immutableHeaders(contentType: string, digest: Digest | undefined): Headers {
  const base = { 'content-type': contentType, 'cache-control': IMMUTABLE }
  return digest === undefined ? base : { ...base, ...validators(digest) }
}

/** Headers of a still picture, which a newer one replaces after `maxAgeS` seconds. */
export function stillHeaders(body: Uint8Array, maxAgeS: number): Headers {
  return {
    'content-type': 'video/mp4',
    'cache-control': `public, max-age=${maxAgeS}`,
    ...validators(digestOf(body)),
  }
}

/**
 * A playlist as answered to plain requests and to blocking ones; the two share the body, which `tag` names. A blocking request names a version
 * that never changes backwards, so caches may keep the answer for six target durations (RFC 8216bis 6.2.5.2).
 */
export function playlistResponses(
  pieces: readonly Buffer[],
  tag: string,
  targetDurationS: number,
): { readonly plain: PreparedResponse; readonly blocking: PreparedResponse } {
  const headers = { 'content-type': PLAYLIST_TYPE, etag: `"${tag}"` }
  const maxAge = `public, max-age=${targetDurationS * 6}`
  return {
    plain: { status: 200, headers: { ...headers, 'cache-control': REVALIDATE }, body: pieces },
    blocking: { status: 200, headers: { ...headers, 'cache-control': maxAge }, body: pieces },
  }
}

/** A text that is checked each time it is asked for, with its digest as entity tag. */
export function textResponse(contentType: string, text: string): PreparedResponse {
  const body = Buffer.from(text)
  return {
    status: 200,
    headers: {
      'content-type': contentType,
      etag: `"${digestOf(body)}"`,
      'cache-control': REVALIDATE,
    },
    body: [body],
  }
}

/** The answer, or 304 when the client's copy is the same (RFC 9110 13.1.2). */
export function conditional(
  response: PreparedResponse,
  ifNoneMatch: string | undefined,
): PreparedResponse {
  const etag = response.headers.etag
  if (etag === undefined || !matchesTag(ifNoneMatch, etag)) return response
  return { status: 304, headers: response.headers, body: [] }
}

/** 503 that asks the player to come again shortly. */
export function unavailable(code: ErrorCode, detail: string): PreparedResponse {
  const response = problemResponse(createProblem(503, code, { detail }))
  return {
    ...response,
    headers: { ...response.headers, 'retry-after': String(deliveryLimits.retryAfterS) },
  }
}

function validators(digest: Digest): Headers {
  return {
    etag: `"${digest}"`,
    'repr-digest': `sha-256=:${Buffer.from(digest, 'hex').toString('base64')}:`,
  }
}
