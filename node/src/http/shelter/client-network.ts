/** Which client an address is, and which subnet it belongs to, as far as clients are counted. */
import { isIPv4, isIPv6 } from 'node:net'
import { addressGroup } from '../../address-group.ts'

/** Keys under which a client is counted. */
export interface ClientKeys {
  /** An IPv4 address, or the /64 of an IPv6 one. */
  readonly address: string
  /** A /24, or a /48: what one customer or one cheap machine may have whole. */
  readonly subnet: string
}

/** The keys of an address as sockets give it. */
export function clientKeys(address: string): ClientKeys {
  const group = addressGroup(address)
  if (isIPv4(group)) return { address: group, subnet: group.slice(0, group.lastIndexOf('.')) }
  return { address: group, subnet: group.split(':', 3).join(':') }
}

/** An address of a forwarding field, without port, brackets and quotes; undefined for a name, `unknown` or junk (RFC 7239 6). */
export function forwardedAddress(text: string): string | undefined {
  const bare = text.trim().replace(/^"(.*)"$/, '$1')
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(bare)?.[1]
  if (bracketed !== undefined) return isIPv6(bracketed) ? bracketed : undefined
  if (isIPv6(bare)) return bare
  const address = bare.replace(/:\d{1,5}$/, '')
  return isIPv4(address) ? address : undefined
}
