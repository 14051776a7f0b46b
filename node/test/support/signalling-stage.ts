/** A WebTorrent tracker behind a real HTTP server, and clients of it over real sockets that keep what they hear. */
import { once } from 'node:events'
import type { Test } from 'tap'
import { type ClientOptions, WebSocket } from 'ws'
import type { HttpServerInit } from '../../src/http/server.ts'
import { webtorrentLimits as limits } from '../../src/limits/signalling.ts'
import { silentLogger } from '../../src/logger.ts'
import { createRegistry } from '../../src/metrics/registry.ts'
import { WebtorrentTracker } from '../../src/signalling/webtorrent-tracker.ts'
import { metric, startTestServer, stopTestServer, type TestShelter } from './http-exchange.ts'
import { ManualClock } from './manual-clock.ts'
import { until } from './until.ts'

/** What the stage is told. */
export interface SignallingStageInit {
  readonly origins?: readonly string[]
  readonly connectionsMax?: number
  readonly trusts?: (address: string) => boolean
  readonly http?: Partial<HttpServerInit>
  readonly shelter?: TestShelter
}

/** A message as it went over the wire. */
export type WireMessage = Readonly<Record<string, unknown>>

/** Starts a tracker that runs until the test ends, on a clock that stands still. */
export async function startSignalling(t: Test, init: SignallingStageInit = {}) {
  const clock = new ManualClock()
  const registry = createRegistry()
  const { trusts, origins = ['*'], connectionsMax } = init
  const tracker = new WebtorrentTracker(
    {
      ...{ clock, registry, logger: silentLogger, random: Math.random },
      ...(trusts === undefined ? {} : { trusts }),
    },
    { origins, ...(connectionsMax === undefined ? {} : { connectionsMax }) },
  )
  const http = await startTestServer({ upgrades: [tracker.route], ...init.http }, init.shelter)
  tracker.start()
  const url = `ws://127.0.0.1:${http.port}/announce`
  const clients: TrackerClient[] = []
  t.teardown(async () => {
    for (const client of clients) client.socket.terminate()
    const stopped = tracker.stop()
    // Those that answer no goodbye are cut.
    clock.advance(limits.closeGraceMs)
    await stopped
    await stopTestServer(http)
  })
  const count = (name: string, labels: Record<string, string> = {}): Promise<number> =>
    metric(registry, `kairo_signalling_${name}`, labels)
  return {
    ...{ clock, http, registry, tracker, url, count },
    /** A client that is connected. */
    connect: async (options: ClientOptions = {}): Promise<TrackerClient> => {
      const client = new TrackerClient(new WebSocket(url, options))
      clients.push(client)
      await once(client.socket, 'open')
      return client
    },
    /** Resolves when a metric has this value. */
    counted: (value: number, name: string, labels: Record<string, string> = {}): Promise<void> =>
      until(async () => (await count(name, labels)) === value, `${name} to be ${value}`, 10_000),
  }
}

/** One socket, and what came over it. */
export class TrackerClient {
  readonly socket: WebSocket
  readonly heard: WireMessage[] = []
  /** Close code and reason, once it is closed. */
  closed: { readonly code: number; readonly reason: string } | undefined

  constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data) => this.heard.push(JSON.parse(String(data)) as WireMessage))
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: String(reason) }
    })
    // A refused or broken connection always closes too.
    socket.on('error', () => {})
  }

  say(message: WireMessage | string): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  /** The first message like this that came and was not taken before. */
  async hear(isIt: (message: WireMessage) => boolean = () => true): Promise<WireMessage> {
    await until(() => this.heard.some(isIt), 'a message of the tracker', 10_000)
    const at = this.heard.findIndex(isIt)
    return this.heard.splice(at, 1)[0] as WireMessage
  }

  /** Says something and takes the tracker's next message. */
  async ask(message: WireMessage): Promise<WireMessage> {
    this.say(message)
    return await this.hear()
  }

  /** Resolves with why the tracker closed. */
  async end(): Promise<{ readonly code: number; readonly reason: string }> {
    await until(() => this.closed !== undefined, 'the end of a connection', 10_000)
    return this.closed as { readonly code: number; readonly reason: string }
  }
}

/** Twenty bytes, the last ones of which say which. */
export function twenty(prefix: string, number = 0): string {
  return `${prefix}${String(number).padStart(20 - prefix.length, '\u00ff')}`
}

/** An announce as bittorrent-tracker 11 writes it. */
export function announce(
  swarm: string,
  peer: string,
  more: WireMessage & { readonly offerCount?: number } = {},
): WireMessage {
  const { offerCount = 0, ...rest } = more
  const offers = Array.from({ length: offerCount }, (_, at) => ({
    offer: { type: 'offer', sdp: `v=0 ${peer} ${at}` },
    offer_id: twenty('offer', at),
  }))
  return {
    ...{ numwant: offers.length, uploaded: 0, downloaded: 0, event: 'started', ...rest },
    ...{ action: 'announce', info_hash: swarm, peer_id: peer, offers },
  }
}
