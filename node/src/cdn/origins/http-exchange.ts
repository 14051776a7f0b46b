/**
 * One request to an origin and its answer, over `node:http`: every step has its deadline, every head its bound, and the body is read
 * at the pace of who takes it. Nothing is decoded but the framing.
 */
import {
  type Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type InformationEvent,
} from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { LookupFunction, Socket } from 'node:net'
import type { CancelTimer, Clock } from '../../clock.ts'
import { abortReason } from '../../deadline.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import { httpOriginLimits as limits } from '../../limits/cdn-origins.ts'
import type { Fields, ResponseHead } from '../message.ts'
import type { OriginResponse } from '../origin.ts'
import { solicited } from '../rules/solicited.ts'
import { endToEndFields } from './raw-fields.ts'

/** Where the origin is and how it is reached. */
export interface ExchangeTarget {
  readonly secure: boolean
  /** Name or address, an IPv6 one without brackets. */
  readonly hostname: string
  readonly port: number
  readonly agent: Agent
  readonly lookup: LookupFunction
}

/** What is sent. */
export interface ExchangeRequest {
  readonly method: string
  readonly path: string
  /** With `host`. */
  readonly headers: Fields
  readonly body: AsyncIterable<Uint8Array> | undefined
  readonly signal: AbortSignal
  readonly onInformational: ((head: ResponseHead) => void) | undefined
  readonly onBodyBytes: (bytes: number) => void
}

/** A kept connection that the origin had closed meanwhile: not a byte came back, so nobody there has seen the request whole. */
export class StaleConnection extends KairoError {
  constructor(options: ErrorOptions) {
    super('ERR_NO_PROVIDER', 'the origin had closed the connection', options)
  }
}

/** Used once. */
export class HttpExchange {
  readonly #clock: Clock
  readonly #target: ExchangeTarget
  readonly #request: ExchangeRequest
  readonly #outgoing: ClientRequest
  readonly #head = Promise.withResolvers<OriginResponse>()
  readonly #closed = Promise.withResolvers<void>()
  #response: IncomingMessage | undefined
  #cancelTimer: CancelTimer = () => {}
  #informational = 0
  #isConnected = false
  #bytesReadBefore = 0
  #bodySent = false

  /** @throws KairoError `ERR_INVALID_INPUT` for a method, path or field that cannot be sent. */
  constructor(
    components: { readonly clock: Clock },
    target: ExchangeTarget,
    request: ExchangeRequest,
  ) {
    this.#clock = components.clock
    this.#target = target
    this.#request = request
    this.#outgoing = this.#create()
    this.#listen()
  }

  /** Resolves when the connection is free again or gone. */
  get closed(): Promise<void> {
    return this.#closed.promise
  }

  /**
   * Sends the request.
   * @throws KairoError as `Origin.fetch` does; {@link StaleConnection}.
   */
  send(): Promise<OriginResponse> {
    const { signal, body } = this.#request
    if (signal.aborted) this.#onAbort()
    else signal.addEventListener('abort', this.#onAbort, { once: true })
    this.#bodySent = body === undefined
    if (body === undefined) this.#outgoing.end()
    else this.#sendBody(body).catch((error: unknown) => this.#destroy(this.#failure(error)))
    return this.#head.promise
  }

  #create(): ClientRequest {
    const { secure, hostname, port, agent, lookup } = this.#target
    const { method, path, headers } = this.#request
    const options = {
      ...{ hostname, port, agent, lookup, method, path, headers },
      setHost: false,
      insecureHTTPParser: false,
      maxHeaderSize: limits.headBytesMax,
    }
    try {
      // Without `servername`, Node would take the name to verify from the Host field, which may be the client's.
      const outgoing = secure
        ? httpsRequest({ ...options, servername: serverName(hostname) })
        : httpRequest(options)
      // Fields beyond a number would vanish unseen; here the bytes are bounded instead, and the number checked.
      outgoing.maxHeadersCount = 0
      // A body of another length than it says would make the rest of it a request of its own.
      return Object.assign(outgoing, { strictContentLength: true })
    } catch (cause) {
      throw new KairoError('ERR_INVALID_INPUT', 'the request cannot be sent to the origin', {
        cause,
      })
    }
  }

