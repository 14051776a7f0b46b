/**
 * One RTMP connection's protocol, without its socket: bytes go in, answers and an end come out. So a fuzzer or a simulation can
 * drive it in memory.
 */
import assert from 'node:assert/strict'
import type { CancelTimer, Clock } from '../../clock.ts'
import { type ErrorCode, KairoError } from '../../errors.ts'
import { rtmpLimits } from '../../limits.ts'
import type { Logger } from '../../logger.ts'
import type { PublicationSink, Publishing } from '../../media/sink.ts'
import { ChunkReader } from './chunk-reader.ts'
import { ChunkWriter } from './chunk-writer.ts'
import { Commands } from './commands.ts'
import { ServerHandshake } from './handshake.ts'
import { MediaReader } from './media-reader.ts'
import {
  controlMessage,
  controlWord,
  decodeCommand,
  decodeValues,
  isKnownMessageType,
  MESSAGE_TYPE,
  type RtmpMessage,
  splitAggregate,
  statusMessage,
  USER_CONTROL,
  userControlMessage,
} from './message.ts'
import type { RtmpEndReason, RtmpMetrics } from './metrics.ts'

/** What a session needs. */
export interface SessionComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: RtmpMetrics
  readonly publishing: Publishing
}

/** The socket's side of a session. */
export interface SessionPort {
  /** Sends bytes to the client. */
  send(bytes: Buffer): void
  /** Stops calling {@link Session.receive}, because the publisher runs too far ahead of real time. */
  pause(): void
  /** Undoes {@link SessionPort.pause}. */
  resume(): void
  /** The session has ended; called once, after its last {@link SessionPort.send}. */
  close(): void
}

/** Settings of a session. */
export interface SessionInit {
  /** Address and port of the client, for logs. */
  readonly remote: string
  /** Milliseconds of silence after which a publisher's connection ends. */
  readonly readTimeoutMs: number
  /** Milliseconds a client may spend without publishing. */
  readonly handshakeTimeoutMs: number
}

const NO_BYTES: Buffer = Buffer.alloc(0)
const REASONS: Partial<Record<ErrorCode, RtmpEndReason>> = {
  ERR_PROTOCOL: 'protocol',
  ERR_LIMIT: 'limit',
  ERR_STREAM_KEY: 'stream-key',
  ERR_PUBLISHER_ACTIVE: 'publisher-active',
  ERR_UNSUPPORTED_CODEC: 'unsupported-codec',
  ERR_NOT_FOUND: 'refused',
  ERR_FORBIDDEN: 'refused',
  ERR_STOPPED: 'stopped',
}
/** The words that a sink knows for the end of a publication. */
const SINK_REASONS: Partial<Record<RtmpEndReason, string>> = {
  closed: 'closed',
  timeout: 'timeout',
  replaced: 'replaced',
  stopped: 'stopped',
}
/** Ends that are everyday life, not a fault of either side. */
const QUIET_REASONS = new Set<RtmpEndReason>(['closed', 'replaced', 'stopped'])

/** Drives one connection. No method throws on what a client sends: a fault ends the session with a reason. */
export class Session {
  readonly #components: SessionComponents
  readonly #init: SessionInit
  readonly #port: SessionPort
  readonly #logger: Logger
  readonly #handshake = new ServerHandshake()
  readonly #reader = new ChunkReader(rtmpLimits.commandBytesMax)
  readonly #writer = new ChunkWriter()
  readonly #commands: Commands
  #input: Buffer = NO_BYTES
  #offset = 0
  #ended = false
  #media: MediaReader | undefined
  /** Promises of the sink that reading waits for. */
  #waits = 0
  #receivedBytes = 0
  #acknowledgedBytes = 0
  /** Bytes after which the client wants an acknowledgement. */
  #ackWindowBytes: number = rtmpLimits.windowAckBytes
  #announcedWindowBytes: number = rtmpLimits.windowAckBytes
  #activeAtMs = 0
  /** Something other than an answer to our ping came. */
  #active = false
  /** The client has unpublished; many close at once after that, without waiting for our answers. */
  #saidGoodbye = false
  #pingSentMs: number | undefined
  #cancelDeadline: CancelTimer = () => {}
  #cancelPing: CancelTimer = () => {}
  /** Aborted when the session ends, so that nobody waits for its admission any more. */
  #admission: AbortController | undefined

