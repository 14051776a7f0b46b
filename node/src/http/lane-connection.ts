/** One connection in the fast lane: bytes to requests, requests to answers, one at a time and in order. */
import type { Socket } from 'node:net'
import { KairoError } from '../errors.ts'
import { streamedAnswerLimits } from '../limits/delivery-streams.ts'
import { httpLimits } from '../limits.ts'
import { bodyLength, earlyHints, isChunked } from './answer.ts'
import { writeChunked } from './chunked-body.ts'
import type { FastLane } from './fast-lane.ts'
import type { EndReason } from './http-metrics.ts'
import type { EarlyHints, PreparedResponse } from './prepared-response.ts'
import { lastWords } from './problem.ts'
import { isForeignStart, type RequestHead, RequestHeadReader } from './request-head.ts'
import type { ClientPass } from './shelter/client-pass.ts'
import { overloaded, tooManyRequests } from './shelter/refusals.ts'

const headEnd = '\r\n\r\n'

/**
 * `reading`: takes the next request. `waiting`: a handler's answer is to come. `streaming`: an answer is sent while it is
 * made. `draining`: the client has not yet read what was written. `left`: handed over, ending or closed.
 */
type State = 'reading' | 'waiting' | 'streaming' | 'draining' | 'left'

/** Holds at most one request in hand, bounded bytes behind it and one answer that the client is reading. */
export class LaneConnection {
  readonly #lane: FastLane
  readonly #socket: Socket
  /** Address of the other end. */
  readonly #client: string
  readonly #pass: ClientPass | undefined
  readonly #heads = new RequestHeadReader()
  #state: State = 'reading'
  /** Bytes that are not answered yet: a head that is not whole, or requests behind the one in hand. */
  #pending: Buffer | undefined
  #abort: AbortController | undefined
  /** When the state that has a deadline began, in the lane's time. */
  #sinceMs: number
  #answered = false
  #clientEnded = false
  #writing = false

  readonly #onData = (chunk: Buffer): void => this.#take(chunk)
  readonly #onDrain = (): void => this.#drained()
  readonly #onEnd = (): void => this.#ended()
  readonly #onError = (): void => this.#closed()
  readonly #onClose = (): void => this.#closed()
  readonly #onHints: EarlyHints = (headers, status): void => {
    if (this.#state === 'waiting') this.#socket.write(earlyHints(headers, status))
  }

  /** @param pass who the client is to the shelter, where there is one; closed with the connection, or handed over with it. */
  constructor(lane: FastLane, socket: Socket, pass: ClientPass | undefined) {
    this.#lane = lane
    this.#socket = socket
    this.#pass = pass
    this.#client = socket.remoteAddress ?? ''
    this.#sinceMs = lane.nowMs
    socket.on('data', this.#onData)
    socket.on('drain', this.#onDrain)
    socket.on('end', this.#onEnd)
    // A broken socket always closes too; what broke it is the client's business.
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
  }

  /** True while a handler owes an answer. */
  get isWaiting(): boolean {
    return this.#state === 'waiting'
  }

  /** Ends the connection as soon as what was written has left; one that waits for an answer stays. */
  beginStop(): void {
    if (this.#state === 'reading' || this.#state === 'draining') {
      this.#leave()
      this.#socket.destroySoon()
    }
  }

  /** Ends the connection at once, whatever it owes. */
  cut(reason: EndReason, error: KairoError): void {
    if (this.#socket.destroyed) {
      return
    }
    this.#lane.metrics.ended.inc({ reason })
    this.#leave(error)
    this.#socket.destroy()
  }

  /** Ends the connection when the client or the handler has taken too long. */
  checkDeadlines(nowMs: number): void {
    if (this.#socket.destroyed) {
      return
    }
    const elapsedMs = nowMs - this.#sinceMs
    if (this.#state === 'waiting') {
      if (elapsedMs > httpLimits.responseTimeoutMs) {
        this.cut('handler-timeout', new KairoError('ERR_TIMEOUT', 'no answer was found in time'))
      }
    } else if (this.#state === 'streaming') {
      if (elapsedMs > streamedAnswerLimits.stallMsMax) {
        this.cut('response-timeout', new KairoError('ERR_TIMEOUT', 'the answer does not move on'))
      }
    } else if (this.#socket.writableLength > 0) {
      this.#writing = true
      if (elapsedMs > httpLimits.responseTimeoutMs) {
        this.cut('response-timeout', new KairoError('ERR_TIMEOUT', 'the client does not read'))
      }
    } else if (this.#state === 'left') {
      // All is written; the socket closes by itself.
      this.#sinceMs = nowMs
    } else if (this.#writing) {
      // The answer left since the last look: from now on the connection is idle.
      this.#writing = false
      this.#sinceMs = nowMs
    } else {
      this.#checkIdle(elapsedMs)
    }
  }

  #checkIdle(elapsedMs: number): void {
    if (this.#pending !== undefined || !this.#answered) {
      if (elapsedMs > httpLimits.headerTimeoutMs) {
        this.#refuse('header-timeout', 408, 'ERR_TIMEOUT', 'the request did not come in time')
      }
    } else if (elapsedMs > httpLimits.keepAliveTimeoutMs) {
      this.cut('keep-alive-timeout', new KairoError('ERR_TIMEOUT', 'the connection was idle'))
    }
  }

  #take(chunk: Buffer): void {
    if (this.#state === 'reading') {
      this.#process(this.#pending === undefined ? chunk : Buffer.concat([this.#pending, chunk]))
      return
    }
    if (this.#state === 'left') {
      return
    }
    this.#pending = this.#pending === undefined ? chunk : Buffer.concat([this.#pending, chunk])
    if (this.#pending.length > httpLimits.pipelineBytesMax) {
      this.#socket.pause()
    }
  }

  /** Answers every whole request in `bytes`; what is left over waits in `#pending`. */
  #process(bytes: Buffer): void {
    const wasPartial = this.#pending !== undefined
    this.#pending = undefined
    const text = bytes.toString('latin1')
    let offset = 0
    while (offset < text.length) {
      const letter = text.charCodeAt(offset)
      const end = text.indexOf(headEnd, offset)
      const headBytes = (end < 0 ? text.length : end + headEnd.length) - offset
      // 'G' or 'H': anything else is not a method of the lane.
      if ((letter !== 71 && letter !== 72) || headBytes > httpLimits.headerBytesMax) {
        this.#handOver(bytes.subarray(offset))
        return
      }
      if (end < 0) {
        this.#keepPartial(bytes.subarray(offset), text.slice(offset), wasPartial && offset === 0)
        return
      }
      const head = this.#heads.read(bytes, text, offset, end)
      if (head === undefined || !this.#answer(head)) {
        this.#handOver(bytes.subarray(offset))
        return
      }
      offset = end + headEnd.length
      if (this.#state !== 'reading') {
        this.#pending = offset < bytes.length ? bytes.subarray(offset) : undefined
        return
      }
    }
  }

