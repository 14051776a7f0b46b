/** Addresses in URLs and beside them: as they may be shown, since paths, queries and credentials may be secret, and in which form they are taken. */
import { isIP } from 'node:net'

/** Scheme, host and port of a URL, and nothing else of it. */
export function hostOf(url: string): string {
  const { protocol, host } = new URL(url)
  return `${protocol}//${host}`
}

/** A text without percent-encoding; as it is where it is not encoded after all. */
export function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** `host:port`, the host a name, an IPv4 address or an IPv6 address in brackets. */
export function isHostAndPort(text: string): boolean {
  const at = text.lastIndexOf(':')
  const host = text.slice(0, at)
  const port = text.slice(at + 1)
  if (!/^[1-9]\d{0,4}$/.test(port) || Number(port) > 65_535) return false
  if (host.startsWith('[')) return host.endsWith(']') && isIP(host.slice(1, -1)) === 6
  return /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(host)
}
