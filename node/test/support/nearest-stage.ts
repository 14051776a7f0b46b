/** A catalog that a test writes by hand, and choosing among its peers. */
import { Registry } from 'prom-client'
import type { GeoPoint } from '../../src/nearest/geo-point.ts'
import { NearestPeers, type NearestPeersComponents } from '../../src/nearest/nearest-peers.ts'
import type { KnownPeer, PeerAdvert } from '../../src/nearest/peer-advert.ts'
import { advertOf } from './adverts.ts'
import { ManualClock } from './manual-clock.ts'

/** The pieces; change `self` and `peers`, then tell with `changed`. */
export function nearestStage(options: Pick<NearestPeersComponents, 'mayServe'> = {}) {
  const clock = new ManualClock()
  const registry = new Registry()
  const listeners = new Set<(peerId: string) => void>()
  const stage = {
    self: advertOf('self', { clientUrls: ['http://192.0.2.1:8080'] }) as PeerAdvert,
    peers: [] as KnownPeer[],
    places: new Map<string, GeoPoint>(),
  }
  const nearest = new NearestPeers({
    ...{ clock, registry, ...options },
    catalog: {
      self: () => stage.self,
      get: (peerId) => stage.peers.find((peer) => peer.peerId === peerId),
      list: () => stage.peers,
      onChange: (listener) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    },
    geo: { locate: (address) => stage.places.get(address) },
  })
  nearest.start()
  const changed = (): void => {
    for (const listener of listeners) listener('any')
  }
  return { stage, nearest, clock, registry, changed, listeners }
}
