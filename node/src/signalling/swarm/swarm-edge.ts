/**
 * The edge of viewers' swarms on this peer's HTTP server: WebSocket `/swarm`, subprotocol `kairo-swarm.1` (docs/client.md). Pages that show the same
 * stream find one another, share what they fetch, and pass it on.
 */
import { swarmProtocol } from '@kairo/client/protocol'
import type { Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../../clock.ts'
import type { UpgradeRoute } from '../../http/upgrade.ts'
import { swarmLimits as limits } from '../../limits/swarm.ts'
import type { Logger } from '../../logger.ts'
import { WebSockets } from '../web-sockets.ts'
import { PageSwarms } from './page-swarms.ts'
import { SignedTokens } from './signed-tokens.ts'
import { SwarmConnection } from './swarm-connection.ts'
import { SwarmMetrics } from './swarm-metrics.ts'

/** What the edge is built on. */
export interface SwarmEdgeComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  /** 0 to 1; chooses neighbours and checks. */
  readonly random: () => number
  /** True for a proxy of the operator that names no client: its connections are not counted as one client's. Default: for none. */
  readonly trusts?: (address: string) => boolean
}

/** What it is told. */
export interface SwarmEdgeInit {
  /** Origins whose pages may use it, as in `corsOrigins`; pages of this server always may. */
  readonly origins: readonly string[]
  /** What signs sessions and tickets. */
  readonly secret: string
  /** Whether pages must show a ticket. Default: false. */
  readonly areTicketsRequired?: boolean
  /** STUN URLs that pages are told of. Default: none. */
  readonly iceUrls?: readonly string[]
  /** Pages at once. Default: `swarmLimits.connectionsMax`. */
  readonly connectionsMax?: number
}

/** The edge. */
export class SwarmEdge {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #swarms: PageSwarms
  readonly #sockets: WebSockets
  #cancelSweep: CancelTimer | undefined

  constructor(components: SwarmEdgeComponents, init: SwarmEdgeInit) {
    const { clock, registry, random, trusts } = components
    this.#clock = clock
    this.#logger = components.logger.child({ name: 'kairo:swarm' })
    const metrics = new SwarmMetrics(registry, () => ({
      ...this.#swarms.load(),
      connections: this.#sockets.size,
      swarms: this.#swarms.size,
    }))
    this.#swarms = new PageSwarms(
      { clock, metrics, random, tokens: new SignedTokens(init.secret) },
      { areTicketsRequired: init.areTicketsRequired ?? false },
    )
    const { origins, connectionsMax, iceUrls = [] } = init
    const iceServers = iceUrls.length === 0 ? [] : [{ urls: iceUrls }]
    const parts = { clock, metrics, iceServers, swarms: this.#swarms }
    this.#sockets = new WebSockets(
      { clock, trusts, refused: metrics.refused },
      {
        ...{ path: '/swarm', subprotocol: swarmProtocol, origins, limits, connectionsMax },
        open: (taken) => new SwarmConnection(parts, taken),
      },
    )
  }

  /** For the HTTP server. */
  get route(): UpgradeRoute {
    return this.#sockets.route
  }

  /** Begins to look after the pages. */
  start(): void {
    this.#sockets.start()
    this.#sweepLater()
  }

  /** Says goodbye to all, and waits until they are gone. */
  async stop(): Promise<void> {
    this.#cancelSweep?.()
    await this.#sockets.stop()
    this.#swarms.stop()
    this.#logger.debug({}, 'the pages of the swarms are gone')
  }

  #sweepLater(): void {
    this.#cancelSweep = this.#clock.after(limits.absenceSweepMs, () => {
      this.#swarms.sweep()
      this.#sweepLater()
    })
  }
}
