/** Metrics of the IPFS room. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** What the pins are now. */
export interface PinUsage {
  readonly trees: number
  readonly bytes: number
}

/** Counters of the room. */
export class IpfsMetrics {
  /** Bytes of blocks that IPFS peers gave. */
  readonly received: Counter
  /** Bytes of blocks that IPFS peers were given. */
  readonly served: Counter
  readonly lookups: Counter<'outcome'>
  readonly gateway: Counter<'format' | 'status'>
  readonly limits: Counter<'limit'>
  #usage: () => PinUsage = () => ({ trees: 0, bytes: 0 })

  constructor(registry: Registry) {
    const registers = [registry]
    this.received = new Counter({
      name: 'kairo_ipfs_received_bytes_total',
      help: 'Bytes of blocks that came by bitswap',
      registers,
    })
    this.served = new Counter({
      name: 'kairo_ipfs_served_bytes_total',
      help: 'Bytes of blocks given to IPFS peers by bitswap',
      registers,
    })
    this.lookups = new Counter({
      name: 'kairo_ipfs_lookups_total',
      help: 'Blocks looked for at other Kairo peers: found, none, or remembered as missing',
      labelNames: ['outcome'],
      registers,
    })
    this.gateway = new Counter({
      name: 'kairo_ipfs_gateway_requests_total',
      help: 'Requests to the trustless gateway, by format and status',
      labelNames: ['format', 'status'],
      registers,
    })
    this.limits = new Counter({
      name: 'kairo_ipfs_limits_total',
      help: 'Limits of the IPFS room that were hit',
      labelNames: ['limit'],
      registers,
    })
    const usage = (): PinUsage => this.#usage()
    new Gauge({
      name: 'kairo_ipfs_pinned_trees',
      help: 'Trees that are kept',
      registers,
      collect() {
        this.set(usage().trees)
      },
    })
    new Gauge({
      name: 'kairo_ipfs_pinned_bytes',
      help: 'Bytes of the blocks of kept trees; those that trees share count for each',
      registers,
      collect() {
        this.set(usage().bytes)
      },
    })
  }

  /** Tells where the pins' sums are read. */
  watchPins(usage: () => PinUsage): void {
    this.#usage = usage
  }
}
