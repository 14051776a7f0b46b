/**
 * The RTMP server: takes H.264 and AAC from OBS, FFmpeg and other encoders at `rtmp://host:port/live/<stream key>`.
 */
import assert from 'node:assert/strict'
import { createServer, type Server, type Socket } from 'node:net'
import type { Registry } from 'prom-client'
import type { Clock } from '../../clock.ts'
import { KairoError } from '../../errors.ts'
import { rtmpLimits } from '../../limits.ts'
import type { Logger } from '../../logger.ts'
import type { Publishing } from '../../media/sink.ts'
import { Connection } from './connection.ts'
import { createRtmpMetrics, type RtmpMetrics } from './metrics.ts'

/** What the RTMP server needs. */
export interface RtmpServerComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly publishing: Publishing
}

/** Settings of the RTMP server. */
export interface RtmpServerInit {
  /** Address to listen on. */
  readonly host: string
  /** TCP port; 0 takes a free one. */
  readonly port: number
  /** Silence in milliseconds after which a publisher's connection ends; default `rtmpLimits.readTimeoutMs`. */
  readonly readTimeoutMs?: number
  /** Milliseconds a client may spend without publishing; default `rtmpLimits.handshakeTimeoutMs`. */
  readonly handshakeTimeoutMs?: number
  /** Connections at once; default `rtmpLimits.connectionsMax`. */
  readonly connectionsMax?: number
}

/** Accepts publishers over RTMP. */
export class RtmpServer {
  readonly #components: RtmpServerComponents
  readonly #init: RtmpServerInit
  readonly #logger: Logger
  readonly #metrics: RtmpMetrics
  readonly #server: Server
  readonly #connections = new Set<Connection>()
  #status: 'stopped' | 'started' = 'stopped'

  constructor(components: RtmpServerComponents, init: RtmpServerInit) {
    this.#components = components
    this.#init = init
    this.#logger = components.logger.child({ name: 'kairo:rtmp' })
    this.#metrics = createRtmpMetrics(components.registry)
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket))
  }

  /**
   * Listens.
   * @throws KairoError `ERR_ADDRESS_IN_USE` when the port is taken, `ERR_CONFIG` when the address cannot be used.
   */
  async start(): Promise<void> {
    assert(this.#status === 'stopped', 'the RTMP server runs already')
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.once('error', reject)
    this.#server.listen(this.#init.port, this.#init.host, resolve)
    try {
      await promise
    } catch (cause) {
      throw listenError(this.#init, cause)
    }
    this.#server.off('error', reject)
    this.#server.on('error', (error) => {
      this.#logger.error({ err: error }, 'the RTMP server cannot accept connections')
    })
    this.#status = 'started'
    this.#logger.info(this.address(), 'RTMP is listening')
  }

  /** Ends every connection with a status, and stops listening; takes at most about `rtmpLimits.closeGraceMs`. */
  async stop(): Promise<void> {
    if (this.#status === 'stopped') return
    this.#status = 'stopped'
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    await Promise.all([...this.#connections].map((connection) => connection.stop()))
    await promise
  }

  /** Where the server listens. */
  address(): { readonly host: string; readonly port: number } {
    const address = this.#server.address()
    assert(address !== null && typeof address === 'object', 'the RTMP server does not listen')
    return { host: address.address, port: address.port }
  }

  #accept(socket: Socket): void {
    const connectionsMax = this.#init.connectionsMax ?? rtmpLimits.connectionsMax
    const remote = `${socket.remoteAddress}:${socket.remotePort}`
    if (this.#connections.size >= connectionsMax && !this.#makeRoom()) {
      this.#metrics.disconnects.inc({ reason: 'limit' })
      this.#logger.warn({ remote, connectionsMax }, 'an RTMP connection was refused: too many')
      socket.destroy()
      return
    }
    this.#metrics.accepted.inc()
    const connection = new Connection(
      {
        clock: this.#components.clock,
        logger: this.#logger,
        metrics: this.#metrics,
        publishing: this.#components.publishing,
      },
      {
        remote,
        readTimeoutMs: this.#init.readTimeoutMs ?? rtmpLimits.readTimeoutMs,
        handshakeTimeoutMs: this.#init.handshakeTimeoutMs ?? rtmpLimits.handshakeTimeoutMs,
      },
      socket,
    )
    this.#connections.add(connection)
    this.#metrics.connections.set(this.#connections.size)
    connection.closed.then(
      () => {
        this.#connections.delete(connection)
        this.#metrics.connections.set(this.#connections.size)
      },
      (error: unknown) => this.#logger.error({ err: error }, 'an RTMP connection did not close'),
    )
  }

  /**
   * Ends the connection that has waited longest without publishing. A client that means it publishes within moments, so a
   * scanner that opens connections and says nothing keeps nobody out.
   */
  #makeRoom(): boolean {
    for (const connection of this.#connections) {
      if (connection.isPublishing) continue
      this.#connections.delete(connection)
      connection.giveWay()
      return true
    }
    return false
  }
}

function listenError(init: RtmpServerInit, cause: unknown): KairoError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  const where = `port ${init.port} on ${init.host}`
  if (code === 'EADDRINUSE') {
    return new KairoError(
      'ERR_ADDRESS_IN_USE',
      `RTMP cannot listen: ${where} is taken by another program. Stop that program, or choose another port with --rtmp ${init.host}:<port> (0 takes a free one).`,
      { cause },
    )
  }
  return new KairoError('ERR_CONFIG', `RTMP cannot listen on ${where}: ${String(cause)}`, { cause })
}
