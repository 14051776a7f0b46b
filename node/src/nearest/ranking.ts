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

interface Cost {
  readonly ms: number
  /** Asked of the best only: a network has many peers, and a client wants a few. */
  readonly reason: () => string
}

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
      const costs = costsOf(client, peer, self)
      const score = costs.reduce((sum, { ms }) => sum + ms, 0)
      // Highest random weight (Thaler, Ravishankar 1998): when a peer goes, only its own clients move.
      const weight = hashOf(`${group} ${peer.peerId}`)
      return { peerId: peer.peerId, score, costs, weight, step: Math.floor(score / equalCostMs) }
    })
    .sort((a, b) => a.step - b.step || b.weight - a.weight)
    .slice(0, peersMax)
    .map(({ peerId, score, costs }) => {
      return { peerId, score, reasons: costs.map(({ reason }) => reason()) }
    })
}

function costsOf(client: RankingClient, peer: KnownPeer, self: PeerAdvert): Cost[] {
  const region = regionCost(client, peer, self)
  return [
    distanceCost(client, peer, self),
    ...(region === undefined ? [] : [region]),
    {
      ms: peer.load ** 2 * rankingLimits.loadCostMs,
      reason: () => `${Math.round(peer.load * 100)} % loaded`,
    },
    bandwidthCost(peer),
  ]
}

function distanceCost(client: RankingClient, peer: KnownPeer, self: PeerAdvert): Cost {
  const measured = client.rttMs?.get(peer.peerId)
  if (measured !== undefined) {
    return { ms: measured, reason: () => `${round(measured)} ms from the client, as it measured` }
  }
  const place = placeOf(peer)
  if (client.location !== undefined && place !== undefined) {
    const kilometres = kilometresBetween(client.location, place)
    const ms = kilometres / rankingLimits.kilometresPerMs
    return { ms, reason: () => `${Math.round(kilometres)} km from the client` }
  }
  if (peer.peerId === self.peerId) return { ms: 0, reason: () => 'the peer that was asked' }
  const { rttMs } = peer
  if (rttMs !== undefined) {
    return { ms: rttMs, reason: () => `${round(rttMs)} ms from the peer that was asked` }
  }
  const { coordinateErrorMax, unknownDistanceCostMs } = rankingLimits
  if (Math.max(peer.coordinate.error, self.coordinate.error) > coordinateErrorMax) {
    return { ms: unknownDistanceCostMs, reason: () => 'at an unknown distance' }
  }
  const ms = coordinateDistance(self.coordinate, peer.coordinate)
  return { ms, reason: () => `about ${round(ms)} ms from the peer that was asked, by coordinates` }
}

function regionCost(client: RankingClient, peer: KnownPeer, self: PeerAdvert): Cost | undefined {
  const wanted = client.region ?? (client.location === undefined ? self.region : '')
  if (wanted === '') return undefined
  if (peer.region === wanted) return { ms: 0, reason: () => `in region ${wanted}` }
  const where = peer.region === '' ? 'in no region' : `in region ${peer.region}`
  return { ms: rankingLimits.otherRegionCostMs, reason: () => `${where}, not ${wanted}` }
}

function bandwidthCost({ freeBitsPerSecond }: PeerAdvert): Cost {
  const { scarceBitsPerSecond, scarceCostMs } = rankingLimits
  const missing = Math.max(0, 1 - freeBitsPerSecond / scarceBitsPerSecond)
  return {
    ms: missing * scarceCostMs,
    reason: () => `${Math.round(freeBitsPerSecond / 1_000_000)} Mbit/s free`,
  }
}

function placeOf({ latitude, longitude }: PeerAdvert): GeoPoint | undefined {
  return latitude === undefined || longitude === undefined ? undefined : { latitude, longitude }
}

function round(ms: number): number {
  return ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)
}
