/** Answers peers over libp2p streams: one request a stream. */
import { create } from '@bufbuild/protobuf'
import type { Clock } from '../../clock.ts'
import { type ErrorCode, isKairoError, KairoError } from '../../errors.ts'
import { peerHttpLimits } from '../../limits/peer-http.ts'
import type { Logger } from '../../logger.ts'
import {
  PeerHttpChunkSchema,
  PeerHttpEndSchema,
  PeerHttpFailureSchema,
  PeerHttpResponseHeadSchema,
} from '../../protocol/generated/peer-http_pb.js'
import type { IncomingPeerRequest, PeerHttpAnswer } from '../peer-http.ts'
import { HTTP_PROTOCOL } from '../protocols.ts'
import type { PeerStream, Transport } from '../transport.ts'
import { type PeerHandlers, refusal } from './handlers.ts'
import { checkRequestLine } from './head.ts'
import {
  decodeFields,
  encodeFields,
  encodeHttpFrame,
  PEER_HTTP_VERSION,
  readHttpFrames,
} from './http-frames.ts'
import type { PeerHttpMetrics } from './peer-http-metrics.ts'
import { sendAnswer } from './send-answer.ts'

/** What the server works with. */
export interface StreamServerComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: PeerHttpMetrics
  readonly handlers: PeerHandlers
  readonly transport: Transport
}

const END = encodeHttpFrame({ case: 'end', value: create(PeerHttpEndSchema) }, 0)

/** The libp2p side of the answering. */
export class StreamServer {
  readonly #components: StreamServerComponents
  #stopped = false

  constructor(components: StreamServerComponents) {
    this.#components = components
  }

  /** Begins to answer. */
  async start(): Promise<void> {
    await this.#components.transport.handle(HTTP_PROTOCOL, (stream) => this.#serve(stream))
  }

  /** Refuses what still comes. */
  stop(): void {
    this.#stopped = true
  }

  async #serve(stream: PeerStream): Promise<void> {
    let request: IncomingPeerRequest
    try {
      if (this.#stopped) throw new KairoError('ERR_STOPPED', 'the peer is shutting down')
      request = await this.#read(stream)
    } catch (error) {
      if (!isKairoError(error)) throw error
      this.#components.metrics.answered.inc({ via: 'stream', status: 'refused' })
      this.#components.logger.debug(
        { peer: stream.remotePeer, err: error },
        'a request of a peer was not understood',
      )
      await this.#send(stream, refusal(error.code), undefined)
      return
    }
    const controller = new AbortController()
    void watchLeaving(stream, controller)
    await this.#components.handlers.serve('stream', request, controller, (answer) =>
      this.#send(stream, answer, { method: request.method, signal: controller.signal }),
    )
  }

  async #read(stream: PeerStream): Promise<IncomingPeerRequest> {
    const cancel = this.#components.clock.after(peerHttpLimits.requestHeadMsMax, () => {
      stream.abort(new KairoError('ERR_TIMEOUT', 'no request came'))
    })
    try {
      // Not `for await`: the stream is read on after the request, to see whether the asker stays.
      const frames = readHttpFrames(stream, peerHttpLimits.requestBytesMax)
      const { done, value: frame } = await frames.next()
      if (done === true || frame.header.body.case !== 'request') {
        throw new KairoError('ERR_PROTOCOL', 'a stream begins with a request')
      }
      const { version, method, path, fields } = frame.header.body.value
      if (version !== PEER_HTTP_VERSION) {
        throw new KairoError('ERR_PROTOCOL', `version ${version} is not spoken here`)
      }
      return {
        peerId: stream.remotePeer,
        method: checkRequestLine(method, path),
        path,
        headers: decodeFields(fields),
        body: frame.payload,
      }
    } finally {
      cancel()
    }
  }

  async #send(
    stream: PeerStream,
    answer: PeerHttpAnswer,
    asked:
      | { readonly method: IncomingPeerRequest['method']; readonly signal: AbortSignal }
      | undefined,
  ): Promise<void> {
    const { clock, metrics, logger } = this.#components
    try {
      await sendAnswer({ clock, isHead: asked?.method === 'HEAD' }, answer, {
        pieceBytesMax: peerHttpLimits.chunkBytesMax,
        head: async (status, fields) => {
          const value = create(PeerHttpResponseHeadSchema, { status, fields: encodeFields(fields) })
          await stream.write(encodeHttpFrame({ case: 'response', value }, 0))
        },
        write: async (piece) => {
          const value = create(PeerHttpChunkSchema)
          const header = encodeHttpFrame({ case: 'chunk', value }, piece.byteLength)
          metrics.bytes.inc({ via: 'stream', direction: 'out' }, piece.byteLength)
          metrics.sentBytes += piece.byteLength
          await Promise.all([stream.write(header), stream.write(piece)])
        },
        end: async (last) => {
          const value = create(PeerHttpChunkSchema)
          if (last !== undefined) {
            metrics.bytes.inc({ via: 'stream', direction: 'out' }, last.byteLength)
            metrics.sentBytes += last.byteLength
            const header = encodeHttpFrame({ case: 'chunk', value }, last.byteLength)
            await Promise.all([stream.write(header), stream.write(last), stream.write(END)])
          } else await stream.write(END)
          await stream.close()
        },
        cut: (reason) => stream.abort(reason),
      })
    } catch (error) {
      const code: ErrorCode = isKairoError(error) ? error.code : 'ERR_NO_PROVIDER'
      logger.debug({ peer: stream.remotePeer, err: error }, 'an answer to a peer broke off')
      if (asked?.signal.aborted !== true) await this.#breakOff(stream, code)
      stream.abort(error instanceof Error ? error : new Error(String(error)))
    }
  }

  /** Says that the answer is not whole; a stream that is broken already says it by itself. */
  async #breakOff(stream: PeerStream, code: ErrorCode): Promise<void> {
    const value = create(PeerHttpFailureSchema, { code })
    const cancel = this.#components.clock.after(peerHttpLimits.stopGraceMs, () => {
      stream.abort(new KairoError('ERR_TIMEOUT', 'the other peer takes nothing'))
    })
    try {
      await stream.write(encodeHttpFrame({ case: 'failure', value }, 0))
      await stream.close()
    } catch (error) {
      this.#components.logger.debug({ err: error }, 'a broken answer could not be marked so')
    } finally {
      cancel()
    }
  }
}

/** The asker keeps its half open for as long as it wants the answer; whatever it still sends is dropped. */
async function watchLeaving(stream: PeerStream, controller: AbortController): Promise<void> {
  const chunks = stream.incoming[Symbol.asyncIterator]()
  try {
    while ((await chunks.next()).done !== true);
    controller.abort(new KairoError('ERR_NO_PROVIDER', 'the other peer is gone'))
  } catch (error) {
    controller.abort(error)
  }
}
