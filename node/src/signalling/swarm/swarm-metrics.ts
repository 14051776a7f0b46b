/** What the swarms of viewers' pages count. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** What the gauges read. */
export interface SwarmLoad {
  readonly connections: number
  readonly swarms: number
  readonly pages: number
  readonly followers: number
  readonly leases: number
  readonly parts: number
}

/** The metrics on one registry. */
export class SwarmMetrics {
  readonly messages: Counter<'kind'>
  readonly refused: Counter<'reason'>
  readonly ended: Counter<'reason'>
  readonly off: Counter<'reason'>
  readonly limited: Counter<'limit'>
  readonly entered: Counter<'how'>
  readonly answered: Counter<'how'>
  readonly leases: Counter<'end'>
  readonly claims: Counter<'verdict'>
  readonly signals: Counter<'result'>
  readonly plans: Counter

  constructor(registry: Registry, load: () => SwarmLoad) {
    const registers = [registry]
    const counter = <T extends string>(name: string, help: string, label: T): Counter<T> =>
      new Counter({ name: `kairo_swarm_${name}_total`, help, labelNames: [label], registers })
    this.messages = counter('messages', 'Messages of pages.', 'kind')
    this.refused = counter('refused', 'Connections that were not taken.', 'reason')
    this.ended = counter('ended', 'Connections that this peer ended, by the reason.', 'reason')
    this.off = counter('off', 'Pages that were told that there is no swarm for them.', 'reason')
    this.limited = counter(
      'limited',
      'Times that a limit made something be left out while the connection went on.',
      'limit',
    )
    this.entered = counter('entered', 'Pages that entered a swarm, new or as who they were.', 'how')
    this.answered = counter(
      'answered',
      'Parts that pages wanted, by the answer: whole at others, coming at another, fetch it for all, alone, or to check it.',
      'how',
    )
    this.leases = counter('leases', 'Leases that ended, by how.', 'end')
    this.claims = counter(
      'claims',
      'What pages said that parts are, by what came of it.',
      'verdict',
    )
    this.signals = counter('signals', 'Messages of connecting, passed on or not.', 'result')
    this.plans = new Counter({
      name: 'kairo_swarm_plans_total',
      help: 'Plans of trees that were made.',
      registers,
    })
    const gauge = (name: keyof SwarmLoad, help: string): Gauge =>
      new Gauge({
        name: `kairo_swarm_${name}`,
        ...{ help, registers },
        collect() {
          this.set(load()[name])
        },
      })
    gauge('connections', 'Pages connected.')
    gauge('swarms', 'Swarms with somebody in them.')
    gauge('pages', 'Pages in swarms, with those whose connection broke a moment ago.')
    gauge('followers', 'Pages that are to be in trees of live renditions.')
    gauge('leases', 'Parts that somebody fetches for all.')
    gauge('parts', 'Parts of which something is remembered.')
  }
}
