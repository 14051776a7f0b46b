/** Whom the operator has named (docs/decisions/0015): whose cached copies are believed, and to whom clients may be sent. */
import type { Join } from '../host/join.ts'

/** The word for every peer of the network. */
const NETWORK = 'network'

/** The word for those of `join` and `cdnPeers`. */
const BELIEVED = 'believed'

/** Whether a peer's cached copies of origins are believed. */
export function believes(
  cdnPeers: readonly string[],
  join: Pick<Join, 'status'>,
): (peerId: string) => boolean {
  if (cdnPeers.includes(NETWORK)) return () => true
  const ids = new Set(cdnPeers)
  return (peerId) => ids.has(peerId) || join.status().some((target) => target.peerId === peerId)
}

/** Whether clients may be sent to a peer. */
export function maySendTo(
  clientPeers: readonly string[],
  isBelieved: (peerId: string) => boolean,
): (peerId: string) => boolean {
  if (clientPeers.includes(NETWORK)) return () => true
  const ids = new Set(clientPeers)
  return (peerId) => ids.has(peerId) || (ids.has(BELIEVED) && isBelieved(peerId))
}
