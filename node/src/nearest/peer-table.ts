/**
 * The table of known peers: bounded, each forgotten when the life of its last advert is over. An advert lives on this
 * peer's clock for as long as its signer gave it between signing and expiry, so that clocks that differ do no harm; what
 * was heard of a forgotten peer is not taken again.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import { nearestLimits } from '../limits/nearest.ts'
import { TokenBuckets } from '../token-buckets.ts'
import type { KnownPeer, PeerAdvert } from './peer-advert.ts'

interface Row {
  known: KnownPeer
  /** The encoded SignedPeerAdvert, for others who ask. */
  readonly bytes: Uint8Array
  /** Monotonic milliseconds at which it is forgotten. */
  readonly endsAtMs: number
  /** Last round trips, milliseconds. */
  readonly rtts: number[]
}

/** The last that was heard of a peer that is forgotten. */
interface Forgotten {
  readonly sequence: number
  /** Monotonic milliseconds until which an old advert could still pass for a new one. */
  readonly untilMs: number
}

/** Peers by id. */
export class PeerTable {
  readonly #clock: Clock
  readonly #onChange: (peerId: string) => void
  readonly #rows = new Map<string, Row>()
  readonly #allowances: TokenBuckets
  readonly #forgotten = new Map<string, Forgotten>()
  #list: readonly KnownPeer[] | undefined
  #cancelSweep: CancelTimer | undefined
  #sweepAtMs = Number.POSITIVE_INFINITY

  /** @param onChange is called after a peer came, went, or changed what others choose it by. */
  constructor(clock: Clock, onChange: (peerId: string) => void) {
    this.#clock = clock
    const { advertBurstMax, advertsPerSecondMax, peersMax } = nearestLimits
    this.#allowances = new TokenBuckets(
      { clock },
      { burst: advertBurstMax, perSecond: advertsPerSecondMax, bucketsMax: peersMax },
    )
    this.#onChange = onChange
  }

  get size(): number {
    return this.#rows.size
  }

  /**
   * True when no more peers are taken. Those that are there stay: were the one that ends first to go, a neighbour that
   * invents peers would push out all that are real.
   */
  get isFull(): boolean {
    return this.#rows.size >= nearestLimits.peersMax
  }

  get(peerId: string): KnownPeer | undefined {
    return this.#rows.get(peerId)?.known
  }

  /** All of them; the same array until something changes. */
  list(): readonly KnownPeer[] {
    this.#list ??= [...this.#rows.values()].map(({ known }) => known)
    return this.#list
  }

  /** Encoded adverts of the peers that were not found to be gone. */
  adverts(): Uint8Array[] {
    return [...this.#rows.values()].filter(({ known }) => known.reachable).map(({ bytes }) => bytes)
  }

  /** The sequence of the last advert that was taken of a peer; 0 when nothing is remembered of it. */
  lastSequence(peerId: string): number {
    return this.#rows.get(peerId)?.known.sequence ?? this.#forgotten.get(peerId)?.sequence ?? 0
  }

  /** Takes one advert off what a known peer may send at once; false when it sends too many. */
  allow(peerId: string): boolean {
    return this.#allowances.take(peerId)
  }

  /** Adds a peer, or replaces its advert. */
  put(advert: PeerAdvert, bytes: Uint8Array): void {
    const { peerId } = advert
    const before = this.#rows.get(peerId)
    const { rttMs, reachable } = before?.known ?? { rttMs: undefined, reachable: true }
    const known = { ...advert, rttMs, reachable }
    const endsAtMs = this.#clock.monotonicMs() + advert.expiresAtMs - advert.sequence
    this.#rows.set(peerId, { known, bytes, endsAtMs, rtts: before?.rtts ?? [] })
    this.#forgotten.delete(peerId)
    this.#list = undefined
    this.#scheduleSweep(endsAtMs)
    if (before === undefined || !isChosenAlike(before.known, known)) this.#onChange(peerId)
  }

  /** Notes whether a peer can be reached. */
  setReachable(peerId: string, reachable: boolean): void {
    const row = this.#rows.get(peerId)
    if (row === undefined || row.known.reachable === reachable) return
    row.known = { ...row.known, reachable }
    this.#list = undefined
    this.#onChange(peerId)
  }

  /**
   * Notes a round trip.
   * @returns the median of the last ones, milliseconds; undefined when the peer is not known.
   */
  addRtt(peerId: string, rttMs: number): number | undefined {
    const row = this.#rows.get(peerId)
    if (row === undefined) return undefined
    row.rtts.push(rttMs)
    if (row.rtts.length > nearestLimits.rttSamplesMax) row.rtts.shift()
    const sorted = row.rtts.toSorted((a, b) => a - b)
    const median = sorted[(sorted.length - 1) >> 1] as number
    row.known = { ...row.known, rttMs: median }
    this.#list = undefined
    return median
  }

  /** Stops forgetting. */
  stop(): void {
    this.#cancelSweep?.()
    this.#sweepAtMs = Number.POSITIVE_INFINITY
  }

  #scheduleSweep(atMs: number): void {
    if (atMs >= this.#sweepAtMs) return
    this.#cancelSweep?.()
    this.#sweepAtMs = atMs
    const delayMs = Math.max(0, atMs - this.#clock.monotonicMs())
    this.#cancelSweep = this.#clock.after(delayMs, () => this.#sweep())
  }

  #sweep(): void {
    this.#sweepAtMs = Number.POSITIVE_INFINITY
    const nowMs = this.#clock.monotonicMs()
    for (const [peerId, { untilMs }] of this.#forgotten) {
      if (untilMs <= nowMs) this.#forgotten.delete(peerId)
    }
    let nextMs = Number.POSITIVE_INFINITY
    for (const [peerId, row] of [...this.#rows]) {
      if (row.endsAtMs > nowMs) {
        nextMs = Math.min(nextMs, row.endsAtMs)
        continue
      }
      this.#forget(peerId, row.known.sequence, nowMs)
    }
    if (nextMs !== Number.POSITIVE_INFINITY) this.#scheduleSweep(nextMs)
  }

  #forget(peerId: string, sequence: number, nowMs: number): void {
    this.#rows.delete(peerId)
    this.#list = undefined
    const [oldest] = this.#forgotten.keys()
    if (this.#forgotten.size >= nearestLimits.peersMax && oldest !== undefined) {
      this.#forgotten.delete(oldest)
    }
    // An advert passes for alive until its expiry and the skew of the clocks are over.
    const { clockSkewMsMax, advertTtlMsMax } = nearestLimits
    this.#forgotten.set(peerId, { sequence, untilMs: nowMs + 2 * clockSkewMsMax + advertTtlMsMax })
    this.#onChange(peerId)
  }
}

/** True when whoever chose by the one would choose alike by the other; load and coordinates drift and are not news. */
function isChosenAlike(a: PeerAdvert, b: PeerAdvert): boolean {
  const chosenBy = ({
    state,
    clientUrls,
    httpsAddresses,
    certificateDigest,
    region,
    ...rest
  }: PeerAdvert) =>
    JSON.stringify([
      ...[state, clientUrls, httpsAddresses, certificateDigest, region],
      ...[rest.latitude, rest.longitude],
    ])
  return chosenBy(a) === chosenBy(b)
}
