/**
 * Relaying for others (libp2p specs, circuit relay v2): peers that nobody can dial reserve a place here, and others reach
 * them through this peer. The package keeps the limits of one connection; this adds the switch, since only a peer that can
 * be dialled itself is of use as a relay, and the limits by peer and address, without which a relay is an open proxy.
 */
import {
  type CircuitRelayServerComponents,
  type CircuitRelayService,
  circuitRelayServer,
  RELAY_V2_HOP_CODEC,
  RELAY_V2_STOP_CODEC,
} from '@libp2p/circuit-relay-v2'
import type { Connection, PeerId } from '@libp2p/interface'
import type { Counter } from 'prom-client'
import { relayLimits } from '../../limits/reach.ts'
import { connectionRefusal, reservationRefusal } from './relay-policy.ts'

/** The package's server, with the part of its life that its type leaves out. */
type RunningServer = CircuitRelayService & { start(): Promise<void>; stop(): Promise<void> }

/** What the relay needs. */
export interface RelayServerComponents {
  readonly node: CircuitRelayServerComponents
  /** What a peer speaks, as it said itself. */
  readonly protocolsOf: (peerId: string) => readonly string[]
  /** A protocol that every peer of this network speaks; nobody else is relayed for. */
  readonly ownProtocol: string
  readonly refused: Counter<'reason'>
}

/** A relay that can be switched on and off. */
export class RelayServer {
  readonly #components: RelayServerComponents
  #server: RunningServer | undefined

  constructor(components: RelayServerComponents) {
    this.#components = components
  }

  /** Whether it relays. */
  get isOn(): boolean {
    return this.#server !== undefined
  }

  /** Peers that have a place here. */
  get reservations(): number {
    return this.#server?.reservations.size ?? 0
  }

  /** Relayed connections that run through this peer. */
  get relayed(): number {
    return this.#count(this.#components.node.connectionManager.getConnections())
  }

  /** Begins or ends relaying; peers that had a place look for another when it ends. */
  async turn(on: boolean): Promise<void> {
    if (on === this.isOn) return
    if (!on) {
      const server = this.#server
      this.#server = undefined
      await server?.stop()
      return
    }
    // A server that was stopped stays so; each turn takes a new one.
    const server = circuitRelayServer({
      hopTimeout: relayLimits.hopTimeoutMs,
      maxInboundHopStreams: relayLimits.connectionsPerSourceMax * 2,
      maxOutboundStopStreams: relayLimits.connectionsPerTargetMax,
      reservations: {
        maxReservations: relayLimits.reservationsMax,
        reservationTtl: relayLimits.reservationTtlMs,
        // Milliseconds for the timer here; clients that take it for the specification's seconds believe in a longer life.
        defaultDurationLimit: relayLimits.connectionMsMax,
        defaultDataLimit: BigInt(relayLimits.connectionBytesMax),
      },
    })(this.#components.node) as RunningServer
    this.#server = server
    await server.start()
  }

  /** Whether a peer gets no place here. */
  deniesReservation(source: PeerId): boolean {
    const reason = this.#reservationRefusal(source)
    if (reason !== undefined) this.#components.refused.inc({ reason })
    return reason !== undefined
  }

  /** Whether a peer gets no connection through this one. */
  deniesConnection(source: PeerId, target: PeerId): boolean {
    const reason = this.#connectionRefusal(source, target)
    if (reason !== undefined) this.#components.refused.inc({ reason })
    return reason !== undefined
  }

  #reservationRefusal(source: PeerId): string | undefined {
    const { node, protocolsOf, ownProtocol } = this.#components
    const reservations = this.#server?.reservations
    return reservationRefusal({
      isOn: reservations !== undefined,
      isOfThisNetwork: protocolsOf(source.toString()).includes(ownProtocol),
      isRenewal: reservations?.has(source) === true,
      from: node.connectionManager.getConnections(source)[0]?.remoteAddr,
      held: [...(reservations?.values() ?? [])].map(({ addr }) => addr),
    })
  }

  #connectionRefusal(source: PeerId, target: PeerId): string | undefined {
    const { connectionManager } = this.#components.node
    return connectionRefusal({
      ofSource: countStreams(
        connectionManager.getConnections(source),
        RELAY_V2_HOP_CODEC,
        'inbound',
      ),
      toTarget: this.#count(connectionManager.getConnections(target)),
      all: this.relayed,
    })
  }

  #count(connections: readonly Connection[]): number {
    return countStreams(connections, RELAY_V2_STOP_CODEC, 'outbound')
  }
}

function countStreams(
  connections: readonly Connection[],
  protocol: string,
  direction: 'inbound' | 'outbound',
): number {
  let count = 0
  for (const { streams } of connections) {
    for (const stream of streams) {
      if (stream.protocol === protocol && stream.direction === direction) count++
    }
  }
  return count
}
