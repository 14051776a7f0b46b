/** A whole CDN of one peer in this process: an HTTP server with its proxy, in front of an origin that a test writes. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Registry } from 'prom-client'
import { CdnCache } from '../../src/cdn/cdn-cache.ts'
import { CdnService, type CdnServiceComponents } from '../../src/cdn/cdn-service.ts'
import { HostRules } from '../../src/cdn/host-rules.ts'
import { createOrigin } from '../../src/cdn/origins/create-origin.ts'
import { OriginMetrics } from '../../src/cdn/origins/origin-metrics.ts'
import { ContentStore } from '../../src/content/store/store.ts'
import { HttpServer } from '../../src/http/server.ts'
import { createRegistry } from '../../src/metrics/registry.ts'
import { keepingLogger, type Line } from './http-exchange.ts'
import { type Answer, httpRequest } from './http-get.ts'
import { ManualClock } from './manual-clock.ts'

/** How an origin answers. */
export type OriginHandler = (message: IncomingMessage, reply: ServerResponse) => void

/** An origin that keeps what it was asked. */
export interface TestOrigin {
  readonly url: string
  readonly requests: IncomingMessage[]
  readonly server: Server
  /** How it answers from now on. */
  handler: OriginHandler
  stop(): Promise<void>
}

/** Starts an origin on a free port of 127.0.0.1. */
export async function startOrigin(handler: OriginHandler): Promise<TestOrigin> {
  const requests: IncomingMessage[] = []
  const server = createServer((message, reply) => {
    requests.push(message)
    // The cache's clock stands still in tests; a response without a date is of when it came.
    reply.sendDate = false
    origin.handler(message, reply)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const stop = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise<void>((resolve) => server.close(() => resolve()))
  }
  const origin: TestOrigin = { url: `http://127.0.0.1:${port}`, requests, server, handler, stop }
  return origin
}

/** How a stage is set up. */
export interface CdnStageInit {
  /** Origin for every host. */
  readonly origin: string
  /** Kept by the caller; by default a folder that goes with the stage. */
  readonly directory?: string
  readonly clock?: ManualClock
  readonly memoryBytesMax?: number
  readonly components?: Partial<CdnServiceComponents>
  /** Changes the one rule, whose name is `site`. */
  readonly rule?: Readonly<Record<string, unknown>>
  readonly peerId?: string
  /** Default: true. */
  readonly isShield?: boolean
}

/** A running stage. */
export interface CdnStage {
  readonly url: string
  readonly port: number
  readonly clock: ManualClock
  readonly cache: CdnCache
  readonly rules: HostRules
  readonly service: CdnService
  readonly store: ContentStore
  readonly registry: Registry
  readonly lines: Line[]
  readonly directory: string
  /** Asks over a connection of its own. */
  get(path: string, headers?: Record<string, string>, method?: string): Promise<Answer>
  stop(): Promise<void>
}

/** Starts a CDN with one rule. */
export async function startCdn(init: CdnStageInit): Promise<CdnStage> {
  const clock = init.clock ?? new ManualClock(Math.floor(Date.now() / 1_000) * 1_000)
  const directory = init.directory ?? (await mkdtemp(join(tmpdir(), 'kairo-cdn-')))
  const registry = createRegistry()
  const lines: Line[] = []
  const logger = keepingLogger(lines)
  const components = { clock, logger, registry }
  const store = new ContentStore(components, {
    directory: join(directory, 'content'),
    memoryBytesMax: init.memoryBytesMax ?? 64 * 1024 * 1024,
    diskBytesMax: 256 * 1024 * 1024,
  })
  await store.start()
  const cache = new CdnCache(components, { directory: join(directory, 'cdn') })
  const rules = new HostRules({ directory: join(directory, 'cdn'), origin: '' })
  const peerId = init.peerId ?? '12D3KooWTest'
  const metrics = new OriginMetrics(registry)
  const service = new CdnService(
    {
      ...components,
      ...{ store, cache, rules },
      createOrigin: (config) =>
        createOrigin(config, { clock, logger, metrics, peerId, random: Math.random }),
      ...init.components,
    },
    { peerId, region: '', isShield: init.isShield ?? true },
  )
  await cache.start()
  await rules.start()
  if (rules.list().length === 0 && init.origin !== '') {
    const { hostRuleSchema } = await import('../../src/cdn/host-rule.ts')
    rules.put(
      hostRuleSchema.parse({
        name: 'site',
        hosts: ['*'],
        origin: { type: 'http', url: init.origin },
        ...init.rule,
      }),
    )
  }
  service.start()
  const http = new HttpServer(components, {
    host: '127.0.0.1',
    port: 0,
    plainHandlers: [service.plainHandler],
    rawHandler: service.rawHandler,
  })
  await http.start()
  const port = http.address()?.port ?? 0
  const url = `http://127.0.0.1:${port}`
  const stop = async (): Promise<void> => {
    const stopped = http.stop()
    clock.advance(60_000)
    await stopped
    service.stop()
    await cache.stop()
    await store.stop()
    if (init.directory === undefined) await rm(directory, { recursive: true, force: true })
  }
  const get: CdnStage['get'] = (path, headers = {}, method = 'GET') =>
    httpRequest(url + path, { headers, method })
  return {
    ...{ url, port, clock, cache, rules, service, store, registry, lines, directory },
    get,
    stop,
  }
}

/** Sends a body with a strong tag that may be kept for a minute, and honours ranges and conditions as an origin should. */
export function sendVersion(
  message: IncomingMessage,
  reply: ServerResponse,
  version: {
    readonly etag: string
    readonly body: Buffer
    readonly headers?: Record<string, string>
  },
): void {
  const { etag, body } = version
  const headers = {
    etag,
    'cache-control': 'max-age=60',
    'content-type': 'application/octet-stream',
    'accept-ranges': 'bytes',
    ...version.headers,
  }
  if (message.headers['if-none-match']?.includes(etag) === true) {
    reply.writeHead(304, headers).end()
    return
  }
  const match = /^bytes=(\d+)-(\d*)$/.exec(message.headers.range ?? '')
  const guard = message.headers['if-range']
  if (match === null || (guard !== undefined && guard !== etag)) {
    reply.writeHead(200, { ...headers, 'content-length': body.byteLength }).end(body)
    return
  }
  const first = Number(match[1])
  const last = Math.min(Number(match[2] || body.byteLength), body.byteLength - 1)
  if (first >= body.byteLength) {
    reply.writeHead(416, { 'content-range': `bytes */${body.byteLength}` }).end()
    return
  }
  reply
    .writeHead(206, {
      ...headers,
      'content-range': `bytes ${first}-${last}/${body.byteLength}`,
      'content-length': last - first + 1,
    })
    .end(body.subarray(first, last + 1))
}
