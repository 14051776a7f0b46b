/**
 * The WebSockets of one path of this peer's HTTP server: whose pages may come, how many of one address, who is still there, and goodbye to all.
 * What is spoken is the client's that each connection becomes.
 */
import type { Duplex } from 'node:stream'
import type { Counter } from 'prom-client'
import { type WebSocket, WebSocketServer } from 'ws'
import { addressGroup } from '../address-group.ts'
import type { CancelTimer, Clock } from '../clock.ts'
import { type ClientMessage, clientAddressOf } from '../http/client-message.ts'
import { CorsPolicy } from '../http/cors.ts'
import { lastWords } from '../http/problem.ts'
import { refuseUpgrade, type Upgrade, type UpgradeRoute } from '../http/upgrade.ts'

/** Why a connection is not taken. */
export type RefusalReason =
  | 'origin'
  | 'handshake'
  | 'subprotocol'
  | 'connections'
  | 'connections-address'
  | 'stopping'

/** What all clients together may do to this peer. */
export interface WebSocketsLimits {
  /** Connections at once, and of one address. */
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  /** One message, and pieces that it may come in, as frames and as reads of the socket. */
  readonly messageBytesMax: number
  readonly fragmentsMax: number
  readonly chunksMax: number
  /** Time between two looks at a connection. */
  readonly pingIntervalMs: number
  /** How often connections are looked for that are due a look, and how many are looked at then. */
  readonly sweepMs: number
  readonly pingsPerSweepMax: number
}

/** What a connection becomes. */
export interface WebSocketClient {
  readonly address: string
  /** Looks whether the client is still there. */
  check(nowMs: number): void
  /** Says goodbye. */
  end(reason: 'stop'): void
}

/** A connection that was taken. */
export interface TakenSocket {
  readonly socket: WebSocket
  /** The client's address group; empty where a proxy of the operator does not tell. */
  readonly address: string
  /** To be called once, when it is closed. */
  readonly onClosed: () => void
}

/** What it works with. */
export interface WebSocketsComponents {
  readonly clock: Clock
  readonly refused: Counter<'reason'>
  /** True for a proxy of the operator that names no client: its connections are not counted as one client's. Default: for none. */
  readonly trusts?: ((address: string) => boolean) | undefined
}

/** What it is told. */
export interface WebSocketsInit {
  readonly path: string
  /** The one that clients must offer, and get; default: none is negotiated. */
  readonly subprotocol?: string
  /** Origins whose pages may connect, as in `corsOrigins`; pages of this server always may. */
  readonly origins: readonly string[]
  readonly limits: WebSocketsLimits
  /** Clients at once. Default: as in `limits`. */
  readonly connectionsMax?: number | undefined
  readonly open: (taken: TakenSocket) => WebSocketClient
}

type Refusal = readonly [status: number, code: string, detail: string]

const refusals: Readonly<Record<RefusalReason, Refusal>> = {
  origin: [403, 'ERR_FORBIDDEN', 'pages of this origin may not use this path'],
  handshake: [400, 'ERR_PROTOCOL', 'this is no WebSocket handshake'],
  subprotocol: [400, 'ERR_PROTOCOL', 'this path speaks another WebSocket subprotocol'],
  connections: [503, 'ERR_OVERLOADED', 'this path has as many clients as it can'],
  'connections-address': [429, 'ERR_LIMIT', 'too many connections from this address'],
  stopping: [503, 'ERR_STOPPED', 'the peer is shutting down'],
}

/** The WebSockets of one path. */
export class WebSockets {
  /** For the HTTP server. */
  readonly route: UpgradeRoute
  readonly #components: WebSocketsComponents
  readonly #init: WebSocketsInit
  readonly #cors: CorsPolicy
  readonly #sockets: WebSocketServer
  /** When each is due a look; the next one first. */
  readonly #clients = new Map<WebSocketClient, number>()
  readonly #perAddress = new Map<string, number>()
  #cancelSweep: CancelTimer | undefined
  #stopped: PromiseWithResolvers<void> | undefined

