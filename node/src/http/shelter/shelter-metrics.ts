/** What the shelter counts. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** Why a connection or a request is turned away. */
export type RefusalReason =
  | 'connections-address'
  | 'connections-subnet'
  | 'rate-address'
  | 'rate-subnet'
  | 'in-flight-connection'
  | 'in-flight'
  | 'in-flight-operator'
  | 'event-loop'
  | 'memory'

/** What the gauges read. */
export interface ShelterLoad {
  readonly addresses: number
  readonly inFlight: number
  readonly isOverloaded: boolean
}

/** The shelter's metrics on one registry. */
export class ShelterMetrics {
  readonly refused: Counter<'reason'>
  readonly evicted: Counter
  readonly spared: Counter

  constructor(registry: Registry, load: () => ShelterLoad) {
    const registers = [registry]
    this.refused = new Counter({
      name: 'kairo_http_shelter_refused_total',
      help: 'Connections and requests turned away: their address or subnet does too much, or the peer cannot keep up.',
      labelNames: ['reason'],
      registers,
    })
    this.evicted = new Counter({
      name: 'kairo_http_shelter_evicted_total',
      help: 'Addresses and subnets forgotten to make room for others.',
      registers,
    })
    this.spared = new Counter({
      name: 'kairo_http_shelter_spared_total',
      help: 'Requests of the operator served while those of others were turned away.',
      registers,
    })
    const gauge = (name: string, help: string, read: () => number): Gauge =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read())
        },
      })
    gauge('kairo_http_shelter_addresses', 'Client addresses remembered.', () => load().addresses)
    gauge(
      'kairo_http_in_flight',
      'Requests under way at the ordinary server.',
      () => load().inFlight,
    )
    gauge('kairo_http_overloaded', '1 while new work is turned away.', () =>
      load().isOverloaded ? 1 : 0,
    )
  }
}
