/**
 * Watches over the peers of the catalog: dials one again whose connection broke and says whether that worked, tries the
 * unreachable ones again later, keeps a number of connections only to notice at once when a peer dies, and takes round trips
 * from the connections there are.
 */
import { backoffMs } from '../backoff.ts'
import type { CancelTimer, Clock } from '../clock.ts'
import { deadline } from '../deadline.ts'
import type { Libp2pHost } from '../host/libp2p-host.ts'
import { nearestLimits } from '../limits/nearest.ts'
import type { Logger } from '../logger.ts'
import type { AdvertExchange } from './advert-exchange.ts'
import type { KnownPeer, NetworkCoordinate } from './peer-advert.ts'
import type { PeerTable } from './peer-table.ts'
import { coordinateDistance } from './vivaldi.ts'

/** What the watchdog needs. */
export interface PeerWatchdogComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly host: Pick<Libp2pHost, 'connections' | 'onDisconnect' | 'ping'>
  readonly table: PeerTable
  readonly exchange: Pick<AdvertExchange, 'ask'>
  /** Where this peer stands. */
  readonly coordinate: () => NetworkCoordinate
  /** Told of each look at a peer. */
  readonly onChecked: (outcome: 'reached' | 'relayed' | 'unreachable') => void
  /** Told of each round trip to a peer, filtered. */
  readonly onRtt: (peer: KnownPeer, rttMs: number) => void
}

interface Retry {
  readonly failures: number
  readonly cancel: CancelTimer
}

/** Notices that peers are gone. */
export class PeerWatchdog {
  readonly #components: PeerWatchdogComponents
  readonly #retries = new Map<string, Retry>()
  /** The last round trip taken from each connected peer's connection. */
  readonly #lastRtts = new Map<string, number>()
  readonly #work = new Set<Promise<unknown>>()
  readonly #stopping = new AbortController()
  #cancelRound: CancelTimer | undefined
  #unlisten: (() => void) | undefined

  constructor(components: PeerWatchdogComponents) {
    this.#components = components
  }

  /** Begins to watch. */
  start(): void {
    this.#unlisten = this.#components.host.onDisconnect((peerId) => this.#onLost(peerId))
    this.#round()
  }

  /** Stops watching, and waits for what is under way. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#unlisten?.()
    this.#cancelRound?.()
    for (const { cancel } of this.#retries.values()) cancel()
    this.#retries.clear()
    await Promise.all(this.#work)
  }

  /** A peer is connected: it is asked for what it knows, and measured; if by no relay, it is reachable. */
  meet(peerId: string): void {
    if (this.#isConnected(peerId)) this.#reached(peerId)
    this.#run(async () => {
      const isReached = await this.#check(peerId)
      if (isReached !== true) return
      for (let count = 0; count < nearestLimits.firstPings; count++) await this.#ping(peerId)
    })
  }

  #onLost(peerId: string): void {
    this.#lastRtts.delete(peerId)
    const { table, host } = this.#components
    if (table.get(peerId) === undefined) return
    if (host.connections().length > nearestLimits.redialConnectionsMax) return
    this.#run(() => this.#check(peerId))
  }

  async #check(peerId: string): Promise<boolean | undefined> {
    const { exchange, table, onChecked } = this.#components
    const reached = await exchange.ask(peerId, nearestLimits.redialTimeoutMs)
    if (reached === undefined) return undefined
    const isDirect = this.#isConnected(peerId)
    if (reached && !isDirect && this.#hasConnection(peerId)) {
      // Neither clients nor fetches get there; should it be connected directly later, it is met again.
      onChecked('relayed')
      table.setReachable(peerId, false)
      return false
    }
    onChecked(reached ? 'reached' : 'unreachable')
    if (reached) this.#reached(peerId)
    else if (table.get(peerId) !== undefined && !isDirect) this.#lost(peerId)
    return reached
  }

  #reached(peerId: string): void {
    this.#retries.get(peerId)?.cancel()
    this.#retries.delete(peerId)
    this.#components.table.setReachable(peerId, true)
  }

  #lost(peerId: string): void {
    const { table, clock, logger } = this.#components
    const before = this.#retries.get(peerId)
    before?.cancel()
    if (before === undefined) logger.info({ peer: peerId }, 'a peer can no longer be reached')
    table.setReachable(peerId, false)
    const failures = before?.failures ?? 0
    const cancel = clock.after(backoffMs(nearestLimits, failures), () => this.#retry(peerId))
    this.#retries.set(peerId, { failures: failures + 1, cancel })
  }

  #retry(peerId: string): void {
    // Its advert may have run out meanwhile; then there is nobody to be reached.
    if (this.#components.table.get(peerId) === undefined) this.#retries.delete(peerId)
    else this.#run(() => this.#check(peerId))
  }

  #round(): void {
    const { clock, host } = this.#components
    this.#cancelRound = clock.after(nearestLimits.announceIntervalMs, () => this.#round())
    const connected = new Set<string>()
    for (const { peerId, rttMs, multiaddr } of host.connections()) {
      if (isRelayed(multiaddr)) continue
      connected.add(peerId)
      // The host pings each connection in its own time; a figure that has not changed was counted.
      if (rttMs === undefined || this.#lastRtts.get(peerId) === rttMs) continue
      this.#lastRtts.set(peerId, rttMs)
      this.#sample(peerId, rttMs)
    }
    this.#connectNearest(connected)
  }

  /** Peers that nobody is connected to die unnoticed: the nearest of them are, up to a number. */
  #connectNearest(connected: ReadonlySet<string>): void {
    const { table, coordinate } = this.#components
    const room = nearestLimits.watchedPeersMax - connected.size
    if (room <= 0) return
    const own = coordinate()
    const distance = (peer: KnownPeer) => coordinateDistance(own, peer.coordinate)
    table
      .list()
      .filter(({ peerId }) => !connected.has(peerId) && !this.#retries.has(peerId))
      .sort((a, b) => distance(a) - distance(b))
      .slice(0, Math.min(room, nearestLimits.dialsPerRoundMax))
      .forEach(({ peerId }) => {
        this.#run(() => this.#check(peerId))
      })
  }

  async #ping(peerId: string): Promise<void> {
    const { clock, host, logger } = this.#components
    const limit = deadline(clock, nearestLimits.redialTimeoutMs, this.#stopping.signal)
    try {
      this.#sample(peerId, await host.ping(peerId, { signal: limit.signal }))
    } catch (error) {
      logger.debug({ err: error, peer: peerId }, 'a new neighbour did not answer a ping')
    } finally {
      limit.clear()
    }
  }

  #sample(peerId: string, rttMs: number): void {
    const { table, onRtt } = this.#components
    const median = table.addRtt(peerId, rttMs)
    const peer = table.get(peerId)
    if (median !== undefined && peer !== undefined) onRtt(peer, median)
  }

  #hasConnection(peerId: string): boolean {
    return this.#components.host.connections().some((connection) => connection.peerId === peerId)
  }

  /** By no relay. */
  #isConnected(peerId: string): boolean {
    return this.#components.host
      .connections()
      .some((connection) => connection.peerId === peerId && !isRelayed(connection.multiaddr))
  }

  #run(work: () => Promise<unknown>): void {
    const running: Promise<unknown> = work().catch((error: Error) => {
      this.#components.logger.error({ err: error }, 'watching over a peer failed')
    })
    this.#work.add(running)
    void running.finally(() => this.#work.delete(running))
  }
}

/** Media do not go by a relay, and a round trip by one says little about the peer. */
function isRelayed(multiaddr: string): boolean {
  return multiaddr.includes('/p2p-circuit')
}