  #keepPartial(rest: Buffer, text: string, hasBegun: boolean): void {
    if (isForeignStart(text)) {
      this.#handOver(rest)
      return
    }
    this.#pending = rest
    if (!hasBegun && this.#answered) {
      // The head's time runs from its first byte; on a new connection from its accept.
      this.#sinceMs = this.#lane.nowMs
    }
  }

  /** Answers a request now or begins to wait; false when no handler knows the path. */
  #answer(head: RequestHead): boolean {
    const { shelter } = this.#lane
    if (this.#pass !== undefined && shelter?.take(this.#pass) === false) {
      this.#turnAway(head, tooManyRequests)
      return true
    }
    this.#abort ??= new AbortController()
    const answer = this.#lane.handlers.ask(
      head.request,
      this.#abort.signal,
      this.#client,
      this.#onHints,
    )
    if (answer === undefined) {
      this.#pass?.giveBack()
      return false
    }
    this.#answered = true
    this.#sinceMs = this.#lane.nowMs
    if (answer instanceof Promise && shelter?.refusesWaiting === true) {
      shelter.refusedWaiting()
      this.#callOff(answer)
      this.#turnAway(head, overloaded)
    } else if (answer instanceof Promise) {
      this.#state = 'waiting'
      answer.then(
        (response) => this.#settled(head, response),
        (error) => this.#failed(head, error),
      )
    } else {
      this.#send(head, answer)
    }
    return true
  }

  /** Answers with a refusal, after which the connection ends: an attack then pays for each request with a new one. */
  #turnAway(head: RequestHead, refusal: PreparedResponse): void {
    this.#answered = true
    this.#send({ ...head, keepAlive: false }, refusal)
  }

  /** Ends the work for an answer that nobody waits for. */
  #callOff(answer: Promise<PreparedResponse>): void {
    this.#abort?.abort(new KairoError('ERR_OVERLOADED', 'there is no memory for new work'))
    this.#abort = undefined
    // What comes of it is of no more use, whichever it is.
    answer.catch(() => {})
  }

  #settled(head: RequestHead, response: PreparedResponse): void {
    if (this.#state !== 'waiting') {
      return
    }
    // The handler may have left listeners on the signal; the next request gets a fresh one.
    if (response.stream === undefined) this.#abort = undefined
    this.#state = 'reading'
    this.#sinceMs = this.#lane.nowMs
    this.#send(head, response)
    this.#resume()
  }

  /** After the client has left, a rejection only says that the handler has noticed. */
  #failed(head: RequestHead, error: unknown): void {
    if (this.#state === 'waiting') {
      this.#settled(head, this.#lane.handlers.failed(error, head.request))
    }
  }

  #send(head: RequestHead, response: PreparedResponse): void {
    const keepAlive = head.keepAlive && !this.#lane.stopping
    const { writer, metrics } = this.#lane
    const socket = this.#socket
    let written: boolean
    try {
      if (head.request.method === 'HEAD' || response.stream !== undefined) {
        written = socket.write(writer.writeHead(response, head.origin, keepAlive))
      } else {
        const answer = writer.write(response, head.origin, keepAlive)
        if (Buffer.isBuffer(answer)) {
          written = socket.write(answer)
        } else {
          written = this.#writeGathered(answer.head, answer.body)
        }
        metrics.lane.bodyBytes += bodyLength(response)
      }
    } catch (error) {
      // Only a response whose headers cannot be sent comes here; the problem that replaces it can.
      this.#send(head, this.#lane.handlers.failed(error, head.request))
      return
    }
    metrics.lane.count(response.status)
    if (response.stream !== undefined && head.request.method === 'GET') {
      this.#state = 'streaming'
      this.#stream(head, response.stream, { chunked: isChunked(response), keepAlive })
    } else if (!keepAlive) {
      this.#leave()
      socket.destroySoon()
    } else if (!written) {
      this.#state = 'draining'
    }
  }

  /** Sends a body while it is made; the connection takes its next request when the last chunk is out. */
  #stream(
    head: RequestHead,
    stream: AsyncIterable<Uint8Array>,
    { chunked, keepAlive }: { readonly chunked: boolean; readonly keepAlive: boolean },
  ): void {
    this.#abort ??= new AbortController()
    const progress = (bytes: number): void => {
      this.#sinceMs = this.#lane.nowMs
      this.#lane.metrics.lane.bodyBytes += bytes
    }
    writeChunked(this.#socket, stream, { chunked, signal: this.#abort.signal, progress }).then(
      () => this.#streamed(keepAlive),
      (error: unknown) => {
        if (this.#state !== 'streaming') return
        // Logs a failure that nobody planned; its words cannot be sent any more.
        this.#lane.handlers.failed(error, head.request)
        this.cut('stream-failed', new KairoError('ERR_STOPPED', 'the answer broke off'))
      },
    )
  }

  #streamed(keepAlive: boolean): void {
    if (this.#state !== 'streaming') return
    this.#abort = undefined
    if (!keepAlive || this.#lane.stopping) {
      this.#leave()
      this.#socket.destroySoon()
      return
    }
    this.#state = this.#socket.writableNeedDrain ? 'draining' : 'reading'
    this.#resume()
  }

  #writeGathered(head: Buffer, body: readonly Uint8Array[]): boolean {
    const socket = this.#socket
    socket.cork()
    let written = socket.write(head)
    for (const piece of body) {
      written = socket.write(piece)
    }
    socket.uncork()
    return written
  }

  #drained(): void {
    if (this.#state === 'draining') {
      this.#state = 'reading'
      this.#resume()
    }
  }

  /** Goes on with what came while the connection could not take more. */
  #resume(): void {
    if (this.#state === 'reading' && this.#pending !== undefined) {
      this.#process(this.#pending)
    }
    if (this.#state !== 'reading') {
      return
    }
    if (this.#clientEnded) {
      this.#endAfterClient()
    } else if (this.#socket.isPaused()) {
      this.#socket.resume()
    }
  }

  /** The client sends no more. As in Node's server that also calls off an answer that is still waited for. */
  #ended(): void {
    this.#clientEnded = true
    if (this.#state === 'reading') {
      this.#endAfterClient()
    } else if (this.#state === 'waiting' || this.#state === 'streaming') {
      this.#lane.metrics.lane.aborted += 1
      this.#leave(new KairoError('ERR_STOPPED', 'the client left'))
      this.#socket.destroySoon()
    }
  }

  #endAfterClient(): void {
    if (this.#pending !== undefined) {
      this.#refuse('truncated', 400, 'ERR_PROTOCOL', 'the request ends before its head does')
      return
    }
    this.#leave()
    this.#socket.destroySoon()
  }

  #refuse(reason: EndReason, status: number, code: string, detail: string): void {
    this.#lane.metrics.ended.inc({ reason })
    this.#leave()
    this.#socket.write(lastWords(status, code, detail))
    this.#socket.destroySoon()
  }

  #handOver(rest: Buffer): void {
    const socket = this.#socket
    this.#leave()
    if (this.#clientEnded) {
      // Node's server would wait for an end that has already come.
      socket.destroySoon()
      return
    }
    socket.pause()
    socket.off('data', this.#onData)
    socket.off('drain', this.#onDrain)
    socket.off('end', this.#onEnd)
    socket.off('error', this.#onError)
    socket.off('close', this.#onClose)
    if (rest.length > 0) {
      socket.unshift(rest)
    }
    this.#lane.handOver(this, socket, this.#pass)
    socket.resume()
  }

  #closed(): void {
    if (this.#state === 'waiting' || this.#state === 'streaming') {
      this.#lane.metrics.lane.aborted += 1
    }
    this.#leave(new KairoError('ERR_STOPPED', 'the client left'))
    this.#lane.closed(this)
    this.#pass?.close()
  }

  #leave(reason?: KairoError): void {
    this.#state = 'left'
    this.#pending = undefined
    if (reason !== undefined) {
      this.#abort?.abort(reason)
    }
    this.#abort = undefined
  }
}