  constructor(components: WebSocketsComponents, init: WebSocketsInit) {
    this.#components = components
    this.#init = init
    this.#cors = new CorsPolicy(init.origins)
    const { limits, subprotocol } = init
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      // Compression would hold a window of tens of kilobytes for each client.
      perMessageDeflate: false,
      maxPayload: limits.messageBytesMax,
      maxFragments: limits.fragmentsMax,
      maxBufferedChunks: limits.chunksMax,
      handleProtocols: () => subprotocol ?? false,
    })
    this.#sockets.on('wsClientError', (_error, socket) => this.#refuse(socket, 'handshake'))
    this.route = { path: init.path, accept: (upgrade) => this.#accept(upgrade) }
  }

  /** Clients connected. */
  get size(): number {
    return this.#clients.size
  }

  /** Begins to look after the clients. */
  start(): void {
    this.#cancelSweep = this.#components.clock.after(this.#init.limits.sweepMs, () => {
      this.#sweep()
      this.start()
    })
  }

  /** Says goodbye to all, and waits until they are gone. */
  async stop(): Promise<void> {
    this.#cancelSweep?.()
    this.#stopped ??= Promise.withResolvers()
    for (const client of [...this.#clients.keys()]) client.end('stop')
    if (this.#clients.size > 0) await this.#stopped.promise
  }

  #accept({ message, socket, head }: Upgrade): void {
    const client = clientAddressOf(message)
    const address = this.#components.trusts?.(client) ? '' : addressGroup(client)
    const reason = this.#reasonAgainst(address, message)
    if (reason !== undefined) {
      this.#refuse(socket, reason)
      return
    }
    this.#sockets.handleUpgrade(message, socket, head, (opened) => this.#open(opened, address))
  }

  #reasonAgainst(address: string, { headers }: ClientMessage): RefusalReason | undefined {
    if (this.#stopped !== undefined) return 'stopping'
    const { origin, host, 'sec-websocket-protocol': offered } = headers
    // Whoever sends none is no page, and could send any.
    const isAllowed =
      origin === undefined || this.#cors.allows(origin) || isOfHost(origin, host ?? '')
    if (!isAllowed) return 'origin'
    const { limits, subprotocol, connectionsMax = limits.connectionsMax } = this.#init
    if (subprotocol !== undefined && !listOf(offered).includes(subprotocol)) return 'subprotocol'
    if (this.#clients.size >= connectionsMax) return 'connections'
    const ofAddress = this.#perAddress.get(address) ?? 0
    const isCrowded = address !== '' && ofAddress >= limits.connectionsPerAddressMax
    return isCrowded ? 'connections-address' : undefined
  }

  #refuse(socket: Duplex, reason: RefusalReason): void {
    this.#components.refused.inc({ reason })
    refuseUpgrade(socket, lastWords(...refusals[reason]))
  }

  #open(socket: WebSocket, address: string): void {
    const onClosed = (): void => this.#closed(client)
    const client = this.#init.open({ socket, address, onClosed })
    this.#clients.set(client, this.#nextCheckMs())
    this.#perAddress.set(address, (this.#perAddress.get(address) ?? 0) + 1)
  }

  #closed(client: WebSocketClient): void {
    this.#clients.delete(client)
    const left = (this.#perAddress.get(client.address) ?? 0) - 1
    if (left > 0) this.#perAddress.set(client.address, left)
    else this.#perAddress.delete(client.address)
    if (this.#clients.size === 0) this.#stopped?.resolve()
  }

  /** Looks at those that are due, which go to the end of the line. */
  #sweep(): void {
    const nowMs = this.#components.clock.monotonicMs()
    let looks = 0
    for (const [client, dueMs] of this.#clients) {
      if (dueMs > nowMs || looks === this.#init.limits.pingsPerSweepMax) return
      looks += 1
      this.#clients.delete(client)
      this.#clients.set(client, this.#nextCheckMs())
      client.check(nowMs)
    }
  }

  #nextCheckMs(): number {
    return this.#components.clock.monotonicMs() + this.#init.limits.pingIntervalMs
  }
}

/** The names of a header that lists some. */
function listOf(header: string | undefined): string[] {
  return header?.split(',').map((name) => name.trim()) ?? []
}

/** Whether a page of an origin came from this very server. */
function isOfHost(origin: string, host: string): boolean {
  return URL.parse(origin)?.host === host.toLowerCase()
}
