/** Failures as RFC 9457 problem documents, the one shape in which every room's errors reach an HTTP client. */
import { STATUS_CODES } from 'node:http'
import { errorStatus, isKairoError, KairoError } from '../errors.ts'
import type { PreparedResponse } from './prepared-response.ts'

/** The media type of {@link Problem} as JSON. */
export const PROBLEM_MEDIA_TYPE = 'application/problem+json'

/** RFC 9457 members, and `code` with the stable name that logs and metrics use too. */
export interface Problem {
  /** `about:blank`: the status says what there is to say; `code` tells the cases apart. */
  readonly type: string
  /** The status in words. */
  readonly title: string
  readonly status: number
  /** A sentence for the person who reads it; absent for an unexpected failure, whose cause stays in our log. */
  readonly detail?: string
  /** An {@link errorStatus} code, or `ERR_INTERNAL`. */
  readonly code: string
  /** The path that was asked for. */
  readonly instance?: string
  /** Fields that do not fit, for `ERR_INVALID_INPUT`. */
  readonly errors?: readonly FieldError[]
}

/** One field of a request that does not fit its declaration. */
export interface FieldError {
  /** Where it was sent and its path there: `query.limit`, `body.renditions.0.name`. */
  readonly field: string
  readonly message: string
}

/** A problem with a chosen status; the title follows from it. */
export function createProblem(
  status: number,
  code: string,
  members: Pick<Problem, 'detail' | 'instance' | 'errors'> = {},
): Problem {
  return { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, code, ...members }
}

/** Input that does not fit, with the fields at fault. */
export class InvalidInput extends KairoError {
  readonly fields: readonly FieldError[]

  constructor(fields: readonly FieldError[]) {
    super('ERR_INVALID_INPUT', 'the request does not fit what this route takes')
    this.fields = fields
  }
}

/** The problem an error becomes. Whatever is not a KairoError gives 500 and none of its words. */
export function problemOf(error: unknown, instance?: string): Problem {
  const members = instance === undefined ? {} : { instance }
  if (isKairoError(error)) {
    const fields = error instanceof InvalidInput ? { errors: error.fields } : {}
    return createProblem(errorStatus[error.code], error.code, {
      detail: error.message,
      ...members,
      ...fields,
    })
  }
  return createProblem(500, 'ERR_INTERNAL', members)
}

/** The path of a request's URL: its query may hold secrets, and is told to nobody. */
export function pathOf(url: string): string {
  return url.split('?', 1)[0] as string
}

/** True when the error is not one Kairo raises on purpose, so whoever answers it logs it. */
export function isUnexpected(error: unknown): boolean {
  return !isKairoError(error)
}

/** A problem as a whole answer that no cache keeps. */
export function problemResponse(problem: Problem): PreparedResponse {
  return {
    status: problem.status,
    headers: { 'content-type': PROBLEM_MEDIA_TYPE, 'cache-control': 'no-store' },
    body: [Buffer.from(JSON.stringify(problem))],
  }
}

/** A problem as the last bytes of a connection whose request could not be read. */
export function lastWords(status: number, code: string, detail: string): Buffer {
  const body = JSON.stringify(createProblem(status, code, { detail }))
  return Buffer.from(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: ${PROBLEM_MEDIA_TYPE}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}
