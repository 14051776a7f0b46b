/**
 * Keeps places at relays for a peer that nobody can dial (libp2p specs, circuit relay v2). The package makes a reservation
 * and renews it; what it does not do reliably is to make one again after a relay restarted or went for good. So this is
 * looked at over and over: too few places, and a neighbour that relays is asked, or one remembered is dialled first.
 */
import { strict as assert } from 'node:assert'
import {
  type CircuitRelayTransportComponents,
  circuitRelayTransport,
  RELAY_V2_HOP_CODEC,
} from '@libp2p/circuit-relay-v2'
import type { Connection, PeerId, Transport } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { backoffMs } from '../../backoff.ts'
import type { Clock } from '../../clock.ts'
import { reachLimits } from '../../limits/reach.ts'
import type { Logger } from '../../logger.ts'
import { isPublic, isRelayed } from './address-kind.ts'
import { pacedWalk, type RandomWalk } from './paced-walk.ts'

/** The package's transport, with the part that its type leaves out. */
interface CircuitTransport extends Transport {
  readonly reservationStore: {
    addRelay(relay: PeerId, type: 'discovered'): Promise<unknown>
    hasReservation(relay: PeerId): boolean
    reservationCount(type: 'discovered'): number
  }
}

/** What the client needs. */
export interface RelayClientComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
  /** What a peer speaks, as it said itself. */
  readonly protocolsOf: (peerId: string) => readonly string[]
}

interface Refusal {
  readonly failures: number
  readonly nextAtMs: number
}

/** Reserves places at up to `reachLimits.relaysMax` relays, and makes them again. */
export class RelayClient {
  readonly #components: RelayClientComponents
  /** Relays that refused or did not answer, oldest first. */
  readonly #refusals = new Map<string, Refusal>()
  #node: CircuitRelayTransportComponents | undefined
  #circuit: CircuitTransport | undefined
  #isListening = false

  constructor(components: RelayClientComponents) {
    this.#components = components
  }

  /** The transport for a libp2p node, by which relayed addresses are dialled too. */
  transport(): (node: CircuitRelayTransportComponents) => Transport {
    return (node) => {
      const circuit = circuitRelayTransport({
        reservationCompletionTimeout: reachLimits.reservationTimeoutMs,
        // The default remembers each relay for ever and never tells of it again, not even after it restarted.
        discoveryFilter: { has: () => false, add: () => {}, remove: () => {} },
      })(this.#unhurried(node))
      assert(isCircuit(circuit), 'the relay transport has changed its shape')
      this.#circuit = circuit
      this.#node = node
      return circuit
    }
  }

  /** The node's parts, of which the random walk takes its time. */
  #unhurried(node: CircuitRelayTransportComponents): CircuitRelayTransportComponents {
    const components = this.#components
    // Looked up when it is used: the walk is made after the transports.
    const walk: RandomWalk = {
      walk: (options) => pacedWalk(components, node.randomWalk).walk(options),
    }
    return Object.create(node, { randomWalk: { value: walk } })
  }

  /** Ids of the relays at which this peer has a place. */
  relays(): string[] {
    const { circuit, node } = this.#running()
    const ids = node.connectionManager.getConnections().map(({ remotePeer }) => remotePeer)
    const held = ids.filter((id) => circuit.reservationStore.hasReservation(id))
    return [...new Set(held.map(String))]
  }

  /** Makes the reservations that are missing, from peers that can give one; never rejects for a relay that does not. */
  async reserve(signal: AbortSignal): Promise<void> {
    const { circuit, node } = this.#running()
    if (!this.#isListening) {
      this.#isListening = true
      // As many listeners as places. They stay for good: closing one ends the reservations of all.
      const places = Array.from({ length: reachLimits.relaysMax }, () => multiaddr('/p2p-circuit'))
      await node.transportManager.listen(places)
    }
    const missing = reachLimits.relaysMax - circuit.reservationStore.reservationCount('discovered')
    if (missing <= 0) return
    const neighbours = this.#neighbours()
    if (neighbours.length === 0) await this.#dialRemembered(signal)
    for (const relay of neighbours.slice(0, reachLimits.reservationsPerCheck)) {
      if (signal.aborted) return
      await this.#ask(relay, () => circuit.reservationStore.addRelay(relay, 'discovered'))
    }
  }

  async #ask(relay: PeerId, request: () => Promise<unknown>): Promise<boolean> {
    const id = relay.toString()
    try {
      await request()
      this.#refusals.delete(id)
      return true
    } catch (error) {
      this.#refuse(id)
      this.#components.logger.debug({ err: error, relay: id }, 'no place at a relay')
      return false
    }
  }

  #refuse(id: string): void {
    const { clock, random } = this.#components
    const failures = (this.#refusals.get(id)?.failures ?? 0) + 1
    const nextAtMs = clock.monotonicMs() + backoffMs(reachLimits, failures - 1, random)
    this.#refusals.delete(id)
    this.#refusals.set(id, { failures, nextAtMs })
    for (const oldest of this.#refusals.keys()) {
      if (this.#refusals.size <= reachLimits.refusalsMax) break
      this.#refusals.delete(oldest)
    }
  }

  /** Directly connected peers that relay, have given no place yet and may be asked; public and near ones first. */
  #neighbours(): PeerId[] {
    const { circuit, node } = this.#running()
    const direct = node.connectionManager
      .getConnections()
      .filter(({ remoteAddr, remotePeer, status }) => {
        if (status !== 'open' || isRelayed(remoteAddr)) return false
        if (circuit.reservationStore.hasReservation(remotePeer)) return false
        if (!this.#mayAsk(remotePeer)) return false
        return this.#components.protocolsOf(remotePeer.toString()).includes(RELAY_V2_HOP_CODEC)
      })
      .sort(byUse)
    return [
      ...new Map(direct.map(({ remotePeer }) => [remotePeer.toString(), remotePeer])).values(),
    ]
  }

  async #dialRemembered(signal: AbortSignal): Promise<void> {
    const { node } = this.#running()
    const connected = new Set(node.connectionManager.getConnections().map(idOf))
    const relays = await node.peerStore.all({
      filters: [
        ({ protocols }) => protocols.includes(RELAY_V2_HOP_CODEC),
        ({ id }) => !connected.has(id.toString()) && this.#mayAsk(id),
      ],
      limit: reachLimits.relayDialsPerCheck,
    })
    // The reservation follows when the new neighbour has said that it relays.
    await Promise.all(
      relays.map(({ id }) =>
        this.#ask(id, () => node.connectionManager.openConnection(id, { signal })),
      ),
    )
  }

  #mayAsk(relay: PeerId): boolean {
    const nextAtMs = this.#refusals.get(relay.toString())?.nextAtMs ?? 0
    return nextAtMs <= this.#components.clock.monotonicMs()
  }

  #running(): { circuit: CircuitTransport; node: CircuitRelayTransportComponents } {
    assert(this.#circuit !== undefined && this.#node !== undefined, 'the node is made')
    return { circuit: this.#circuit, node: this.#node }
  }
}

function byUse(a: Connection, b: Connection): number {
  const publicFirst = Number(isPublic(b.remoteAddr)) - Number(isPublic(a.remoteAddr))
  return publicFirst === 0 ? (a.rtt ?? Infinity) - (b.rtt ?? Infinity) || 0 : publicFirst
}

function idOf({ remotePeer }: Connection): string {
  return remotePeer.toString()
}

function isCircuit(transport: Transport): transport is CircuitTransport {
  return 'reservationStore' in transport
}
