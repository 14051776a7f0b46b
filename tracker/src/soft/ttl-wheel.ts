/**
 * Finds the peers that said nothing for the time to live. Each tick has a bucket; hearing of a peer writes only when that was, and a bucket
 * whose tick has come moves those that were heard meanwhile on to a later one. So a peer costs one look each time to live, not each batch.
 */
import { type PeerTable, peerColumns } from './peer-table.ts'

/** The wheel of one peer table. */
export class TtlWheel {
  readonly #peers: PeerTable
  readonly #ttlTicks: number
  /** First peer of each bucket, plus 1; 0 is none. */
  readonly #buckets: Uint32Array
  /** The tick that was looked at last. */
  tick: number

  /** @param ttlTicks ticks that a peer stays after it was heard */
  constructor(peers: PeerTable, ttlTicks: number, tick: number) {
    this.#peers = peers
    this.#ttlTicks = ttlTicks
    // A peer is due at most this many ticks ahead, so no bucket holds two turns of the wheel.
    this.#buckets = new Uint32Array(ttlTicks + 2)
    this.tick = tick
  }

  /** A peer that was heard now, for the first time. */
  add(peer: number): void {
    const row = this.#peers.rows.offset(peer)
    this.#peers.rows.chunk(peer)[row + peerColumns.seenTick] = this.tick
    this.#link(peer, this.tick + this.#ttlTicks + 1)
  }

  /** A peer that leaves the table. */
  remove(peer: number): void {
    const { rows } = this.#peers
    const chunk = rows.chunk(peer)
    const at = rows.offset(peer)
    const next = chunk[at + peerColumns.wheelNext] as number
    const previous = chunk[at + peerColumns.wheelPrevious] as number
    if (next !== 0) {
      rows.chunk(next - 1)[rows.offset(next - 1) + peerColumns.wheelPrevious] = previous
    }
    if (previous !== 0) {
      rows.chunk(previous - 1)[rows.offset(previous - 1) + peerColumns.wheelNext] = next
    } else {
      this.#buckets[chunk[at + peerColumns.wheelBucket] as number] = next
    }
  }

  /** Goes on to `tick`; calls `expired` for each peer whose time has run out, which then removes it. */
  advance(tick: number, expired: (peer: number) => void): void {
    // After a pause of more than one turn each bucket is looked at once.
    if (tick - this.tick > this.#buckets.length) this.tick = tick - this.#buckets.length
    while (this.tick < tick) {
      this.tick += 1
      this.#turn(expired, tick)
    }
  }

  #turn(expired: (peer: number) => void, now: number): void {
    const bucket = this.tick % this.#buckets.length
    let left = this.#buckets[bucket] as number
    while (left !== 0) {
      const peer = left - 1
      const { rows } = this.#peers
      const chunk = rows.chunk(peer)
      const at = rows.offset(peer)
      left = chunk[at + peerColumns.wheelNext] as number
      const dueTick = (chunk[at + peerColumns.seenTick] as number) + this.#ttlTicks + 1
      if (dueTick <= now) {
        expired(peer)
      } else {
        this.remove(peer)
        this.#link(peer, dueTick)
      }
    }
  }

  #link(peer: number, dueTick: number): void {
    const { rows } = this.#peers
    const bucket = dueTick % this.#buckets.length
    const first = this.#buckets[bucket] as number
    const chunk = rows.chunk(peer)
    const at = rows.offset(peer)
    chunk[at + peerColumns.wheelNext] = first
    chunk[at + peerColumns.wheelPrevious] = 0
    chunk[at + peerColumns.wheelBucket] = bucket
    if (first !== 0) {
      rows.chunk(first - 1)[rows.offset(first - 1) + peerColumns.wheelPrevious] = peer + 1
    }
    this.#buckets[bucket] = peer + 1
  }
}
