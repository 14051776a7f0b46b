/** Metrics of being found behind NAT and of relaying for others. */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { NatStatus } from './nat-status.ts'
import type { ReachStatus } from './reach-status.ts'

const statuses: readonly NatStatus[] = ['public', 'private', 'local', 'unknown']

/** Counters and gauges of one host. */
export class ReachMetrics {
  /** Relayed connections that were to become direct: `ok`, `failed`, or `full` when too many are under way. */
  readonly upgrades: Counter<'outcome'>
  readonly relayRefused: Counter<'reason'>
  readonly dialsDenied: Counter
  readonly autonatRefused: Counter

  constructor(registry: Registry, status: () => ReachStatus) {
    const registers = [registry]
    gauges(registers, status)
    this.upgrades = new Counter({
      name: 'kairo_host_hole_punches_total',
      help: 'Relayed connections that were to become direct ones, by outcome.',
      labelNames: ['outcome'],
      registers,
    })
    this.relayRefused = new Counter({
      name: 'kairo_host_relay_refusals_total',
      help: 'Reservations and connections that this peer refused to relay, by the limit that was reached.',
      labelNames: ['reason'],
      registers,
    })
    this.dialsDenied = new Counter({
      name: 'kairo_host_dials_denied_total',
      help: 'Private addresses told by strangers that were not dialled.',
      registers,
    })
    this.autonatRefused = new Counter({
      name: 'kairo_host_autonat_refusals_total',
      help: 'Requests of other peers to try their addresses that came too often.',
      registers,
    })
  }
}

function gauges(registers: Registry[], status: () => ReachStatus): void {
  new Gauge({
    name: 'kairo_host_nat_status',
    help: 'Whether others can dial this peer: 1 at the status that holds.',
    labelNames: ['status'],
    registers,
    collect() {
      const { nat } = status()
      for (const name of statuses) this.set({ status: name }, name === nat ? 1 : 0)
    },
  })
  new Gauge({
    name: 'kairo_host_relay_reservations',
    help: 'Places at relays: those this peer has (client), and those others have here (server).',
    labelNames: ['role'],
    registers,
    collect() {
      const { relays, relaying } = status()
      this.set({ role: 'client' }, relays.length)
      this.set({ role: 'server' }, relaying?.reservations ?? 0)
    },
  })
  new Gauge({
    name: 'kairo_host_relayed_connections',
    help: 'Relayed connections: of this peer (own), and of others through it (through).',
    labelNames: ['role'],
    registers,
    collect() {
      const { connections, relaying } = status()
      this.set({ role: 'own' }, connections.relayed)
      this.set({ role: 'through' }, relaying?.connections ?? 0)
    },
  })
}
