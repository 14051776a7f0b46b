/**
 * The line to the nearest edge that answers: one WebSocket at a time. When it breaks, the next edge is tried, and the session shown again there, so
 * that other pages know this one by the same name. Nothing is kept for later while no line is open: states are told anew, and leases made anew.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import {
  type EdgeMessage,
  type Hello,
  type PageMessage,
  swarmProtocol,
  type Welcome,
} from '../protocol/edge-messages.ts'
import { protocolLimits } from '../protocol/limits.ts'
import { ProtocolError } from '../protocol/protocol-error.ts'
import { readEdgeMessage } from '../protocol/read-edge-message.ts'
import { writeMessage } from '../protocol/write-message.ts'
import { signallingLimits as limits } from './limits.ts'

/** What it works with. */
export interface EdgeLineComponents {
  readonly clock: Clock
  /** 0 to 1. */
  readonly random: () => number
  /** @throws for a URL that the browser does not take */
  readonly openSocket: (url: string, protocol: string) => WebSocket
}

/** How it is set up, and who is told. */
export interface EdgeLineInit {
  /** WebSocket URLs of edges, nearest first. */
  readonly urls: readonly string[]
  /** @param session of the line before */
  readonly hello: (session?: string) => Hello
  readonly onMessage: (message: EdgeMessage) => void
  /** True after `welcome` was told; false when the line broke. */
  readonly onState: (isOpen: boolean) => void
}

/** How the line is doing, for people. */
export interface EdgeLineFigures {
  /** Lines that broke or never opened. */
  readonly breaks: number
  /** Why the last one did. */
  readonly reason: string | undefined
}

/** WebSocket close codes (RFC 6455 7.4.2: for applications), told to the edge. */
const codes = { done: 1000, badMessage: 4400, tooSlow: 4408 } as const

/** The line of one page. */
export class EdgeLine {
  readonly #components: EdgeLineComponents
  readonly #init: EdgeLineInit
  /** The one to try next stands first. */
  #urls: readonly string[]
  #url: string | undefined
  #socket: WebSocket | undefined
  #state: 'idle' | 'waiting' | 'opening' | 'open' | 'ended' = 'idle'
  #session: string | undefined
  #openedMs = 0
  /** In a row. */
  #failures = 0
  #breaks = 0
  #reason: string | undefined
  /** Wants since the edge last said something, and when the first of them was. */
  #unansweredWants = 0
  #unansweredSinceMs = 0
  #cancelTimer: CancelTimer = () => {}

  constructor(components: EdgeLineComponents, init: EdgeLineInit) {
    this.#components = components
    this.#init = init
    this.#urls = init.urls
  }

