/**
 * One H.264 and one AAC encoder behind the same small face, on node-av's synchronous calls: a frame goes in, its packets
 * come out at once. For children only: FFmpeg code can take its process down.
 */

import assert from 'node:assert/strict'
import {
  AV_CHANNEL_LAYOUT_STEREO,
  AV_CODEC_FLAG_GLOBAL_HEADER,
  AV_LOG_ERROR,
  AV_PICTURE_TYPE_I,
  AV_PICTURE_TYPE_NONE,
  AV_PIX_FMT_YUV420P,
  AV_PROFILE_H264_MAIN,
  AV_SAMPLE_FMT_FLTP,
  AVCHROMA_LOC_LEFT,
  AVCOL_PRI_BT709,
  AVCOL_RANGE_MPEG,
  AVCOL_SPC_BT709,
  AVCOL_TRC_BT709,
  AVERROR_EAGAIN,
  FF_ENCODER_AAC,
  FF_ENCODER_LIBX264,
  type FFEncoderCodec,
} from 'node-av/constants'
import { Codec, CodecContext, FFmpegError, Frame, Log, Packet, Rational } from 'node-av/lib'
import type { TestStreamFormat } from './messages.ts'
import type { Planes } from './picture.ts'
import { audioSampleRate } from './tone.ts'

// FFmpeg's own chatter goes to the error output, which the peer keeps for the log when this process dies.
Log.setLevel(AV_LOG_ERROR)

/** An open encoder and the one frame it reads from. */
export interface Encoder {
  readonly context: CodecContext
  readonly frame: Frame
  /**
   * Encodes the frame as it is now at `pts` (encoder time base) and hands each packet out; it is reused afterwards. With
   * `keyframe` a picture is one that players can begin with, and the next regular one comes a whole group later.
   */
  encode(pts: number, onPacket: (packet: Packet) => void, keyframe?: boolean): void
}

/** Opens x264 for real-time use. Throws when this build of FFmpeg has no such encoder or it refuses. */
export function openVideoEncoder(format: TestStreamFormat): Encoder & { readonly planes: Planes } {
  const context = allocate(FF_ENCODER_LIBX264)
  const timeBase = new Rational(1, format.frameRate)
  context.width = format.width
  context.height = format.height
  context.pixelFormat = AV_PIX_FMT_YUV420P
  context.timeBase = timeBase
  context.framerate = new Rational(format.frameRate, 1)
  context.gopSize = format.frameRate * format.gopS
  context.maxBFrames = 0
  context.profile = AV_PROFILE_H264_MAIN
  context.bitRate = BigInt(format.videoBitrateBps)
  context.rcMaxRate = BigInt(format.videoBitrateBps)
  context.rcBufferSize = format.videoBitrateBps
  context.colorRange = AVCOL_RANGE_MPEG
  context.colorPrimaries = AVCOL_PRI_BT709
  context.colorTrc = AVCOL_TRC_BT709
  context.colorSpace = AVCOL_SPC_BT709
  context.chromaLocation = AVCHROMA_LOC_LEFT
  // One thread: the picture is cheap, and sliced threads would cost more in total than they save in delay.
  context.threadCount = 1
  open(context, {
    preset: 'ultrafast',
    tune: 'zerolatency',
    // No keyframe but at the fixed distance, so that segments are exactly as long as they are announced.
    sc_threshold: '0',
    'forced-idr': '1',
    // Main profile instead of the preset's baseline: a third fewer bits for next to no time.
    'x264-params': 'cabac=1',
  })
  const frame = new Frame()
  frame.alloc()
  frame.format = AV_PIX_FMT_YUV420P
  frame.width = format.width
  frame.height = format.height
  FFmpegError.throwIfError(frame.getBuffer(0), 'getBuffer')
  const [luma, blue, red] = frame.data ?? []
  assert(luma !== undefined && blue !== undefined && red !== undefined, 'I420 has three planes')
  return { context, frame, planes: { luma, blue, red }, encode: encodeWith(context, frame) }
}

/** Opens FFmpeg's own AAC encoder, stereo. `samples` are the frame's two channels, one block of `frameSize` each. */
export function openAudioEncoder(
  format: TestStreamFormat,
): Encoder & { readonly samples: readonly [Float32Array, Float32Array] } {
  const context = allocate(FF_ENCODER_AAC)
  context.sampleRate = audioSampleRate
  context.sampleFormat = AV_SAMPLE_FMT_FLTP
  context.channelLayout = AV_CHANNEL_LAYOUT_STEREO
  context.timeBase = new Rational(1, audioSampleRate)
  context.bitRate = BigInt(format.audioBitrateBps)
  // The quick search: the sound is one bell.
  open(context, { aac_coder: 'fast' })
  const frame = new Frame()
  frame.alloc()
  frame.format = AV_SAMPLE_FMT_FLTP
  frame.sampleRate = audioSampleRate
  frame.channelLayout = AV_CHANNEL_LAYOUT_STEREO
  frame.nbSamples = context.frameSize
  FFmpegError.throwIfError(frame.getBuffer(0), 'getBuffer')
  const [left, right] = frame.data ?? []
  assert(left !== undefined && right !== undefined, 'planar stereo has two planes')
  const view = (plane: Buffer) =>
    new Float32Array(plane.buffer, plane.byteOffset, context.frameSize)
  return {
    context,
    frame,
    samples: [view(left), view(right)],
    encode: encodeWith(context, frame),
  }
}

function allocate(name: FFEncoderCodec): CodecContext {
  const codec = Codec.findEncoderByName(name)
  if (codec === null) throw new Error(`this build of FFmpeg has no ${name} encoder`)
  const context = new CodecContext()
  context.allocContext3(codec)
  context.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER)
  return context
}

/**
 * Options go in one by one and not as node-av's Dictionary, whose memory `open2` frees under it (seen in 6.1.1 as a crash
 * a moment later); this way an option that the encoder does not know is an error, too.
 */
function open(context: CodecContext, options: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(options)) {
    FFmpegError.throwIfError(context.setOption(name, value), `option ${name}`)
  }
  FFmpegError.throwIfError(context.open2Sync(), 'open2')
}

function encodeWith(context: CodecContext, frame: Frame): Encoder['encode'] {
  const packet = new Packet()
  packet.alloc()
  return (pts, onPacket, keyframe = false) => {
    frame.pts = BigInt(pts)
    frame.pictType = keyframe ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE
    FFmpegError.throwIfError(context.sendFrameSync(frame), 'sendFrame')
    for (;;) {
      const result = context.receivePacketSync(packet)
      if (result === AVERROR_EAGAIN) return
      FFmpegError.throwIfError(result, 'receivePacket')
      onPacket(packet)
      packet.unref()
    }
  }
}
