/**
 * The peer's place in the network: one libp2p node with TCP and WebSocket, TLS before Noise, yamux, the Kairo DHT and
 * gossip, offered to the rooms above as {@link Transport}, {@link Gossip}, {@link ContentRouting} and {@link PeerWatch}.
 */
import { strict as assert } from 'node:assert'
import type { Connection, IdentifyResult, PeerId, PrivateKey, Stream } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import type { LevelDatastore } from 'datastore-level'
import type { Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'
import { hostLimits } from '../limits.ts'
import type { Logger } from '../logger.ts'
import { DhtRouting } from './dht-routing.ts'
import { GossipsubGossip } from './gossip.ts'
import { HostMetrics } from './host-metrics.ts'
import { IdentifiedPeers } from './identified-peers.ts'
import { createNode, type KairoNode, listenError } from './libp2p-node.ts'
import type { ContentRouting, Gossip, PeerWatch } from './network.ts'
import { OutboundCalls } from './outbound-calls.ts'
import { openPeerDatastore } from './peer-datastore.ts'
import { PeerMemory, type RememberedPeer } from './peer-memory.ts'
import { Libp2pPeerStream } from './peer-stream.ts'
import { mayPassRelay } from './protocols.ts'
import { Reach } from './reach/reach.ts'
import { ReachMetrics } from './reach/reach-metrics.ts'
import { type ReachStatus, reachUnknown } from './reach/reach-status.ts'
import { stopNode } from './stop-node.ts'
import type { PeerStream, Transport } from './transport.ts'

/** What the host needs. */
export interface Libp2pHostComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  /** A number in [0, 1), for jitter. Default: `Math.random`. */
  readonly random?: () => number
}

/** What the host is. */
export interface Libp2pHostInit {
  readonly privateKey: PrivateKey
  /** Multiaddrs to listen on; port 0 takes a free one. Empty: dials only. */
  readonly listen: readonly string[]
  /** Multiaddrs to tell others instead of those listened on (behind NAT or a proxy). */
  readonly announce?: readonly string[]
  /** Look for peers on the local network by multicast DNS. */
  readonly mdns: boolean
  /** Relay control traffic of peers that nobody can dial, where this one can be dialled. Default: no. */
  readonly relay?: boolean
  /** Folder of what is remembered of other peers; in memory without. */
  readonly datastorePath?: string
}

/** One connection, for status pages. */
export interface ConnectionInfo {
  readonly peerId: string
  readonly multiaddr: string
  readonly direction: 'inbound' | 'outbound'
  /** Wall milliseconds. */
  readonly openedAtMs: number
  /** Milliseconds, from the last ping; undefined before the first. */
  readonly rttMs: number | undefined
  readonly streams: number
}

/** One libp2p node. Gossip, routing and streams work between {@link start} and {@link stop}. */
export class Libp2pHost implements Transport, PeerWatch {
  readonly peerId: string
  readonly gossip: Gossip
  readonly routing: ContentRouting
  readonly #components: Libp2pHostComponents
  readonly #init: Libp2pHostInit
  readonly #logger: Logger
  readonly #metrics: HostMetrics
  readonly #reachMetrics: ReachMetrics
  readonly #identified: IdentifiedPeers
  readonly #disconnectListeners = new Set<(peerId: string) => void>()
  /** Addresses that others see this peer under, with the last wall time. */
  readonly #observed = new Map<string, number>()
  #node: KairoNode | undefined
  #reach: Reach | undefined
  #datastore: LevelDatastore | undefined
  #peerMemory: PeerMemory | undefined
  #calls: OutboundCalls

