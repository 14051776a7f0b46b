/**
 * Requests between peers: HTTPS first, with certificates bound to their libp2p identities, and libp2p streams where HTTPS does
 * not reach. The same handlers answer both.
 */
import { strict as assert } from 'node:assert'
import { createSecureContext } from 'node:tls'
import type { PrivateKey } from '@libp2p/interface'
import type { Registry } from 'prom-client'
import type { Clock } from '../../clock.ts'
import type { HostPort } from '../../config/address.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import { peerHttpLimits } from '../../limits/peer-http.ts'
import type { Logger } from '../../logger.ts'
import type { PeerHttp, PeerHttpHandler, PeerHttpRequest, PeerHttpResponse } from '../peer-http.ts'
import type { Transport } from '../transport.ts'
import { createCertificate } from './certificate.ts'
import { PeerConnectError, TLS_CIPHERS } from './connect-peer.ts'
import { PeerHandlers } from './handlers.ts'
import { checkFields, checkRequestLine } from './head.ts'
import { HttpsClient } from './https-client.ts'
import { HttpsServer } from './https-server.ts'
import { PeerHttpMetrics, type PeerHttpVia } from './peer-http-metrics.ts'
import { StreamClient } from './stream-client.ts'
import { StreamServer } from './stream-server.ts'
import { type PeerEndpoint, UnreachablePeers } from './unreachable-peers.ts'

/** What it works with. */
export interface PeerHttpsComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly transport: Transport
  /** Where a peer says that it is reached by HTTPS; undefined when it is not known. Called for each request. */
  readonly endpointsOf: (peerId: string) => PeerEndpoint | undefined
}

/** How it is set up. */
export interface PeerHttpsInit {
  /** The peer's identity, which vouches for its certificate. Without it everything goes over libp2p streams. */
  readonly privateKey?: PrivateKey
  /** Where to answer HTTPS; port 0 takes a free one. Without it this peer only asks by HTTPS. */
  readonly listen?: HostPort
}

/** Asks and answers peers. Handlers are added before {@link PeerHttps.start}, requests work between it and {@link PeerHttps.stop}. */
export class PeerHttps implements PeerHttp {
  readonly #components: PeerHttpsComponents
  readonly #init: PeerHttpsInit
  readonly #logger: Logger
  readonly #metrics: PeerHttpMetrics
  readonly #handlers: PeerHandlers
  readonly #streamServer: StreamServer
  readonly #streamClient: StreamClient
  readonly #unreachable: UnreachablePeers
  #stopped = false
  #server: HttpsServer | undefined
  #client: HttpsClient | undefined
  #certificateDigest = ''

