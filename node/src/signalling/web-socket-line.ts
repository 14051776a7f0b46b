/**
 * One WebSocket of a client: how much it may say, whether it is still there, whether it reads what it is told, and how it ends. What is said is
 * the owner's business.
 */
import type { Counter } from 'prom-client'
import { type RawData, WebSocket } from 'ws'
import type { CancelTimer, Clock } from '../clock.ts'
import { fullBucket, type TokenBucket, type TokenRate, takeToken } from '../token-buckets.ts'

/** Why this peer ended a connection. */
export type EndReason =
  | 'protocol'
  | 'message-bytes'
  | 'rate'
  | 'slow-reader'
  | 'silent'
  | 'idle'
  | 'hello'
  | 'off'
  | 'displaced'
  | 'stop'

/** Close codes (RFC 6455 7.4.1) of ends with a goodbye; clients show them and nothing more. */
const closeCodes = {
  ...{ protocol: 1008, rate: 1008, hello: 1008, off: 1008 },
  ...{ idle: 1000, displaced: 1000, stop: 1001 },
} as const

/** What one client may do to this peer. */
export interface LineLimits {
  /** Messages and pings a second, and how many may come at once. */
  readonly messagesPerSecondMax: number
  readonly messageBurstMax: number
  /** Bytes waiting for a client that does not read; more ends its connection. */
  readonly unsentBytesMax: number
  /** Time that a client has to answer a close. */
  readonly closeGraceMs: number
}

/** What a line works with. */
export interface WebSocketLineComponents {
  readonly clock: Clock
  readonly ended: Counter<'reason'>
}

/** Whose it is. */
export interface WebSocketLineInit {
  readonly socket: WebSocket
  readonly limits: LineLimits
  /** A text frame; undefined for a binary one. */
  readonly onMessage: (text: string | undefined) => void
  /** This peer ends it: nothing more is heard or said. */
  readonly onEnding: (reason: EndReason) => void
  /** It is closed, with the client's close code (RFC 6455 7.4.1), 1005 for none, 1006 for a broken connection. */
  readonly onClosed: (code: number) => void
}

/** One line. */
export class WebSocketLine {
  readonly #components: WebSocketLineComponents
  readonly #init: WebSocketLineInit
  readonly #rate: TokenRate
  readonly #messages: TokenBucket
  #isAlive = true
  #isEnding = false
  #cancelCut: CancelTimer | undefined

  constructor(components: WebSocketLineComponents, init: WebSocketLineInit) {
    this.#components = components
    this.#init = init
    const { limits, socket } = init
    this.#rate = { perSecond: limits.messagesPerSecondMax, burst: limits.messageBurstMax }
    this.#messages = fullBucket(this.#rate, components.clock.monotonicMs())
    socket.on('message', (data, isBinary) => this.#take(data, isBinary))
    socket.on('ping', () => this.#count())
    socket.on('pong', () => this.#count())
    socket.on('error', (error) => this.#failed(error))
    socket.on('close', (code) => {
      this.#cancelCut?.()
      init.onClosed(code)
    })
  }

  /** True when the client has said or answered something since the last {@link ping}; else its line is cut. */
  isThere(): boolean {
    if (this.#isEnding) return false
    if (!this.#isAlive) this.cut('silent')
    return this.#isAlive
  }

  /** Asks whether the client is there. */
  ping(): void {
    this.#isAlive = false
    this.#init.socket.ping()
  }

  /** False when it does not go out. */
  send(text: string): boolean {
    const { socket, limits } = this.#init
    if (this.#isEnding || socket.readyState !== WebSocket.OPEN) return false
    if (socket.bufferedAmount > limits.unsentBytesMax) {
      this.cut('slow-reader')
      return false
    }
    socket.send(text)
    return true
  }

  /** Says goodbye, and waits a little for the client to do so. */
  end(reason: keyof typeof closeCodes): void {
    if (this.#beginEnd(reason)) this.#init.socket.close(closeCodes[reason], reason)
  }

  /** Ends without a word. */
  cut(reason: EndReason): void {
    if (this.#beginEnd(reason)) this.#init.socket.terminate()
  }

  /** False when the end has begun already. */
  #beginEnd(reason: EndReason): boolean {
    if (this.#isEnding) return false
    this.#isEnding = true
    const { clock, ended } = this.#components
    const { socket, limits, onEnding } = this.#init
    ended.inc({ reason })
    onEnding(reason)
    this.#cancelCut = clock.after(limits.closeGraceMs, () => socket.terminate())
    return true
  }

  /** The library found the bytes to be no WebSocket, or too much; or the connection broke, which is the client's business. */
  #failed(error: Error & { readonly code?: string }): void {
    const code = error.code ?? ''
    // It sends a close frame of its own then.
    if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') this.#beginEnd('message-bytes')
    else if (code.startsWith('WS_ERR_')) this.#beginEnd('protocol')
  }

  #take(data: RawData, isBinary: boolean): void {
    if (this.#count()) this.#init.onMessage(isBinary ? undefined : String(data))
  }

  /** Notes that the client said something; false when that was too much, or it is on its way out. */
  #count(): boolean {
    if (this.#isEnding) return false
    this.#isAlive = true
    if (takeToken(this.#messages, this.#rate, this.#components.clock.monotonicMs())) return true
    this.end('rate')
    return false
  }
}
