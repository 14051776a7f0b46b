/** An edge of viewers' swarms behind a real HTTP server, and pages that speak its wire over real sockets and keep what they hear. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  type EdgeMessage,
  type PageMessage,
  readEdgeMessage,
  swarmProtocol,
} from '@kairo/client/protocol'
import type { Test } from 'tap'
import { type ClientOptions, WebSocket } from 'ws'
import { type Clock, systemClock } from '../../src/clock.ts'
import { swarmLimits as limits } from '../../src/limits/swarm.ts'
import { silentLogger } from '../../src/logger.ts'
import { createRegistry } from '../../src/metrics/registry.ts'
import { SwarmEdge, type SwarmEdgeInit } from '../../src/signalling/swarm/swarm-edge.ts'
import { metric, startTestServer, stopTestServer } from './http-exchange.ts'
import { ManualClock } from './manual-clock.ts'
import { until } from './until.ts'

/** A message of one kind. */
export type Told<Kind extends EdgeMessage['kind']> = Extract<EdgeMessage, { kind: Kind }>

/** What a page is. */
export interface TestPageInit extends ClientOptions {
  readonly swarm?: string
  readonly uploadBps?: number
  readonly canConnect?: boolean
  readonly session?: string
  readonly ticket?: string
}

async function openEdge(clock: Clock, init: Partial<SwarmEdgeInit>) {
  const registry = createRegistry()
  const edge = new SwarmEdge(
    { clock, registry, logger: silentLogger, random: Math.random },
    { origins: ['*'], secret: 'a secret of this test', ...init },
  )
  const http = await startTestServer({ upgrades: [edge.route] })
  edge.start()
  return {
    ...{ http, registry, edge, url: `ws://127.0.0.1:${http.port}/swarm` },
    /** One of its metrics, `kairo_swarm_<name>`. */
    count: (name: string, labels: Record<string, string> = {}): Promise<number> =>
      metric(registry, `kairo_swarm_${name}`, labels),
  }
}

/** Starts an edge for pages of a browser, on the machine's clock; it may be ended before the test ends. */
export async function startLiveSwarmEdge(t: Test) {
  const opened = await openEdge(systemClock, {})
  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopped ??= opened.edge.stop().then(() => stopTestServer(opened.http))
    return stopped
  }
  t.teardown(stop)
  return { ...opened, stop }
}

/** Starts an edge that runs until the test ends, on a clock that stands still. */
export async function startSwarmEdge(t: Test, init: Partial<SwarmEdgeInit> = {}) {
  const clock = new ManualClock()
  const { http, registry, edge, url, count } = await openEdge(clock, init)
  const pages: TestPage[] = []
  t.teardown(async () => {
    for (const page of pages) page.socket.terminate()
    const stopped = edge.stop()
    // Those that answer no goodbye are cut.
    clock.advance(limits.closeGraceMs)
    await stopped
    await stopTestServer(http)
  })
  const connect = async (options: ClientOptions = {}): Promise<TestPage> => {
    const page = new TestPage(new WebSocket(url, swarmProtocol, options))
    pages.push(page)
    await once(page.socket, 'open')
    return page
  }
  return {
    ...{ clock, http, registry, edge, url, count, connect },
    /** A page that is in a swarm; a number makes its address another one's. */
    enter: async ({
      swarm,
      uploadBps,
      canConnect,
      session,
      ticket,
      ...options
    }: TestPageInit = {}) => {
      const page = await connect(options)
      page.say({
        ...{ kind: 'hello', swarm: swarm ?? 'a film' },
        ...{ uploadBps: uploadBps ?? 10_000_000, canConnect: canConnect ?? true },
        ...(session !== undefined && { session }),
        ...(ticket !== undefined && { ticket }),
      })
      page.welcome = await page.hear('welcome')
      return page
    },
    /** Resolves when a metric has this value. */
    counted: (value: number, name: string, labels: Record<string, string> = {}): Promise<void> =>
      until(async () => (await count(name, labels)) === value, `${name} to be ${value}`, 10_000),
  }
}

/** One page. */
export class TestPage {
  readonly socket: WebSocket
  readonly heard: EdgeMessage[] = []
  welcome: Told<'welcome'> | undefined
  /** Close code and reason, once it is closed. */
  closed: { readonly code: number; readonly reason: string } | undefined

  constructor(socket: WebSocket) {
    this.socket = socket
    // As strictly as pages read: what no page would take fails the test.
    socket.on('message', (data) => {
      const message = readEdgeMessage(String(data))
      if (message !== undefined) this.heard.push(message)
    })
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: String(reason) }
    })
    // A refused or broken connection always closes too.
    socket.on('error', () => {})
  }

  get id(): string {
    return this.welcome?.id ?? ''
  }

  say(message: PageMessage): void {
    this.socket.send(JSON.stringify(message))
  }

  want(key: string, withinMs = 10_000): void {
    this.say({ kind: 'want', parts: [{ key, withinMs }] })
  }

  /** Tells that a part came, with the digest of a text. */
  got(key: string, text = key): void {
    this.say({ kind: 'got', key, bytes: text.length, digest: digestOf(text) })
  }

  /** The first message of a kind that came and was not taken before. */
  async hear<Kind extends EdgeMessage['kind']>(kind: Kind): Promise<Told<Kind>> {
    const isIt = (message: EdgeMessage): boolean => message.kind === kind
    await until(() => this.heard.some(isIt), `${kind} of the edge`, 10_000)
    return this.heard.splice(this.heard.findIndex(isIt), 1)[0] as Told<Kind>
  }

  /** Resolves once the edge has read all that this page said, and this page all that the edge said to it until then. */
  async settled(): Promise<void> {
    let isAnswered = false
    this.socket.once('pong', () => {
      isAnswered = true
    })
    this.socket.ping()
    await until(() => isAnswered || this.closed !== undefined, 'an answer of the edge', 10_000)
  }

  /** Resolves with why the edge closed. */
  async end(): Promise<{ readonly code: number; readonly reason: string }> {
    await until(() => this.closed !== undefined, 'the end of a connection', 10_000)
    return this.closed as { readonly code: number; readonly reason: string }
  }
}

/** SHA-256 as the wire has it. */
export function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}
