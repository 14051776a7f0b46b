/**
 * Answers peers by HTTPS. Whoever connects shows a certificate of a peer in the TLS handshake; a connection without one is
 * told 401 and closed, and nothing of it reaches a handler.
 */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Clock } from '../../clock.ts'
import type { HostPort } from '../../config/address.ts'
import { deadline } from '../../deadline.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import { peerHttpLimits } from '../../limits/peer-http.ts'
import type { Logger } from '../../logger.ts'
import type { IncomingPeerRequest, PeerHttpAnswer } from '../peer-http.ts'
import { PerPeerLimit } from '../per-peer-limit.ts'
import { type PeerCertificate, peerIdOfCertificate } from './certificate.ts'
import { TLS_CIPHERS } from './connect-peer.ts'
import { type PeerHandlers, refusal } from './handlers.ts'
import { CODE_FIELD, checkFields, checkRequestLine, contentLength } from './head.ts'
import type { PeerHttpMetrics } from './peer-http-metrics.ts'
import { sendAnswer } from './send-answer.ts'

/** What the server works with. */
export interface HttpsServerComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: PeerHttpMetrics
  readonly handlers: PeerHandlers
}

const EMPTY = new Uint8Array(0)

/** The HTTPS side of the answering. */
export class HttpsServer {
  readonly #components: HttpsServerComponents
  readonly #server: Server
  readonly #peers = new WeakMap<object, string>()
  readonly #connections = new PerPeerLimit({
    totalMax: peerHttpLimits.connectionsMax,
    perPeerMax: peerHttpLimits.connectionsPerPeerMax,
  })
  #open = 0

  constructor(components: HttpsServerComponents, certificate: PeerCertificate) {
    this.#components = components
    this.#server = createServer(
      {
        cert: certificate.certificate,
        key: certificate.key,
        minVersion: 'TLSv1.3',
        ciphers: TLS_CIPHERS,
        honorCipherOrder: true,
        ALPNProtocols: ['http/1.1'],
        requestCert: true,
        // The certificate is no authority's; `#authenticate` judges it.
        rejectUnauthorized: false,
        handshakeTimeout: peerHttpLimits.handshakeMsMax,
        headersTimeout: peerHttpLimits.requestHeadMsMax,
        requestTimeout: peerHttpLimits.requestMsMax,
        keepAliveTimeout: peerHttpLimits.keepAliveMsMax,
        maxHeaderSize: peerHttpLimits.headBytesMax,
        connectionsCheckingInterval: 1_000,
        noDelay: true,
      },
      (message, reply) => void this.#serve(message, reply),
    )
    this.#server.maxConnections = peerHttpLimits.connectionsMax
    this.#server.on('drop', () => components.metrics.limits.inc({ limit: 'connections' }))
    this.#server.on('secureConnection', (socket) => this.#greet(socket))
    this.#server.on('tlsClientError', (error) => {
      components.logger.debug({ err: error }, 'a TLS handshake of a peer failed')
    })
  }

  /** Open connections. */
  get connections(): number {
    return this.#open
  }

  /** The port listened on. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** @throws KairoError `ERR_ADDRESS_IN_USE` when it cannot listen there. */
  async listen({ host, port }: HostPort): Promise<void> {
    try {
      this.#server.listen({ host, port })
      await once(this.#server, 'listening')
    } catch (cause) {
      throw new KairoError('ERR_ADDRESS_IN_USE', `cannot answer peers at ${host}:${port}`, {
        cause,
      })
    }
    this.#server.on('error', (error) => {
      this.#components.logger.error({ err: error }, 'the server for peers failed')
    })
  }

  /** Takes no more; what is being answered gets a moment. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeIdleConnections()
    const cancel = this.#components.clock.after(peerHttpLimits.stopGraceMs, () => {
      this.#server.closeAllConnections()
    })
    await closed
    cancel()
  }

  #greet(socket: TLSSocket): void {
    this.#open += 1
    socket.on('error', (error) => {
      this.#components.logger.debug({ err: error }, 'a connection of a peer broke')
    })
    const peer = this.#authenticate(socket)
    if (peer !== undefined) this.#peers.set(socket, peer)
    socket.once('close', () => {
      this.#open -= 1
      if (peer !== undefined) this.#connections.leave(peer)
    })
  }

  /** The id of the peer at the other end; undefined when it proves none, or has too many connections. */
  #authenticate(socket: TLSSocket): string | undefined {
    const { clock, logger, metrics } = this.#components
    let id: string
    try {
      const der = socket.getPeerX509Certificate()?.raw
      if (der === undefined)
        throw new KairoError('ERR_UNAUTHORIZED', 'no certificate was presented')
      id = peerIdOfCertificate(der, clock.now())
    } catch (error) {
      if (!isKairoError(error)) throw error
      metrics.rejected.inc({ side: 'server' })
      logger.debug({ address: socket.remoteAddress, err: error }, 'a connection without a peer')
      return undefined
    }
    if (this.#connections.enter(id) === undefined) return id
    metrics.limits.inc({ limit: 'peer_connections' })
    socket.destroy()
    return undefined
  }

  async #serve(message: IncomingMessage, reply: ServerResponse): Promise<void> {
    const controller = new AbortController()
    const onGone = (): void => {
      if (!reply.writableFinished)
        controller.abort(new KairoError('ERR_NO_PROVIDER', 'the other peer is gone'))
    }
    reply.on('error', onGone)
    reply.once('close', onGone)
    try {
      const peerId = this.#peers.get(message.socket)
      if (peerId === undefined) return await this.#refuse(reply, 'ERR_UNAUTHORIZED')
      const request = await this.#read(message, peerId)
      await this.#components.handlers.serve('https', request, controller, (answer) =>
        this.#send(reply, answer),
      )
    } catch (error) {
      if (isKairoError(error) && !reply.headersSent) {
        await this.#refuse(reply, error.code).catch(() => reply.destroy())
        return
      }
      // The other side sees the body break off, which is what tells it that the answer is not whole.
      this.#components.logger.debug({ err: error }, 'an answer to a peer broke off')
      reply.destroy()
    }
  }

  async #read(message: IncomingMessage, peerId: string): Promise<IncomingPeerRequest> {
    const pairs = Object.entries(message.headersDistinct).map(
      ([name, values]) => [name, values?.join(', ') ?? ''] as const,
    )
    const headers = checkFields(pairs)
    const method = checkRequestLine(message.method ?? '', message.url ?? '')
    if ((contentLength(headers) ?? 0) > peerHttpLimits.requestBytesMax) throw tooLarge()
    const chunks: Buffer[] = []
    let bytes = 0
    if (!hasBody(message)) return { peerId, method, path: message.url ?? '', headers, body: EMPTY }
    for await (const chunk of message as AsyncIterable<Buffer>) {
      bytes += chunk.byteLength
      if (bytes > peerHttpLimits.requestBytesMax) throw tooLarge()
      chunks.push(chunk)
    }
    return { peerId, method, path: message.url ?? '', headers, body: Buffer.concat(chunks) }
  }

  async #send(reply: ServerResponse, answer: PeerHttpAnswer): Promise<void> {
    const { clock, metrics } = this.#components
    const { promise: broken, reject } = Promise.withResolvers<never>()
    // Most answers end before the connection does, and then nobody waits for this.
    broken.catch(() => {})
    reply.once('close', () => reject(new KairoError('ERR_NO_PROVIDER', 'the other peer is gone')))
    /** Hands bytes on; a connection that closes does not call back. */
    const taken = async (send: (done: (error?: Error | null) => void) => void): Promise<void> => {
      const done = new Promise<void>((resolve, fail) => {
        send((error) => (error === undefined || error === null ? resolve() : fail(error)))
      })
      await Promise.race([done, broken])
    }
    let bytes = 0
    reply.sendDate = false
    // An answer shorter than it says breaks the connection, rather than leave its reader waiting.
    reply.strictContentLength = reply.req.method !== 'HEAD'
    try {
      await sendAnswer({ clock, isHead: reply.req.method === 'HEAD' }, answer, {
        pieceBytesMax: peerHttpLimits.writeBytesMax,
        head: (status, fields) => void reply.writeHead(status, fields),
        write: async (piece) => {
          bytes += piece.byteLength
          await taken((done) => reply.write(piece, done))
        },
        end: async (last) => {
          bytes += last?.byteLength ?? 0
          await taken((done) => reply.end(last, done))
        },
        cut: () => reply.destroy(),
      })
    } finally {
      metrics.bytes.inc({ via: 'https', direction: 'out' }, bytes)
      metrics.sentBytes += bytes
    }
  }

  /** Says why and closes: a peer that is not understood is not listened to any further. */
  async #refuse(reply: ServerResponse, code: Parameters<typeof refusal>[0]): Promise<void> {
    const { clock, metrics } = this.#components
    metrics.answered.inc({ via: 'https', status: 'refused' })
    const limit = deadline(clock, peerHttpLimits.stallMsMax)
    const { status } = refusal(code)
    try {
      const finished = once(reply, 'finish', { signal: limit.signal })
      reply.writeHead(status, { [CODE_FIELD]: code, connection: 'close', 'content-length': 0 })
      reply.end()
      await finished
    } finally {
      limit.clear()
    }
  }
}

/** RFC 9112 6: a request has a body when one of these fields says so. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

function tooLarge(): KairoError {
  return new KairoError(
    'ERR_TOO_LARGE',
    `the body of a request has at most ${peerHttpLimits.requestBytesMax} bytes`,
  )
}
