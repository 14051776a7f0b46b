/** What fetching has taught of other peers: how fast they answer and how often they fail; and whom to ask first. */
import { type Attempt, CircuitBreaker } from '../../circuit-breaker.ts'
import type { Clock } from '../../clock.ts'
import { fetchBreakerLimits, fetchLimits } from '../../limits/fetch.ts'
import { LatencyWindow } from './latency-window.ts'

interface KnownProvider {
  readonly latencies: LatencyWindow
  readonly breaker: CircuitBreaker
  /** Monotonic milliseconds. */
  heardMs: number
}

/** What it works with. */
export interface FetchPeersComponents {
  readonly clock: Clock
  /** Round trip to a peer, milliseconds; undefined where it was not measured. */
  readonly rttOf: (peerId: string) => number | undefined
  /** Called when a peer is left alone from now on. */
  readonly onOpened: (peerId: string, failure: 'failed' | 'lied') => void
}

/** Peers that were asked. */
export class FetchPeers {
  readonly #components: FetchPeersComponents
  readonly #known = new Map<string, KnownProvider>()

  constructor(components: FetchPeersComponents) {
    this.#components = components
  }

  /** Providers without duplicates, nearest first; those of unknown distance behind, in the order given. */
  order(providers: readonly string[]): string[] {
    const { rttOf } = this.#components
    const ranked = [...new Set(providers)].map((peer) => ({
      peer,
      rttMs: rttOf(peer) ?? Number.MAX_VALUE,
    }))
    return ranked.sort((a, b) => a.rttMs - b.rttMs).map(({ peer }) => peer)
  }

  /** Leave to ask a peer; undefined while it is left alone. Whoever gets it says how it ended. */
  ask(peerId: string): Attempt | undefined {
    return this.#of(peerId).breaker.begin()
  }

  /** Notes how long the head of an answer took, or how long it had not come when it was given up. */
  noteLatency(peerId: string, ms: number): void {
    this.#of(peerId).latencies.add(ms)
  }

  /** Something came from the peer. */
  heard(peerId: string): void {
    const known = this.#known.get(peerId)
    if (known !== undefined) known.heardMs = this.#components.clock.monotonicMs()
  }

  /** Milliseconds since something came from the peer; infinite when nothing has. */
  silentMs(peerId: string): number {
    const known = this.#known.get(peerId)
    return this.#components.clock.monotonicMs() - (known?.heardMs ?? Number.NEGATIVE_INFINITY)
  }

  /** Silence of this peer after which another is asked too, milliseconds. */
  hedgeMsOf(peerId: string): number {
    return this.#of(peerId).latencies.hedgeMs
  }

  #of(peerId: string): KnownProvider {
    const known = this.#known.get(peerId) ?? {
      latencies: new LatencyWindow(),
      breaker: this.#newBreaker(peerId),
      heardMs: Number.NEGATIVE_INFINITY,
    }
    // Newest last, so that the first is the one unused for the longest.
    this.#known.delete(peerId)
    this.#known.set(peerId, known)
    if (this.#known.size > fetchLimits.peersMax) {
      const [oldest] = this.#known.keys()
      if (oldest !== undefined) this.#known.delete(oldest)
    }
    return known
  }

  #newBreaker(peerId: string): CircuitBreaker {
    const { clock, onOpened } = this.#components
    return new CircuitBreaker(
      { clock },
      { ...fetchBreakerLimits, onOpened: (failure) => onOpened(peerId, failure) },
    )
  }
}
