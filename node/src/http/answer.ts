/**
 * Turns a {@link PreparedResponse} into the fields and bytes of an HTTP/1.1 answer. The fast lane and the ordinary
 * server both build their answers here, so they cannot differ.
 */
import { STATUS_CODES } from 'node:http'
import { httpLimits } from '../limits.ts'
import type { CorsPolicy } from './cors.ts'
import type { PreparedResponse } from './prepared-response.ts'

/** What a header value may hold; anything else could split the answer (RFC 9110 5.5). */
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/
/** RFC 9110 5.6.2. */
const fieldName = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/
/** Fields of one connection, which an answer taken from elsewhere must not bring along (RFC 9110 7.6.1). */
const connectionsOwn = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade'])
/** Fields that the server alone sets. */
const serversOwn = new Set([
  'content-length',
  'date',
  'connection',
  'keep-alive',
  'transfer-encoding',
])

/** True for answers that have no body and no length (RFC 9110 6.4.1). */
function isBodiless(status: number): boolean {
  return status === 204 || status === 304
}

/** Bytes of the body over all its pieces. */
export function bodyLength(response: PreparedResponse): number {
  let length = 0
  for (const piece of response.body) {
    length += piece.byteLength
  }
  return length
}

/**
 * Names and values, one after the other, of an answer's own header fields: everything but `Date` and `Connection`.
 * @throws Error when a name or value cannot stand in a header.
 */
export function answerFields(
  response: PreparedResponse,
  cors: CorsPolicy,
  origin: string | undefined,
): string[] {
  if (response.verbatim === true) return verbatimFields(response)
  const fields: string[] = []
  for (const [name, value] of Object.entries(response.headers)) {
    if (!fieldName.test(name) || !fieldValue.test(value) || serversOwn.has(name.toLowerCase())) {
      throw new Error(`header field ${JSON.stringify(name)} cannot be sent`)
    }
    fields.push(name, value)
  }
  // What is still being made has no length yet, and no ranges of it.
  if (response.status === 200 && response.stream === undefined) {
    fields.push('accept-ranges', 'bytes')
  }
  if (!isBodiless(response.status) && response.stream === undefined) {
    fields.push('content-length', String(bodyLength(response)))
  }
  fields.push('x-content-type-options', 'nosniff', ...cors.publicFields(origin))
  return fields
}

/** True when a streamed answer has to be sent in chunks, because nothing tells its length. */
export function isChunked(response: PreparedResponse): boolean {
  return response.stream !== undefined && response.headers['content-length'] === undefined
}

/**
 * An informational response (RFC 9110 15.2), ready for the socket.
 * @throws Error when a name or value cannot stand in a header.
 */
export function earlyHints(headers: Readonly<Record<string, string>>, status = 103): Buffer {
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
  const fields = verbatimFields({ status: 204, headers, body: [] })
  for (let index = 0; index < fields.length; index += 2) {
    text += `${fields[index]}: ${fields[index + 1]}\r\n`
  }
  return Buffer.from(`${text}\r\n`, 'latin1')
}

/** Fields of another server: what concerns the connection is ours, the rest goes out as it came. */
function verbatimFields(response: PreparedResponse): string[] {
  const fields: string[] = []
  for (const [name, value] of Object.entries(response.headers)) {
    const lines = name === 'set-cookie' ? value.split('\n') : [value]
    for (const line of lines) {
      if (!fieldName.test(name) || !fieldValue.test(line) || connectionsOwn.has(name)) {
        throw new Error(`header field ${JSON.stringify(name)} cannot be sent`)
      }
      fields.push(name, line)
    }
  }
  const isWhole = response.stream === undefined && response.headers['content-length'] === undefined
  if (isWhole && !isBodiless(response.status)) {
    fields.push('content-length', String(bodyLength(response)))
  }
  return fields
}

/** An answer as the lane writes it: one buffer, or a head and pieces for one gathered write. */
export type AnswerBytes = Buffer | { readonly head: Buffer; readonly body: readonly Uint8Array[] }

interface Rendered {
  /** Status line and fields, up to where `Date` comes. */
  readonly start: string
  /** The whole answer as last sent on a connection that stays open, and the tail it ends its head with. */
  tail: string
  bytes: AnswerBytes | undefined
}

const keepAliveS = Math.floor(httpLimits.keepAliveTimeoutMs / 1000)

/**
 * Writes answers to bytes, and keeps for each PreparedResponse that is sent more than once what it wrote: a handler
 * that gives many viewers the same object (a live playlist, a part) costs one rendering a second for all of them.
 */
export class AnswerWriter {
  readonly #cors: CorsPolicy
  readonly #rendered = new WeakMap<PreparedResponse, Rendered>()
  #keepAliveTail = ''
  #closeTail = ''
  readonly #bareKeepAliveTail =
    `Connection: keep-alive\r\nKeep-Alive: timeout=${keepAliveS}\r\n\r\n`
  readonly #bareCloseTail = 'Connection: close\r\n\r\n'

  constructor(cors: CorsPolicy) {
    this.#cors = cors
  }

  /** Takes over the time for `Date` fields; called once a second. */
  setDate(nowMs: number): void {
    const date = `Date: ${new Date(nowMs).toUTCString()}\r\n`
    this.#keepAliveTail = date + this.#bareKeepAliveTail
    this.#closeTail = date + this.#bareCloseTail
  }

  /** The answer's bytes for a GET. */
  write(response: PreparedResponse, origin: string | undefined, keepAlive: boolean): AnswerBytes {
    const reusable = keepAlive && (this.#cors.sameForAll || response.verbatim === true)
    const tail = this.#tail(response, keepAlive)
    const known = reusable ? this.#rendered.get(response) : undefined
    if (known?.bytes !== undefined && known.tail === tail) {
      return known.bytes
    }
    const start = known?.start ?? this.#start(response, origin)
    const length = isBodiless(response.status) ? 0 : bodyLength(response)
    const head = Buffer.from(start + tail, 'latin1')
    const bytes: AnswerBytes =
      length > httpLimits.copyBytesMax
        ? { head, body: response.body }
        : length === 0
          ? head
          : Buffer.concat([head, ...response.body])
    if (known !== undefined) {
      known.tail = tail
      known.bytes = bytes
    } else if (reusable) {
      this.#rendered.set(response, { start, tail, bytes })
    }
    return bytes
  }

  /** The head alone, for HEAD and in front of a streamed body. */
  writeHead(response: PreparedResponse, origin: string | undefined, keepAlive: boolean): Buffer {
    const tail = this.#tail(response, keepAlive)
    return Buffer.from(this.#start(response, origin) + tail, 'latin1')
  }

  #tail(response: PreparedResponse, keepAlive: boolean): string {
    if (response.verbatim === true) return keepAlive ? this.#bareKeepAliveTail : this.#bareCloseTail
    return keepAlive ? this.#keepAliveTail : this.#closeTail
  }

  #start(response: PreparedResponse, origin: string | undefined): string {
    let text = `HTTP/1.1 ${response.status} ${STATUS_CODES[response.status] ?? ''}\r\n`
    const fields = answerFields(response, this.#cors, origin)
    for (let index = 0; index < fields.length; index += 2) {
      text += `${fields[index]}: ${fields[index + 1]}\r\n`
    }
    // The lane speaks HTTP/1.1 only, whose clients all read chunks.
    return isChunked(response) ? `${text}Transfer-Encoding: chunked\r\n` : text
  }
}
