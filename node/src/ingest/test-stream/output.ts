/**
 * Where the encoded packets go: FFmpeg's FLV muxer over RTMP, the same way as any other publisher's. Writes block this
 * process while the receiver does not read, which is all the backpressure a generator needs. For children only.
 */

import { AV_PKT_FLAG_KEY, AVFMT_FLAG_FLUSH_PACKETS } from 'node-av/constants'
import { FFmpegError, FormatContext, type Packet, type Stream } from 'node-av/lib'
import type { Encoder } from './encoder.ts'

/** One open RTMP publication with a video and an audio track. */
export class RtmpOutput {
  readonly #context: FormatContext
  readonly #video: Stream
  readonly #audio: Stream
  readonly #encoders: { readonly video: Encoder; readonly audio: Encoder }

  /** Connects and publishes. Throws an FFmpegError when the address does not answer or refuses the key. */
  constructor(rtmpUrl: string, video: Encoder, audio: Encoder) {
    const context = new FormatContext()
    FFmpegError.throwIfError(context.allocOutputContext2(null, 'flv', rtmpUrl), 'allocOutput')
    context.setFlags(AVFMT_FLAG_FLUSH_PACKETS)
    this.#context = context
    this.#encoders = { video, audio }
    this.#video = addStream(context, video)
    this.#audio = addStream(context, audio)
    FFmpegError.throwIfError(context.openOutputSync(), 'connect')
    FFmpegError.throwIfError(context.writeHeaderSync(), 'publish')
  }

  /** Sends one packet of the video encoder. */
  writeVideo(packet: Packet): void {
    this.#write(packet, this.#video, this.#encoders.video)
  }

  /** Sends one packet of the audio encoder. */
  writeAudio(packet: Packet): void {
    // The encoder's priming packet lies before the start; FLV cannot say so, and decoders do without it.
    if (packet.pts < 0n) return
    packet.setFlags(AV_PKT_FLAG_KEY)
    this.#write(packet, this.#audio, this.#encoders.audio)
  }

  /** Ends the publication in order. */
  close(): void {
    this.#context.writeTrailerSync()
    this.#context.closeOutputSync()
  }

  #write(packet: Packet, stream: Stream, encoder: Encoder): void {
    packet.streamIndex = stream.index
    packet.rescaleTs(encoder.context.timeBase, stream.timeBase)
    // Not interleaved by the muxer: packets come in order here, and its queue would hold them back.
    FFmpegError.throwIfError(this.#context.writeFrameSync(packet), 'write')
  }
}

function addStream(context: FormatContext, encoder: Encoder): Stream {
  const stream = context.newStream()
  FFmpegError.throwIfError(stream.codecpar.fromContext(encoder.context), 'fromContext')
  stream.timeBase = encoder.context.timeBase
  stream.avgFrameRate = encoder.context.framerate
  return stream
}
