/** The content plane: who is there, what is stored, and how objects come from other peers. */
import { RemoteDvr } from '../content/dvr/remote-dvr.ts'
import { FeedServer } from '../content/feed/server.ts'
import { Fetcher } from '../content/fetch/fetch-client.ts'
import { FetchServer } from '../content/fetch/fetch-server.ts'
import { SequenceStore } from '../content/publication/sequence-store.ts'
import { Directory } from '../content/records/directory.ts'
import { ProviderService } from '../content/records/provider.ts'
import { rankByRendezvous } from '../content/rendezvous.ts'
import { Replicas } from '../content/replica/replicas.ts'
import { WiderProviders } from '../content/replica/wider-providers.ts'
import { Replication } from '../content/replication/replication.ts'
import { ContentStore } from '../content/store/store.ts'
import { NetworkVideos } from '../content/videos/network-videos.ts'
import { VideoDirectory } from '../content/videos/video-directory.ts'
import type { SwarmView } from '../coordination/swarm-view.ts'
import type { Identity } from '../host/identity.ts'
import type { Join } from '../host/join.ts'
import { PeerHttps } from '../host/peer-https/peer-https.ts'
import { peerSigner } from '../host/peer-signature.ts'
import { IpfsService } from '../ipfs/service.ts'
import { replicationLimits } from '../limits/replication.ts'
import type { PeerCatalogService } from '../nearest/peer-catalog.ts'
import type { Base, ComponentsInit } from './base.ts'
import { believes } from './believes.ts'

/** What the content plane stands on. */
export interface ContentParts {
  readonly identity: Identity
  readonly join: Join
  /** Late: the catalog tells where this plane's HTTPS is. */
  readonly catalog: () => PeerCatalogService
  /** Late: what the region tells of swarms is asked when a stream is looked for. */
  readonly swarmView: () => Pick<SwarmView, 'peersOf'>
}

/** Builds the content plane. */
export function createContent(
  base: Base,
  { identity, join, catalog, swarmView }: ContentParts,
  { loaded: { settings }, home, ports }: ComponentsInit,
) {
  const { clock, logger, registry, host, random } = base
  const network = { clock, logger, registry, transport: host }
  const store = new ContentStore(base, {
    directory: home.contentDirectory,
    memoryBytesMax: settings.memoryBytesMax,
    diskBytesMax: settings.diskBytesMax,
    diskFilesMax: settings.diskFilesMax,
    streamBytesMax: settings.streamBytesMax,
    tenantBytesMax: settings.tenantBytesMax,
  })
  const directory = new Directory({ ...network, gossip: host.gossip, peers: host })
  const providers = new ProviderService({
    ...network,
    routing: host.routing,
    peers: host,
    records: directory,
    peerId: host.peerId,
  })
  const peerHttp = new PeerHttps(
    {
      ...network,
      endpointsOf: (peerId) => {
        const peer = catalog().get(peerId)
        if (peer === undefined || peer.httpsAddresses.length === 0) return undefined
        return { addresses: peer.httpsAddresses, certificateDigest: peer.certificateDigest }
      },
    },
    {
      privateKey: identity.privateKey,
      ...(ports.peerHttps === undefined ? {} : { listen: ports.peerHttps }),
    },
  )
  const fetcher = new Fetcher({
    ...network,
    http: peerHttp,
    store,
    rttOf: (peerId) => catalog().get(peerId)?.rttMs,
  })
  const remoteDvr = new RemoteDvr({
    ...{ ...network, http: peerHttp, records: directory, peerId: host.peerId },
  })
  const wider = widened(providers, swarmView)
  const replicas = new Replicas(
    { ...network, store, fetcher, records: directory, providers: wider, random, dvr: remoteDvr },
    { idleMs: settings.replicaIdleMs },
  )
  const ipfs = settings.ipfs
    ? new IpfsService(
        {
          ...{ clock, logger, registry, store, fetcher, network: host },
          providersOf: (digest) => rankByRendezvous(digest, alive(catalog())),
        },
        { directory: home.ipfsDirectory },
      )
    : undefined
  const isBelieved = believes(settings.cdnPeers, join)
  const replication = new Replication(
    {
      ...network,
      store,
      fetcher,
      http: peerHttp,
      peers: () => [catalog().self(), ...alive(catalog())],
      accepts: isBelieved,
    },
    {
      peerId: host.peerId,
      bytesMax: Math.floor(settings.diskBytesMax * replicationLimits.diskShare),
    },
  )
  return {
    store,
    sequences: new SequenceStore({ logger, registry }, { directory: home.stateDirectory }),
    directory,
    providers,
    replicas,
    remoteDvr,
    ...createVideos(base, { identity, catalog, store, fetcher, providers }, home.videosDirectory),
    feeds: new FeedServer({ ...network, streams: replicas }),
    peerHttp,
    fetcher,
    fetches: new FetchServer({ ...network, http: peerHttp, store }),
    replication,
    /** Undefined when IPFS is off. */
    ipfs,
    /** Peers whose cached copies are believed (docs/decisions/0015), and that can be asked. */
    believedPeers: () => alive(catalog()).filter(({ peerId }) => isBelieved(peerId)),
  }
}

/** Streams are looked for among the peers of the region's swarms, too. */
function widened(providers: ProviderService, swarmView: ContentParts['swarmView']): WiderProviders {
  const peersOf: SwarmView['peersOf'] = (id, signal) => swarmView().peersOf(id, signal)
  return new WiderProviders({ providers, peersOf })
}

/** Videos on demand of the network: what others tell, and playing it here. */
function createVideos(
  base: Base,
  {
    identity,
    catalog,
    ...parts
  }: Pick<ContentParts, 'identity' | 'catalog'> & {
    readonly store: ContentStore
    readonly fetcher: Fetcher
    readonly providers: ProviderService
  },
  directory: string,
) {
  const { host } = base
  const videos = new VideoDirectory(
    {
      ...{ ...base, ...parts, transport: host, gossip: host.gossip, peers: host },
      signer: peerSigner(identity.privateKey),
    },
    { directory },
  )
  const networkVideos = new NetworkVideos({
    ...{ ...base, ...parts, videos },
    alivePeers: () => alive(catalog()),
    isAlive: (peerId) => isAlive(catalog().get(peerId)),
  })
  return { videos, networkVideos }
}

/** Peers that take requests now. */
function alive(catalog: PeerCatalogService) {
  return catalog.list().filter(isAlive)
}

function isAlive(peer: ReturnType<PeerCatalogService['get']>): boolean {
  return peer?.state === 'serving' && peer.reachable
}
