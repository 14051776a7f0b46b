/** A peer's catalog in a network in memory, whose connections break and are refused as a test says. */
import { Registry } from 'prom-client'
import type { Clock } from '../../src/clock.ts'
import { KairoError } from '../../src/errors.ts'
import type { ConnectionInfo } from '../../src/host/libp2p-host.ts'
import type { PeerSigner } from '../../src/host/peer-signature.ts'
import { silentLogger } from '../../src/logger.ts'
import type { LoadReading } from '../../src/nearest/load-meter.ts'
import { type OwnPeer, PeerCatalogService } from '../../src/nearest/peer-catalog.ts'
import { newSigner } from './adverts.ts'
import { type MemoryPeer, memoryNetwork } from './memory-network.ts'

/** One peer of the test. */
export interface CatalogPeer {
  readonly id: string
  readonly signer: PeerSigner
  readonly peer: MemoryPeer
  readonly catalog: PeerCatalogService
  readonly registry: Registry
  /** What it says of itself; may be changed. */
  readonly own: { -readonly [Key in keyof OwnPeer]: OwnPeer[Key] }
  /** Its load; may be changed. */
  readonly load: { -readonly [Key in keyof LoadReading]: LoadReading[Key] }
  /** Tells that the load changed its class. */
  changeClass(): void
  /** What its host says; may be changed. */
  readonly connections: ConnectionInfo[]
  /** Round trips that pings find, by peer; others do not answer. */
  readonly pings: Map<string, number>
  /** Tells that the last connection to a peer is gone. */
  disconnect(peerId: string): void
}

/** Makes peers of one network, on one clock unless one has its own. */
export function catalogNetwork(shared: Clock): (own?: Clock) => Promise<CatalogPeer> {
  const newPeer = memoryNetwork()
  return async (clock = shared) => {
    const signer = await newSigner()
    const peer = newPeer(signer.peerId)
    const registry = new Registry()
    const classListeners = new Set<() => void>()
    const lostListeners = new Set<(peerId: string) => void>()
    const connections: ConnectionInfo[] = []
    const pings = new Map<string, number>()
    const load: CatalogPeer['load'] = { load: 0, freeBitsPerSecond: 0, busiest: 'uplink' }
    const own: CatalogPeer['own'] = {
      clientUrls: ['http://127.0.0.1:8080'],
      httpsAddresses: [],
      certificateDigest: '',
      region: '',
      latitude: undefined,
      longitude: undefined,
    }
    const listenTo = <T>(listeners: Set<T>) => {
      return (listener: T) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      }
    }
    const catalog = new PeerCatalogService({
      ...{ clock, logger: silentLogger, registry, signer },
      ...{ gossip: peer, transport: peer, peers: peer },
      host: {
        connections: () => connections,
        onDisconnect: listenTo(lostListeners),
        ping: async (peerId) => {
          const rttMs = pings.get(peerId)
          if (rttMs === undefined) throw new KairoError('ERR_NO_PROVIDER', 'no answer')
          return rttMs
        },
      },
      load: { reading: () => ({ ...load }), onClassChange: listenTo(classListeners) },
      describe: () => ({ ...own }),
      random: () => 0.7,
    })
    return {
      ...{ id: signer.peerId, signer, peer, catalog, registry, own, load, connections, pings },
      changeClass: () => {
        for (const listener of classListeners) listener()
      },
      disconnect: (peerId) => {
        for (const listener of lostListeners) listener(peerId)
      },
    }
  }
}
