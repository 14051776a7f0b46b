/**
 * The peers of the network as this one knows them: signed adverts that come by gossip and, at once on each new
 * connection, by asking; the own advert announced again and again, and at once when the peer drains or its load changes its
 * class. Round trips to neighbours place this peer among the others; a neighbour whose connection breaks is dialled at
 * once, and unreachable if that fails.
 */
import { strict as assert } from 'node:assert'
import type { Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../clock.ts'
import { isKairoError } from '../errors.ts'
import { Announcements } from '../host/announcements.ts'
import type { Libp2pHost } from '../host/libp2p-host.ts'
import type { Gossip, GossipVerdict, PeerWatch } from '../host/network.ts'
import type { PeerSigner } from '../host/peer-signature.ts'
import { PEERS_PROTOCOL, PEERS_TOPIC } from '../host/protocols.ts'
import type { Transport } from '../host/transport.ts'
import { nearestLimits } from '../limits/nearest.ts'
import type { Logger } from '../logger.ts'
import { AdvertExchange } from './advert-exchange.ts'
import { baseUrlOf } from './client-url.ts'
import type { LoadReading } from './load-meter.ts'
import { NearestMetrics } from './nearest-metrics.ts'
import { NetworkTime } from './network-time.ts'
import type { KnownPeer, NetworkCoordinate, PeerAdvert, PeerCatalog } from './peer-advert.ts'
import { PeerTable } from './peer-table.ts'
import { PeerWatchdog } from './peer-watchdog.ts'
import { decodeSignedAdvert, encodeSignedAdvert } from './signed-advert.ts'
import { unknownCoordinate, updateCoordinate } from './vivaldi.ts'

/** What this peer says of itself besides load, place in the network and time. */
export type OwnPeer = Pick<
  PeerAdvert,
  'clientUrls' | 'httpsAddresses' | 'certificateDigest' | 'region' | 'latitude' | 'longitude'
>

/** What the catalog needs. */
export interface PeerCatalogComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly gossip: Gossip
  readonly transport: Transport
  readonly peers: PeerWatch
  readonly host: Pick<Libp2pHost, 'connections' | 'onDisconnect' | 'ping'>
  readonly signer: PeerSigner
  /** The load meter: readings, and word of a change of class. */
  readonly load: {
    reading(): LoadReading
    onClassChange(listener: () => void): () => void
  }
  /** Asked at each announcement; addresses may come and go. */
  readonly describe: () => OwnPeer
  /** 0 to 1. */
  readonly random: () => number
}

type Outcome = 'kept' | 'old' | 'expired' | 'early' | 'hasty' | 'full' | 'own'

/** The catalog of one peer. */
export class PeerCatalogService implements PeerCatalog {
  readonly #components: PeerCatalogComponents
  readonly #logger: Logger
  readonly #metrics: NearestMetrics
  readonly #time: NetworkTime
  readonly #table: PeerTable
  readonly #exchange: AdvertExchange
  readonly #watchdog: PeerWatchdog
  readonly #listeners = new Set<(peerId: string) => void>()
  readonly #announcements: Announcements
  #status: 'stopped' | 'started' = 'stopped'
  #state: PeerAdvert['state'] = 'serving'
  #coordinate: NetworkCoordinate = unknownCoordinate
  #sequence = 0
  #ownAdvert: Uint8Array | undefined
  #startedAtMs = 0
  #announcedAtMs = Number.NEGATIVE_INFINITY
  #cancelAnnounce: CancelTimer | undefined
  readonly #endings: (() => void)[] = []

