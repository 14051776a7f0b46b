/**
 * The peer's HTTP server: one port, on which every connection begins in the fast lane and leaves it for Node's HTTP
 * server, with Fastify for the declared routes, as soon as it asks for more than a prepared answer.
 */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type FastifyInstance, fastify } from 'fastify'
import type { Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'
import { httpLimits } from '../limits.ts'
import type { Logger } from '../logger.ts'
import { Admission, type Authenticators } from './admission.ts'
import { ClientMessage, clientAddressOf } from './client-message.ts'
import { CorsPolicy } from './cors.ts'
import { FastLane } from './fast-lane.ts'
import { type EndReason, HttpMetrics } from './http-metrics.ts'
import { PlainFallback, takeOriginForm } from './plain-fallback.ts'
import { PlainHandlers } from './plain-handlers.ts'
import type { PlainHandler, PreparedResponse } from './prepared-response.ts'
import { lastWords, pathOf } from './problem.ts'
import type { RawHandler } from './raw-handler.ts'
import type { Route } from './route.ts'
import { RouteTable } from './route-table.ts'
import type { ClientPass } from './shelter/client-pass.ts'
import { overloaded, refusalBytes, sendRefusal, tooManyRequests } from './shelter/refusals.ts'
import type { Shelter } from './shelter/shelter.ts'
import type { StreamRoute } from './stream-route.ts'
import { StreamTable } from './stream-table.ts'
import { refuseUpgrade, requireUpgrade, type UpgradeRoute, UpgradeRoutes } from './upgrade.ts'

/** What the server is built on. */
export interface HttpServerComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  /** Shared by the servers of one peer. Default: its own. */
  readonly metrics?: HttpMetrics
  /** Counts clients and turns work away; undefined shelters nothing. It is started and stopped by whoever made it. */
  readonly shelter?: Shelter
}

/** What the server is told. */
export interface HttpServerInit {
  /** Address to listen on. */
  readonly host: string
  /** Port; 0 takes a free one. */
  readonly port: number
  /** Origins whose pages may read answers; default `['*']`: every page may read public ones. Empty: none. */
  readonly corsOrigins?: readonly string[]
  /** Asked in order, in the fast lane and beside it; the first that does not answer `undefined` has the request. */
  readonly plainHandlers?: readonly PlainHandler[]
  /** Asked before everything else about requests that left the fast lane. */
  readonly rawHandler?: RawHandler
  /** Whether a request is the raw handler's: then it is asked also where the request's path is one of `upgrades`. */
  readonly isRaw?: (message: IncomingMessage) => boolean
  /** Paths under which other protocols are spoken. */
  readonly upgrades?: readonly UpgradeRoute[]
  /** Routes of the API. */
  readonly routes?: readonly Route[]
  /** Routes whose bodies are streams. */
  readonly streamRoutes?: readonly StreamRoute[]
  readonly authenticators?: Authenticators
}

type Status = 'stopped' | 'starting' | 'started' | 'stopping'

/** Serves plain answers and declared routes on one port. */
export class HttpServer {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #init: HttpServerInit
  readonly #metrics: HttpMetrics
  readonly #lane: FastLane
  readonly #fallback: PlainFallback
  readonly #table: RouteTable
  readonly #streams: StreamTable
  readonly #shelter: Shelter | undefined
  readonly #admission: Admission
  readonly #upgrades: UpgradeRoutes
  /** Connections that left the lane, with their leave to ask. */
  readonly #handed = new Map<Socket, ClientPass | undefined>()
  /** Sent on handed-over connections that have ended. */
  #endedBytes = 0
  readonly #fastify: FastifyInstance
  #parse: (socket: Socket) => void = () => {}
  #status: Status = 'stopped'

