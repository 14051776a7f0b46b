/**
 * Rendezvous hashing (Thaler and Ravishankar 1998, "highest random weight"): every peer puts the same candidates in the same
 * order for a key without asking anyone, and a peer that comes or goes changes the order of no others. Weights after
 * Schindelhauer and Schomaker 2005: a candidate comes first in proportion to its weight.
 */
import { hash } from 'node:crypto'

/** A peer that may be responsible for a key. */
export interface RendezvousCandidate {
  readonly peerId: string
  /** Its share relative to others, above 0; 1 by default. 0 or less: never chosen. */
  readonly weight?: number
}

/** 2^53: hashes are cut to what a number holds exactly. */
const HASH_RANGE = 2 ** 53

/**
 * The ids of `peers` in the order in which they are responsible for `key`. Of one id named twice the first counts.
 * Costs one SHA-256 a candidate, a microsecond or two.
 */
export function rankByRendezvous(key: string, peers: readonly RendezvousCandidate[]): string[] {
  const scores = new Map<string, number>()
  for (const { peerId, weight = 1 } of peers) {
    if (!(weight > 0) || scores.has(peerId)) continue
    scores.set(peerId, -weight / Math.log(uniform(key, peerId)))
  }
  const ranked = [...scores].sort(([a, scoreA], [b, scoreB]) => scoreB - scoreA || (a < b ? -1 : 1))
  return ranked.map(([peerId]) => peerId)
}

/** The first `count` of {@link rankByRendezvous}: the peers that shield others from asking elsewhere for `key`. */
export function shieldsFor(
  key: string,
  peers: readonly RendezvousCandidate[],
  count: number,
): string[] {
  return rankByRendezvous(key, peers).slice(0, count)
}

/** A number above 0 and below 1 that `key` and `peerId` alone decide; the length keeps apart what is joined. */
function uniform(key: string, peerId: string): number {
  const digest = hash('sha256', `${key.length} ${key}${peerId}`, 'buffer')
  const bits = digest.readUIntBE(0, 6) * 32 + (digest.readUInt8(6) >> 3)
  return (bits + 0.5) / HASH_RANGE
}
