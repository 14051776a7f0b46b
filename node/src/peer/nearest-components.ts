/** What this peer tells of itself, what it knows of others, and where clients are sent. */
import { formatAddress, localHost, networkHosts } from '../config/address.ts'
import { DnsServer } from '../dns/dns-server.ts'
import type { Identity } from '../host/identity.ts'
import type { Join } from '../host/join.ts'
import type { PeerHttps } from '../host/peer-https/peer-https.ts'
import { peerSigner } from '../host/peer-signature.ts'
import type { HttpMetrics } from '../http/http-metrics.ts'
import { httpLimits } from '../limits.ts'
import { GeoDatabase } from '../nearest/geo-database.ts'
import { LoadMeter, machineProbes } from '../nearest/load-meter.ts'
import { NearestPeers } from '../nearest/nearest-peers.ts'
import type { PeerAdvert } from '../nearest/peer-advert.ts'
import { type OwnPeer, PeerCatalogService } from '../nearest/peer-catalog.ts'
import type { Base, ComponentsInit } from './base.ts'
import { believes, maySendTo } from './believes.ts'

/** What choosing peers stands on. */
export interface NearestParts {
  readonly identity: Identity
  readonly join: Join
  readonly httpMetrics: HttpMetrics
  /** Late: built after the catalog. */
  readonly peerHttp: () => PeerHttps
}

/** Builds the catalog of peers and what is chosen from it. */
export function createNearest(
  base: Base,
  { identity, join, httpMetrics, peerHttp }: NearestParts,
  { loaded: { settings }, ports, clientUrls }: ComponentsInit,
) {
  const { clock, logger, registry, host, random } = base
  const load = new LoadMeter(
    {
      ...base,
      probes: {
        ...machineProbes(),
        bytesSent: () => httpMetrics.sentBytes() + peerHttp().sentBytes,
        connections: () => ({
          open: httpMetrics.openConnections(),
          max: httpLimits.connectionsMax,
        }),
      },
    },
    settings,
  )
  const [latitude, longitude] = settings.location.split(',').map(Number)
  const describe = (): OwnPeer => ({
    clientUrls: clientUrls(),
    httpsAddresses: httpsAddresses(ports.peerHttps?.host, peerHttp().port, settings.announceHttps),
    certificateDigest: peerHttp().certificateDigest,
    region: settings.region,
    latitude: settings.location === '' ? undefined : latitude,
    longitude: settings.location === '' ? undefined : longitude,
  })
  const catalog = new PeerCatalogService({
    ...{ clock, logger, registry, random, load, describe, host },
    gossip: host.gossip,
    transport: host,
    peers: host,
    signer: peerSigner(identity.privateKey),
  })
  const geo = new GeoDatabase(base, { path: settings.geoDatabase })
  const maySend = maySendTo(settings.clientPeers, believes(settings.cdnPeers, join))
  const mayServe = ({ peerId }: PeerAdvert): boolean => maySend(peerId)
  const nearest = new NearestPeers({ clock, registry, catalog, geo, mayServe })
  const dns =
    ports.dns === undefined
      ? undefined
      : new DnsServer(
          { ...base, nearest, ownUrls: clientUrls },
          { ...ports.dns, zone: settings.dnsZone },
        )
  return { load, catalog, geo, nearest, dns }
}

function httpsAddresses(
  host: string | undefined,
  port: number | undefined,
  announced: readonly string[],
): readonly string[] {
  if (host === undefined || port === undefined) return []
  if (announced.length > 0) return announced
  const hosts = networkHosts(host)
  return (hosts.length > 0 ? hosts : [localHost(host)]).map((one) =>
    formatAddress({ host: one, port }),
  )
}
