/** What kind of place a multiaddr names: through a relay, public, or in which private network. Pure. */
import { BlockList, isIP } from 'node:net'
import type { Multiaddr } from '@multiformats/multiaddr'
import { addressGroup } from '../../address-group.ts'

/** Addresses that name nobody on the Internet: IANA's special-purpose registries (RFC 6890), multicast, and tunnels. */
const specialNetworks = new BlockList()
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const) {
  specialNetworks.addSubnet(network, bits, 'ipv4')
}
for (const [network, bits] of [
  ['::', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const) {
  specialNetworks.addSubnet(network, bits, 'ipv6')
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Whether the address leads through another peer. */
export function isRelayed(address: Multiaddr): boolean {
  return address.getComponents().some(({ name }) => name === 'p2p-circuit')
}

/** The IP address or name that is dialled; undefined when the address names none. */
export function hostOf(address: Multiaddr): string | undefined {
  const first = address.getComponents().find(({ name }) => name !== 'ip6zone')
  if (first === undefined) return undefined
  return /^(ip[46]|dns[46]?|dnsaddr)$/.test(first.name) ? first.value : undefined
}

/** Whether anybody on the Internet may dial it: a public IP address or a name, not through a relay. */
export function isPublic(address: Multiaddr): boolean {
  const host = hostOf(address)
  return host !== undefined && !isRelayed(address) && privateNetworkOf(host) === undefined
}

/**
 * The private network in which an IP address lies: `loopback`, the /24 of an IPv4 address, the /64 of an IPv6 one;
 * undefined for public addresses and for names.
 */
export function privateNetworkOf(host: string): string | undefined {
  const family = isIP(host)
  if (family === 0) return undefined
  const type = family === 4 ? 'ipv4' : 'ipv6'
  if (!specialNetworks.check(host, type)) return undefined
  if (loopback.check(host, type)) return 'loopback'
  const group = addressGroup(host)
  return isIP(group) === 4 ? group.slice(0, group.lastIndexOf('.')) : group
}
