/**
 * How others reach this peer: whether they can (AutoNAT), places at relays where they cannot, direct connections in place
 * of relayed ones, relaying for others, and which addresses are dialled at all. One object per run of the libp2p node.
 */
import { strict as assert } from 'node:assert'
import type { AutoNATComponents } from '@libp2p/autonat'
import type { CircuitRelayServerComponents } from '@libp2p/circuit-relay-v2'
import { dcutr } from '@libp2p/dcutr'
import type { Connection, ConnectionGater, IdentifyResult, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { backoffMs } from '../../backoff.ts'
import type { CancelTimer, Clock } from '../../clock.ts'
import { KairoError } from '../../errors.ts'
import { reachLimits } from '../../limits/reach.ts'
import type { Logger } from '../../logger.ts'
import { KAD_PROTOCOL } from '../protocols.ts'
import { isPublic, isRelayed } from './address-kind.ts'
import { AUTONAT_PROTOCOL, type AutoNat, guardedAutoNat } from './autonat.ts'
import { DialGate } from './dial-gate.ts'
import { DirectUpgrade, type UpgradeNode } from './direct-upgrade.ts'
import { type NatStatus, natStatusOf } from './nat-status.ts'
import type { ReachMetrics } from './reach-metrics.ts'
import type { ReachStatus } from './reach-status.ts'
import { RelayClient } from './relay-client.ts'
import { RelayServer } from './relay-server.ts'

/** What is handed to the parts by the libp2p node. */
type NodeParts = CircuitRelayServerComponents & Pick<AutoNATComponents, 'addressManager'>

/** What reaching needs. */
export interface ReachComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: ReachMetrics
  /** A number in [0, 1), for jitter. */
  readonly random: () => number
  /** What a connected peer speaks, as it said itself. */
  readonly protocolsOf: (peerId: string) => readonly string[]
}

/** What the operator said. */
export interface ReachInit {
  /** Addresses to tell others were named. */
  readonly isAnnounced: boolean
  /** Whether this peer listens at all. */
  readonly isListening: boolean
  /** Relay for others where this peer can be dialled. */
  readonly relay: boolean
}

/** Keeps the peer reachable from {@link Reach.start} to {@link Reach.stop}. */
export class Reach {
  readonly #components: ReachComponents
  readonly #init: ReachInit
  readonly #relayClient: RelayClient
  readonly #gate: DialGate
  readonly #stopping = new AbortController()
  #parts: NodeParts | undefined
  #autoNat: AutoNat | undefined
  #relayServer: RelayServer | undefined
  #upgrade: DirectUpgrade | undefined
  #nat: NatStatus = 'unknown'
  /** Since when there is somebody who could confirm an own address, monotonic milliseconds. */
  #waitingSinceMs: number | undefined
  #nextVerifyAtMs = 0
  #verifyRounds = 0
  #cancelTimer: CancelTimer | undefined
  #checking: Promise<void> = Promise.resolve()

