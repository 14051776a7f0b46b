/**
 * The metrics of the peer catalog.
 */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { KnownPeer, NetworkCoordinate } from './peer-advert.ts'

/** Counters and gauges of one catalog. */
export class NearestMetrics {
  readonly heard: Counter<'outcome'>
  readonly announcements: Counter<'outcome'>
  readonly checks: Counter<'outcome'>

  constructor(
    registry: Registry,
    view: {
      readonly peers: () => readonly KnownPeer[]
      readonly coordinate: () => NetworkCoordinate
    },
  ) {
    const registers = [registry]
    new Gauge({
      name: 'kairo_nearest_peers',
      help: 'Other peers that are known, by what they are to clients.',
      labelNames: ['state'],
      registers,
      collect() {
        const counts = { serving: 0, draining: 0, unreachable: 0 }
        for (const { state, reachable } of view.peers()) {
          counts[reachable ? state : 'unreachable'] += 1
        }
        for (const [state, count] of Object.entries(counts)) this.set({ state }, count)
      },
    })
    new Gauge({
      name: 'kairo_nearest_coordinate_error_ratio',
      help: "Relative error of this peer's network coordinate; 1 knows nothing.",
      registers,
      collect() {
        this.set(view.coordinate().error)
      },
    })
    this.heard = new Counter({
      name: 'kairo_nearest_adverts_heard_total',
      help: 'Peer adverts that came from other peers, by what became of them.',
      labelNames: ['outcome'],
      registers,
    })
    this.announcements = new Counter({
      name: 'kairo_nearest_announcements_total',
      help: 'Announcements of the own advert.',
      labelNames: ['outcome'],
      registers,
    })
    this.checks = new Counter({
      name: 'kairo_nearest_checks_total',
      help: 'Looks at whether a peer can be reached.',
      labelNames: ['outcome'],
      registers,
    })
  }
}
