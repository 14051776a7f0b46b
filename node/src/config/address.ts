/** Host and port pairs as people write them. */
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'

/** Where a server binds. */
export interface HostPort {
  readonly host: string
  /** 0 takes a free port. */
  readonly port: number
}

/** Reads `host:port`, `[v6]:port` or `:port` (every interface); undefined when the text is none of them. */
export function parseAddress(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9a-fA-F:.%a-z]+)\]|([A-Za-z0-9.-]*)):(\d{1,5})$/.exec(text)
  if (match === null) return undefined
  const port = Number(match[3])
  if (port > 65_535) return undefined
  return { host: match[1] ?? (match[2] || '0.0.0.0'), port }
}

/** The inverse of {@link parseAddress}: an IPv6 host gets its brackets. */
export function formatAddress({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** The host by which this machine itself reaches a server bound to `host`. */
export function localHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '::1'
  return host
}

/**
 * The IPv4 addresses by which other machines reach a server bound to every interface; none for a server bound to one
 * address, which {@link localHost} tells already.
 */
export function networkHosts(
  host: string,
  interfaces: NodeJS.Dict<NetworkInterfaceInfo[]> = networkInterfaces(),
): string[] {
  if (host !== '0.0.0.0' && host !== '::') return []
  return Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal, address }) => {
      // A link-local address (RFC 3927) is what an interface without a network gives itself.
      return family === 'IPv4' && !internal && !address.startsWith('169.254.')
    })
    .map(({ address }) => address)
}