  constructor(components: SessionComponents, init: SessionInit, port: SessionPort) {
    this.#components = components
    this.#init = init
    this.#port = port
    this.#logger = components.logger.child({ remote: init.remote })
    this.#commands = new Commands({
      send: (message) => this.#send(message),
      setSendChunkBytes: (bytes) => this.#writer.setChunkBytes(bytes),
      publish: (streamKey) => this.#publish(streamKey),
      unpublish: () => {
        this.#saidGoodbye = true
        this.#unpublish('closed')
      },
    })
    this.#awaitPublish()
  }

  /** Bytes held for messages that are not complete. */
  get retainedBytes(): number {
    return this.#reader.retainedBytes + this.#input.byteLength - this.#offset
  }

  /** True between an accepted `publish` and its end. */
  get isPublishing(): boolean {
    return this.#media !== undefined
  }

  /** Takes bytes from the client. They must not change any more: what goes on to the sink may be a view of them. */
  receive(data: Buffer): void {
    if (this.#ended) return
    this.#receivedBytes += data.byteLength
    const rest = this.#input.subarray(this.#offset)
    this.#input = rest.byteLength === 0 ? data : Buffer.concat([rest, data])
    this.#offset = 0
    this.#run(() => {
      this.#drain()
      this.#acknowledge()
    })
  }

  /** The socket failed; that is no news when the client had finished. */
  fail(error: unknown): void {
    if (this.#saidGoodbye && this.#media === undefined) {
      this.end('closed', 'the client closed the connection')
    } else {
      this.end('socket', 'the network failed', error)
    }
  }

  /** Ends the session: tells the client and the sink, and closes the port. Later calls do nothing. */
  end(reason: RtmpEndReason, detail: string, cause?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#cancelDeadline()
    this.#admission?.abort(new KairoError('ERR_STOPPED', 'the client has gone'))
    const stream = this.#commands.publishingStream
    if (stream !== undefined && this.#media !== undefined && reason !== 'closed') {
      const level = QUIET_REASONS.has(reason) ? 'status' : 'error'
      const code = level === 'error' ? 'NetStream.Failed' : 'NetStream.Unpublish.Success'
      this.#port.send(this.#writer.encode(statusMessage(stream, level, code, detail)))
    }
    const streamName = this.#media?.sink.streamName
    this.#unpublish(reason)
    this.#input = NO_BYTES
    this.#offset = 0
    this.#components.metrics.disconnects.inc({ reason })
    const level = reason === 'internal' ? 'error' : QUIET_REASONS.has(reason) ? 'info' : 'warn'
    // A client's fault is told by its code and words; a stack trace helps only with the rest.
    const blame = cause instanceof KairoError ? { code: cause.code } : { err: cause }
    const fields = { reason, stream: streamName, ...blame }
    this.#logger[level](fields, `an RTMP connection ended: ${detail}`)
    this.#port.close()
  }

  /** Runs what reacts to input, and turns a failure into the session's end. */
  #run(action: () => void): void {
    try {
      action()
    } catch (error) {
      this.#fail(error, 'an unexpected failure in this peer')
    }
  }

  #fail(error: unknown, unexpected: string): void {
    if (error instanceof KairoError) {
      this.end(REASONS[error.code] ?? 'refused', error.message, error)
    } else {
      this.end('internal', unexpected, error)
    }
  }

  #drain(): void {
    while (!this.#ended && this.#waits === 0) {
      if (!this.#handshake.done) {
        const { used, answer } = this.#handshake.receive(this.#input, this.#offset)
        this.#offset += used
        if (answer !== undefined) this.#port.send(answer)
        if (!this.#handshake.done) return
      }
      this.#offset = this.#reader.read(this.#input, this.#offset)
      const message = this.#reader.take()
      if (message === undefined) {
        this.#input = NO_BYTES
        this.#offset = 0
        break
      }
      this.#dispatch(message)
    }
    // A publisher that only answers pings is silent; one in the middle of a long message is not.
    if (this.#active || this.#reader.retainedBytes > 0) {
      this.#active = false
      this.#activeAtMs = this.#components.clock.monotonicMs()
    }
  }

  #dispatch(message: RtmpMessage): void {
    this.#active ||= message.type !== MESSAGE_TYPE.userControl
    switch (message.type) {
      case MESSAGE_TYPE.video:
        this.#await(this.#media?.video(message))
        break
      case MESSAGE_TYPE.audio:
        this.#await(this.#media?.audio(message))
        break
      case MESSAGE_TYPE.aggregate:
        this.#dispatchAggregate(message)
        break
      case MESSAGE_TYPE.dataAmf0:
      case MESSAGE_TYPE.dataAmf3:
        this.#media?.data(decodeValues(message))
        break
      case MESSAGE_TYPE.commandAmf0:
      case MESSAGE_TYPE.commandAmf3:
        this.#hold(this.#commands.handle(decodeCommand(message), message.streamId))
        break
      default:
        this.#dispatchControl(message)
        break
    }
  }

  #dispatchControl(message: RtmpMessage): void {
    switch (message.type) {
      case MESSAGE_TYPE.setChunkSize:
        this.#reader.setChunkBytes(controlWord(message))
        break
      case MESSAGE_TYPE.abort:
        this.#reader.abort(controlWord(message))
        break
      case MESSAGE_TYPE.userControl:
        this.#userControl(message)
        break
      case MESSAGE_TYPE.windowAckSize:
        // 0 would ask for an acknowledgement of nothing; the window stays as it was.
        this.#ackWindowBytes = controlWord(message) || this.#ackWindowBytes
        break
      case MESSAGE_TYPE.setPeerBandwidth:
        this.#announceWindow(controlWord(message))
        break
      default:
        if (!isKnownMessageType(message.type) && this.#media === undefined) {
          throw new KairoError('ERR_PROTOCOL', `RTMP has no message type ${message.type}`)
        }
        // Acknowledgements and shared objects need nothing; what a publisher adds beyond RTMP is not for this peer.
        break
    }
  }

  #dispatchAggregate(message: RtmpMessage): void {
    for (const part of splitAggregate(message)) {
      if (part.type === MESSAGE_TYPE.aggregate) {
        throw new KairoError('ERR_PROTOCOL', 'an RTMP aggregate holds another one')
      }
      if (this.#ended) return
      this.#dispatch(part)
    }
  }

  #userControl(message: RtmpMessage): void {
    const argument = controlWord(message, 2)
    switch (message.data.readUInt16BE(0)) {
      case USER_CONTROL.pingRequest:
        this.#active = true
        this.#send(userControlMessage(USER_CONTROL.pingResponse, argument))
        break
      case USER_CONTROL.pingResponse:
        this.#pong()
        break
      default:
        this.#active = true
        break
    }
  }

  #pong(): void {
    if (this.#pingSentMs === undefined) return
    const { clock, metrics } = this.#components
    metrics.roundTrip.observe((clock.monotonicMs() - this.#pingSentMs) / 1_000)
    this.#pingSentMs = undefined
  }

  /** Tells the client our window when it limits our output to another than the one announced (5.4.5). */
  #announceWindow(bytes: number): void {
    if (bytes === this.#announcedWindowBytes || bytes === 0) return
    this.#announcedWindowBytes = bytes
    this.#send(controlMessage(MESSAGE_TYPE.windowAckSize, bytes))
  }

  #acknowledge(): void {
    if (this.#receivedBytes - this.#acknowledgedBytes < this.#ackWindowBytes) return
    if (!this.#handshake.done) return
    this.#acknowledgedBytes = this.#receivedBytes
    this.#send(controlMessage(MESSAGE_TYPE.acknowledgement, this.#receivedBytes % 2 ** 32))
  }

  #send(message: RtmpMessage): void {
    if (!this.#ended) this.#port.send(this.#writer.encode(message))
  }

  #publish(streamKey: string): Promise<void> | undefined {
    this.#admission = new AbortController()
    const sink = this.#components.publishing.publish({
      streamKey,
      protocol: 'rtmp',
      remote: this.#init.remote,
      disconnect: (reason) => this.end('replaced', reason),
      signal: this.#admission.signal,
    })
    if (sink instanceof Promise) {
      // The client has done its part.
      this.#cancelDeadline()
      return sink.then((admitted) => this.#begin(admitted))
    }
    this.#begin(sink)
    return undefined
  }

  #begin(sink: PublicationSink): void {
    if (this.#ended) {
      sink.end('closed')
      return
    }
    const { logger, metrics } = this.#components
    const log = logger.child({ remote: this.#init.remote, stream: sink.streamName })
    this.#media = new MediaReader({ logger: log, metrics, sink })
    this.#reader.allowMessages(rtmpLimits.messageBytesMax)
    metrics.publishers.inc()
    this.#activeAtMs = this.#components.clock.monotonicMs()
    this.#cancelDeadline()
    this.#watchSilence(this.#init.readTimeoutMs)
    this.#schedulePing()
    this.#logger.info({ stream: sink.streamName }, 'a publisher has started')
  }

  #unpublish(reason: RtmpEndReason): void {
    const media = this.#media
    if (media === undefined) return
    this.#media = undefined
    this.#reader.allowMessages(rtmpLimits.commandBytesMax)
    this.#cancelDeadline()
    this.#cancelPing()
    this.#components.metrics.publishers.dec()
    media.sink.end(SINK_REASONS[reason] ?? 'error')
    if (!this.#ended) this.#awaitPublish()
  }

  #awaitPublish(): void {
    this.#cancelDeadline = this.#components.clock.after(this.#init.handshakeTimeoutMs, () => {
      const seconds = this.#init.handshakeTimeoutMs / 1_000
      this.end('handshake-timeout', `the client did not publish within ${seconds} s`)
    })
  }

  #watchSilence(delayMs: number): void {
    const { clock } = this.#components
    this.#cancelDeadline = clock.after(delayMs, () => {
      // While reading is paused, the silence is ours.
      if (this.#waits > 0) this.#activeAtMs = clock.monotonicMs()
      const leftMs = this.#activeAtMs + this.#init.readTimeoutMs - clock.monotonicMs()
      if (leftMs > 0) {
        this.#watchSilence(leftMs)
        return
      }
      const seconds = this.#init.readTimeoutMs / 1_000
      this.end('timeout', `the publisher was silent for ${seconds} s`)
    })
  }

  #schedulePing(): void {
    const { clock } = this.#components
    this.#cancelPing = clock.after(rtmpLimits.pingIntervalMs, () => {
      const nowMs = clock.monotonicMs()
      this.#pingSentMs = nowMs
      this.#send(userControlMessage(USER_CONTROL.pingRequest, Math.floor(nowMs) % 2 ** 32))
      this.#schedulePing()
    })
  }

  /** Stops reading until the sink is ready for more. */
  #await(wait: Promise<void> | undefined): void {
    if (wait === undefined) return
    if (this.#waits === 0) this.#components.metrics.paused.inc()
    this.#hold(wait)
  }

  /** Stops reading until something is done; its failure is the session's. */
  #hold(wait: Promise<void> | undefined): void {
    if (wait === undefined) return
    this.#waits += 1
    if (this.#waits === 1) this.#port.pause()
    wait.then(
      () => this.#run(() => this.#proceed()),
      (error: unknown) => this.#fail(error, 'the stream failed in this peer'),
    )
  }

  #proceed(): void {
    assert(this.#waits > 0)
    this.#waits -= 1
    if (this.#waits > 0 || this.#ended) return
    this.#active = true
    this.#drain()
    if (this.#waits === 0 && !this.#ended) this.#port.resume()
  }
}