  constructor(components: ReachComponents, init: ReachInit) {
    this.#components = components
    this.#init = init
    this.#relayClient = new RelayClient(components)
    this.#gate = new DialGate({
      connections: () => this.#connections().map(({ remoteAddr }) => remoteAddr),
      addresses: () => this.#parts?.addressManager.getAddresses() ?? [],
      denied: components.metrics.dialsDenied,
    })
  }

  /** What the libp2p node is made with, besides its other settings. */
  nodeOptions() {
    const autoNat = guardedAutoNat({
      clock: this.#components.clock,
      refused: this.#components.metrics.autonatRefused,
    })
    const connectionGater: ConnectionGater = {
      denyDialMultiaddr: (address) => this.#gate.denies(address),
      denyInboundRelayReservation: (source) =>
        this.#relayServer?.deniesReservation(source) !== false,
      denyOutboundRelayedConnection: (source, target) =>
        this.#relayServer?.deniesConnection(source, target) !== false,
    }
    return {
      connectionGater,
      transport: this.#relayClient.transport(),
      services: {
        autoNat: (node: AutoNATComponents): AutoNat => {
          this.#autoNat = autoNat(node)
          return this.#autoNat
        },
        dcutr: dcutr({ timeout: reachLimits.upgradeTimeoutMs }),
        reach: (node: NodeParts): Reach => {
          this.#parts = node
          return this
        },
      },
    }
  }

  /** Takes the node that was made with {@link Reach.nodeOptions}, before it starts. */
  begin(node: UpgradeNode): void {
    assert(this.#parts !== undefined, 'the node is made with nodeOptions()')
    const { clock, logger, metrics, protocolsOf } = this.#components
    this.#upgrade = new DirectUpgrade({ clock, logger, node, metrics }, this.#stopping.signal)
    this.#relayServer = new RelayServer({
      node: this.#parts,
      protocolsOf,
      ownProtocol: KAD_PROTOCOL,
      refused: metrics.relayRefused,
    })
  }

  /** Gives up what is under way, before the node stops. */
  async end(): Promise<void> {
    this.#stopping.abort(new KairoError('ERR_STOPPED', 'the peer is shutting down'))
    this.#cancelTimer?.()
    this.#upgrade?.stop()
    await this.#checking
    await this.#relayServer?.turn(false)
  }

  /** To be called for each connection that opens. */
  onOpen(connection: Connection): void {
    this.#upgrade?.onOpen(connection)
  }

  /** To be called with what a peer says of itself. */
  onIdentify({ connection, listenAddrs }: IdentifyResult): void {
    this.#upgrade?.onIdentify(connection, listenAddrs)
    this.look()
  }

  /** Looks soon at how this peer is reached: to be called when the node has started, and when a peer goes. */
  look(): void {
    this.#schedule(reachLimits.checkDelayMs)
  }

  /** Dials of these addresses are on the operator's word until the returned function is called. */
  trust(addresses: readonly Multiaddr[]): () => void {
    return this.#gate.trust(addresses)
  }

  /**
   * A direct connection to a peer that is reached through a relay.
   * @throws KairoError `ERR_NO_PROVIDER` when none could be made in time.
   */
  async direct(peer: PeerId, signal: AbortSignal): Promise<Connection> {
    assert(this.#upgrade !== undefined, 'the host has started')
    return await this.#upgrade.direct(peer, signal)
  }

  /** How this peer is reached at this moment. */
  status(): ReachStatus {
    const connections = this.#connections()
    const relayed = connections.filter(({ remoteAddr }) => isRelayed(remoteAddr)).length
    const server = this.#relayServer
    return {
      nat: this.#nat,
      publicAddresses: this.#publicAddresses().map(({ multiaddr, verified }) => ({
        multiaddr: multiaddr.toString(),
        verified,
      })),
      relays: this.#parts === undefined ? [] : this.#relayClient.relays(),
      relaying:
        server?.isOn === true
          ? { reservations: server.reservations, connections: server.relayed }
          : undefined,
      connections: { direct: connections.length - relayed, relayed },
      holePunches: this.#upgrade?.counts() ?? { tried: 0, succeeded: 0 },
    }
  }

  #schedule(delayMs: number): void {
    if (this.#stopping.signal.aborted) return
    this.#cancelTimer?.()
    this.#cancelTimer = this.#components.clock.after(delayMs, () => {
      // One look after the other: a reservation under way counts as missing until it is there.
      this.#checking = this.#checking.then(() => this.#check())
    })
  }

  async #check(): Promise<void> {
    if (this.#stopping.signal.aborted) return
    try {
      this.#judge()
      this.#askForVerdict()
      const { relay, isListening } = this.#init
      await this.#relayServer?.turn(relay && isListening && this.#nat !== 'private')
      if (this.#nat === 'private') await this.#relayClient.reserve(this.#stopping.signal)
    } catch (error) {
      if (this.#stopping.signal.aborted) return
      this.#components.logger.warn(
        { err: error },
        'could not look after how others reach this peer',
      )
    }
    this.#schedule(reachLimits.checkIntervalMs)
  }

  #judge(): void {
    const now = this.#components.clock.monotonicMs()
    if (this.#verifiers().length === 0) this.#waitingSinceMs = undefined
    else this.#waitingSinceMs ??= now
    const nat = natStatusOf({
      isAnnounced: this.#init.isAnnounced,
      isListening: this.#init.isListening,
      addresses: this.#addresses(),
      remotes: this.#connections().map(({ remoteAddr }) => remoteAddr),
      waitedMs: this.#waitingSinceMs === undefined ? 0 : now - this.#waitingSinceMs,
      verdictWaitMs: reachLimits.verdictWaitMs,
    })
    if (nat === this.#nat) return
    this.#components.logger.info({ from: this.#nat, to: nat }, 'how others reach this peer changed')
    this.#nat = nat
  }

  /** The package asks each new neighbour once; addresses that come later, or grow old, are asked about here. */
  #askForVerdict(): void {
    const { clock, logger, random } = this.#components
    const now = clock.monotonicMs()
    const wall = Date.now()
    const open = this.#publicAddresses().filter(
      ({ verified, expires }) => !verified || expires < wall,
    )
    if (open.length === 0) this.#verifyRounds = 0
    if (open.length === 0 || now < this.#nextVerifyAtMs) return
    const verifiers = this.#verifiers()
    for (let count = 0; count < reachLimits.verifiersPerCheck && verifiers.length > 0; count++) {
      const [verifier] = verifiers.splice(Math.floor(random() * verifiers.length), 1)
      if (verifier === undefined) break
      this.#autoNat?.verifyExternalAddresses(verifier).catch((error: Error) => {
        logger.debug({ err: error }, 'a neighbour could not be asked to try an address')
      })
    }
    this.#nextVerifyAtMs = now + backoffMs(reachLimits, this.#verifyRounds, random)
    this.#verifyRounds++
  }

  #verifiers(): Connection[] {
    return this.#connections().filter(
      ({ remoteAddr, remotePeer }) =>
        !isRelayed(remoteAddr) &&
        this.#components.protocolsOf(remotePeer.toString()).includes(AUTONAT_PROTOCOL),
    )
  }

  #addresses() {
    return this.#parts?.addressManager.getAddressesWithMetadata() ?? []
  }

  #publicAddresses() {
    return this.#addresses().filter(({ multiaddr }) => isPublic(multiaddr))
  }

  #connections(): Connection[] {
    return this.#parts?.connectionManager.getConnections() ?? []
  }
}