  constructor(components: HttpServerComponents, init: HttpServerInit) {
    this.#clock = components.clock
    this.#logger = components.logger.child({ name: 'kairo:http' })
    this.#init = init
    this.#metrics = components.metrics ?? new HttpMetrics(components.registry)
    this.#metrics.addServer(() => ({
      ...this.#lane.counts(),
      handed: this.#handed.size,
      handedBytes: this.#handedBytes(),
    }))
    this.#shelter = components.shelter
    this.#upgrades = new UpgradeRoutes(init.upgrades ?? [])
    this.#admission = new Admission(
      { clock: this.#clock, metrics: this.#metrics },
      init.authenticators ?? {},
    )
    const shared = {
      shelter: this.#shelter,
      clock: this.#clock,
      logger: this.#logger,
      metrics: this.#metrics,
      cors: new CorsPolicy(init.corsOrigins ?? ['*']),
      admission: this.#admission,
      handlers: new PlainHandlers({ logger: this.#logger }, init.plainHandlers ?? []),
    }
    this.#lane = new FastLane(shared, {
      handOver: (socket, pass) => this.#takeOver(socket, pass),
    })
    this.#fallback = new PlainFallback(shared, {
      beforeHead: (reply) => this.#closeIfStopping(reply),
    })
    this.#table = new RouteTable(shared, { routes: init.routes ?? [] })
    this.#streams = new StreamTable(shared, {
      routes: init.streamRoutes ?? [],
      isStopping: () => this.#status === 'stopping',
    })
    this.#fastify = this.#createFastify()
  }

  /** Node's server behind the lane. */
  get nodeServer(): Server {
    return this.#fastify.server
  }

  /**
   * Listens.
   * @throws KairoError `ERR_ADDRESS_IN_USE` when the port is taken, `ERR_CONFIG` when the address cannot be bound.
   */
  async start(): Promise<void> {
    if (this.#status !== 'stopped') {
      throw new KairoError('ERR_STOPPED', `the HTTP server is ${this.#status}`)
    }
    this.#status = 'starting'
    await this.#fastify.ready()
    await this.#listen()
    this.#lane.start()
    this.#status = 'started'
    this.#logger.info({ ...this.address() }, 'the HTTP server listens')
  }

  /** Stops accepting, ends idle connections, lets answers in flight finish for `stopGraceMs`, then cuts them. */
  async stop(): Promise<void> {
    if (this.#status !== 'started') {
      return
    }
    this.#status = 'stopping'
    const server = this.nodeServer
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    this.#lane.beginStop()
    const cancelCut = this.#clock.after(httpLimits.stopGraceMs, () => this.#cut())
    await closed
    cancelCut()
    this.#lane.endStop()
    await this.#fastify.close()
    this.#status = 'stopped'
  }

  /** Where it listens; undefined unless it does. */
  address(): AddressInfo | undefined {
    const address = this.nodeServer.address()
    return address === null || typeof address === 'string' ? undefined : address
  }

  async #listen(): Promise<void> {
    const { host, port } = this.#init
    const server = this.nodeServer
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen({ host, port, backlog: 4096 }, () => {
          server.off('error', reject)
          resolve()
        })
      })
    } catch (error) {
      this.#status = 'stopped'
      throw listenError(error, host, port)
    }
  }

  #createFastify(): FastifyInstance {
    const instance = fastify({
      serverFactory: (handler) => this.#createServer(handler),
      clientErrorHandler: (error, socket) => this.#refuse(error, socket as Socket),
      bodyLimit: httpLimits.bodyBytesMax,
      genReqId: () => randomUUID(),
      frameworkErrors: (error, request, reply) => {
        this.#table.sendError(error, request, reply)
      },
    })
    instance.removeContentTypeParser('text/plain')
    instance.addHook('onRequest', async (request, reply) => {
      reply.headers({
        'x-request-id': request.id,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      })
      if (request.routeOptions.config !== undefined && 'streams' in request.routeOptions.config) {
        return
      }
      this.#limitBody(request.raw)
    })
    instance.addHook('onSend', async (_request, reply) => {
      this.#closeIfStopping(reply.raw)
    })
    instance.addHook('onResponse', async (request, reply) => {
      this.#logger.debug(
        {
          requestId: request.id,
          method: request.method,
          path: pathOf(request.url),
          status: reply.statusCode,
          durationMs: Math.round(reply.elapsedTime),
          address: clientAddressOf(request.raw),
        },
        'answered',
      )
    })
    instance.setErrorHandler((error, request, reply) => {
      this.#table.sendError(error, request, reply)
    })
    instance.setNotFoundHandler((request, reply) => {
      this.#table.sendError(
        new KairoError('ERR_NOT_FOUND', 'there is nothing under this path'),
        request,
        reply,
      )
    })
    this.#table.register(instance)
    this.#streams.register(instance)
    return instance
  }

  /** Node's server, whose fresh connections go to the lane instead of to its own parser. */
  #createServer(handler: (message: IncomingMessage, reply: ServerResponse) => void): Server {
    const server = createServer(
      {
        keepAliveTimeout: httpLimits.keepAliveTimeoutMs,
        headersTimeout: httpLimits.headerTimeoutMs,
        // An upload takes as long as it takes; see #limitBody for all other requests.
        requestTimeout: 0,
        connectionsCheckingInterval: httpLimits.sweepMs,
        maxHeaderSize: httpLimits.headerBytesMax,
        noDelay: true,
        IncomingMessage: ClientMessage,
        // Whatever else is asked for with an Upgrade (h2c, say) is answered as if it were not.
        shouldUpgradeCallback: (message) =>
          this.#upgrades.find(message) !== undefined && this.#init.isRaw?.(message) !== true,
      },
      (message, reply) => {
        if (message.httpVersionMajor !== 1) {
          this.#refuse({ name: '', message: '', code: 'VERSION' }, message.socket)
          return
        }
        if (this.#isTurnedAway(message, reply)) return
        takeOriginForm(message)
        if (this.#init.rawHandler?.(message, reply) === true) {
          this.#closeIfStopping(reply)
          reply.once('finish', () => {
            this.#metrics.fallbackAnswers.inc({ status: String(reply.statusCode) })
          })
        } else if (this.#upgrades.at(message) !== undefined) {
          this.#metrics.fallbackAnswers.inc({ status: '426' })
          requireUpgrade(reply)
        } else if (!this.#fallback.serve(message, reply)) {
          handler(message, reply)
        }
      },
    )
    const parse = server.listeners('connection') as ((socket: Socket) => void)[]
    server.removeAllListeners('connection')
    server.on('connection', (socket: Socket) => this.#lane.accept(socket))
    this.#parse = (socket) => {
      for (const listener of parse) {
        listener.call(server, socket)
      }
    }
    server.maxConnections = httpLimits.connectionsMax
    server.timeout = httpLimits.responseTimeoutMs
    server.on('timeout', (socket: Socket) => this.#stalled(socket))
    server.on('error', (error) => this.#failed(error))
    server.on('drop', () => this.#metrics.dropped.inc())
    server.on('upgrade', (message, socket, head) => this.#upgrade(message, socket, head))
    // Without a listener Node would end the connection without a word.
    server.on('connect', (_message, socket) => {
      this.#refuse({ name: '', message: '', code: 'CONNECT' }, socket as Socket)
    })
    return server
  }

  /** Accepting failed (no file descriptors left); the server goes on, and the next connection may fare better. */
  #failed(error: Error): void {
    if (this.#status === 'started') {
      this.#metrics.acceptFailures.inc()
      this.#logger.error({ err: error }, 'a connection could not be accepted')
    }
  }

  /** Lets an answer that leaves during a stop be the last of its connection. */
  #closeIfStopping(reply: ServerResponse): void {
    if (this.#status === 'stopping') {
      reply.shouldKeepAlive = false
    }
  }

  #handedBytes(): number {
    let bytes = this.#endedBytes
    for (const socket of this.#handed.keys()) bytes += socket.bytesWritten
    return bytes
  }

  /** Gives a connection that left the lane to Node's parser. */
  #takeOver(socket: Socket, pass: ClientPass | undefined): void {
    this.#handed.set(socket, pass)
    socket.once('close', () => {
      this.#handed.delete(socket)
      this.#endedBytes += socket.bytesWritten
      pass?.close()
    })
    this.#parse(socket)
  }

  /** Asks the shelter, and answers a request that it turns away. */
  #isTurnedAway(message: ClientMessage, reply: ServerResponse): boolean {
    const leave = this.#askShelter(message)
    if (typeof leave === 'function') {
      reply.once('close', leave)
      return false
    }
    if (leave === undefined) return false
    this.#metrics.fallbackAnswers.inc({ status: String(leave.status) })
    sendRefusal(reply, leave)
    return true
  }

  /** Leave to answer a request, to be given back when that is done; or what it is told instead. Undefined without a shelter. */
  #askShelter(message: ClientMessage): (() => void) | PreparedResponse | undefined {
    const { socket } = message
    const pass = this.#handed.get(socket)
    if (this.#shelter === undefined || pass === undefined) return undefined
    const remote = socket.remoteAddress ?? ''
    const client = pass.isProxy ? this.#shelter.proxies.clientOf(remote, message.headers) : remote
    message.clientAddress = client
    const leave = this.#shelter.begin(pass, {
      ...{ client, url: message.url ?? '' },
      isOperators: () => this.#admission.isOperators(message),
    })
    if (typeof leave === 'function') return leave
    return leave === 'client' ? tooManyRequests : overloaded
  }

  /** Gives a connection to the protocol that it asks for; the connection goes on counting as its client's. */
  #upgrade(message: ClientMessage, socket: Duplex, head: Buffer): void {
    const leave = this.#askShelter(message)
    if (typeof leave === 'function') leave()
    else if (leave !== undefined) {
      this.#metrics.fallbackAnswers.inc({ status: String(leave.status) })
      refuseUpgrade(socket, refusalBytes(leave))
      return
    }
    if (this.#status !== 'started') {
      refuseUpgrade(socket, lastWords(503, 'ERR_STOPPED', 'the peer is shutting down'))
    } else this.#upgrades.at(message)?.accept({ message, socket, head })
  }

  /** Ends a handed-over connection that moved no byte for too long. */
  #stalled(socket: Socket): void {
    const reason = socket.writableLength > 0 ? 'response-timeout' : 'keep-alive-timeout'
    this.#metrics.ended.inc({ reason })
    socket.destroy()
  }

  /** Ends a request whose body does not come within the time that a whole request has. */
  #limitBody(message: IncomingMessage): void {
    const { 'content-length': length, 'transfer-encoding': encoding } = message.headers
    if (encoding === undefined && Number(length ?? 0) === 0) {
      return
    }
    const cancel = this.#clock.after(httpLimits.requestTimeoutMs, () => {
      if (!message.complete) {
        this.#refuse({ name: '', message: '', code: 'ERR_HTTP_REQUEST_TIMEOUT' }, message.socket)
      }
    })
    message.once('close', cancel)
  }

  /** Answers bytes that are no request, as far as the connection still takes an answer. */
  #refuse(error: NodeJS.ErrnoException, socket: Socket): void {
    if (error.code === 'ECONNRESET' || socket.destroyed) {
      return
    }
    const [reason, status, code, detail] = refusals[error.code ?? ''] ?? refusals.HPE_INVALID
    this.#metrics.ended.inc({ reason })
    if (socket.writable) {
      socket.write(lastWords(status, code, detail))
    }
    socket.destroySoon()
  }

  #cut(): void {
    this.#lane.endStop()
    for (const socket of [...this.#handed.keys()]) {
      this.#metrics.ended.inc({ reason: 'stop' })
      socket.destroy()
    }
  }
}

