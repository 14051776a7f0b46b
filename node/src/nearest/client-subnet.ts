/** Which clients count as one where they are spread over peers: those of one subnet are answered alike (RFC 7871 11.1). Pure. */
import { isIPv4, isIPv6 } from 'node:net'
import { addressGroup } from '../address-group.ts'

const MAPPED_PREFIX = '::ffff:'

/** An IPv4 address that came in the form of an IPv6 one (`::ffff:192.0.2.7`), as IPv4; others as they are. */
export function plainAddress(address: string): string {
  const mapped = address.toLowerCase().startsWith(MAPPED_PREFIX)
    ? address.slice(MAPPED_PREFIX.length)
    : address
  return isIPv4(mapped) ? mapped : address
}

/** The /24 of an IPv4 address, the /56 of an IPv6 one; what is neither is one subnet with all its like. */
export function clientSubnet(address: string): string {
  const plain = plainAddress(address)
  if (isIPv4(plain)) return `${plain.split('.').slice(0, 3).join('.')}.0/24`
  if (!isIPv6(plain)) return ''
  const words = addressGroup(plain)
    .split(':')
    .map((word) => Number.parseInt(word, 16))
  words[3] = (words[3] ?? 0) & 0xff00
  return `${words.map((word) => word.toString(16)).join(':')}::/56`
}

/** True for addresses of this very machine. */
export function isLoopback(address: string): boolean {
  const plain = plainAddress(address)
  return plain === '::1' || (isIPv4(plain) && plain.startsWith('127.'))
}
