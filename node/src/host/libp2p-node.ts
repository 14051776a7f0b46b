/**
 * The settings of the libp2p node, and why; and what its errors at start mean to an operator.
 */
import { type Identify, identify, identifyPush } from '@libp2p/identify'
import type { ComponentLogger, Libp2p, Logger as Libp2pLogger } from '@libp2p/interface'
import { type KadDHT, kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { type MulticastDNSComponents, mdns } from '@libp2p/mdns'
import { noise } from '@libp2p/noise'
import { type Ping, ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import type { LevelDatastore } from 'datastore-level'
import { createLibp2p } from 'libp2p'
import { KairoError } from '../errors.ts'
import { hostLimits } from '../limits.ts'
import type { Logger } from '../logger.ts'
import { type GossipService, gossipService } from './gossip.ts'
import type { Libp2pHostInit } from './libp2p-host.ts'
import { KAD_PROTOCOL } from './protocols.ts'
import type { Reach } from './reach/reach.ts'

/** Peers found by multicast DNS belong to Kairo, not to other libp2p programs of the LAN. */
const MDNS_SERVICE_TAG = '_kairo._udp.local'
const KAD_BUCKET_SIZE = 8
const KAD_ALPHA = 3
/** Every DHT query waits for the first self-query; the default of a second is most of the discovery budget. */
const KAD_INITIAL_SELF_QUERY_MS = 200

/** The node with Kairo's services. */
export type KairoNode = Libp2p<{
  identify: Identify
  ping: Ping
  dht: KadDHT
  gossip: GossipService
}>

/** Makes the node without starting it. */
export async function createNode(
  init: Libp2pHostInit,
  components: {
    readonly logger: Logger
    readonly datastore: LevelDatastore | undefined
    /** Called with the addresses of a peer found on the local network. */
    readonly onLocalPeer: (addresses: readonly string[]) => void
    readonly reach: Reach
  },
): Promise<KairoNode> {
  const reach = components.reach.nodeOptions()
  return await createLibp2p({
    start: false,
    privateKey: init.privateKey,
    nodeInfo: { name: 'kairo' },
    addresses: { listen: [...init.listen], announce: [...(init.announce ?? [])] },
    ...(components.datastore === undefined ? {} : { datastore: components.datastore }),
    transports: [tcp(), webSockets(), reach.transport],
    connectionGater: reach.connectionGater,
    // TLS first: two thirds of Noise's CPU per byte. Noise for peers that have no TLS.
    connectionEncrypters: [tls(), noise()],
    streamMuxers: [
      yamux({
        maxInboundStreams: hostLimits.streamsPerConnectionMax,
        maxOutboundStreams: hostLimits.streamsPerConnectionMax,
        streamOptions: {
          maxStreamWindowSize: hostLimits.streamWindowBytesMax,
          maxReadBufferLength: hostLimits.readBufferBytesMax,
        },
      }),
    ],
    peerDiscovery: init.mdns ? [localDiscovery(components.logger, components.onLocalPeer)] : [],
    connectionManager: {
      maxConnections: hostLimits.connectionsMax,
      maxParallelDials: hostLimits.dialsMax,
      dialTimeout: hostLimits.dialTimeoutMs,
      addressDialTimeout: hostLimits.addressDialTimeoutMs,
      // The defaults (5 a second from one host, 10 pending) refuse peers of one site that start together.
      inboundConnectionThreshold: hostLimits.inboundConnectionsPerSecondMax,
      maxIncomingPendingConnections: hostLimits.handshakesMax,
    },
    connectionMonitor: {
      // A busy machine answers late; a connection is given up only after this long.
      pingTimeout: { minTimeout: hostLimits.pingTimeoutMs },
    },
    peerStore: {
      // Its ages count from when an address was first heard; PeerMemory forgets by when a peer was last seen.
      maxAddressAge: Infinity,
      maxPeerAge: Infinity,
    },
    services: {
      identify: identify(),
      // Tells neighbours when a place at a relay, or relaying itself, begins or ends.
      identifyPush: identifyPush(),
      ping: ping({
        // The connection monitor and the DHT ping at the same time; at the default of one the monitor takes the refusal
        // for a dead connection and closes it.
        maxInboundStreams: hostLimits.pingsMax,
        maxOutboundStreams: hostLimits.pingsMax,
      }),
      dht: kadDHT({
        protocol: KAD_PROTOCOL,
        kBucketSize: KAD_BUCKET_SIZE,
        alpha: KAD_ALPHA,
        initialQuerySelfInterval: KAD_INITIAL_SELF_QUERY_MS,
        // LANs and single machines are networks too: private addresses stay.
        peerInfoMapper: passthroughMapper,
        // Every peer serves the DHT; those that cannot be dialled drop out of routing tables by themselves.
        clientMode: false,
      }),
      gossip: gossipService(),
      ...reach.services,
    },
  })
}

/** What a failed start means: which address is the matter, and whether another process holds it. */
export function listenError(listen: readonly string[], cause: unknown): KairoError {
  if (cause instanceof KairoError) return cause
  const message = cause instanceof Error ? cause.message : String(cause)
  // libp2p reports one line a failed address, followed by its error's stack.
  const failed = listen.filter((address) => message.includes(`${address}: `))
  const where = failed.length > 0 ? failed.join(', ') : listen.join(', ')
  if (message.includes('EADDRINUSE')) {
    return new KairoError(
      'ERR_ADDRESS_IN_USE',
      `cannot listen on ${where}: another program uses that port. Choose another, or port 0 for a free one.`,
      { cause },
    )
  }
  const reason = message.split('\n', 1)[0]
  return new KairoError('ERR_CONFIG', `cannot listen on ${where}: ${reason}`, { cause })
}

/** Multicast DNS whose troubles (no multicast here, port held) are told in the log and are no reason to stop. */
function localDiscovery(
  logger: Logger,
  onLocalPeer: (addresses: readonly string[]) => void,
): (components: MulticastDNSComponents) => ReturnType<ReturnType<typeof mdns>> {
  return ({ addressManager }) => {
    const service = mdns({ serviceTag: MDNS_SERVICE_TAG })({
      addressManager,
      logger: troubleLogger(logger),
    })
    service.addEventListener('peer', ({ detail }) => {
      onLocalPeer(detail.multiaddrs.map((address) => withPeer(address.toString(), detail.id)))
    })
    return service
  }
}

function withPeer(address: string, peerId: { toString(): string }): string {
  return address.includes('/p2p/') ? address : `${address}/p2p/${peerId}`
}

/** libp2p's logger reduced to its errors, which mDNS reports nowhere else. */
function troubleLogger(logger: Logger): ComponentLogger {
  const quiet = (): void => {}
  const log = Object.assign(quiet, {
    enabled: false,
    trace: quiet,
    error: (format: string, error: unknown) => {
      logger.warn({ err: error }, `no discovery on the local network: ${format.split(' - ')[0]}`)
    },
    newScope: (): Libp2pLogger => log,
  })
  return { forComponent: () => log }
}
