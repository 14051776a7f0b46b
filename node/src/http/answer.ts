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
const fieldName = /^[A-Za-z0-9-]+$/
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

/** An answer as the lane writes it: one buffer, or a head and pieces for one gathered write. */
export type AnswerBytes = Buffer | { readonly head: Buffer; readonly body: readonly Uint8Array[] }

interface Rendered {
  /** Status line and fields, up to where `Date` comes. */
  readonly start: string
  /** The whole answer as last sent on a connection that stays open, and the tail it ends its head with. */
  tail: string
  bytes: Buffer | undefined
}

/**
 * Writes answers to bytes, and keeps for each PreparedResponse that is sent more than once what it wrote: a handler
 * that gives many viewers the same object (a live playlist, a part) costs one rendering a second for all of them.
 */
export class AnswerWriter {
  readonly #cors: CorsPolicy
  readonly #rendered = new WeakMap<PreparedResponse, Rendered>()
  #keepAliveTail = ''
  #closeTail = ''

  constructor(cors: CorsPolicy) {
    this.#cors = cors
  }

  /** Takes over the time for `Date` fields; called once a second. */
  setDate(nowMs: number): void {
    const date = `Date: ${new Date(nowMs).toUTCString()}\r\n`
    const timeoutS = Math.floor(httpLimits.keepAliveTimeoutMs / 1000)
    this.#keepAliveTail = `${date}Connection: keep-alive\r\nKeep-Alive: timeout=${timeoutS}\r\n\r\n`
    this.#closeTail = `${date}Connection: close\r\n\r\n`
  }

  /** The answer's bytes for a GET. */
  write(response: PreparedResponse, origin: string | undefined, keepAlive: boolean): AnswerBytes {
    const reusable = keepAlive && this.#cors.sameForAll
    const tail = keepAlive ? this.#keepAliveTail : this.#closeTail
    const known = reusable ? this.#rendered.get(response) : undefined
    if (known?.bytes !== undefined && known.tail === tail) {
      return known.bytes
    }
    const start = known?.start ?? this.#start(response, origin)
    const length = isBodiless(response.status) ? 0 : bodyLength(response)
    const head = Buffer.from(start + tail, 'latin1')
    if (length > httpLimits.copyBytesMax) {
      if (reusable && known === undefined) {
        this.#rendered.set(response, { start, tail: '', bytes: undefined })
      }
      return { head, body: response.body }
    }
    const bytes = length === 0 ? head : Buffer.concat([head, ...response.body])
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
    const tail = keepAlive ? this.#keepAliveTail : this.#closeTail
    return Buffer.from(this.#start(response, origin) + tail, 'latin1')
  }

  #start(response: PreparedResponse, origin: string | undefined): string {
    let text = `HTTP/1.1 ${response.status} ${STATUS_CODES[response.status] ?? ''}\r\n`
    const fields = answerFields(response, this.#cors, origin)
    for (let index = 0; index < fields.length; index += 2) {
      text += `${fields[index]}: ${fields[index + 1]}\r\n`
    }
    // The lane speaks HTTP/1.1 only, whose clients all read chunks.
    return response.stream === undefined ? text : `${text}Transfer-Encoding: chunked\r\n`
  }
}
