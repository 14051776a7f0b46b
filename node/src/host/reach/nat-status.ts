/** Whether others can dial this peer, from what it knows. Pure. */
import type { Multiaddr } from '@multiformats/multiaddr'
import { isPublic, isRelayed } from './address-kind.ts'

/**
 * `public`: others on the Internet can dial it, by the operator's word or by that of peers that tried (AutoNAT).
 * `private`: nobody can, so it reserves places at relays. `local`: it listens in a network that is private altogether.
 * `unknown`: not yet told.
 */
export type NatStatus = 'public' | 'private' | 'local' | 'unknown'

/** What is known. */
export interface NatView {
  /** The operator named the addresses to tell others. */
  readonly isAnnounced: boolean
  readonly isListening: boolean
  /** Own addresses; verified ones were tried by another peer, or need no try. */
  readonly addresses: readonly { readonly multiaddr: Multiaddr; readonly verified: boolean }[]
  /** Addresses at the other end of the open connections. */
  readonly remotes: readonly Multiaddr[]
  /** How long this peer has had neighbours that could have confirmed an address, milliseconds. */
  readonly waitedMs: number
  readonly verdictWaitMs: number
}

/** The verdict. */
export function natStatusOf(view: NatView): NatStatus {
  if (view.isAnnounced) return 'public'
  const own = view.addresses.filter(({ multiaddr }) => isPublic(multiaddr))
  if (own.some(({ verified }) => verified)) return 'public'
  if (!view.isListening) return 'private'
  const direct = view.remotes.filter((address) => !isRelayed(address))
  if (direct.length === 0 && own.length > 0) return 'unknown'
  if (own.length > 0) return view.waitedMs < view.verdictWaitMs ? 'unknown' : 'private'
  // No address of its own that the Internet knows, and yet it talks with peers out there: it is behind NAT.
  return direct.some(isPublic) ? 'private' : 'local'
}
