/**
 * A WebTorrent tracker on this peer's HTTP server: browsers tell which swarms they are in, and it passes offers and answers between
 * them, so that they connect to one another. Unchanged p2p-media-loader players use it as theirs.
 */
import type { Duplex } from 'node:stream'
import type { Registry } from 'prom-client'
import { type WebSocket, WebSocketServer } from 'ws'
import { addressGroup } from '../address-group.ts'
import type { CancelTimer, Clock } from '../clock.ts'
import { clientAddressOf } from '../http/client-message.ts'
import { CorsPolicy } from '../http/cors.ts'
import { lastWords } from '../http/problem.ts'
import { refuseUpgrade, type Upgrade, type UpgradeRoute } from '../http/upgrade.ts'
import { webtorrentLimits as limits } from '../limits/signalling.ts'
import type { Logger } from '../logger.ts'
import { type RefusalReason, SignallingMetrics } from './signalling-metrics.ts'
import { Swarms } from './swarms.ts'
import { TrackerConnection, type TrackerConnectionComponents } from './tracker-connection.ts'

/** What the tracker is built on. */
export interface WebtorrentTrackerComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  /** 0 to 1; chooses whom an offer goes to. */
  readonly random: () => number
  /** True for a proxy of the operator that names no client: its connections are not counted as one client's. Default: for none. */
  readonly trusts?: (address: string) => boolean
}

/** What it is told. */
export interface WebtorrentTrackerInit {
  /** Origins whose pages may use it, as in `corsOrigins`; pages of this server always may. */
  readonly origins: readonly string[]
  /** Clients at once. Default: `webtorrentLimits.connectionsMax`. */
  readonly connectionsMax?: number
}

type Refusal = readonly [status: number, code: string, detail: string]

const refusals: Readonly<Record<RefusalReason, Refusal>> = {
  origin: [403, 'ERR_FORBIDDEN', 'pages of this origin may not use this tracker'],
  handshake: [400, 'ERR_PROTOCOL', 'this is no WebSocket handshake'],
  connections: [503, 'ERR_OVERLOADED', 'this tracker has as many clients as it can'],
  'connections-address': [429, 'ERR_LIMIT', 'too many connections from this address'],
  stopping: [503, 'ERR_STOPPED', 'the peer is shutting down'],
}

/** The tracker. */
export class WebtorrentTracker {
  /** For the HTTP server. */
  readonly route: UpgradeRoute
  readonly #components: TrackerConnectionComponents
  readonly #logger: Logger
  readonly #trusts: (address: string) => boolean
  readonly #cors: CorsPolicy
  readonly #connectionsMax: number
  readonly #sockets: WebSocketServer
  /** When each is due a look; the next one first. */
  readonly #connections = new Map<TrackerConnection, number>()
  readonly #perAddress = new Map<string, number>()
  #cancelSweep: CancelTimer | undefined
  #stopped: PromiseWithResolvers<void> | undefined

  constructor(components: WebtorrentTrackerComponents, init: WebtorrentTrackerInit) {
    const { clock, registry, random } = components
    this.#logger = components.logger.child({ name: 'kairo:signalling' })
    this.#trusts = components.trusts ?? (() => false)
    this.#cors = new CorsPolicy(init.origins)
    this.#connectionsMax = init.connectionsMax ?? limits.connectionsMax
    const swarms = new Swarms()
    const metrics = new SignallingMetrics(registry, () => ({
      connections: this.#connections.size,
      swarms: swarms.size,
      peers: swarms.peers,
    }))
    this.#components = { clock, swarms, metrics, random }
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      // Compression would hold a window of tens of kilobytes for each client.
      perMessageDeflate: false,
      maxPayload: limits.messageBytesMax,
      maxFragments: limits.fragmentsMax,
      maxBufferedChunks: limits.chunksMax,
      handleProtocols: () => false,
    })
    this.#sockets.on('wsClientError', (_error, socket) => this.#refuse(socket, 'handshake'))
    this.route = { path: '/announce', accept: (upgrade) => this.#accept(upgrade) }
  }

  /** Begins to look after the clients. */
  start(): void {
    this.#cancelSweep = this.#components.clock.after(limits.sweepMs, () => {
      this.#sweep()
      this.start()
    })
  }

  /** Says goodbye to all, and waits until they are gone. */
  async stop(): Promise<void> {
    this.#cancelSweep?.()
    this.#stopped ??= Promise.withResolvers()
    for (const connection of [...this.#connections.keys()]) connection.end('stop')
    if (this.#connections.size > 0) await this.#stopped.promise
    this.#logger.debug({}, 'the clients of the tracker are gone')
  }

  #accept({ message, socket, head }: Upgrade): void {
    const client = clientAddressOf(message)
    const address = this.#trusts(client) ? '' : addressGroup(client)
    const { origin, host } = message.headers
    const reason = this.#reasonAgainst(address, origin, host)
    if (reason !== undefined) {
      this.#refuse(socket, reason)
      return
    }
    this.#sockets.handleUpgrade(message, socket, head, (opened) => this.#open(opened, address))
  }

  #reasonAgainst(
    address: string,
    origin: string | undefined,
    host: string | undefined,
  ): RefusalReason | undefined {
    if (this.#stopped !== undefined) return 'stopping'
    // Whoever sends none is no page, and could send any.
    const isAllowed =
      origin === undefined || this.#cors.allows(origin) || isOfHost(origin, host ?? '')
    if (!isAllowed) return 'origin'
    if (this.#connections.size >= this.#connectionsMax) return 'connections'
    const ofAddress = this.#perAddress.get(address) ?? 0
    const isCrowded = address !== '' && ofAddress >= limits.connectionsPerAddressMax
    return isCrowded ? 'connections-address' : undefined
  }

  #refuse(socket: Duplex, reason: RefusalReason): void {
    this.#components.metrics.refused.inc({ reason })
    refuseUpgrade(socket, lastWords(...refusals[reason]))
  }

  #open(socket: WebSocket, address: string): void {
    const connection = new TrackerConnection(this.#components, {
      ...{ socket, address },
      onClosed: () => this.#closed(connection),
    })
    this.#connections.set(connection, this.#nextCheckMs())
    this.#perAddress.set(address, (this.#perAddress.get(address) ?? 0) + 1)
  }

  #closed(connection: TrackerConnection): void {
    this.#connections.delete(connection)
    const left = (this.#perAddress.get(connection.address) ?? 0) - 1
    if (left > 0) this.#perAddress.set(connection.address, left)
    else this.#perAddress.delete(connection.address)
    if (this.#connections.size === 0) this.#stopped?.resolve()
  }

  /** Looks at those that are due, which go to the end of the line. */
  #sweep(): void {
    const nowMs = this.#components.clock.monotonicMs()
    let looks = 0
    for (const [connection, dueMs] of this.#connections) {
      if (dueMs > nowMs || looks === limits.pingsPerSweepMax) return
      looks += 1
      this.#connections.delete(connection)
      this.#connections.set(connection, this.#nextCheckMs())
      connection.check(nowMs)
    }
  }

  #nextCheckMs(): number {
    return this.#components.clock.monotonicMs() + limits.pingIntervalMs
  }
}

/** Whether a page of an origin came from this very server. */
function isOfHost(origin: string, host: string): boolean {
  return URL.parse(origin)?.host === host.toLowerCase()
}