  constructor(components: PeerCatalogComponents) {
    this.#components = components
    this.#logger = components.logger.child({ name: 'kairo:nearest' })
    this.#time = new NetworkTime(components.clock)
    this.#table = new PeerTable(components.clock, (peerId) => this.#tell(peerId))
    this.#metrics = new NearestMetrics(components.registry, {
      peers: () => this.#table.list(),
      coordinate: () => this.#coordinate,
    })
    this.#announcements = new Announcements(
      {
        gossip: components.gossip,
        logger: this.#logger,
        announcements: this.#metrics.announcements,
      },
      PEERS_TOPIC,
      'could not announce this peer',
    )
    this.#exchange = new AdvertExchange({
      clock: components.clock,
      logger: this.#logger,
      transport: components.transport,
      adverts: () => [
        ...(this.#ownAdvert === undefined ? [] : [this.#ownAdvert]),
        ...this.#table.adverts(),
      ],
      accept: (bytes) => this.#hear(bytes),
    })
    this.#watchdog = new PeerWatchdog({
      clock: components.clock,
      logger: this.#logger,
      host: components.host,
      table: this.#table,
      exchange: this.#exchange,
      coordinate: () => this.#coordinate,
      onChecked: (outcome) => this.#metrics.checks.inc({ outcome }),
      onRtt: (peer, rttMs) => this.#move(peer, rttMs),
    })
  }

  /** Listens for adverts and begins to announce the own one. The host must be running. */
  async start(): Promise<void> {
    assert.equal(this.#status, 'stopped', 'the catalog is started once')
    this.#status = 'started'
    this.#startedAtMs = this.#components.clock.monotonicMs()
    const { gossip, transport, peers, load } = this.#components
    gossip.subscribe(PEERS_TOPIC, (data) => this.#hear(data))
    // Before others can ask for it.
    this.#announce()
    await transport.handle(PEERS_PROTOCOL, (stream) => this.#exchange.answer(stream))
    this.#endings.push(
      peers.watch(PEERS_PROTOCOL, (peerId) => this.#watchdog.meet(peerId)),
      load.onClassChange(() => this.#refresh()),
    )
    this.#watchdog.start()
  }

  /** Stops listening and announcing; {@link drain} should come before. Must come before the host's stop. */
  async stop(): Promise<void> {
    if (this.#status === 'stopped') return
    this.#status = 'stopped'
    this.#cancelAnnounce?.()
    for (const end of this.#endings.splice(0)) end()
    this.#components.gossip.unsubscribe(PEERS_TOPIC)
    this.#table.stop()
    await Promise.all([this.#announcements.settled(), this.#exchange.stop(), this.#watchdog.stop()])
  }

  /** Tells the network, and the listeners here, that this peer takes nothing new; resolves when that is on its way. */
  async drain(): Promise<void> {
    if (this.#state === 'draining') return
    this.#state = 'draining'
    if (this.#status === 'started') this.#announce()
    this.#tell(this.#components.transport.peerId)
    await this.#announcements.settled()
  }

  /** Announces at once: this peer serves from now on, at the addresses that {@link PeerCatalogComponents.describe} says. */
  serve(): void {
    if (this.#status === 'started') this.#announce()
  }

  /** This peer as it would tell of itself now. */
  self(): PeerAdvert {
    const { transport, load, describe } = this.#components
    const reading = load.reading()
    const now = this.#time.now()
    const own = describe()
    return {
      ...own,
      clientUrls: own.clientUrls.map(baseUrlOf),
      peerId: transport.peerId,
      sequence: now,
      expiresAtMs: now + nearestLimits.advertTtlMs,
      state: this.#state,
      coordinate: this.#coordinate,
      load: reading.load,
      freeBitsPerSecond: reading.freeBitsPerSecond,
    }
  }

  get(peerId: string): KnownPeer | undefined {
    return this.#table.get(peerId)
  }

  list(): readonly KnownPeer[] {
    return this.#table.list()
  }

  onChange(listener: (peerId: string) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #tell(peerId: string): void {
    for (const listener of this.#listeners) {
      try {
        listener(peerId)
      } catch (error) {
        this.#logger.error({ err: error, peer: peerId }, 'a listener of the catalog failed')
      }
    }
  }

  /** Announces soon what {@link PeerCatalogComponents.describe} says now; at once, unless the last time was just before. */
  #refresh(): void {
    if (this.#status === 'stopped') return
    const { clock } = this.#components
    const sinceMs = clock.monotonicMs() - this.#announcedAtMs
    if (sinceMs >= nearestLimits.announceIntervalMsMin) this.#announce()
    else this.#announceAfter(nearestLimits.announceIntervalMsMin - sinceMs)
  }

  #announceAfter(delayMs: number): void {
    this.#cancelAnnounce?.()
    this.#cancelAnnounce = this.#components.clock.after(delayMs, () => this.#announce())
  }

  #announce(): void {
    const { clock, signer } = this.#components
    const { newcomerMs, newcomerIntervalMs, announceIntervalMs } = nearestLimits
    this.#announcedAtMs = clock.monotonicMs()
    // Who joins is asked by its neighbours only, and the mesh of gossip takes a moment to form.
    const isNewcomer = this.#announcedAtMs - this.#startedAtMs < newcomerMs
    this.#announceAfter(isNewcomer ? newcomerIntervalMs : announceIntervalMs)
    // Nobody is there whose time could tell.
    if (this.#table.size === 0) this.#time.reset()
    const advert = this.self()
    // Above all that was heard of this peer: a clock that went back must not make it mute. What others would not take yet none has taken.
    const isHeard = this.#sequence < advert.sequence + nearestLimits.clockSkewMsMax
    const sequence = isHeard ? Math.max(advert.sequence, this.#sequence + 1) : advert.sequence
    const expiresAtMs = sequence + nearestLimits.advertTtlMs
    let bytes: Uint8Array
    try {
      bytes = encodeSignedAdvert(signer, { ...advert, sequence, expiresAtMs })
    } catch (error) {
      this.#metrics.announcements.inc({ outcome: 'failed' })
      this.#logger.error({ err: error }, 'this peer cannot describe itself to others')
      return
    }
    this.#sequence = sequence
    this.#ownAdvert = bytes
    this.#announcements.send(bytes)
  }

  #move(peer: KnownPeer, rttMs: number): void {
    const { random } = this.#components
    this.#coordinate = updateCoordinate(this.#coordinate, peer.coordinate, rttMs, random)
  }

  /** Judges an advert that came from another peer and keeps it if it is news. */
  #hear(bytes: Uint8Array): GossipVerdict {
    let outcome: Outcome
    try {
      outcome = this.#consider(bytes)
    } catch (error) {
      if (!isKairoError(error)) throw error
      this.#metrics.heard.inc({ outcome: error.code })
      this.#logger.debug({ err: error }, 'dropped a peer advert')
      return 'reject'
    }
    this.#metrics.heard.inc({ outcome })
    return outcome === 'kept' ? 'accept' : 'ignore'
  }

  #consider(bytes: Uint8Array): Outcome {
    const { advert, verify } = decodeSignedAdvert(bytes)
    const { peerId, sequence, expiresAtMs } = advert
    if (peerId === this.#components.transport.peerId) {
      if (sequence <= this.#sequence) return 'own'
      verify()
      // Our clock went back: the next announcement goes above.
      this.#sequence = sequence
      return 'own'
    }
    const { clockSkewMsMax } = nearestLimits
    const last = this.#table.lastSequence(peerId)
    const now = this.#time.now()
    // What was taken from a time that has turned out to lie ahead keeps nothing new out.
    if (last >= sequence && last <= now + clockSkewMsMax) return 'old'
    if (expiresAtMs + clockSkewMsMax <= now || sequence > now + clockSkewMsMax) {
      if (!this.#time.isOff(sequence)) return sequence > now ? 'early' : 'expired'
      verify()
      this.#time.reset()
      // What was said of this peer by the wrong time is not believed any more.
      this.#refresh()
      return this.#consider(bytes)
    }
    if (this.#table.get(peerId) === undefined && this.#table.isFull) return 'full'
    verify()
    if (!this.#table.allow(peerId)) return 'hasty'
    this.#table.put(advert, Uint8Array.from(bytes))
    return 'kept'
  }
}
