/**
 * One page at `/swarm`: it says hello within `helloMsMax`, is let in or told why not, and then speaks with its swarm. What is no message of a correct page
 * ends the connection; kinds of later versions are skipped.
 */
import {
  type EdgeMessage,
  type Hello,
  type Off,
  type PageMessage,
  ProtocolError,
  readPageMessage,
  type Welcome,
  writeMessage,
} from '@kairo/client/protocol'
import type { CancelTimer, Clock } from '../../clock.ts'
import { swarmLimits as limits } from '../../limits/swarm.ts'
import { type EndReason, WebSocketLine } from '../web-socket-line.ts'
import type { TakenSocket, WebSocketClient } from '../web-sockets.ts'
import type { PageLine } from './page.ts'
import type { Entry, PageSwarms } from './page-swarms.ts'
import type { SwarmMetrics } from './swarm-metrics.ts'

/** What a connection works with. */
export interface SwarmConnectionComponents {
  readonly clock: Clock
  readonly swarms: PageSwarms
  readonly metrics: SwarmMetrics
  readonly iceServers: Welcome['iceServers']
}

/** Ends after which a page may come back as who it was: the way to it broke, as far as is known here. */
const returning: ReadonlySet<EndReason> = new Set(['silent', 'slow-reader'])
/** Close codes (RFC 6455 7.4.1) of a page that says goodbye: done, going away, without a code. */
const goodbyes: ReadonlySet<number> = new Set([1000, 1001, 1005])

/** One connection. */
export class SwarmConnection implements PageLine, WebSocketClient {
  readonly address: string
  readonly #components: SwarmConnectionComponents
  readonly #line: WebSocketLine
  #entry: Entry | undefined
  #name = ''
  readonly #cancelHello: CancelTimer

  constructor(components: SwarmConnectionComponents, { socket, address, onClosed }: TakenSocket) {
    this.#components = components
    this.address = address
    const { clock, metrics } = components
    this.#line = new WebSocketLine(
      { clock, ended: metrics.ended },
      {
        ...{ socket, limits },
        onMessage: (text) => this.#take(text),
        onEnding: (reason) => this.#over(returning.has(reason)),
        onClosed: (code) => {
          this.#over(!goodbyes.has(code))
          onClosed()
        },
      },
    )
    this.#cancelHello = clock.after(limits.helloMsMax, () => this.#line.end('hello'))
  }

  tell(message: EdgeMessage): boolean {
    return this.#line.send(writeMessage(message))
  }

  tellText(text: string): boolean {
    return this.#line.send(text)
  }

  putOut(off: Off): void {
    this.#entry = undefined
    this.#components.metrics.off.inc({ reason: off.reason })
    this.tell(off)
    this.#line.end('off')
  }

  displaced(): void {
    this.#entry = undefined
    this.#line.end('displaced')
  }

  check(): void {
    if (this.#line.isThere()) this.#line.ping()
  }

  end(reason: 'stop'): void {
    this.#line.end(reason)
  }

  #take(text: string | undefined): void {
    const { metrics } = this.#components
    const message = text === undefined ? 'invalid' : readOrInvalid(text)
    if (message === 'invalid') {
      metrics.messages.inc({ kind: 'invalid' })
      this.#line.end('protocol')
      return
    }
    metrics.messages.inc({ kind: message?.kind ?? 'unknown' })
    if (message === undefined) return
    const isFirst = this.#entry === undefined
    // Once, and before anything else.
    if (isFirst !== (message.kind === 'hello')) this.#line.end('protocol')
    else if (message.kind === 'hello') this.#enter(message)
    else this.#entry?.swarm.take(this.#entry.page, message)
  }

  #enter(hello: Hello): void {
    this.#cancelHello()
    const { swarms, iceServers } = this.#components
    const entry = swarms.admit(hello, this.address, this)
    if ('kind' in entry) {
      this.putOut(entry)
      return
    }
    this.#entry = entry
    this.#name = hello.swarm
    const { page, session } = entry
    const { stateEveryMs } = limits
    this.tell({ kind: 'welcome', id: page.id, session, iceServers, edges: [], stateEveryMs })
    entry.swarm.enter(page)
  }

  /** Nothing is heard any more. */
  #over(mayReturn: boolean): void {
    this.#cancelHello()
    const entry = this.#entry
    this.#entry = undefined
    if (entry !== undefined) this.#components.swarms.release(entry, this.#name, mayReturn)
  }
}

/** The message of a text; undefined for one of a kind that is not known here. */
function readOrInvalid(text: string): PageMessage | undefined | 'invalid' {
  try {
    return readPageMessage(text)
  } catch (error) {
    if (error instanceof ProtocolError) return 'invalid'
    throw error
  }
}
