/** Whom a relay serves, and how much of it: without such bounds it is an open proxy. Pure. */
import type { Multiaddr } from '@multiformats/multiaddr'
import { addressGroup } from '../../address-group.ts'
import { relayLimits } from '../../limits/reach.ts'
import { hostOf, privateNetworkOf } from './address-kind.ts'

/** A peer asks for a place. */
export interface ReservationView {
  readonly isOn: boolean
  /** It speaks what every peer of this network speaks. */
  readonly isOfThisNetwork: boolean
  /** It has a place already. */
  readonly isRenewal: boolean
  /** Where it is connected from. */
  readonly from: Multiaddr | undefined
  /** Where those who have a place are connected from. */
  readonly held: readonly Multiaddr[]
}

/** Why a peer gets no place, in a word for the metric; undefined when it gets one. */
export function reservationRefusal(view: ReservationView): string | undefined {
  if (!view.isOn) return 'off'
  if (!view.isOfThisNetwork) return 'stranger'
  if (view.isRenewal) return undefined
  if (view.held.length >= relayLimits.reservationsMax) return 'full'
  const group = publicGroup(view.from)
  if (group === undefined) return undefined
  const sharing = view.held.filter((address) => publicGroup(address) === group)
  return sharing.length >= relayLimits.reservationsPerAddressMax ? 'address' : undefined
}

/** A peer asks for a connection to one that has a place: how many there are already. */
export interface ConnectionView {
  /** Requests and connections of the one who asks, the request at hand among them. */
  readonly ofSource: number
  readonly toTarget: number
  readonly all: number
}

/** Why it gets none, in a word for the metric; undefined when it gets one. */
export function connectionRefusal({ ofSource, toTarget, all }: ConnectionView): string | undefined {
  if (ofSource > relayLimits.connectionsPerSourceMax) return 'source'
  if (toTarget >= relayLimits.connectionsPerTargetMax) return 'target'
  return all >= relayLimits.connectionsMax ? 'connections' : undefined
}

/** Peers of one site share a public address; within a private network each has its own, or all share one machine. */
function publicGroup(address: Multiaddr | undefined): string | undefined {
  const host = address === undefined ? undefined : hostOf(address)
  if (host === undefined || privateNetworkOf(host) !== undefined) return undefined
  return addressGroup(host)
}
