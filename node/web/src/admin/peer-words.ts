/** Peers in words. */

import type { KnownPeers, Nearest } from '../shared/api.ts'
import { bitrate } from '../shared/format.ts'

/** A peer of the list. */
export interface PeerRow {
  readonly peer: KnownPeers['self']
  readonly isSelf: boolean
  /** Milliseconds; null where it was not measured. */
  readonly rttMs: number | null
  readonly reachable: boolean
  /** Its place among the peers that this browser would be sent to, with reasons; undefined where it has none. */
  readonly place: string | undefined
}

/** The rows: this peer, then the others as clients are sent to them, then the rest by id. */
export function peerRows({ self, peers }: KnownPeers, nearest: Nearest): readonly PeerRow[] {
  const places = new Map(nearest.peers.map((peer, index) => [peer.peerId, { index, ...peer }]))
  const placeOf = (peerId: string) => {
    const place = places.get(peerId)
    if (place === undefined) return undefined
    const order = place.index === 0 ? 'Best' : `No. ${place.index + 1}`
    return `${order} for this browser: ${place.reasons.join(', ')}.`
  }
  const rank = (peerId: string) => places.get(peerId)?.index ?? nearest.peers.length
  const others = [...peers]
    .sort((a, b) => rank(a.peerId) - rank(b.peerId) || (a.peerId < b.peerId ? -1 : 1))
    .map((peer) => ({
      ...{ peer, isSelf: false, rttMs: peer.rttMs, reachable: peer.reachable },
      place: placeOf(peer.peerId),
    }))
  const own = {
    peer: self,
    isSelf: true,
    rttMs: null,
    reachable: true,
    place: placeOf(self.peerId),
  }
  return [own, ...others]
}

/** Whether a peer takes clients, as a word and a dot. */
export function peerState({ peer, reachable }: PeerRow): { word: string; dot: string } {
  if (!reachable) return { word: 'not reached', dot: 'dot-fail' }
  if (peer.state === 'draining') return { word: 'draining', dot: 'dot-warn' }
  return { word: 'serving', dot: 'dot-ok' }
}

/** `serving · region eu · 12 ms away · 40 % loaded · 950.0 Mbit/s free`. */
export function describePeer(row: PeerRow): string {
  const { peer, rttMs } = row
  return [
    peerState(row).word,
    peer.region === '' ? '' : `region ${peer.region}`,
    rttMs === null ? '' : `${rttMs < 10 ? rttMs.toFixed(1) : Math.round(rttMs)} ms away`,
    `${Math.round(peer.load * 100)} % loaded`,
    `${bitrate(peer.freeBitsPerSecond)} free`,
  ]
    .filter(Boolean)
    .join(' · ')
}
