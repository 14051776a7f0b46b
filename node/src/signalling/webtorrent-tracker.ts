/**
 * A WebTorrent tracker on this peer's HTTP server: browsers tell which swarms they are in, and it passes offers and answers between
 * them, so that they connect to one another. Unchanged p2p-media-loader players use it as theirs.
 */
import type { Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import type { UpgradeRoute } from '../http/upgrade.ts'
import { webtorrentLimits as limits } from '../limits/signalling.ts'
import type { Logger } from '../logger.ts'
import { SignallingMetrics } from './signalling-metrics.ts'
import { Swarms } from './swarms.ts'
import { TrackerConnection } from './tracker-connection.ts'
import { WebSockets } from './web-sockets.ts'

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

/** The tracker. */
export class WebtorrentTracker {
  readonly #logger: Logger
  readonly #sockets: WebSockets

  constructor(components: WebtorrentTrackerComponents, init: WebtorrentTrackerInit) {
    const { clock, registry, random, trusts } = components
    this.#logger = components.logger.child({ name: 'kairo:signalling' })
    const swarms = new Swarms()
    const metrics = new SignallingMetrics(registry, () => ({
      connections: this.#sockets.size,
      swarms: swarms.size,
      peers: swarms.peers,
    }))
    this.#sockets = new WebSockets(
      { clock, trusts, refused: metrics.refused },
      {
        ...{ path: '/announce', origins: init.origins, limits },
        connectionsMax: init.connectionsMax,
        open: (taken) => new TrackerConnection({ clock, swarms, metrics, random }, taken),
      },
    )
  }

  /** For the HTTP server. */
  get route(): UpgradeRoute {
    return this.#sockets.route
  }

  /** Begins to look after the clients. */
  start(): void {
    this.#sockets.start()
  }

  /** Says goodbye to all, and waits until they are gone. */
  async stop(): Promise<void> {
    await this.#sockets.stop()
    this.#logger.debug({}, 'the clients of the tracker are gone')
  }
}
