/**
 * Entry of the encoder probe's child process: it opens each encoder for real and encodes one picture or block of sound,
 * because an encoder that FFmpeg lists may still lack its driver, its device or its licence. The name in work is reported
 * first, so that the peer knows whom to blame when a driver takes this process down.
 */

import assert from 'node:assert/strict'
import {
  AV_CHANNEL_LAYOUT_STEREO,
  AV_HWDEVICE_TYPE_VAAPI,
  AV_LOG_QUIET,
  AV_PIX_FMT_NV12,
  AV_PIX_FMT_VAAPI,
  AV_PIX_FMT_YUV420P,
  AV_SAMPLE_FMT_FLT,
  AV_SAMPLE_FMT_FLTP,
  type FFEncoderCodec,
} from 'node-av/constants'
import {
  Codec,
  CodecContext,
  FFmpegError,
  Frame,
  HardwareDeviceContext,
  HardwareFramesContext,
  Log,
  Packet,
  Rational,
} from 'node-av/lib'
import { closeInheritedFiles } from './inherited-files.ts'

/** From the child: the name in work, then its result; `error` is null when it works. */
export type ProbeMessage =
  | { readonly type: 'trying'; readonly name: string }
  | { readonly type: 'tried'; readonly name: string; readonly error: string | null }

const width = 640
const height = 384
const sampleRate = 48_000

closeInheritedFiles()
Log.setLevel(AV_LOG_QUIET)
process.on('disconnect', () => process.exit(0))
process.on('message', (names: readonly string[]) => {
  for (const name of names) {
    send({ type: 'trying', name })
    send({ type: 'tried', name, error: tryEncoder(name) })
  }
  process.disconnect()
})

function send(message: ProbeMessage): void {
  assert(process.send !== undefined, 'this file runs as a forked child only')
  process.send(message)
}

/** Why an encoder does not work here; null when it gave a packet. */
function tryEncoder(name: string): string | null {
  try {
    const codec = Codec.findEncoderByName(name as FFEncoderCodec)
    if (codec === null) return 'not part of this build of FFmpeg'
    const context = new CodecContext()
    context.allocContext3(codec)
    const sound = name === 'aac' || name === 'libopus'
    encodeOne(context, sound ? openAudio(context, name) : openVideo(context, name))
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function openAudio(context: CodecContext, name: string): Frame {
  const format = name === 'aac' ? AV_SAMPLE_FMT_FLTP : AV_SAMPLE_FMT_FLT
  context.sampleRate = sampleRate
  context.sampleFormat = format
  context.channelLayout = AV_CHANNEL_LAYOUT_STEREO
  context.timeBase = new Rational(1, sampleRate)
  FFmpegError.throwIfError(context.open2Sync(), 'open')
  const frame = new Frame()
  frame.alloc()
  frame.format = format
  frame.sampleRate = sampleRate
  frame.channelLayout = AV_CHANNEL_LAYOUT_STEREO
  frame.nbSamples = context.frameSize
  FFmpegError.throwIfError(frame.getBuffer(0), 'allocate sound')
  for (const plane of frame.data ?? []) plane.fill(0)
  return frame
}

function openVideo(context: CodecContext, name: string): Frame {
  const planar = name.startsWith('lib') || name === 'h264_v4l2m2m'
  context.width = width
  context.height = height
  context.timeBase = new Rational(1, 30)
  context.framerate = new Rational(30, 1)
  context.bitRate = 1_000_000n
  context.maxBFrames = 0
  context.pixelFormat = planar ? AV_PIX_FMT_YUV420P : AV_PIX_FMT_NV12
  const picture = blackPicture(context.pixelFormat)
  if (!name.endsWith('_vaapi')) {
    FFmpegError.throwIfError(context.open2Sync(), 'open')
    return picture
  }
  // VAAPI takes pictures in the device's own memory only.
  const device = new HardwareDeviceContext()
  FFmpegError.throwIfError(device.create(AV_HWDEVICE_TYPE_VAAPI), 'open the device')
  const frames = new HardwareFramesContext()
  frames.alloc(device)
  frames.format = AV_PIX_FMT_VAAPI
  frames.swFormat = AV_PIX_FMT_NV12
  frames.width = width
  frames.height = height
  frames.initialPoolSize = 4
  FFmpegError.throwIfError(frames.init(), 'allocate device memory')
  context.pixelFormat = AV_PIX_FMT_VAAPI
  context.hwFramesCtx = frames
  FFmpegError.throwIfError(context.open2Sync(), 'open')
  const uploaded = new Frame()
  uploaded.alloc()
  FFmpegError.throwIfError(frames.getBuffer(uploaded), 'allocate a picture')
  FFmpegError.throwIfError(uploaded.hwframeTransferDataSync(picture), 'upload')
  return uploaded
}

function blackPicture(format: number): Frame {
  const frame = new Frame()
  frame.alloc()
  frame.format = format as Frame['format']
  frame.width = width
  frame.height = height
  FFmpegError.throwIfError(frame.getBuffer(0), 'allocate a picture')
  for (const [index, plane] of (frame.data ?? []).entries()) plane.fill(index === 0 ? 16 : 128)
  return frame
}

function encodeOne(context: CodecContext, frame: Frame): void {
  const packet = new Packet()
  packet.alloc()
  frame.pts = 0n
  FFmpegError.throwIfError(context.sendFrameSync(frame), 'encode')
  FFmpegError.throwIfError(context.sendFrameSync(null), 'flush')
  FFmpegError.throwIfError(context.receivePacketSync(packet), 'receive a packet')
  if (packet.size === 0) throw new Error('the encoder gave an empty packet')
}
