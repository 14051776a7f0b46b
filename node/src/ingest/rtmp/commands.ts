/**
 * The commands of one connection (Adobe RTMP 1.0 section 7.2): a small state machine from `connect` to `publish` and back.
 * This server takes publishers only, so `play` is refused in words.
 */
import { KairoError } from '../../errors.ts'
import { rtmpLimits } from '../../limits.ts'
import type { AmfValue } from './amf-value.ts'
import { answerConnect, requireLiveApplication, streamKeyOf } from './connect.ts'
import {
  commandMessage,
  controlMessage,
  MESSAGE_TYPE,
  peerBandwidthMessage,
  type RtmpCommand,
  type RtmpMessage,
  statusMessage,
  USER_CONTROL,
  userControlMessage,
} from './message.ts'

/** What commands do to the session around them. */
export interface CommandPort {
  send(message: RtmpMessage): void
  /** Chunk size of all that is sent after this. */
  setSendChunkBytes(bytes: number): void
  /** Asks for the right to publish, a promise where others are asked; throws as {@link Publishing.publish} does. */
  publish(streamKey: string): Promise<void> | undefined
  /** The client no longer publishes. */
  unpublish(): void
}

/** Status code and words for a refused `publish`. */
const PUBLISH_REFUSALS: Readonly<Record<string, string>> = {
  ERR_PUBLISHER_ACTIVE: 'NetStream.Publish.BadName',
  ERR_STREAM_KEY: 'NetStream.Publish.Denied',
}

/** Handles one connection's commands. */
export class Commands {
  readonly #port: CommandPort
  #connected = false
  readonly #streams = new Set<number>()
  #nextStream = 1
  #publishing: number | undefined
  /** A publish is not answered yet. */
  #isAsking = false

  constructor(port: CommandPort) {
    this.#port = port
  }

  /** The message stream that publishes, or undefined. */
  get publishingStream(): number | undefined {
    return this.#publishing
  }

  /**
   * Carries out one command and answers it; a promise where the answer takes time, and the next message waits for it.
   * @throws KairoError when the connection must end; the client has then been told.
   */
  handle(command: RtmpCommand, streamId: number): Promise<void> | undefined {
    if (!this.#connected && command.name !== 'connect') {
      throw new KairoError('ERR_PROTOCOL', 'an RTMP command came before connect')
    }
    switch (command.name) {
      case 'connect':
        this.#connect(command)
        break
      case 'createStream':
        this.#createStream(command)
        break
      case 'publish':
        return this.#publish(command, streamId)
      case 'FCPublish':
        this.#announcePublish(command)
        break
      case 'FCUnpublish':
      case 'closeStream':
        this.#unpublish(command, streamId)
        break
      case 'deleteStream':
        this.#deleteStream(command)
        break
      case 'play':
      case 'play2':
        this.#refusePlay(streamId)
        break
      case 'releaseStream':
      case 'getStreamLength':
      case '_checkbw':
        this.#answer(command, undefined)
        break
      default:
        // Clients ask and tell servers many things; none of the rest needs an answer.
        break
    }
    return undefined
  }

