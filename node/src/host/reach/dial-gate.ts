/**
 * Which addresses this peer dials. Whoever is on the network may claim any address as its own; a peer that dials them all
 * knocks on the doors of its own machine and of the network behind it for strangers. So a private address that a stranger
 * told is dialled only where peers are known to live: in a network that is private altogether, or in one from which a peer
 * is connected already. Addresses that the operator named, or that multicast DNS heard on this very link, are always dialled.
 */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import type { Counter } from 'prom-client'
import { hostOf, isPublic, isRelayed, privateNetworkOf } from './address-kind.ts'

/** What the gate looks at. */
export interface DialGateComponents {
  /** Remote addresses of the open connections. */
  readonly connections: () => readonly Multiaddr[]
  /** Addresses that this peer tells others. */
  readonly addresses: () => readonly Multiaddr[]
  readonly denied: Counter
  /** IP addresses of a name. Default: the system's resolver. */
  readonly resolve?: (name: string) => Promise<readonly string[]>
}

/** Decides about each address before it is dialled. */
export class DialGate {
  readonly #components: DialGateComponents
  readonly #resolve: (name: string) => Promise<readonly string[]>
  /** Addresses dialled on the operator's word, and by how many dials at this moment. */
  readonly #trusted = new Map<string, number>()

  constructor(components: DialGateComponents) {
    this.#components = components
    this.#resolve = components.resolve ?? resolveName
  }

  /** Dials of these addresses are on the operator's word until the returned function is called. */
  trust(addresses: readonly Multiaddr[]): () => void {
    const keys = addresses.flatMap((address) => [keyOf(address), relayKeyOf(address)])
    for (const key of keys) this.#trusted.set(key, (this.#trusted.get(key) ?? 0) + 1)
    return () => {
      for (const key of keys) {
        const count = this.#trusted.get(key) ?? 0
        if (count > 1) this.#trusted.set(key, count - 1)
        else this.#trusted.delete(key)
      }
    }
  }

  /** Whether the address must not be dialled. */
  async denies(address: Multiaddr): Promise<boolean> {
    const host = hostOf(address)
    // A relay answers for itself: its own address is asked about when it is dialled.
    if (host === undefined || isRelayed(address)) return false
    if (this.#trusted.has(keyOf(address))) return false
    const allowed = isIP(host) === 0 ? await this.#allowsName(host) : this.#allowsHost(host)
    if (!allowed) this.#components.denied.inc()
    return !allowed
  }

  async #allowsName(name: string): Promise<boolean> {
    // A name that leads inside is no better than the address; one that leads nowhere fails by itself.
    const hosts = await this.#resolve(name).catch(() => [])
    return hosts.every((host) => this.#allowsHost(host))
  }

  #allowsHost(host: string): boolean {
    const network = privateNetworkOf(host)
    if (network === undefined) return true
    const remotes = this.#components.connections().filter((address) => !isRelayed(address))
    const isInside = remotes.some((address) => networkOf(address) === network)
    return isInside || !(remotes.some(isPublic) || this.#components.addresses().some(isPublic))
  }
}

function networkOf(address: Multiaddr): string | undefined {
  const host = hostOf(address)
  return host === undefined ? undefined : privateNetworkOf(host)
}

/** Without the peer id at its end, which libp2p adds and leaves out as it goes. */
function keyOf(address: Multiaddr): string {
  return multiaddr(address.toString().replace(/\/p2p\/[^/]+$/, '')).toString()
}

/** The relay's own address, which is dialled on the way. */
function relayKeyOf(address: Multiaddr): string {
  return keyOf(multiaddr(address.toString().split('/p2p-circuit', 1)[0] ?? ''))
}

async function resolveName(name: string): Promise<string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address)
}
