/** Which addresses count as one caller where callers are counted: an IPv6 customer has 2^64 of them. */
import { isIPv6 } from 'node:net'

/** One IPv4 address, or the /64 that one IPv6 customer has whole. */
export function addressGroup(address: string): string {
  const mapped = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
  if (!isIPv6(mapped)) {
    return mapped
  }
  const [head = '', tail = ''] = mapped.split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === '' ? [] : tail.split(':')
  const zeros = mapped.includes('::') ? 8 - front.length - back.length : 0
  return [...front, ...Array(Math.max(0, zeros)).fill('0'), ...back].slice(0, 4).join(':')
}
