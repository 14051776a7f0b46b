/**
 * The best peers for a client, from the catalog, the database of places and this peer itself. What clients are told who would be
 * answered alike is remembered for a moment, so that a crowd costs a few rankings; a change of any peer forgets it.
 */
import type { Registry } from 'prom-client'
import { Counter } from 'prom-client'
import type { Clock } from '../clock.ts'
import { rankingLimits } from '../limits/nearest.ts'
import { clientGroup, isInternal, isLoopback, plainAddress } from './client-subnet.ts'
import { addressOfUrl } from './client-url.ts'
import type { GeoDatabase } from './geo-database.ts'
import type { GeoPoint } from './geo-point.ts'
import type { KnownPeer, PeerAdvert, PeerCatalog } from './peer-advert.ts'
import { type RankedPeer, type RankingClient, rankPeers } from './ranking.ts'

/** What choosing needs. */
export interface NearestPeersComponents {
  readonly clock: Clock
  readonly registry: Registry
  readonly catalog: PeerCatalog & { self(): PeerAdvert }
  readonly geo: Pick<GeoDatabase, 'locate'>
  /** Whether clients of this peer may be sent to another. Default: to all. */
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
  #second = 0
  #madeInSecond = 0

  constructor(components: NearestPeersComponents) {
    this.#components = components
    this.#rankings = new Counter({
      name: 'kairo_nearest_rankings_total',
      help: 'Choices of peers for clients: made anew, or remembered from others like them.',
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
    if (client.rttMs !== undefined) return this.#rank(client, this.#locate(client))
    const placed = this.#locate(client)
    const location = placed === undefined || this.#isHurried() ? undefined : placed
    const key = keyOf(client, placed)
    const known =
      this.#recall(key) ?? (location === placed ? undefined : this.#recall(keyOf(client)))
    if (known !== undefined) {
      this.#rankings.inc({ source: 'remembered' })
      return known
    }
    const peers = this.#rank(client, location)
    this.#remember(keyOf(client, location), peers)
    return peers
  }

  /** Where a client is, as exactly as it matters. */
  #locate({ address }: NearestClient): GeoPoint | undefined {
    const place = this.#components.geo.locate(plainAddress(address))
    if (place === undefined) return undefined
    const { placeDegrees } = rankingLimits
    const round = (degrees: number) => Math.round(degrees / placeDegrees) * placeDegrees
    return { latitude: round(place.latitude), longitude: round(place.longitude) }
  }

  /** True when so many were ranked in this second that strangers with many addresses could keep this peer busy. */
  #isHurried(): boolean {
    const second = Math.floor(this.#components.clock.monotonicMs() / 1_000)
    if (second !== this.#second) {
      this.#second = second
      this.#madeInSecond = 0
    }
    return this.#madeInSecond >= rankingLimits.rankingsPerSecondMax
  }

  #recall(key: string): readonly NearestPeer[] | undefined {
    const known = this.#remembered.get(key)
    const isFresh = known !== undefined && known.untilMs > this.#components.clock.monotonicMs()
    return isFresh ? known.peers : undefined
  }

  #remember(key: string, peers: readonly NearestPeer[]): void {
    this.#remembered.delete(key)
    const [oldest] = this.#remembered.keys()
    if (this.#remembered.size >= rankingLimits.rememberedMax && oldest !== undefined) {
      this.#remembered.delete(oldest)
    }
    const untilMs = this.#components.clock.monotonicMs() + rankingLimits.rememberedMs
    this.#remembered.set(key, { peers, untilMs })
  }

  #rank(client: NearestClient, location: GeoPoint | undefined): readonly NearestPeer[] {
    this.#rankings.inc({ source: 'made' })
    this.#madeInSecond += 1
    const { catalog, mayServe = () => true } = this.#components
    const self = catalog.self()
    const isUsable = (peer: PeerAdvert) => usableUrls(peer, client.address).length > 0
    const others = catalog.list().filter((peer) => isUsable(peer) && mayServe(peer))
    const own = isUsable(self) ? self : { ...self, clientUrls: [] }
    // By the time of the catalog: a wall clock that jumps makes nobody older.
    return rankPeers({ ...client, location }, others, own, self.sequence).map((ranked) => {
      const isSelf = ranked.peerId === self.peerId
      const peer = isSelf ? self : (catalog.get(ranked.peerId) as KnownPeer)
      return { ...ranked, peer, urls: usableUrls(peer, client.address), isSelf }
    })
  }
}

/** Clients with the same key are answered alike. */
function keyOf({ address, region = '' }: NearestClient, place?: GeoPoint): string {
  const family = plainAddress(address).includes(':') ? 6 : 4
  const group = clientGroup(address, rankingLimits.spreadGroups)
  const where = place === undefined ? '' : `${place.latitude},${place.longitude}`
  return `${group} ${family} ${reachOf(address)} ${region} ${where}`
}

/** URLs of a peer that a client at this address may reach: by name, or by an address of its own family before others. */
function usableUrls(peer: PeerAdvert, clientAddress: string): readonly string[] {
  const reach = reachOf(clientAddress)
  const isIPv6 = plainAddress(clientAddress).includes(':')
  const [alike, others]: [string[], string[]] = [[], []]
  for (const url of peer.clientUrls) {
    const address = addressOfUrl(url)
    // To another machine a loopback address means that machine, and one of a local network another network, or none.
    if (address !== undefined && reachOf(address) > reach) continue
    const list = address === undefined || address.includes(':') === isIPv6 ? alike : others
    list.push(url)
  }
  return [...alike, ...others]
}

/** How narrow the network is that an address belongs to: the Internet, a local network, this machine. */
function reachOf(address: string): 0 | 1 | 2 {
  if (isLoopback(address)) return 2
  return isInternal(address) ? 1 : 0
}