type Refusal = readonly [reason: EndReason, status: number, code: string, detail: string]

/** What is said to a client whose request Node's parser refuses, by Node's error code. */
const refusals: Readonly<Record<string, Refusal>> & { readonly HPE_INVALID: Refusal } = {
  HPE_HEADER_OVERFLOW: ['header-too-large', 431, 'ERR_LIMIT', 'the request head is too large'],
  ERR_HTTP_REQUEST_TIMEOUT: [
    'header-timeout',
    408,
    'ERR_TIMEOUT',
    'the request did not come in time',
  ],
  VERSION: ['bad-request', 505, 'ERR_PROTOCOL', 'this server speaks HTTP/1.1'],
  CONNECT: ['bad-request', 501, 'ERR_INVALID_INPUT', 'this server makes no tunnels'],
  HPE_INVALID: ['bad-request', 400, 'ERR_PROTOCOL', 'this is not an HTTP request'],
}

function listenError(error: unknown, host: string, port: number): KairoError {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') {
    return new KairoError(
      'ERR_ADDRESS_IN_USE',
      `port ${port} on ${host} is taken by another program; stop that program or choose another port with --http (0 takes a free one)`,
      { cause: error },
    )
  }
  const reason = code === 'EACCES' ? 'ports below 1024 need more rights' : (error as Error).message
  return new KairoError('ERR_CONFIG', `cannot listen on ${host}:${port}: ${reason}`, {
    cause: error,
  })
}
