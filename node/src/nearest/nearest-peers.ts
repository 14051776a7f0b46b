/**
 * The best peers for a client, from the catalog, the database of places and this peer itself. What clients of one subnet are
 * told is remembered for a moment, so that a crowd costs one ranking; a change of any peer forgets it.
 */
import type { Registry } from 'prom-client'
import { Counter } from 'prom-client'
import type { Clock } from '../clock.ts'
import { rankingLimits } from '../limits/nearest.ts'
import { clientSubnet, isLoopback, plainAddress } from './client-subnet.ts'
import { addressOfUrl } from './client-url.ts'
import type { GeoDatabase } from './geo-database.ts'
import type { KnownPeer, PeerAdvert, PeerCatalog } from './peer-advert.ts'
import { type RankedPeer, type RankingClient, rankPeers } from './ranking.ts'

/** What choosing needs. */
export interface NearestPeersComponents {
  readonly clock: Clock
  readonly registry: Registry
  readonly catalog: PeerCatalog & { self(): PeerAdvert }
  readonly geo: Pick<GeoDatabase, 'locate'>
  /** Whether clients of this peer may be sent to another; all of the network unless the operator says otherwise. */
  readonly mayServe?: (peer: PeerAdvert) => boolean
}

/** A peer that a client is sent to. */
export interface NearestPeer extends RankedPeer {
  readonly peer: PeerAdvert
  /** Base URLs that this client can use, the best first; never empty. */
  readonly urls: readonly string[]
  readonly isSelf: boolean
}

/** Who asks. */
export type NearestClient = Omit<RankingClient, 'location'> & { readonly address: string }

interface Remembered {
  readonly peers: readonly NearestPeer[]
  readonly untilMs: number
}

/** Chooses among peers. */
export class NearestPeers {
  readonly #components: NearestPeersComponents
  readonly #rankings: Counter<'source'>
  readonly #remembered = new Map<string, Remembered>()
  #unlisten: (() => void) | undefined

  constructor(components: NearestPeersComponents) {
    this.#components = components
    this.#rankings = new Counter({
      name: 'kairo_nearest_rankings_total',
      help: 'Choices of peers for clients: made anew, or remembered from others of the subnet.',
      labelNames: ['source'],
      registers: [components.registry],
    })
  }

  /** Begins to follow the catalog. */
  start(): void {
    this.#unlisten = this.#components.catalog.onChange(() => this.#remembered.clear())
  }

  /** Stops following it. */
  stop(): void {
    this.#unlisten?.()
    this.#remembered.clear()
  }

  /** The best peers for a client, best first; empty only when this peer drains and knows no other. */
  rank(client: NearestClient): readonly NearestPeer[] {
    // Who measured itself is answered by itself.
    if (client.rttMs !== undefined) return this.#rank(client)
    const nowMs = this.#components.clock.monotonicMs()
    const family = plainAddress(client.address).includes(':') ? 6 : 4
    const key = `${clientSubnet(client.address)} ${family} ${isLoopback(client.address)} ${client.region ?? ''}`
    const known = this.#remembered.get(key)
    if (known !== undefined && known.untilMs > nowMs) {
      this.#rankings.inc({ source: 'remembered' })
      return known.peers
    }
    const peers = this.#rank(client)
    this.#remembered.delete(key)
    const [oldest] = this.#remembered.keys()
    if (this.#remembered.size >= rankingLimits.rememberedMax && oldest !== undefined) {
      this.#remembered.delete(oldest)
    }
    this.#remembered.set(key, { peers, untilMs: nowMs + rankingLimits.rememberedMs })
    return peers
  }

  #rank(client: NearestClient): readonly NearestPeer[] {
    this.#rankings.inc({ source: 'made' })
    const { catalog, geo, clock, mayServe = () => true } = this.#components
    const self = catalog.self()
    const isUsable = (peer: PeerAdvert) => usableUrls(peer, client.address).length > 0
    const others = catalog.list().filter((peer) => isUsable(peer) && mayServe(peer))
    const own = isUsable(self) ? self : { ...self, clientUrls: [] }
    const location = geo.locate(plainAddress(client.address))
    return rankPeers({ ...client, location }, others, own, clock.now())
      .slice(0, rankingLimits.peersMax)
      .map((ranked) => {
        const isSelf = ranked.peerId === self.peerId
        const peer = isSelf ? self : (catalog.get(ranked.peerId) as KnownPeer)
        return { ...ranked, peer, urls: usableUrls(peer, client.address), isSelf }
      })
  }
}

/** URLs of a peer that a client at this address may reach: by name, or by an address of its own family before others. */
function usableUrls(peer: PeerAdvert, clientAddress: string): readonly string[] {
  const isLocal = isLoopback(clientAddress)
  const isIPv6 = plainAddress(clientAddress).includes(':')
  const [alike, others]: [string[], string[]] = [[], []]
  for (const url of peer.clientUrls) {
    const address = addressOfUrl(url)
    // To another machine a loopback address means that machine.
    if (address !== undefined && isLoopback(address) && !isLocal) continue
    const list = address === undefined || address.includes(':') === isIPv6 ? alike : others
    list.push(url)
  }
  return [...alike, ...others]
}
