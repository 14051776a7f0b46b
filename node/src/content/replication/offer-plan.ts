/** Who should have a copy of what is popular here: some peers of each region, which all peers choose alike. Pure. */
import { replicationLimits } from '../../limits/replication.ts'
import { type RendezvousCandidate, shieldsFor } from '../rendezvous.ts'
import type { OfferedObject } from './offer-codec.ts'

/** A peer that may hold copies. */
export interface ReplicationPeer extends RendezvousCandidate {
  /** The operator's word for where it stands; empty counts as a region too. */
  readonly region: string
}

/** An object and how often it was asked for lately. */
export interface PopularObject extends OfferedObject {
  readonly count: number
}

/**
 * What to offer to whom, the most popular first. This peer is among the candidates, so that it counts as a holder where it is chosen;
 * nothing is offered to it.
 */
export function planOffers(
  popular: readonly PopularObject[],
  peers: readonly ReplicationPeer[],
  self: string,
): Map<string, OfferedObject[]> {
  const regions = new Map<string, ReplicationPeer[]>()
  for (const peer of peers) {
    const known = regions.get(peer.region)
    if (known !== undefined) known.push(peer)
    else if (regions.size < replicationLimits.regionsMax) regions.set(peer.region, [peer])
  }
  const offers = new Map<string, OfferedObject[]>()
  for (const { digest, bytes, count } of popular) {
    for (const members of regions.values()) {
      for (const peerId of shieldsFor(digest, members, copiesOf(count))) {
        if (peerId === self) continue
        const offer = offers.get(peerId)
        if (offer === undefined) offers.set(peerId, [{ digest, bytes }])
        else offer.push({ digest, bytes })
      }
    }
  }
  return offers
}

/** Copies of an object in each region: one when it is popular, one more each time it is some times as popular. */
function copiesOf(count: number): number {
  const { popularMin, copyStep, copiesMax } = replicationLimits
  if (count < popularMin) return 0
  const steps = Math.floor(Math.log(count / popularMin) / Math.log(copyStep))
  return Math.min(1 + steps, copiesMax)
}
