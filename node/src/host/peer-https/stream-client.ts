/** Asks peers over libp2p streams: one request a stream, a few at once on the connection that they share. */
import { strict as assert } from 'node:assert'
import { create } from '@bufbuild/protobuf'
import type { Clock } from '../../clock.ts'
import { abortReason } from '../../deadline.ts'
import { type ErrorCode, errorStatus, isKairoError, KairoError } from '../../errors.ts'
import { peerHttpLimits } from '../../limits/peer-http.ts'
import type { Frame } from '../../protocol/frame-codec.ts'
import {
  type PeerHttpFrame,
  PeerHttpRequestHeadSchema,
} from '../../protocol/generated/peer-http_pb.js'
import type { PeerHttpRequest, PeerHttpResponse } from '../peer-http.ts'
import { HTTP_PROTOCOL } from '../protocols.ts'
import type { PeerStream, Transport } from '../transport.ts'
import { contentLength } from './head.ts'
import {
  decodeFields,
  encodeFields,
  encodeHttpFrame,
  PEER_HTTP_VERSION,
  readHttpFrames,
} from './http-frames.ts'
import type { PeerHttpMetrics } from './peer-http-metrics.ts'
import { PeerTurns } from './peer-turns.ts'

/** What the client works with. */
export interface StreamClientComponents {
  readonly clock: Clock
  readonly metrics: PeerHttpMetrics
  readonly transport: Transport
}

/** The libp2p side of the asking. */
export class StreamClient {
  readonly #components: StreamClientComponents
  readonly #turns = new PeerTurns({
    atOnceMax: peerHttpLimits.streamsPerPeerMax,
    waitingMax: peerHttpLimits.waitingPerPeerMax,
    peersMax: peerHttpLimits.askedPeersMax,
  })

  constructor(components: StreamClientComponents) {
    this.#components = components
  }

  /** Asks a peer; resolves with the head of its answer. @throws KairoError as `PeerHttp.request`. */
  async request(
    peerId: string,
    request: PeerHttpRequest,
    signal: AbortSignal,
  ): Promise<PeerHttpResponse> {
    const leave = await this.#turns.take(peerId, signal)
    const exchange = new Exchange(this.#components, signal, leave)
    try {
      const stream = await this.#components.transport.open(peerId, HTTP_PROTOCOL, { signal })
      return await exchange.begin(stream, request)
    } catch (error) {
      throw exchange.end(error)
    }
  }
}

/** One request and its answer. */
class Exchange {
  readonly #components: StreamClientComponents
  readonly #signal: AbortSignal
  readonly #leave: () => void
  readonly #onAbort = (): void => {
    this.end(this.#signal.reason)
  }
  #stream: PeerStream | undefined

  constructor(components: StreamClientComponents, signal: AbortSignal, leave: () => void) {
    this.#components = components
    this.#signal = signal
    this.#leave = leave
  }

  async begin(stream: PeerStream, request: PeerHttpRequest): Promise<PeerHttpResponse> {
    this.#stream = stream
    if (this.#signal.aborted) throw abortReason(this.#signal)
    this.#signal.addEventListener('abort', this.#onAbort, { once: true })
    await send(stream, request)
    const frames = readHttpFrames(stream, peerHttpLimits.chunkBytesMax)
    const { done, value: frame } = await frames.next()
    if (done === true) throw broken('the stream ended before an answer')
    if (frame.header.body.case === 'failure') throw failure(frame.header.body.value.code)
    if (frame.header.body.case !== 'response') throw broken('an answer begins with its head')
    const { status, fields } = frame.header.body.value
    const headers = decodeFields(fields)
    const bytes = request.method === 'HEAD' ? 0 : contentLength(headers)
    const body = this.#body(frames, bytes)
    if (bytes !== 0) return { status, headers, body }
    // Who asks for no body need not read one: the stream is over here and now.
    for await (const chunk of body) assert.equal(chunk.byteLength, 0)
    return { status, headers, body: nothing() }
  }

  /** Ends the exchange; the error as its caller sees it. */
  end(cause: unknown): KairoError {
    this.#signal.removeEventListener('abort', this.#onAbort)
    const reason = this.#signal.aborted ? abortReason(this.#signal) : asKairoError(cause)
    this.#stream?.abort(reason)
    this.#leave()
    return reason
  }

  async *#body(
    frames: AsyncGenerator<Frame<PeerHttpFrame>>,
    bytes: number | undefined,
  ): AsyncGenerator<Uint8Array> {
    let rest = bytes
    let isWhole = false
    try {
      for (;;) {
        const frame = await this.#next(frames)
        const { body } = frame.header
        if (body.case === 'end') break
        if (body.case === 'failure') throw failure(body.value.code)
        if (body.case !== 'chunk') throw broken('a body consists of chunks')
        this.#components.metrics.bytes.inc(
          { via: 'stream', direction: 'in' },
          frame.payload.byteLength,
        )
        if (rest !== undefined) rest -= frame.payload.byteLength
        if (rest !== undefined && rest < 0) throw broken('a body is longer than it was said to be')
        yield frame.payload
      }
      if (rest !== undefined && rest > 0) throw broken('a body is shorter than it was said to be')
      isWhole = true
    } catch (error) {
      throw this.end(error)
    } finally {
      if (isWhole) await this.#finish()
      else this.end(new KairoError('ERR_STOPPED', 'the answer was not read to its end'))
    }
  }

  async #next(frames: AsyncGenerator<Frame<PeerHttpFrame>>): Promise<Frame<PeerHttpFrame>> {
    const cancel = this.#components.clock.after(peerHttpLimits.stallMsMax, () => {
      this.#stream?.abort(
        new KairoError('ERR_TIMEOUT', 'the other peer stopped in the middle of an answer'),
      )
    })
    try {
      const { done, value } = await frames.next()
      if (done === true) throw broken('the answer breaks off')
      return value
    } finally {
      cancel()
    }
  }

  async #finish(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#leave()
    try {
      await this.#stream?.close()
    } catch {
      // The answer is here, whole; how the stream ends after it does not matter.
    }
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

async function send(stream: PeerStream, request: PeerHttpRequest): Promise<void> {
  const { method, path, headers = {}, body } = request
  const value = create(PeerHttpRequestHeadSchema, {
    version: PEER_HTTP_VERSION,
    method,
    path,
    fields: encodeFields(headers),
  })
  const header = encodeHttpFrame({ case: 'request', value }, body?.byteLength ?? 0)
  await stream.write(body === undefined ? header : Buffer.concat([header, body]))
}

function broken(message: string): KairoError {
  return new KairoError('ERR_NO_PROVIDER', message)
}

/** What the other side says of itself is its word only: a code that is none of ours is no code. */
function failure(code: string): KairoError {
  const known = code in errorStatus ? (code as ErrorCode) : 'ERR_NO_PROVIDER'
  return new KairoError('ERR_NO_PROVIDER', `the other peer broke its answer off: ${known}`)
}

function asKairoError(cause: unknown): KairoError {
  if (isKairoError(cause)) return cause
  return new KairoError('ERR_NO_PROVIDER', 'the exchange with a peer broke', { cause })
}
