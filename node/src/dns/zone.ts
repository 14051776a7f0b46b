/**
 * What the zone answers (RFC 1034 4.3.2, RFC 2308, RFC 8482). The zone's name and every host name below it are the addresses
 * of the best peers for the client; `ns` is this server; names with an underscore are none. Pure.
 */
import { isIPv6 } from 'node:net'
import { dnsLimits } from '../limits/dns.ts'
import { type DnsQuestion, type Rcode, rcodes } from './dns-query.ts'

/** A record of an answer; its owner is the question's name, or the zone's. */
export type ZoneRecord =
  | { readonly type: 'A' | 'AAAA'; readonly address: string }
  | { readonly type: 'NS' }
  | { readonly type: 'SOA' }
  | { readonly type: 'HINFO' }

/** What is answered. */
export interface Resolution {
  readonly rcode: Rcode
  readonly isAuthoritative: boolean
  /** Owned by the question's name. */
  readonly answers: readonly ZoneRecord[]
  /** Owned by the zone's. */
  readonly authorities: readonly ZoneRecord[]
  /** True when another client might have been answered otherwise. */
  readonly isTailored: boolean
}

/** A peer as the zone answers with it. */
export interface ZonePeer {
  /** Cost in milliseconds; the lower the better. */
  readonly score: number
  readonly addresses: readonly string[]
}

/** What the zone is made of. */
export interface ZoneView {
  /** Labels of the zone's name, lower case. */
  readonly labels: readonly string[]
  /** The best peers for the client, best first; asked only where addresses are. */
  readonly peers: () => readonly ZonePeer[]
  /** Addresses of this server. */
  readonly ownAddresses: readonly string[]
}

/** Label of this server's own name in the zone. */
export const SERVER_LABEL = 'ns'

const HOST_LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/
/** Types that ask for more than records (RFC 5936, RFC 6895 3.1). */
const META_TYPES: ReadonlySet<string> = new Set(['AXFR', 'IXFR', 'OPT', 'TSIG', 'TKEY'])

/** Answers a question. */
export function resolve(question: DnsQuestion, view: ZoneView): Resolution {
  const below = labelsBelow(question.labels, view.labels)
  if (below === undefined || question.class !== 'IN' || META_TYPES.has(question.type)) {
    return plain(rcodes.refused, { isAuthoritative: false })
  }
  const isServer = below.length === 1 && below[0] === SERVER_LABEL
  // A name that is no host's does not exist, nor does anything below it (RFC 8020).
  const exists = below.every((label) => HOST_LABEL.test(label))
  if (!exists || (below.at(-1) === SERVER_LABEL && !isServer)) {
    return plain(rcodes.nameError, { authorities: [{ type: 'SOA' }] })
  }
  const { type } = question
  // Least of all that there is, so that nobody is flooded with it (RFC 8482 4.2).
  if (type === 'ANY') return plain(rcodes.noError, { answers: [{ type: 'HINFO' }] })
  if (type === 'A' || type === 'AAAA') {
    return isServer ? ownAddresses(type, view) : peerAddresses(type, view)
  }
  const isApex = below.length === 0
  if (isApex && (type === 'SOA' || type === 'NS')) {
    return plain(rcodes.noError, { answers: [{ type }] })
  }
  return noData()
}

function peerAddresses(type: 'A' | 'AAAA', view: ZoneView): Resolution {
  const peers = view.peers()
  // Nobody serves: another server of the zone may know better.
  if (peers.length === 0) return plain(rcodes.serverFailure)
  const able = peers
    .map(({ score, addresses }) => ({ score, addresses: ofFamily(type, addresses) }))
    .filter(({ addresses }) => addresses.length > 0)
  const best = able[0]?.score ?? 0
  const near = able.filter(({ score }) => score <= best + dnsLimits.spreadCostMs)
  const addresses = [...new Set(near.flatMap(({ addresses: all }) => all))]
  if (addresses.length === 0) return noData()
  return {
    ...plain(rcodes.noError, {
      answers: addresses.slice(0, dnsLimits.addressesMax).map((address) => ({ type, address })),
    }),
    isTailored: true,
  }
}

function ownAddresses(type: 'A' | 'AAAA', view: ZoneView): Resolution {
  const answers = ofFamily(type, view.ownAddresses)
    .slice(0, dnsLimits.addressesMax)
    .map((address) => ({ type, address }))
  return answers.length === 0 ? noData() : plain(rcodes.noError, { answers })
}

function ofFamily(type: 'A' | 'AAAA', addresses: readonly string[]): string[] {
  return addresses.filter((address) => isIPv6(address) === (type === 'AAAA'))
}

/** The name exists and has nothing of this type (RFC 2308 2.2). */
function noData(): Resolution {
  return plain(rcodes.noError, { authorities: [{ type: 'SOA' }] })
}

function plain(rcode: Rcode, fields: Partial<Resolution> = {}): Resolution {
  return {
    rcode,
    isAuthoritative: true,
    answers: [],
    authorities: [],
    isTailored: false,
    ...fields,
  }
}

/** The labels of a name in front of the zone's, none for the zone itself; undefined for names of others. */
function labelsBelow(
  labels: readonly string[],
  zone: readonly string[],
): readonly string[] | undefined {
  const count = labels.length - zone.length
  if (count < 0) return undefined
  return zone.every((label, index) => labels[count + index] === label)
    ? labels.slice(0, count)
    : undefined
}
