/** Remembers for a while which peers HTTPS did not reach, so that not every request waits for a connection that does not come. */
import type { Clock } from '../../clock.ts'
import { peerHttpLimits } from '../../limits/peer-http.ts'

/** Where a peer says that it is reached by HTTPS. */
export interface PeerEndpoint {
  /** `host:port`, best first. */
  readonly addresses: readonly string[]
  /** Hex SHA-256 of its certificate (DER); empty when it is not known. */
  readonly certificateDigest: string
}

/** Peers that HTTPS did not reach a moment ago and that are asked over libp2p until that is forgotten. */
export class UnreachablePeers {
  readonly #clock: Clock
  readonly #until = new Map<string, { readonly endpoint: string; readonly ms: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** True when this endpoint of the peer failed a short while ago. */
  has(peerId: string, endpoint: PeerEndpoint): boolean {
    const entry = this.#until.get(peerId)
    if (entry === undefined) return false
    if (entry.ms > this.#clock.monotonicMs() && entry.endpoint === textOf(endpoint)) return true
    this.#until.delete(peerId)
    return false
  }

  /** Notes that an endpoint failed. */
  add(peerId: string, endpoint: PeerEndpoint): void {
    const ms = this.#clock.monotonicMs() + peerHttpLimits.unreachableMs
    this.#until.delete(peerId)
    this.#until.set(peerId, { endpoint: textOf(endpoint), ms })
    for (const oldest of this.#until.keys()) {
      if (this.#until.size <= peerHttpLimits.unreachablePeersMax) break
      this.#until.delete(oldest)
    }
  }
}

function textOf({ addresses, certificateDigest }: PeerEndpoint): string {
  return `${certificateDigest} ${addresses.join(' ')}`
}
