/**
 * From a relayed connection to a direct one. Media never pass a relay, so a stream of media waits here until a direct
 * connection stands. DCUtR (libp2p specs) makes one where a public address is known at either end; in private networks,
 * where it stays silent, the peer that was called through the relay dials back by itself.
 */
import type { Connection, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { CancelTimer, Clock } from '../../clock.ts'
import { deadline } from '../../deadline.ts'
import { KairoError } from '../../errors.ts'
import { reachLimits } from '../../limits/reach.ts'
import type { Logger } from '../../logger.ts'
import { isPublic, isRelayed } from './address-kind.ts'
import type { ReachMetrics } from './reach-metrics.ts'

/** What is needed of the libp2p node. */
export interface UpgradeNode {
  getConnections(peer?: PeerId): Connection[]
  dial(
    addresses: Multiaddr[],
    options: { readonly signal: AbortSignal; readonly force: true },
  ): Promise<Connection>
}

/** What the upgrade needs. */
export interface DirectUpgradeComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly node: UpgradeNode
  readonly metrics: ReachMetrics
}

interface Attempt {
  readonly relayed: Connection
  readonly cancel: CancelTimer
}

/** Replaces relayed connections by direct ones, and counts how often that works. */
export class DirectUpgrade {
  readonly #components: DirectUpgradeComponents
  readonly #signal: AbortSignal
  /** Peers that were reached through a relay a moment ago. */
  readonly #attempts = new Map<string, Attempt>()
  /** Woken when a direct connection to the peer opens. */
  readonly #waiting = new Map<string, Set<() => void>>()
  readonly #timers = new Set<CancelTimer>()
  #tried = 0
  #succeeded = 0

  /** @param signal fires when the host stops. */
  constructor(components: DirectUpgradeComponents, signal: AbortSignal) {
    this.#components = components
    this.#signal = signal
  }

  /** How many relayed connections were to become direct ones, and how many did. */
  counts(): { readonly tried: number; readonly succeeded: number } {
    return { tried: this.#tried, succeeded: this.#succeeded }
  }

  /** To be called for each connection that opens. */
  onOpen(connection: Connection): void {
    const id = connection.remotePeer.toString()
    if (connection.limits === undefined) {
      this.#onDirect(id)
      return
    }
    if (this.#attempts.has(id)) return
    if (this.#direct(connection.remotePeer) !== undefined) {
      // The other side dialled meanwhile: this one is of no use.
      this.#closeLater(connection)
      return
    }
    if (this.#attempts.size >= reachLimits.upgradesMax) {
      this.#components.metrics.upgrades.inc({ outcome: 'full' })
      return
    }
    this.#tried++
    const cancel = this.#components.clock.after(reachLimits.directWaitMs, () =>
      this.#end(id, 'failed'),
    )
    this.#attempts.set(id, { relayed: connection, cancel })
  }

  /** To be called with what the other side of a connection says of itself: the side that was called dials back. */
  onIdentify(connection: Connection, addresses: readonly Multiaddr[]): void {
    if (connection.limits === undefined || connection.direction !== 'inbound') return
    if (this.#direct(connection.remotePeer) !== undefined) return
    // With a public address at hand DCUtR dials it at this moment.
    const within = addresses.filter((address) => !isRelayed(address) && !isPublic(address))
    if (within.length > 0) void this.#dialBack(connection, within)
  }

  /**
   * A direct connection to a peer that is reached through a relay.
   * @throws KairoError `ERR_NO_PROVIDER` when none could be made in time.
   */
  async direct(peer: PeerId, signal: AbortSignal): Promise<Connection> {
    const id = peer.toString()
    const limit = deadline(this.#components.clock, reachLimits.directWaitMs, signal)
    const ended = AbortSignal.any([limit.signal, this.#signal])
    try {
      while (!ended.aborted) {
        const connection = this.#direct(peer)
        if (connection !== undefined) return connection
        await this.#opened(id, ended)
      }
    } finally {
      limit.clear()
    }
    throw new KairoError('ERR_NO_PROVIDER', `${id} is reached through a relay only`)
  }

  /** Gives up what is under way. */
  stop(): void {
    for (const { cancel } of this.#attempts.values()) cancel()
    for (const cancel of this.#timers) cancel()
    this.#attempts.clear()
    this.#timers.clear()
  }

  #onDirect(id: string): void {
    this.#end(id, 'ok')
    for (const wake of this.#waiting.get(id) ?? []) wake()
  }

  #end(id: string, outcome: 'ok' | 'failed'): void {
    const attempt = this.#attempts.get(id)
    if (attempt === undefined) return
    this.#attempts.delete(id)
    attempt.cancel()
    this.#components.metrics.upgrades.inc({ outcome })
    if (outcome === 'failed') return
    this.#succeeded++
    this.#closeLater(attempt.relayed)
  }

  #closeLater(relayed: Connection): void {
    const cancel = this.#components.clock.after(reachLimits.relayedGraceMs, () => {
      this.#timers.delete(cancel)
      relayed.close({ signal: this.#signal }).catch((error: Error) => relayed.abort(error))
    })
    this.#timers.add(cancel)
  }

  async #dialBack({ remotePeer }: Connection, addresses: readonly Multiaddr[]): Promise<void> {
    const { clock, node, logger } = this.#components
    const limit = deadline(clock, reachLimits.upgradeTimeoutMs, this.#signal)
    const suffix = `/p2p/${remotePeer}`
    const targets = addresses.map((address) =>
      address.toString().includes('/p2p/') ? address : address.encapsulate(suffix),
    )
    try {
      await node.dial(targets, { signal: limit.signal, force: true })
    } catch (error) {
      logger.debug({ err: error, peer: remotePeer.toString() }, 'could not dial back directly')
    } finally {
      limit.clear()
    }
  }

  #direct(peer: PeerId): Connection | undefined {
    return this.#components.node
      .getConnections(peer)
      .find(({ limits, status }) => limits === undefined && status === 'open')
  }

  async #opened(id: string, ended: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting = this.#waiting.get(id) ?? new Set()
    this.#waiting.set(id, waiting.add(resolve))
    ended.addEventListener('abort', () => resolve(), { once: true })
    await promise
    waiting.delete(resolve)
    if (waiting.size === 0) this.#waiting.delete(id)
  }
}