  #listen(): void {
    const outgoing = this.#outgoing
    outgoing.once('socket', (socket) => this.#onSocket(socket))
    outgoing.on('information', (head) => this.#onInformation(head))
    outgoing.once('response', (response) => this.#onResponse(response))
    outgoing.once('upgrade', (_response, socket) => {
      socket.destroy()
      this.#destroy(new KairoError('ERR_PROTOCOL', 'the origin changed the protocol unasked'))
    })
    outgoing.on('error', (error) => this.#head.reject(this.#failure(error)))
    outgoing.once('close', () => {
      this.#cancelTimer()
      this.#request.signal.removeEventListener('abort', this.#onAbort)
      if (this.#response === undefined) {
        this.#head.reject(new KairoError('ERR_NO_PROVIDER', 'the origin gave no answer'))
      }
      this.#closed.resolve()
    })
  }

  readonly #onAbort = (): void => this.#destroy(abortReason(this.#request.signal))

  #destroy(error: KairoError): void {
    this.#head.reject(error)
    // A response that is destroyed tells its reader why; a request with a response would not.
    if (this.#response?.complete === false) this.#response.destroy(error)
    else this.#outgoing.destroy(error)
  }

  #onSocket(socket: Socket): void {
    this.#bytesReadBefore = socket.bytesRead
    if (this.#outgoing.reusedSocket) {
      this.#awaitHead()
      return
    }
    this.#limit(limits.connectMsMax, 'the origin did not take the connection in time')
    socket.once(this.#target.secure ? 'secureConnect' : 'connect', () => this.#awaitHead())
  }

  #awaitHead(): void {
    this.#isConnected = true
    // While a body is sent its chunks have their own deadline, from the first one on.
    if (this.#response === undefined) {
      this.#limit(
        this.#bodySent ? limits.headMsMax : limits.stallMsMax,
        'the origin did not answer in time',
      )
    }
  }

  #limit(delayMs: number, words: string): void {
    this.#cancelTimer()
    this.#cancelTimer = this.#clock.after(delayMs, () =>
      this.#destroy(new KairoError('ERR_TIMEOUT', words)),
    )
  }

  #onInformation({ statusCode, rawHeaders }: InformationEvent): void {
    this.#informational += 1
    try {
      if (this.#informational > limits.informationalMax) {
        throw new KairoError('ERR_PROTOCOL', 'the origin sent too many informational responses')
      }
      // Nobody asked to be told to continue, and whoever switches protocols is not listened to.
      if (statusCode === 100 || statusCode === 101) return
      const head = { status: statusCode, headers: endToEndFields(rawHeaders) }
      this.#request.onInformational?.(head)
    } catch (error) {
      this.#destroy(this.#failure(error))
    }
  }

  #onResponse(response: IncomingMessage): void {
    this.#response = response
    this.#cancelTimer()
    // Whoever reads the body hears of it; a body that nobody reads has nobody to tell.
    response.on('error', () => {})
    try {
      const { status, headers } = this.#headOf(response)
      const isEmpty =
        this.#request.method === 'HEAD' ||
        status === 204 ||
        status === 304 ||
        headers['content-length'] === '0'
      // An answer without a body lets go of its connection by itself.
      if (isEmpty) response.resume()
      this.#head.resolve({ status, headers, body: isEmpty ? nothing() : this.#body(response) })
    } catch (error) {
      this.#destroy(this.#failure(error))
    }
  }

  /** @throws KairoError `ERR_PROTOCOL` for what is no answer to the request. */
  #headOf({ statusCode: status = 0, rawHeaders }: IncomingMessage): ResponseHead {
    if (status < 200 || status > 599) {
      throw new KairoError('ERR_PROTOCOL', `the origin answered with the status ${status}`)
    }
    const head = solicited(this.#request.headers, { status, headers: endToEndFields(rawHeaders) })
    if (head === undefined) {
      throw new KairoError('ERR_PROTOCOL', `the origin answered ${status} without being asked to`)
    }
    return head
  }

  async *#body(response: IncomingMessage): AsyncGenerator<Uint8Array> {
    try {
      const chunks = response[Symbol.asyncIterator]()
      for (;;) {
        this.#limit(limits.stallMsMax, 'the origin stopped in the middle of the answer')
        const next = await chunks.next()
        this.#cancelTimer()
        if (next.done === true) return
        const chunk = next.value as Buffer
        this.#request.onBodyBytes(chunk.byteLength)
        yield chunk
      }
    } catch (error) {
      throw this.#bodyFailure(error)
    } finally {
      this.#cancelTimer()
      // After a whole body the connection is somebody else's already.
      if (!response.complete) response.destroy()
    }
  }

  async #sendBody(body: AsyncIterable<Uint8Array>): Promise<void> {
    const outgoing = this.#outgoing
    for await (const chunk of body) {
      if (outgoing.destroyed) return
      if (this.#response?.complete === true) {
        // It has answered without waiting for the rest, for which the connection would stay occupied.
        outgoing.destroy()
        return
      }
      if (outgoing.write(chunk)) continue
      this.#limit(limits.stallMsMax, 'the origin does not take the body')
      await drained(outgoing)
      this.#cancelTimer()
    }
    this.#bodySent = true
    outgoing.end()
    this.#awaitHead()
  }

  #failure(error: unknown): KairoError {
    const { signal } = this.#request
    if (signal.aborted) return abortReason(signal)
    if (isKairoError(error)) return error
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (code.startsWith('HPE_')) {
      return new KairoError('ERR_PROTOCOL', `the origin's answer is no HTTP (${code})`, {
        cause: error,
      })
    }
    const outgoing = this.#outgoing
    const heardNothing = (outgoing.socket?.bytesRead ?? 0) === this.#bytesReadBefore
    if (outgoing.reusedSocket && heardNothing && (code === 'ECONNRESET' || code === 'EPIPE')) {
      return new StaleConnection({ cause: error })
    }
    const reason = code === '' ? (error as Error).message : code
    // It was reached, and has something against this request; another one may fare better.
    if (this.#isConnected && (code === 'ECONNRESET' || code === 'EPIPE')) {
      return new KairoError('ERR_PROTOCOL', `the origin ended the connection (${reason})`, {
        cause: error,
      })
    }
    return new KairoError('ERR_NO_PROVIDER', `the origin cannot be reached (${reason})`, {
      cause: error,
    })
  }

  #bodyFailure(error: unknown): KairoError {
    const { signal } = this.#request
    if (signal.aborted) return abortReason(signal)
    if (isKairoError(error)) return error
    return new KairoError('ERR_PROTOCOL', 'the origin broke off in the middle of the answer', {
      cause: error,
    })
  }
}

/** The name to ask for and to verify; an address is verified as one, and not asked for by name (RFC 6066 3). */
function serverName(hostname: string): string {
  return /^[\d.]+$|:/.test(hostname) ? '' : hostname
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** Resolves when the request takes more, or never will. */
function drained(outgoing: ClientRequest): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const settle = (): void => {
    outgoing.off('drain', settle)
    outgoing.off('close', settle)
    resolve()
  }
  outgoing.on('drain', settle)
  outgoing.on('close', settle)
  return promise
}