  constructor(components: PeerHttpsComponents, init: PeerHttpsInit) {
    const { clock, registry, transport } = components
    this.#components = components
    this.#init = init
    this.#logger = components.logger.child({ name: 'kairo:peer-http' })
    this.#metrics = new PeerHttpMetrics(registry, () => this.#server?.connections ?? 0)
    const base = { clock, logger: this.#logger, metrics: this.#metrics }
    this.#handlers = new PeerHandlers(base)
    this.#streamServer = new StreamServer({ ...base, handlers: this.#handlers, transport })
    this.#streamClient = new StreamClient({ ...base, transport })
    this.#unreachable = new UnreachablePeers(clock)
  }

  /** The port where HTTPS is answered; undefined before the start and when it is not. */
  get port(): number | undefined {
    return this.#server?.port
  }

  /** Bytes of answers to other peers so far. */
  get sentBytes(): number {
    return this.#metrics.sentBytes
  }

  /** Hex SHA-256 of this peer's certificate, for its advert; empty when it does not answer HTTPS. */
  get certificateDigest(): string {
    return this.#server === undefined ? '' : this.#certificateDigest
  }

  /**
   * Makes a new certificate, listens, and answers streams; the host is running.
   * @throws KairoError `ERR_ADDRESS_IN_USE`.
   */
  async start(): Promise<void> {
    const { privateKey, listen } = this.#init
    const base = { clock: this.#components.clock, logger: this.#logger, metrics: this.#metrics }
    if (privateKey !== undefined) {
      const certificate = await createCertificate(privateKey)
      const context = createSecureContext({
        cert: certificate.certificate,
        key: certificate.key,
        minVersion: 'TLSv1.3',
        ciphers: TLS_CIPHERS,
      })
      this.#client = new HttpsClient({
        ...base,
        context,
        onUnreachable: (peerId, endpoint) => this.#unreachable.add(peerId, endpoint),
      })
      if (listen !== undefined) {
        const server = new HttpsServer({ ...base, handlers: this.#handlers }, certificate)
        await server.listen(listen)
        this.#server = server
        this.#certificateDigest = certificate.digest
        this.#logger.info({ host: listen.host, port: server.port }, 'answering peers by HTTPS')
      }
    }
    await this.#streamServer.start()
  }

  /** Takes no more requests, gives answers under way a moment, and closes every HTTPS connection; streams end with the host. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#streamServer.stop()
    const server = this.#server
    this.#server = undefined
    await server?.stop()
    this.#client?.stop()
  }

  handle(prefix: string, handler: PeerHttpHandler): void {
    this.#handlers.add(prefix, handler)
  }

  async request(
    peerId: string,
    request: PeerHttpRequest,
    options: { readonly signal: AbortSignal },
  ): Promise<PeerHttpResponse> {
    const checked = checkRequest(request)
    const { signal } = options
    if (this.#stopped) throw new KairoError('ERR_STOPPED', 'the peer is shutting down')
    const endpoint = this.#components.endpointsOf(peerId)
    const client = this.#client
    if (client === undefined || endpoint === undefined || endpoint.addresses.length === 0) {
      return await this.#overStream(peerId, checked, signal)
    }
    if (this.#unreachable.has(peerId, endpoint))
      return await this.#fallBack(peerId, checked, signal)
    try {
      return await this.#counted('https', client.request(peerId, endpoint, checked, signal))
    } catch (error) {
      if (!(error instanceof PeerConnectError) || signal.aborted) throw error
      this.#logger.debug(
        { peer: peerId, err: error },
        'HTTPS does not reach a peer; asking by libp2p',
      )
      return await this.#afterConnectError(peerId, checked, signal, error)
    }
  }

  /** Nothing was sent yet. Where the stream fails too, that somebody else answered is the more telling error. */
  async #afterConnectError(
    peerId: string,
    request: PeerHttpRequest,
    signal: AbortSignal,
    connectError: PeerConnectError,
  ): Promise<PeerHttpResponse> {
    try {
      return await this.#fallBack(peerId, request, signal)
    } catch (error) {
      const isUnreachable = isKairoError(error, 'ERR_NO_PROVIDER')
      throw isUnreachable && connectError.code === 'ERR_VERIFICATION' ? connectError : error
    }
  }

  async #fallBack(
    peerId: string,
    request: PeerHttpRequest,
    signal: AbortSignal,
  ): Promise<PeerHttpResponse> {
    this.#metrics.fallbacks.inc()
    return await this.#overStream(peerId, request, signal)
  }

  async #overStream(
    peerId: string,
    request: PeerHttpRequest,
    signal: AbortSignal,
  ): Promise<PeerHttpResponse> {
    return await this.#counted('stream', this.#streamClient.request(peerId, request, signal))
  }

  async #counted(via: PeerHttpVia, answer: Promise<PeerHttpResponse>): Promise<PeerHttpResponse> {
    try {
      const response = await answer
      this.#metrics.asked.inc({ via, outcome: 'ok' })
      return response
    } catch (error) {
      const code = isKairoError(error) ? error.code : 'ERR_NO_PROVIDER'
      this.#metrics.asked.inc({ via, outcome: code })
      if (code === 'ERR_LIMIT') this.#metrics.limits.inc({ limit: 'asked' })
      throw error
    }
  }
}

/** @throws KairoError `ERR_INVALID_INPUT`, `ERR_LIMIT`, `ERR_TOO_LARGE`. */
function checkRequest(request: PeerHttpRequest): PeerHttpRequest {
  const { method, path, headers = {}, body } = request
  assert(method === 'POST' || body === undefined, 'only POST has a body')
  checkRequestLine(method, path)
  if (path.length > peerHttpLimits.headBytesMax) {
    throw new KairoError('ERR_LIMIT', 'the path of a request is too long')
  }
  if (body !== undefined && body.byteLength > peerHttpLimits.requestBytesMax) {
    throw new KairoError('ERR_TOO_LARGE', 'the body of a request is too large')
  }
  return { ...request, headers: checkFields(Object.entries(headers)) }
}
