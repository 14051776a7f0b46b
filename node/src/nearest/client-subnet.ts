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

/** Which of `groups` a client belongs to: one subnet is always in the same. */
export function clientGroup(address: string, groups: number): number {
  return hashOf(clientSubnet(address)) % groups
}

/** FNV-1a, its bits mixed as MurmurHash3 ends; for spreading, not for keeping secrets. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** True for addresses of this very machine. */
export function isLoopback(address: string): boolean {
  const plain = plainAddress(address)
  return plain === '::1' || (isIPv4(plain) && plain.startsWith('127.'))
}

/** True for addresses of networks that the Internet does not lead to (RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291 2.5.6). */
export function isInternal(address: string): boolean {
  const plain = plainAddress(address)
  if (plain.includes(':')) return /^f[cd]|^fe[89ab]/i.test(plain)
  const [first = 0, second = 0] = plain.split('.', 2).map(Number)
  if (first === 172) return second >= 16 && second < 32
  if (first === 100) return second >= 64 && second < 128
  return first === 10 || (first === 192 && second === 168) || (first === 169 && second === 254)
}