  constructor(components: Libp2pHostComponents, init: Libp2pHostInit) {
    this.#components = components
    this.#init = init
    this.#logger = components.logger.child({ name: 'kairo:host' })
    this.#metrics = new HostMetrics(components.registry, () => this.connections().length)
    this.#reachMetrics = new ReachMetrics(components.registry, () => this.reach())
    this.peerId = peerIdFromPrivateKey(init.privateKey).toString()
    const logger = this.#logger
    this.#identified = new IdentifiedPeers({ logger })
    this.#calls = this.#newCalls()
    this.gossip = new GossipsubGossip({
      logger,
      registry: components.registry,
      service: () => this.#running().services.gossip,
    })
    this.routing = new DhtRouting({ logger, node: () => this.#running() })
  }

  /**
   * Listens, and is ready to dial and be dialled.
   * @throws KairoError `ERR_ADDRESS_IN_USE` naming the address that is taken, `ERR_CONFIG` for an address that is none
   * or cannot be listened on, `ERR_STORAGE` when the datastore cannot be opened.
   */
  async start(): Promise<void> {
    assert(this.#node === undefined, 'the host is started once')
    this.#calls = this.#newCalls()
    const { datastorePath } = this.#init
    if (datastorePath !== undefined) {
      this.#datastore = await openPeerDatastore(datastorePath, this.#logger)
    }
    try {
      const reach = this.#newReach()
      const node = await createNode(this.#init, {
        logger: this.#logger,
        datastore: this.#datastore,
        onLocalPeer: (addresses) => this.#dialLocal(addresses),
        reach,
      })
      reach.begin(node)
      node.addEventListener('connection:open', ({ detail }) => reach.onOpen(detail))
      node.addEventListener('peer:identify', ({ detail }) => this.#onIdentify(detail))
      node.addEventListener('peer:disconnect', ({ detail }) => this.#onDisconnect(detail))
      this.#node = node
      this.#reach = reach
      this.#peerMemory = new PeerMemory({
        clock: this.#components.clock,
        logger: this.#logger,
        peerStore: node.peerStore,
        connected: () => this.peers(),
      })
      await node.start()
      reach.look()
      this.#peerMemory.start()
    } catch (cause) {
      await this.#reach?.end()
      this.#reach = undefined
      this.#node = undefined
      await this.#closeDatastore()
      throw listenError(this.#init.listen, cause)
    }
    this.#logger.info({ peerId: this.peerId, multiaddrs: this.multiaddrs() }, 'host started')
  }

  /** Closes every connection, listener and the datastore. May be called at any time. */
  async stop(): Promise<void> {
    const node = this.#node
    if (node === undefined) return
    this.#calls.stop()
    const reach = this.#reach
    this.#peerMemory?.stop()
    this.#node = undefined
    this.#reach = undefined
    this.#identified.clear()
    try {
      await stopNode({ node, reach }, { clock: this.#components.clock, logger: this.#logger })
    } finally {
      await this.#closeDatastore()
    }
    this.#logger.info({}, 'host stopped')
  }

  /** Addresses others can dial, each with `/p2p/<peer id>`. Empty while stopped. */
  multiaddrs(): string[] {
    return this.#node?.getMultiaddrs().map(String) ?? []
  }

  /** Addresses that other peers see this one under, newest last. */
  observedAddresses(): string[] {
    return [...this.#observed.keys()]
  }

  /** How others reach this peer; `unknown` while stopped. */
  reach(): ReachStatus {
    return this.#reach?.status() ?? reachUnknown
  }

  /** Ids of connected peers; of those that are known to speak a protocol, where one is named. */
  peers(protocol?: string): string[] {
    const peers = this.#node?.getPeers().map(String) ?? []
    if (protocol === undefined) return peers
    return peers.filter((peerId) => this.#identified.protocolsOf(peerId).includes(protocol))
  }

  /** Open connections. */
  connections(): ConnectionInfo[] {
    return (this.#node?.getConnections() ?? []).map((connection) => ({
      peerId: connection.remotePeer.toString(),
      multiaddr: connection.remoteAddr.toString(),
      direction: connection.direction,
      openedAtMs: connection.timeline.open,
      rttMs: connection.rtt,
      streams: connection.streams.length,
    }))
  }

  /**
   * Connects to a peer by one of its addresses; resolves with its id.
   * @param options `isHearsay`: the addresses were told by other peers and not by the operator or this very network, so
   * private ones are dialled only where peers are known to live.
   * @throws KairoError `ERR_NO_PROVIDER` when none answers, `ERR_TIMEOUT` when the signal fires first.
   */
  async dial(
    addresses: readonly string[],
    options: { readonly signal: AbortSignal; readonly isHearsay?: boolean },
  ): Promise<string> {
    return await this.#calls.make('dial', addresses.join(', '), options.signal, async (signal) => {
      const targets = addresses.map(parseMultiaddr)
      const node = this.#running()
      const done = options.isHearsay === true ? undefined : this.#reach?.trust(targets)
      try {
        const connection = await node.dial(targets, { signal })
        return connection.remotePeer.toString()
      } finally {
        done?.()
      }
    })
  }

  /** Host of the address at which this peer reached another one, without a relay; undefined when it is the other one that came. */
  dialledHost(peerId: string): string | undefined {
    const connection = this.#node
      ?.getConnections(peerIdFromString(peerId))
      .find(
        ({ direction, limits, status }) =>
          direction === 'outbound' && limits === undefined && status === 'open',
      )
    return connection && tcpHostOf(connection.remoteAddr)
  }

  /** Host of the first TCP address that is listened on; undefined when there is none. */
  listenHost(): string | undefined {
    for (const address of this.#init.listen) {
      const host = tcpHostOf(parseMultiaddr(address))
      if (host !== undefined) return host
    }
    return undefined
  }

  async open(
    peerId: string,
    protocol: string,
    options: { readonly signal: AbortSignal },
  ): Promise<PeerStream> {
    return await this.#calls.make('stream', peerId, options.signal, async (signal) => {
      const stream = await this.#newStream(peerIdFromString(peerId), protocol, signal)
      return this.#wrap(stream, peerId)
    })
  }

  /**
   * The round trip to a connected peer, or one that can be dialled, milliseconds.
   * @throws KairoError `ERR_NO_PROVIDER` when it does not answer, `ERR_TIMEOUT` when the signal fires first.
   */
  async ping(peerId: string, options: { readonly signal: AbortSignal }): Promise<number> {
    return await this.#calls.make('ping', peerId, options.signal, (signal) =>
      this.#running().services.ping.ping(peerIdFromString(peerId), { signal }),
    )
  }

