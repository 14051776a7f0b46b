/** The proxies that an operator has put in front of this peer: what they say of the client is believed. */
import { BlockList, isIP } from 'node:net'
import { KairoError } from '../../errors.ts'
import { clientLimits as limits } from '../../limits/shelter.ts'
import { forwardedAddress } from './client-network.ts'

/** What proxies say of who asked them. */
export interface ForwardedFields {
  readonly forwarded?: string | undefined
  readonly 'x-forwarded-for'?: string | readonly string[] | undefined
}

/** Knows their networks. */
export class TrustedProxies {
  readonly #networks = new BlockList()

  /**
   * @param networks addresses, or networks as `192.0.2.0/24`.
   * @throws KairoError `ERR_CONFIG` for anything else.
   */
  constructor(networks: readonly string[]) {
    for (const network of networks) this.#add(network)
  }

  /** True for an address of a trusted proxy. */
  trusts(address: string): boolean {
    const bare = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
    const version = isIP(bare)
    return version !== 0 && this.#networks.check(bare, version === 4 ? 'ipv4' : 'ipv6')
  }

  /**
   * The address of the client behind a connection: each proxy adds who asked it on the right, so the first from there that is no proxy of
   * ours is the client, and what stands before it is only its word. X-Forwarded-For counts before Forwarded (RFC 7239): proxies that add
   * to one of them mostly pass the other on as the client wrote it, and the former is what most of them write.
   */
  clientOf(remote: string, headers: ForwardedFields): string {
    let client = remote
    for (const hop of hopsOf(headers).reverse().slice(0, limits.hopsMax)) {
      if (!this.trusts(client)) break
      const address = forwardedAddress(hop)
      if (address === undefined) break
      client = address
    }
    return client
  }

  #add(network: string): void {
    const [address = '', bits] = network.split('/', 2)
    const version = isIP(address)
    const prefix = bits === undefined ? (version === 4 ? 32 : 128) : Number(bits)
    const isWhole = bits === undefined || /^\d{1,3}$/.test(bits)
    if (version === 0 || !isWhole || prefix > (version === 4 ? 32 : 128)) {
      throw new KairoError(
        'ERR_CONFIG',
        `trustedProxies: "${network}" is no network; write 192.0.2.0/24, 2001:db8::/32 or one address`,
      )
    }
    this.#networks.addSubnet(address, prefix, version === 4 ? 'ipv4' : 'ipv6')
  }
}

function hopsOf(headers: ForwardedFields): string[] {
  const { forwarded, 'x-forwarded-for': addresses } = headers
  if (addresses !== undefined) return [addresses].flat().join(',').split(',')
  if (forwarded === undefined) return []
  return forwarded.split(',').map((hop) => /(?:^|;)\s*for=([^;]*)/i.exec(hop)?.[1] ?? '')
}
