/** What the signalling of browsers counts. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** What the gauges read. */
export interface SignallingLoad {
  readonly connections: number
  readonly swarms: number
  readonly peers: number
}

/** The metrics on one registry. */
export class SignallingMetrics {
  readonly messages: Counter<'kind'>
  readonly relayed: Counter<'kind'>
  readonly undelivered: Counter<'kind'>
  readonly refused: Counter<'reason'>
  readonly ended: Counter<'reason'>
  readonly limited: Counter<'limit'>

  constructor(registry: Registry, load: () => SignallingLoad) {
    const registers = [registry]
    const counter = <T extends string>(name: string, help: string, label: T): Counter<T> =>
      new Counter({ name: `kairo_signalling_${name}_total`, help, labelNames: [label], registers })
    this.messages = counter('messages', 'Messages of browsers: announces by event.', 'kind')
    this.relayed = counter('relayed', 'Offers and answers passed on to the peer meant.', 'kind')
    this.undelivered = counter(
      'undelivered',
      'Offers and answers whose peer could not take them, or was gone.',
      'kind',
    )
    this.refused = counter('refused', 'Connections that were not taken.', 'reason')
    this.ended = counter('ended', 'Connections that this peer ended, by the reason.', 'reason')
    this.limited = counter(
      'limited',
      'Times that a limit made something be left out while the connection went on.',
      'limit',
    )
    const gauge = (name: keyof SignallingLoad, help: string): Gauge =>
      new Gauge({
        name: `kairo_signalling_${name}`,
        ...{ help, registers },
        collect() {
          this.set(load()[name])
        },
      })
    gauge('connections', 'Browsers connected to the WebTorrent tracker.')
    gauge('swarms', 'Swarms with somebody in them.')
    gauge('peers', 'Peers in swarms; who is in two counts twice.')
  }
}
