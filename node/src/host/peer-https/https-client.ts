/** Asks peers by HTTPS over kept connections. */
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { abortReason } from '../../deadline.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import { peerHttpLimits } from '../../limits/peer-http.ts'
import type { PeerHttpRequest, PeerHttpResponse } from '../peer-http.ts'
import { BodyQueue } from './body-queue.ts'
import type { ConnectPeerComponents } from './connect-peer.ts'
import { checkFields } from './head.ts'
import { PeerAgent, type PeerRequestOptions } from './peer-agent.ts'
import { PeerTurns } from './peer-turns.ts'
import type { PeerEndpoint } from './unreachable-peers.ts'

/** What the client works with. */
export type HttpsClientComponents = ConnectPeerComponents

/** A request that met a connection which the other side had just closed may go out once more: nobody has seen it. */
class StaleSocketError extends Error {}

/** One agent for all peers. */
export class HttpsClient {
  readonly #components: HttpsClientComponents
  readonly #agent: PeerAgent
  #stopped = false
  readonly #turns = new PeerTurns({
    atOnceMax: peerHttpLimits.requestsPerPeerMax,
    waitingMax: peerHttpLimits.waitingPerPeerMax,
    peersMax: peerHttpLimits.askedPeersMax,
  })

  constructor(components: HttpsClientComponents) {
    this.#components = components
    this.#agent = new PeerAgent(components)
  }

  /** Closes every connection; requests under way fail. */
  stop(): void {
    this.#stopped = true
    this.#agent.destroy()
  }

  /**
   * Asks a peer at its endpoint; resolves with the head of its answer.
   * @throws PeerConnectError when no connection came about; KairoError as `PeerHttp.request` else.
   */
  async request(
    peerId: string,
    endpoint: PeerEndpoint,
    request: PeerHttpRequest,
    signal: AbortSignal,
  ): Promise<PeerHttpResponse> {
    const leave = await this.#turns.take(peerId, signal)
    const options: PeerRequestOptions = {
      agent: this.#agent,
      peerId,
      endpoint,
      method: request.method,
      path: request.path,
      headers: this.#headersOf(peerId, request),
      maxHeaderSize: peerHttpLimits.headBytesMax,
    }
    try {
      return await this.#ask(options, request, signal, leave)
    } catch (error) {
      if (!(error instanceof StaleSocketError)) throw error
      const again = await this.#turns.take(peerId, signal)
      return await this.#ask(options, request, signal, again)
    }
  }

  #headersOf(peerId: string, { body, headers = {} }: PeerHttpRequest): Record<string, string> {
    const fields: Record<string, string> = { ...headers, host: peerId }
    if (body !== undefined) fields['content-length'] = String(body.byteLength)
    return fields
  }

  /** One exchange; calls `done` when its connection is free again or gone. */
  async #ask(
    options: PeerRequestOptions,
    { method, body }: PeerHttpRequest,
    signal: AbortSignal,
    done: () => void,
  ): Promise<PeerHttpResponse> {
    if (this.#stopped) {
      done()
      throw new KairoError('ERR_STOPPED', 'the peer is shutting down')
    }
    const { promise, resolve, reject } = Promise.withResolvers<PeerHttpResponse>()
    let queue: BodyQueue | undefined
    let isWhole = (): boolean => false
    const message = httpsRequest(options)
    const fail = (error: Error): void => {
      const reason = signal.aborted ? abortReason(signal) : failureOf(error)
      const isStale = message.reusedSocket && method !== 'POST' && queue === undefined
      reject(isStale && isReset(error) && !signal.aborted ? new StaleSocketError() : reason)
      queue?.fail(reason)
    }
    const onAbort = (): void => {
      fail(abortReason(signal))
      message.destroy()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    message.on('error', fail)
    message.on('close', () => {
      signal.removeEventListener('abort', onAbort)
      // A whole answer may still wait for its reader when the other side closes the connection behind it.
      if (!isWhole()) fail(new KairoError('ERR_NO_PROVIDER', 'the connection closed'))
      done()
    })
    message.on('response', (answer) => {
      isWhole = () => answer.complete
      queue = this.#bodyOf(answer, fail)
      try {
        resolve({ status: answer.statusCode ?? 0, headers: fieldsOf(answer), body: queue })
      } catch (error) {
        fail(error as Error)
        message.destroy()
      }
    })
    message.end(body)
    if (signal.aborted) onAbort()
    return await promise
  }

  #bodyOf(answer: IncomingMessage, fail: (error: Error) => void): BodyQueue {
    const { clock, metrics } = this.#components
    const queue = new BodyQueue(clock, {
      resume: () => answer.resume(),
      cancel: (reason) => answer.destroy(reason),
    })
    let bytes = 0
    answer.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength
      if (!queue.push(chunk)) answer.pause()
    })
    answer.on('end', () => queue.end())
    answer.on('error', fail)
    answer.on('close', () => metrics.bytes.inc({ via: 'https', direction: 'in' }, bytes))
    return queue
  }
}

/** @throws KairoError `ERR_PROTOCOL` for fields that peers do not send. */
function fieldsOf(answer: IncomingMessage): Record<string, string> {
  const pairs: [string, string][] = []
  const raw = answer.rawHeaders
  for (let index = 0; index + 1 < raw.length; index += 2) {
    pairs.push([(raw[index] ?? '').toLowerCase(), raw[index + 1] ?? ''])
  }
  try {
    return checkFields(pairs)
  } catch (cause) {
    throw new KairoError('ERR_PROTOCOL', 'the head of an answer is malformed', { cause })
  }
}

function failureOf(error: Error): KairoError {
  if (isKairoError(error)) return error
  return new KairoError('ERR_NO_PROVIDER', `the exchange broke: ${error.message}`, { cause: error })
}

function isReset(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ECONNRESET' || code === 'EPIPE'
}
