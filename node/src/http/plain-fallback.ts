/**
 * The plain handlers behind Node's own HTTP server, for connections that left the fast lane: the same answers, and
 * what the lane does not do (byte ranges, HTTP/1.0, absolute request targets).
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { KairoError } from '../errors.ts'
import { answerFields, bodyLength, earlyHints } from './answer.ts'
import { partialResponse, selectRange, unsatisfiableRange } from './byte-range.ts'
import { clientAddressOf } from './client-message.ts'
import type { CorsPolicy } from './cors.ts'
import type { HttpMetrics } from './http-metrics.ts'
import type { PlainHandlers } from './plain-handlers.ts'
import type { PlainRequest, PreparedResponse } from './prepared-response.ts'
import { problemResponse } from './problem.ts'
import { isPlainPath } from './request-head.ts'

/** What the fallback is built on. */
export interface PlainFallbackComponents {
  readonly handlers: PlainHandlers
  readonly metrics: HttpMetrics
  readonly cors: CorsPolicy
}

/** What the fallback is told. */
export interface PlainFallbackInit {
  /** Called with each reply before its head is written. */
  readonly beforeHead: (reply: ServerResponse) => void
}

/** Answers Node requests by asking the plain handlers. */
export class PlainFallback {
  readonly #metrics: HttpMetrics
  readonly #cors: CorsPolicy
  readonly #handlers: PlainHandlers

  readonly #beforeHead: (reply: ServerResponse) => void

  constructor(components: PlainFallbackComponents, init: PlainFallbackInit) {
    this.#beforeHead = init.beforeHead
    this.#metrics = components.metrics
    this.#cors = components.cors
    this.#handlers = components.handlers
  }

  /** Takes the request if it is plain and a handler knows its path; false leaves it to the declared routes. */
  serve(message: IncomingMessage, reply: ServerResponse): boolean {
    const request = plainRequestOf(message)
    if (request === undefined) {
      return false
    }
    const controller = new AbortController()
    const answer = this.#handlers.ask(
      request,
      controller.signal,
      clientAddressOf(message),
      (headers, status) => sendEarlyHints(message, reply, headers, status),
    )
    if (answer === undefined) {
      return false
    }
    reply.once('close', () => {
      if (!reply.writableFinished) {
        controller.abort(new KairoError('ERR_STOPPED', 'the client left'))
      }
    })
    if (!(answer instanceof Promise)) {
      this.#send(message, reply, request, answer)
      return true
    }
    answer.then(
      (response) => this.#send(message, reply, request, response),
      (error) => {
        // After the client has left, a rejection only says that the handler has noticed.
        if (!reply.destroyed) {
          this.#send(message, reply, request, this.#handlers.failed(error, request))
        }
      },
    )
    return true
  }

  #send(
    message: IncomingMessage,
    reply: ServerResponse,
    request: PlainRequest,
    whole: PreparedResponse,
  ): void {
    if (reply.destroyed) {
      return
    }
    const response = withRange(message, request, whole)
    let fields: string[]
    try {
      fields = answerFields(response, this.#cors, message.headers.origin)
    } catch (error) {
      // Only a response whose headers cannot be sent comes here; the problem that replaces it can.
      this.#send(message, reply, request, this.#handlers.failed(error, request))
      return
    }
    this.#metrics.fallbackAnswers.inc({ status: String(response.status) })
    this.#beforeHead(reply)
    if (response.verbatim === true) reply.sendDate = false
    reply.writeHead(response.status, fields)
    if (request.method === 'GET' && response.stream !== undefined) {
      this.#stream(reply, request, response.stream)
      return
    }
    if (request.method === 'GET' && bodyLength(response) > 0) {
      reply.cork()
      for (const piece of response.body) {
        reply.write(piece)
      }
      reply.uncork()
    }
    reply.end()
  }

  /** Node sends chunks to HTTP/1.1 clients, and to older ones a body that ends with the connection. */
  #stream(reply: ServerResponse, request: PlainRequest, stream: AsyncIterable<Uint8Array>): void {
    reply.flushHeaders()
    let left = false
    reply.once('close', () => {
      left = true
    })
    pipeline(stream, reply).catch((error: unknown) => {
      // The connection is gone by now. Logs a failure that nobody planned; a client that left is none.
      if (!left) this.#handlers.failed(error, request)
    })
  }
}

/** Undefined for what no plain handler may see. */
function plainRequestOf(message: IncomingMessage): PlainRequest | undefined {
  const { method, headers } = message
  if (method !== 'GET' && method !== 'HEAD') {
    return undefined
  }
  const target = originForm(message.url ?? '')
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  if (!isPlainPath(path)) {
    return undefined
  }
  return {
    method,
    path,
    query: mark < 0 ? '' : target.slice(mark + 1),
    host: (headers.host ?? '').toLowerCase(),
    ifNoneMatch: headers['if-none-match'],
    acceptEncoding: headers['accept-encoding']?.toString(),
    asksCache: cacheFields.some((name) => headers[name] !== undefined),
    fieldNames: () => Object.keys(headers),
    header: (name) => {
      const value = headers[name]
      return Array.isArray(value) ? value.join(', ') : value
    },
  }
}

const cacheFields = [
  'cache-control',
  'pragma',
  'if-none-match',
  'if-modified-since',
  'if-match',
  'if-unmodified-since',
  'if-range',
  'range',
]

/** Tells the client what its answer will need, where an answer of HTTP/1.1 has not begun yet (RFC 9110 15.2). */
export function sendEarlyHints(
  message: IncomingMessage,
  reply: ServerResponse,
  headers: Readonly<Record<string, string>>,
  status?: number,
): void {
  // Of pipelined requests only the one whose turn it is has the socket.
  if (message.httpVersion !== '1.1' || reply.headersSent || reply.socket === null) return
  if (reply.socket.writable) reply.socket.write(earlyHints(headers, status))
}

/** The path and query of a request target; servers take the absolute form too (RFC 9112 3.2.2). */
function originForm(target: string): string {
  const absolute = absoluteForm.exec(target)
  if (absolute === null) {
    return target
  }
  const rest = absolute[2] as string
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** Brings a request with an absolute target into the usual form: its authority is then the host, whatever `Host` says. */
export function takeOriginForm(message: IncomingMessage): void {
  const target = message.url ?? ''
  const authority = absoluteForm.exec(target)?.[1]
  if (authority === undefined) return
  message.headers.host = authority.replace(/^.*@/, '')
  message.url = originForm(target)
}

const absoluteForm = /^https?:\/\/([^/?#]+)(.*)$/i

/** Applies `Range` (RFC 9110 14.2) to a 200 answer of a GET; other answers stay as they are. */
function withRange(
  message: IncomingMessage,
  request: PlainRequest,
  response: PreparedResponse,
): PreparedResponse {
  const { range, 'if-range': ifRange } = message.headers
  if (response.verbatim === true) {
    return response
  }
  if (range === undefined || request.method !== 'GET' || response.status !== 200) {
    return response
  }
  if (response.stream !== undefined) {
    return response
  }
  if (ifRange !== undefined && ifRange !== response.headers.etag) {
    return response
  }
  const length = bodyLength(response)
  const selected = selectRange(range, length)
  if (selected === undefined) {
    return response
  }
  if (selected !== 'unsatisfiable') {
    return partialResponse(response, selected, length)
  }
  const { problem, headers } = unsatisfiableRange(length, request.path)
  const refusal = problemResponse(problem)
  return { ...refusal, headers: { ...refusal.headers, ...headers } }
}
