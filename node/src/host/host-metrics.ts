/**
 * The host's metrics.
 */
import { Counter, Gauge, type Registry } from 'prom-client'

/** Counters and gauges of one host. */
export class HostMetrics {
  readonly outbound: Counter<'kind' | 'outcome'>
  readonly inbound: Counter<'protocol'>
  readonly inboundFailures: Counter<'protocol'>
  readonly streamBytes: Counter<'direction'>

  constructor(registry: Registry, connections: () => number) {
    const registers = [registry]
    new Gauge({
      name: 'kairo_host_connections',
      help: 'Open connections to other peers.',
      registers,
      collect() {
        this.set(connections())
      },
    })
    this.outbound = new Counter({
      name: 'kairo_host_outbound_total',
      help: 'Dials and streams opened to other peers, by outcome (ok or an error code).',
      labelNames: ['kind', 'outcome'],
      registers,
    })
    this.inbound = new Counter({
      name: 'kairo_host_inbound_streams_total',
      help: 'Streams that other peers opened, by protocol.',
      labelNames: ['protocol'],
      registers,
    })
    this.inboundFailures = new Counter({
      name: 'kairo_host_inbound_stream_failures_total',
      help: 'Streams of other peers that ended with an error, by protocol.',
      labelNames: ['protocol'],
      registers,
    })
    this.streamBytes = new Counter({
      name: 'kairo_host_stream_bytes_total',
      help: 'Bytes over peer streams, without framing.',
      labelNames: ['direction'],
      registers,
    })
  }
}
