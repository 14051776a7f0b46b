/**
 * Which peers are best for a client, best first, and why. Pure. Each peer has a cost in milliseconds: what its distance
 * adds to a round trip, and what it would take to make a client put up with another region, a loaded peer or a full uplink. Costs
 * within one step are equal, and clients are spread over those by rendezvous hashing of their subnets, so that the best peer
 * is not everybody's.
 */
import { nearestLimits, rankingLimits } from '../limits/nearest.ts'
import { clientGroup, hashOf } from './client-subnet.ts'
import { type GeoPoint, kilometresBetween } from './geo-point.ts'
import type { KnownPeer, PeerAdvert } from './peer-advert.ts'
import { coordinateDistance } from './vivaldi.ts'

/** What is known of a client. */
export interface RankingClient {
  /** Its address, or one of its subnet. */
  readonly address?: string | undefined
  readonly location?: GeoPoint | undefined
  /** Where it says it is; without this and a location it is taken to be where this peer is. */
  readonly region?: string | undefined
  /** Round trips that it measured itself, milliseconds by peer id. */
  readonly rttMs?: ReadonlyMap<string, number> | undefined
}

/** A peer as a client is sent to it. */
export interface RankedPeer {
  readonly peerId: string
  /** Cost in milliseconds; the lower the better. */
  readonly score: number
  /** Sentences for people. */
  readonly reasons: readonly string[]
}

/** Takes a reason; absent where nobody asks: a network has many peers, and a client wants a few. */
type Note = ((reason: string) => void) | undefined

/**
 * The best of the peers that take clients, best first. Left out are those that drain, cannot be reached, have run out, say no address, or are
 * full unless all are.
 * @param self this peer, a candidate as the others; distances start here where the client's place is not known.
 * @param nowMs wall time.
 */
export function rankPeers(
  client: RankingClient,
  peers: readonly KnownPeer[],
  self: PeerAdvert,
  nowMs: number,
): readonly RankedPeer[] {
  const able = [{ ...self, rttMs: 0, reachable: true }, ...peers].filter(
    (peer) =>
      peer.reachable &&
      peer.state === 'serving' &&
      peer.clientUrls.length > 0 &&
      peer.expiresAtMs + nearestLimits.clockSkewMsMax > nowMs,
  )
  const roomy = able.filter(({ load }) => load < rankingLimits.fullLoad)
  const candidates = roomy.length > 0 ? roomy : able
  const { equalCostMs, spreadGroups, peersMax } = rankingLimits
  const group = clientGroup(client.address ?? '', spreadGroups)
  return candidates
    .map((peer) => {
      const score = costOf(client, peer, self, undefined)
      // Highest random weight (Thaler, Ravishankar 1998): when a peer goes, only its own clients move.
      const weight = hashOf(`${group} ${peer.peerId}`)
      return { peer, score, weight, step: Math.floor(score / equalCostMs) }
    })
    .sort((a, b) => a.step - b.step || b.weight - a.weight)
    .slice(0, peersMax)
    .map(({ peer, score }) => {
      const reasons: string[] = []
      costOf(client, peer, self, (reason) => reasons.push(reason))
      return { peerId: peer.peerId, score, reasons }
    })
}

/** What a peer costs a client, milliseconds. */
function costOf(client: RankingClient, peer: KnownPeer, self: PeerAdvert, note: Note): number {
  const distanceMs = distanceCost(client, peer, self, note)
  const regionMs = regionCost(client, peer, self, note)
  note?.(`${Math.round(peer.load * 100)} % loaded`)
  return (
    distanceMs + regionMs + peer.load ** 2 * rankingLimits.loadCostMs + bandwidthCost(peer, note)
  )
}

function distanceCost(
  client: RankingClient,
  peer: KnownPeer,
  self: PeerAdvert,
  note: Note,
): number {
  const measured = client.rttMs?.get(peer.peerId)
  if (measured !== undefined) {
    note?.(`${round(measured)} ms from the client, as it measured`)
    return measured
  }
  const { latitude, longitude } = peer
  if (client.location !== undefined && latitude !== undefined && longitude !== undefined) {
    const kilometres = kilometresBetween(client.location, { latitude, longitude })
    note?.(`${Math.round(kilometres)} km from the client`)
    return kilometres / rankingLimits.kilometresPerMs
  }
  if (peer.peerId === self.peerId) {
    note?.('the peer that was asked')
    return 0
  }
  if (peer.rttMs !== undefined) {
    note?.(`${round(peer.rttMs)} ms from the peer that was asked`)
    return peer.rttMs
  }
  const { coordinateErrorMax, unknownDistanceCostMs } = rankingLimits
  if (Math.max(peer.coordinate.error, self.coordinate.error) > coordinateErrorMax) {
    note?.('at an unknown distance')
    return unknownDistanceCostMs
  }
  const distanceMs = coordinateDistance(self.coordinate, peer.coordinate)
  note?.(`about ${round(distanceMs)} ms from the peer that was asked, by coordinates`)
  return distanceMs
}

function regionCost(client: RankingClient, peer: KnownPeer, self: PeerAdvert, note: Note): number {
  const wanted = client.region ?? (client.location === undefined ? self.region : '')
  if (wanted === '') return 0
  if (peer.region === wanted) {
    note?.(`in region ${wanted}`)
    return 0
  }
  note?.(`${peer.region === '' ? 'in no region' : `in region ${peer.region}`}, not ${wanted}`)
  return rankingLimits.otherRegionCostMs
}

function bandwidthCost({ freeBitsPerSecond }: PeerAdvert, note: Note): number {
  const { scarceBitsPerSecond, scarceCostMs } = rankingLimits
  note?.(`${Math.round(freeBitsPerSecond / 1_000_000)} Mbit/s free`)
  return Math.max(0, 1 - freeBitsPerSecond / scarceBitsPerSecond) * scarceCostMs
}

function round(ms: number): number {
  return ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)
}
