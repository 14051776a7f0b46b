/** Metrics of requests between peers. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** How a request travelled. */
export type PeerHttpVia = 'https' | 'stream'

/** Counters of one peer's asking and answering. */
export class PeerHttpMetrics {
  /** Requests to others, by the way they took and `ok` or an error code. */
  readonly asked: Counter<'via' | 'outcome'>
  /** Requests of others, by the way they took and the status of the answer; `refused` where no handler was asked. */
  readonly answered: Counter<'via' | 'status'>
  readonly bytes: Counter<'via' | 'direction'>
  readonly connects: Counter<'outcome'>
  /** Peers asked over libp2p because HTTPS did not reach them. */
  readonly fallbacks: Counter
  /** Who presented no certificate of the peer that was meant, or none at all. */
  readonly rejected: Counter<'side'>
  /** A bound that was met, by its name. */
  readonly limits: Counter<'limit'>
  /** Bytes of answers to other peers so far. */
  sentBytes = 0

  constructor(registry: Registry, connections: () => number) {
    const registers = [registry]
    const counter = <Label extends string>(
      name: string,
      help: string,
      labelNames: Label[],
    ): Counter<Label> =>
      new Counter({ name: `kairo_peer_http_${name}`, help, labelNames, registers })
    this.asked = counter(
      'asked_total',
      'Requests to other peers, by outcome (ok or an error code)',
      ['via', 'outcome'],
    )
    this.answered = counter('answered_total', 'Requests of other peers answered, by status', [
      'via',
      'status',
    ])
    this.bytes = counter('body_bytes_total', 'Bytes of answers, in from and out to other peers', [
      'via',
      'direction',
    ])
    this.connects = counter(
      'connects_total',
      'HTTPS connections to other peers tried, by outcome',
      ['outcome'],
    )
    this.fallbacks = counter(
      'fallbacks_total',
      'Requests sent over libp2p because HTTPS did not reach the peer',
      [],
    )
    this.rejected = counter(
      'rejected_total',
      'Connections whose certificate was missing or not the expected one, by who checked it',
      ['side'],
    )
    this.limits = counter('limits_total', 'Bounds that were met, by name', ['limit'])
    new Gauge({
      name: 'kairo_peer_http_connections',
      help: 'HTTPS connections of other peers',
      registers,
      collect() {
        this.set(connections())
      },
    })
  }
}