  #answer(command: RtmpCommand, ...results: readonly AmfValue[]): void {
    if (command.transactionId === 0) return
    this.#port.send(commandMessage(0, '_result', command.transactionId, null, ...results))
  }

  #connect(command: RtmpCommand): void {
    if (this.#connected) throw new KairoError('ERR_PROTOCOL', 'connect came twice')
    const answer = answerConnect(command.args[0])
    try {
      requireLiveApplication(command.args[0])
    } catch (error) {
      const info = new Map<string, AmfValue>([
        ['level', 'error'],
        ['code', 'NetConnection.Connect.InvalidApp'],
        ['description', error instanceof Error ? error.message : ''],
      ])
      this.#port.send(commandMessage(0, '_error', command.transactionId, null, info))
      throw error
    }
    this.#connected = true
    this.#port.send(controlMessage(MESSAGE_TYPE.windowAckSize, rtmpLimits.windowAckBytes))
    this.#port.send(peerBandwidthMessage(rtmpLimits.windowAckBytes))
    this.#port.send(controlMessage(MESSAGE_TYPE.setChunkSize, rtmpLimits.sendChunkBytes))
    this.#port.setSendChunkBytes(rtmpLimits.sendChunkBytes)
    this.#port.send(userControlMessage(USER_CONTROL.streamBegin, 0))
    this.#port.send(
      commandMessage(0, '_result', command.transactionId, answer.properties, answer.info),
    )
  }

  #createStream(command: RtmpCommand): void {
    if (this.#streams.size >= rtmpLimits.messageStreamsMax) {
      throw new KairoError('ERR_LIMIT', 'too many RTMP message streams on one connection')
    }
    const id = this.#nextStream
    this.#nextStream += 1
    this.#streams.add(id)
    this.#answer(command, id)
  }

  /** The media server encoder of Adobe waits for this before it publishes. */
  #announcePublish(command: RtmpCommand): void {
    this.#answer(command, undefined)
    const info = new Map([
      ['code', 'NetStream.Publish.Start'],
      ['description', 'publish is expected next'],
    ])
    this.#port.send(commandMessage(0, 'onFCPublish', 0, null, info))
  }

  #publish(command: RtmpCommand, streamId: number): Promise<void> | undefined {
    // args: command object, name, type. `record` and `append` are taken as live, since recording is the peer's matter.
    const streamKey = streamKeyOf(command.args[1])
    if (this.#publishing !== undefined || this.#isAsking) {
      const text = 'this connection publishes already'
      this.#port.send(statusMessage(streamId, 'error', 'NetStream.Publish.BadName', text))
      return undefined
    }
    let asked: Promise<void> | undefined
    try {
      if (streamKey === undefined) {
        throw new KairoError('ERR_STREAM_KEY', 'publish names no stream key')
      }
      asked = this.#port.publish(streamKey)
    } catch (error) {
      this.#refusePublish(streamId, error)
    }
    if (asked === undefined) {
      this.#started(streamId)
      return undefined
    }
    this.#isAsking = true
    return asked
      .then(
        () => this.#started(streamId),
        (error: unknown) => this.#refusePublish(streamId, error),
      )
      .finally(() => {
        this.#isAsking = false
      })
  }

  #started(streamId: number): void {
    this.#publishing = streamId
    this.#port.send(userControlMessage(USER_CONTROL.streamBegin, streamId))
    const text = 'the stream is being published'
    this.#port.send(statusMessage(streamId, 'status', 'NetStream.Publish.Start', text))
  }

  #refusePublish(streamId: number, error: unknown): never {
    const known = error instanceof KairoError
    const code = (known && PUBLISH_REFUSALS[error.code]) || 'NetStream.Publish.Failed'
    const text = known ? error.message : 'the stream cannot be published now'
    this.#port.send(statusMessage(streamId, 'error', code, text))
    throw error
  }

  #unpublish(command: RtmpCommand, streamId: number): void {
    this.#answer(command, undefined)
    // FCUnpublish comes on stream 0 and names the key, so it means the one publication there is.
    if (command.name === 'FCUnpublish' || streamId === this.#publishing) this.#endPublication()
  }

  #deleteStream(command: RtmpCommand): void {
    const id = command.args[1]
    if (typeof id !== 'number') return
    this.#streams.delete(id)
    if (id === this.#publishing) this.#endPublication()
  }

  #endPublication(): void {
    if (this.#publishing === undefined) return
    const text = 'the stream is no longer published'
    this.#port.send(statusMessage(this.#publishing, 'status', 'NetStream.Unpublish.Success', text))
    this.#publishing = undefined
    this.#port.unpublish()
  }

  #refusePlay(streamId: number): void {
    const text = 'this server takes publishers only; watch over HTTP instead'
    this.#port.send(statusMessage(streamId, 'error', 'NetStream.Play.Failed', text))
    throw new KairoError('ERR_FORBIDDEN', 'the client asked to play')
  }
}