  async handle(protocol: string, handler: (stream: PeerStream) => Promise<void>): Promise<void> {
    const onStream = (stream: Stream, connection: Connection): void => {
      const wrapped = this.#wrap(stream, connection.remotePeer.toString())
      void this.#serve(protocol, wrapped, handler)
    }
    await this.#running().handle(protocol, onStream, {
      maxInboundStreams: hostLimits.streamsPerProtocolMax,
      maxOutboundStreams: hostLimits.streamsPerProtocolMax,
      runOnLimitedConnection: mayPassRelay(protocol),
    })
  }

  watch(protocol: string, listener: (peerId: string) => void): () => void {
    return this.#identified.watch(protocol, listener)
  }

  /** The running node itself, for protocols of other networks whose implementations want one. */
  libp2p(): KairoNode {
    return this.#running()
  }

  /** Calls `listener` with the id of each peer whose last connection closes. Returns the way to stop. */
  onDisconnect(listener: (peerId: string) => void): () => void {
    this.#disconnectListeners.add(listener)
    return () => this.#disconnectListeners.delete(listener)
  }

  /** Peers remembered from before, that are not connected: at most `max` of them, with addresses, those seen last first. */
  async rememberedPeers(max: number): Promise<RememberedPeer[]> {
    return await this.#memory().recent(max)
  }

  async #newStream(peer: PeerId, protocol: string, signal: AbortSignal): Promise<Stream> {
    const runOnLimitedConnection = mayPassRelay(protocol)
    const options = {
      signal,
      maxOutboundStreams: hostLimits.streamsPerProtocolMax,
      runOnLimitedConnection,
    }
    const connection = await this.#connectionTo(peer, runOnLimitedConnection, signal)
    try {
      return await connection.newStream(protocol, options)
    } catch (error) {
      // A relayed connection goes when a direct one has taken its place; the stream belongs on that one then.
      if (connection.limits === undefined || connection.status === 'open') throw error
      const next = await this.#connectionTo(peer, runOnLimitedConnection, signal)
      return await next.newStream(protocol, options)
    }
  }

  /** A direct connection, or where that will do one through a relay, made if need be. */
  async #connectionTo(peer: PeerId, isRelayedFine: boolean, signal: AbortSignal) {
    const node = this.#running()
    const open = node.getConnections(peer).filter(({ status }) => status === 'open')
    const connection =
      open.find(({ limits }) => limits === undefined) ??
      open[0] ??
      (await node.dial(peer, { signal }))
    if (isRelayedFine || connection.limits === undefined || this.#reach === undefined) {
      return connection
    }
    return await this.#reach.direct(peer, signal)
  }

  #newCalls(): OutboundCalls {
    return new OutboundCalls({ clock: this.#components.clock, metrics: this.#metrics })
  }

  #newReach(): Reach {
    const { clock, random = Math.random } = this.#components
    const { announce = [], listen, relay = false } = this.#init
    return new Reach(
      {
        clock,
        logger: this.#logger,
        metrics: this.#reachMetrics,
        random,
        protocolsOf: (peerId) => this.#identified.protocolsOf(peerId),
      },
      { isAnnounced: announce.length > 0, isListening: listen.length > 0, relay },
    )
  }

  async #serve(
    protocol: string,
    stream: Libp2pPeerStream,
    handler: (stream: PeerStream) => Promise<void>,
  ): Promise<void> {
    this.#metrics.inbound.inc({ protocol })
    try {
      await handler(stream)
      await stream.close()
      stream.release()
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error(String(error)))
      this.#metrics.inboundFailures.inc({ protocol })
      this.#logger.warn({ err: error, protocol, peer: stream.remotePeer }, 'a stream ended badly')
    }
  }

  #wrap(stream: Stream, remotePeer: string): Libp2pPeerStream {
    const onBytes = (direction: 'in' | 'out', bytes: number): void =>
      this.#metrics.streamBytes.inc({ direction }, bytes)
    return new Libp2pPeerStream({ clock: this.#components.clock, onBytes }, stream, remotePeer)
  }

  #onIdentify(result: IdentifyResult): void {
    if (result.observedAddr !== undefined) this.#observe(result.observedAddr)
    if (this.#node !== undefined) this.#memory().seen(result.peerId)
    this.#identified.identified(result)
    this.#reach?.onIdentify(result)
  }

  #onDisconnect(peerId: PeerId): void {
    const id = peerId.toString()
    this.#identified.gone(id)
    if (this.#node === undefined) return
    this.#reach?.look()
    this.#logger.debug({ peer: id }, 'peer disconnected')
    for (const listener of this.#disconnectListeners) listener(id)
  }

  #memory(): PeerMemory {
    if (this.#node === undefined || this.#peerMemory === undefined) {
      throw new KairoError('ERR_STOPPED', 'the host is not running')
    }
    return this.#peerMemory
  }

  #observe(address: Multiaddr): void {
    const text = address.toString()
    this.#observed.delete(text)
    this.#observed.set(text, this.#components.clock.now())
    for (const oldest of this.#observed.keys()) {
      if (this.#observed.size <= hostLimits.observedAddressesMax) break
      this.#observed.delete(oldest)
    }
  }

  #dialLocal(addresses: readonly string[]): void {
    this.dial(addresses, { signal: this.#calls.stopping }).catch((error: Error) => {
      this.#logger.debug({ err: error, addresses }, 'could not reach a peer found by mDNS')
    })
  }

  #running(): KairoNode {
    if (this.#node === undefined) throw new KairoError('ERR_STOPPED', 'the host is not running')
    return this.#node
  }

  async #closeDatastore(): Promise<void> {
    const datastore = this.#datastore
    this.#datastore = undefined
    await datastore?.close()
  }
}

function parseMultiaddr(text: string): Multiaddr {
  try {
    return multiaddr(text)
  } catch (cause) {
    throw new KairoError('ERR_INVALID_INPUT', `not a multiaddr: ${text}`, { cause })
  }
}

function tcpHostOf(address: Multiaddr): string | undefined {
  const [host, transport] = address.getComponents()
  const isHost = host !== undefined && /^(?:ip4|ip6|dns4|dns6|dns)$/.test(host.name)
  return isHost && transport?.name === 'tcp' ? host.value : undefined
}
