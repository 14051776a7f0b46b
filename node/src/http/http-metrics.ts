/** What the HTTP server counts. The fast lane adds to plain numbers; they become metrics when someone scrapes. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** Why a connection was ended by us rather than by its client. */
export type EndReason =
  | 'header-timeout'
  | 'keep-alive-timeout'
  | 'response-timeout'
  | 'handler-timeout'
  | 'stream-failed'
  | 'bad-request'
  | 'header-too-large'
  | 'truncated'
  | 'too-slow'
  | 'stop'

/** Counts of the fast lane since start. */
class LaneCounts {
  /** Answers by status. */
  readonly #answers = new Float64Array(600)
  bodyBytes = 0
  handedOver = 0
  aborted = 0

  /** Counts an answer with a status of 100 to 599. */
  count(status: number): void {
    this.#answers[status] = (this.#answers[status] ?? 0) + 1
  }

  /** The statuses that were answered with, and how often. */
  answers(): [status: number, count: number][] {
    return [...this.#answers.entries()].filter(([, count]) => count > 0)
  }
}

/** Open connections of a server, by where they are served. */
export interface ConnectionCounts {
  readonly lane: number
  readonly handed: number
  readonly waiting: number
  /** Bytes sent on connections that were handed over, ended ones too. */
  readonly handedBytes: number
}

/** The metrics of all HTTP servers of a peer, on one registry. */
export class HttpMetrics {
  readonly lane = new LaneCounts()
  readonly ended: Counter<'reason'>
  readonly dropped: Counter
  readonly acceptFailures: Counter
  readonly apiSeconds: Histogram<'method' | 'route' | 'status'>
  readonly denied: Counter<'access' | 'reason'>
  readonly invalidResponses: Counter<'route'>
  readonly fallbackAnswers: Counter<'status'>
  readonly streams: Gauge<'route'>
  readonly streamsRefused: Counter<'route' | 'reason'>

  readonly #servers: (() => ConnectionCounts)[] = []

  constructor(registry: Registry) {
    const registers = [registry]
    this.#registerLane(registry)
    this.ended = new Counter({
      name: 'kairo_http_connections_ended_total',
      help: 'Connections the server ended, by the limit or fault that ended them.',
      labelNames: ['reason'],
      registers,
    })
    this.dropped = new Counter({
      name: 'kairo_http_connections_dropped_total',
      help: 'Connections refused because connectionsMax were open.',
      registers,
    })
    this.acceptFailures = new Counter({
      name: 'kairo_http_accept_failures_total',
      help: 'Connections that the operating system could not give us, mostly for want of file descriptors.',
      registers,
    })
    this.apiSeconds = new Histogram({
      name: 'kairo_http_api_request_seconds',
      help: 'Time from a declared route being called to its answer being sent.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
      registers,
    })
    this.denied = new Counter({
      name: 'kairo_http_denied_total',
      help: 'Calls refused for want of valid credentials, or because their address failed too often.',
      labelNames: ['access', 'reason'],
      registers,
    })
    this.invalidResponses = new Counter({
      name: 'kairo_http_invalid_responses_total',
      help: 'Answers held back because they did not fit what their route declares.',
      labelNames: ['route'],
      registers,
    })
    this.streams = new Gauge({
      name: 'kairo_http_streams',
      help: 'Requests of streaming routes (uploads, downloads) under way.',
      labelNames: ['route'],
      registers,
    })
    this.streamsRefused = new Counter({
      name: 'kairo_http_streams_refused_total',
      help: 'Requests of streaming routes that found too many under way, over all or of their address.',
      labelNames: ['route', 'reason'],
      registers,
    })
    this.fallbackAnswers = new Counter({
      name: 'kairo_http_fallback_answers_total',
      help: 'Plain answers given by the ordinary server on connections that left the fast lane.',
      labelNames: ['status'],
      registers,
    })
  }

  /** Counts the connections of one more server. */
  addServer(connections: () => ConnectionCounts): void {
    this.#servers.push(connections)
  }

  /** Bytes sent to clients so far, over all servers; of the fast lane without heads. */
  sentBytes(): number {
    return this.#servers.reduce((sum, read) => sum + read().handedBytes, this.lane.bodyBytes)
  }

  /** Connections open now, over all servers. */
  openConnections(): number {
    return this.#servers.reduce((sum, read) => {
      const { lane, handed } = read()
      return sum + lane + handed
    }, 0)
  }

  #registerLane(registry: Registry): void {
    const registers = [registry]
    const counts = this.lane
    const servers = this.#servers
    new Counter({
      name: 'kairo_http_lane_answers_total',
      help: 'Answers given in the fast lane.',
      labelNames: ['status'],
      registers,
      collect() {
        this.reset()
        for (const [status, count] of counts.answers()) {
          this.inc({ status: String(status) }, count)
        }
      },
    })
    const plain = (name: string, help: string, read: () => number) =>
      new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset()
          this.inc(read())
        },
      })
    plain(
      'kairo_http_lane_body_bytes_total',
      'Body bytes handed to sockets in the fast lane.',
      () => counts.bodyBytes,
    )
    plain(
      'kairo_http_lane_handed_over_total',
      'Connections the fast lane handed to the ordinary server.',
      () => counts.handedOver,
    )
    plain(
      'kairo_http_lane_aborted_total',
      'Requests whose client left before the answer was ready.',
      () => counts.aborted,
    )
    new Gauge({
      name: 'kairo_http_connections',
      help: 'Open connections: in the fast lane, of those waiting for an answer, and handed over.',
      labelNames: ['state'],
      registers,
      collect() {
        const now = servers.map((read) => read())
        for (const state of ['lane', 'waiting', 'handed'] as const) {
          this.set(
            { state },
            now.reduce((sum, counts) => sum + counts[state], 0),
          )
        }
      },
    })
  }
}
