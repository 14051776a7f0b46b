/** What those are told who are turned away: 429 for who asks too much, 503 when all together do (RFC 6585 4, RFC 9110 15.6.4). */
import { type ServerResponse, STATUS_CODES } from 'node:http'
import { clientLimits, overloadLimits } from '../../limits/shelter.ts'
import type { PreparedResponse } from '../prepared-response.ts'
import { createProblem, problemResponse } from '../problem.ts'

function refusal(
  status: number,
  code: string,
  detail: string,
  retryAfterS: number,
): PreparedResponse {
  const response = problemResponse(createProblem(status, code, { detail }))
  return { ...response, headers: { ...response.headers, 'retry-after': String(retryAfterS) } }
}

/** To a client whose address or subnet asks too much. */
export const tooManyRequests = refusal(
  429,
  'ERR_LIMIT',
  'too many requests from this address; come back a little later',
  clientLimits.retryAfterS,
)

/** To whoever asks for new work while there is too much of it. */
export const overloaded = refusal(
  503,
  'ERR_OVERLOADED',
  'this peer has more to do than it can; come back a little later',
  overloadLimits.retryAfterS,
)

/** A refusal as the last bytes of a connection. */
export function refusalBytes({ status, headers, body }: PreparedResponse): Buffer {
  return Buffer.from(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      `content-length: ${body[0]?.byteLength}`,
      'connection: close',
      '',
      Buffer.from(body[0] ?? []).toString(),
    ].join('\r\n'),
  )
}

/** The whole answer to a connection that is not taken; it has asked nothing yet. */
export const connectionRefusal = refusalBytes(tooManyRequests)

/** Answers a request of the ordinary server; its connection ends, so that a body that is still to come is not read. */
export function sendRefusal(reply: ServerResponse, response: PreparedResponse): void {
  reply.writeHead(response.status, { ...response.headers, connection: 'close' })
  reply.end(response.body[0])
}