  /** Begins to try. Once. */
  start(): void {
    if (this.#state === 'idle') this.#try()
  }

  /** Says something. False when no line is open, or the message is too long: it is not kept. */
  send(message: PageMessage): boolean {
    if (this.#state !== 'open') return false
    if (message.kind === 'want') this.#noteWant()
    return this.#state === 'open' && this.#write(message)
  }

  /** Ends it, for good; nobody is told. */
  stop(): void {
    this.#state = 'ended'
    this.#cancelTimer()
    this.#leave(codes.done, '')
  }

  /** The edge of the line; undefined when none is tried or open. */
  get url(): string | undefined {
    return this.#url
  }

  figures(): EdgeLineFigures {
    return { breaks: this.#breaks, reason: this.#reason }
  }

  #try(): void {
    const [url, ...others] = this.#urls
    if (url === undefined) return
    this.#urls = [...others, url]
    this.#url = url
    this.#state = 'opening'
    const { clock, openSocket } = this.#components
    this.#cancelTimer = clock.after(limits.openMsMax, () => this.#break('no answer', codes.tooSlow))
    try {
      this.#socket = openSocket(url, swarmProtocol)
    } catch {
      this.#break('bad URL')
      return
    }
    this.#listen(this.#socket)
  }

  #listen(socket: WebSocket): void {
    const unlessLeft = (then: () => void): void => {
      if (this.#socket === socket) then()
    }
    socket.onopen = () => unlessLeft(() => this.#write(this.#init.hello(this.#session)))
    socket.onmessage = ({ data }) => unlessLeft(() => this.#hear(data))
    socket.onclose = ({ code, reason }) => unlessLeft(() => this.#break(`${code} ${reason}`.trim()))
  }

  #hear(data: unknown): void {
    let message: EdgeMessage | undefined
    try {
      if (typeof data !== 'string') throw new ProtocolError('not a text')
      message = readEdgeMessage(data)
      const isWelcome = message?.kind === 'welcome'
      if (message !== undefined && message.kind !== 'off' && isWelcome === this.#isOpen) {
        throw new ProtocolError(isWelcome ? 'second welcome' : 'no welcome')
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#break(error.message, codes.badMessage)
      return
    }
    this.#unansweredWants = 0
    if (message?.kind === 'welcome') this.#welcome(message)
    else if (message?.kind === 'off') this.#off(message)
    else if (message !== undefined) this.#init.onMessage(message)
  }

  #welcome(welcome: Welcome): void {
    this.#cancelTimer()
    this.#state = 'open'
    this.#openedMs = this.#components.clock.nowMs()
    this.#session = welcome.session
    // After a break: the edges that this one recommends, then those of the page, this one last.
    const others = new Set([...welcome.edges, ...this.#init.urls])
    if (this.#url !== undefined) others.delete(this.#url)
    this.#urls = [...others, ...(this.#url === undefined ? [] : [this.#url])]
    this.#init.onMessage(welcome)
    // It may have been stopped meanwhile.
    if (this.#isOpen) this.#init.onState(true)
  }

  #off(off: Extract<EdgeMessage, { kind: 'off' }>): void {
    this.#break(`off: ${off.reason}`, codes.done, off.reason === 'full' ? 'later' : 'never')
    this.#init.onMessage(off)
  }

  /** The line is of no use any more; another one is tried in a while. */
  #break(
    reason: string,
    code: number = codes.done,
    again: 'soon' | 'later' | 'never' = 'soon',
  ): void {
    const { clock, random } = this.#components
    const wasOpen = this.#isOpen
    const isStable = wasOpen && clock.nowMs() - this.#openedMs >= limits.stableMs
    if (isStable) this.#failures = 0
    this.#cancelTimer()
    this.#leave(code, reason)
    this.#breaks += 1
    this.#reason = reason
    this.#state = again === 'never' ? 'ended' : 'waiting'
    if (again !== 'never') {
      const growingMs = Math.min(limits.retryMsMax, limits.retryMsMin * 2 ** this.#failures)
      const ms = (again === 'later' ? limits.fullRetryMs : growingMs) * (0.5 + 0.5 * random())
      this.#failures += 1
      this.#cancelTimer = clock.after(ms, () => this.#try())
    }
    if (wasOpen) this.#init.onState(false)
  }

  #leave(code: number, reason: string): void {
    const socket = this.#socket
    this.#socket = undefined
    this.#url = undefined
    // The reason is at most 123 bytes of UTF-8 (RFC 6455 5.5).
    socket?.close(code, reason.replace(/[^ -~]/g, '?').slice(0, 123))
  }

  /** Not every want is answered, but an edge that answers none of many is not there. */
  #noteWant(): void {
    const nowMs = this.#components.clock.nowMs()
    if (this.#unansweredWants === 0) this.#unansweredSinceMs = nowMs
    this.#unansweredWants += 1
    const isSilent = nowMs - this.#unansweredSinceMs > limits.silentMs
    if (isSilent && this.#unansweredWants > limits.silentWantsMax) {
      this.#break('silent', codes.tooSlow)
    }
  }

  #write(message: PageMessage): boolean {
    const text = writeMessage(message)
    const socket = this.#socket
    if (socket === undefined || text.length > protocolLimits.edgeMessageCharsMax) return false
    if (socket.bufferedAmount > limits.bufferedBytesMax) {
      this.#break('takes nothing', codes.tooSlow)
      return false
    }
    socket.send(text)
    return true
  }

  get #isOpen(): boolean {
    return this.#state === 'open'
  }
}
