/** What `kairo doctor` can say of where clients are sent: to which peers and why, who is left out, and the database of places. */
import type { GeoStatus } from '../nearest/geo-database.ts'
import type { NearestPeer } from '../nearest/nearest-peers.ts'
import type { KnownPeer, PeerAdvert } from '../nearest/peer-advert.ts'
import type { Check } from './check.ts'

/** Age of a database of places after which it is told; addresses change hands. */
const GEO_AGE_MS_MAX = 180 * 24 * 3_600_000
/** Peers that are named one by one. */
const PEERS_SHOWN_MAX = 8

/** What is looked at. */
export interface NearestView {
  readonly nowMs: number
  /** The ranking for a client at this peer's own place. */
  readonly ranked: readonly NearestPeer[]
  readonly known: readonly KnownPeer[]
  readonly geo: GeoStatus
  /** Whether the DNS server is on, which can send clients to addresses but not to ports. */
  readonly isDnsOn: boolean
  /** Ids of the peers that the operator has named, whose cached copies are believed. */
  readonly named: ReadonlySet<string>
}

/** Which peers clients are sent to, and why. */
export function checkNearest(view: NearestView): Check[] {
  return [
    ...checkRanking(view),
    ...checkLeftOut(view),
    ...checkGeo(view),
    ...(view.isDnsOn ? [...checkPorts(view), ...checkUnnamed(view)] : []),
  ]
}

function checkRanking({ ranked }: NearestView): Check[] {
  const name = 'nearest'
  if (ranked.length === 0) {
    return [
      {
        name,
        status: 'warn',
        detail: 'clients are sent to no peer',
        hint: 'This peer drains or tells no address that clients can use, and it knows no other that serves.',
      },
    ]
  }
  return ranked.slice(0, PEERS_SHOWN_MAX).map(({ urls, isSelf, reasons }, index) => ({
    name,
    status: 'ok',
    detail: `${index + 1}. ${urls[0]}${isSelf ? ' (this peer)' : ''}: ${reasons.join(', ')}`,
  }))
}

function checkLeftOut({ known }: NearestView): Check[] {
  const gone = known.filter(({ reachable }) => !reachable)
  const draining = known.filter(({ reachable, state }) => reachable && state === 'draining')
  const checks: Check[] = []
  if (gone.length > 0) {
    checks.push({
      name: 'nearest',
      status: 'warn',
      detail: `clients are not sent to ${namesOf(gone)}, not reached from here`,
      hint: 'Check that it runs and that a firewall lets its libp2p port through. It is tried again by itself.',
    })
  }
  if (draining.length > 0) {
    const detail = `clients are not sent to ${namesOf(draining)}, about to stop`
    checks.push({ name: 'nearest', status: 'ok', detail })
  }
  return checks
}

function namesOf(peers: readonly PeerAdvert[]): string {
  const names = peers.slice(0, PEERS_SHOWN_MAX).map(({ clientUrls, peerId }) => {
    return clientUrls[0] ?? peerId
  })
  const more = peers.length - names.length
  return `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

function checkGeo({ geo, nowMs }: NearestView): Check[] {
  const name = 'geo database'
  if (geo.state === 'off') return []
  if (geo.state === 'bad') {
    return [
      {
        name,
        status: 'fail',
        detail: `cannot be used: ${geo.reason}`,
        hint: 'Give --geo-database an MMDB file such as GeoLite2-City.mmdb. It is read again when it changes.',
      },
    ]
  }
  const ageMs = nowMs - geo.builtAtMs
  const detail = `${geo.description} of ${new Date(geo.builtAtMs).toISOString().slice(0, 10)}`
  if (ageMs <= GEO_AGE_MS_MAX) return [{ name, status: 'ok', detail }]
  return [
    { name, status: 'warn', detail: `${detail} is old`, hint: 'Put a newer file in its place.' },
  ]
}

function checkPorts({ ranked }: NearestView): Check[] {
  const ports = new Set(ranked.map(({ urls }) => portOf(urls[0] ?? '')))
  if (ports.size <= 1) return []
  return [
    {
      name: 'dns',
      status: 'warn',
      detail: `peers serve clients on different ports (${[...ports].join(', ')}), and DNS names no ports`,
      hint: 'Let every peer of a DNS zone listen on the same --http port.',
    },
  ]
}

/** In a network that strangers can join, each of them could draw the zone's clients. */
function checkUnnamed({ ranked, named }: NearestView): Check[] {
  const unnamed = ranked.filter(({ isSelf, peerId }) => !isSelf && !named.has(peerId))
  if (unnamed.length === 0) return []
  return [
    {
      name: 'dns',
      status: 'warn',
      detail: `clients are sent to ${namesOf(unnamed.map(({ peer }) => peer))}, which this peer was not told to believe`,
      hint: 'All yours? Then --cdn-peers network, or their ids. Else --client-peers believed keeps clients from them.',
    },
  ]
}

function portOf(url: string): string {
  const { port, protocol } = new URL(url)
  // URLs leave the usual port out.
  return port === '' ? (protocol === 'https:' ? '443' : '80') : port
}
