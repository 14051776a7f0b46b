/**
 * The encoders of av-push's child: each makes its own pictures or sound, so that a caller only asks for the next.
 */
import {
  AV_CHANNEL_LAYOUT_STEREO,
  AV_CODEC_FLAG_GLOBAL_HEADER,
  AV_PIX_FMT_YUV420P,
  AV_PIX_FMT_YUV420P10LE,
  AV_SAMPLE_FMT_FLT,
  AV_SAMPLE_FMT_FLTP,
  AV_SAMPLE_FMT_S16,
  AVCOL_PRI_BT709,
  AVCOL_PRI_BT2020,
  AVCOL_RANGE_MPEG,
  AVCOL_SPC_BT709,
  AVCOL_SPC_BT2020_NCL,
  AVCOL_TRC_BT709,
  AVCOL_TRC_SMPTE2084,
  AVERROR_EAGAIN,
  AVERROR_EOF,
  type AVSampleFormat,
  type FFEncoderCodec,
} from 'node-av/constants'
import { Codec, CodecContext, FFmpegError, Frame, Packet, Rational } from 'node-av/lib'
import type { AudioCodec, VideoCodec } from '../../src/media/access-unit.ts'
import type { AvPushAudio, AvPushVideo } from './av-push.ts'

/** One track that makes itself. */
export interface TrackEncoder {
  readonly context: CodecContext
  /** Begin of the next frame to encode, seconds. */
  readonly timeS: number
  /** Encodes the next frame; each packet is reused after the call. */
  encode(onPacket: (packet: Packet) => void): void
  /** Hands out what the encoder still holds. */
  flush(onPacket: (packet: Packet) => void): void
}

const SAMPLE_RATE = 48_000
const VIDEO_ENCODERS: Readonly<Record<VideoCodec, string>> = {
  h264: 'libx264',
  hevc: 'libx265',
  av1: 'libsvtav1',
  vp9: 'libvpx-vp9',
}
/** Chromaticities of BT.2020 and a display of 0.005 to 1000 cd/m2; light levels of 1000 and 400. */
const X265_HDR =
  'hdr10=1:repeat-headers=1:master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,50):max-cll=1000,400'
const SVT_HDR =
  'mastering-display=G(0.17,0.797)B(0.131,0.046)R(0.708,0.292)WP(0.3127,0.329)L(1000,0.005):content-light=1000,400'
const AUDIO_ENCODERS: Readonly<Record<AudioCodec, readonly [string, AVSampleFormat]>> = {
  aac: ['aac', AV_SAMPLE_FMT_FLTP],
  opus: ['libopus', AV_SAMPLE_FMT_FLT],
  flac: ['flac', AV_SAMPLE_FMT_S16],
}

/** Opens a video encoder. */
export function openPicture(video: AvPushVideo): TrackEncoder {
  const { width = 320, height = 180, frameRate = 30, gopFrames = 30, bFrames = 0 } = video
  const hdr = video.hdr === true
  const context = allocate(VIDEO_ENCODERS[video.codec])
  context.width = width
  context.height = height
  context.pixelFormat = hdr ? AV_PIX_FMT_YUV420P10LE : AV_PIX_FMT_YUV420P
  context.timeBase = new Rational(1, frameRate)
  context.framerate = new Rational(frameRate, 1)
  context.gopSize = gopFrames
  context.maxBFrames = bFrames
  // SVT-AV1 has no bit rate control without delay; it gets a quality instead.
  if (video.codec !== 'av1') context.bitRate = 400_000n
  context.threadCount = 1
  context.colorRange = AVCOL_RANGE_MPEG
  context.colorPrimaries = hdr ? AVCOL_PRI_BT2020 : AVCOL_PRI_BT709
  context.colorTrc = hdr ? AVCOL_TRC_SMPTE2084 : AVCOL_TRC_BT709
  context.colorSpace = hdr ? AVCOL_SPC_BT2020_NCL : AVCOL_SPC_BT709
  for (const [name, value] of Object.entries(videoOptions(video.codec, bFrames, gopFrames, hdr))) {
    check(context.setOption(name, value), `option ${name}`)
  }
  check(context.open2Sync(), 'open')
  const frame = new Frame()
  frame.alloc()
  frame.format = context.pixelFormat
  frame.width = width
  frame.height = height
  check(frame.getBuffer(0), 'getBuffer')
  const draw = (index: number): void => paint(frame, index, hdr ? 2 : 1)
  return track(context, frame, draw, 1, frameRate)
}

function videoOptions(
  codec: VideoCodec,
  bFrames: number,
  gopFrames: number,
  hdr: boolean,
): Readonly<Record<string, string>> {
  const tune: Readonly<Record<string, string>> = bFrames === 0 ? { tune: 'zerolatency' } : {}
  switch (codec) {
    case 'h264':
      return { preset: 'ultrafast', ...tune, sc_threshold: '0' }
    case 'hevc': {
      const params = `log-level=none:pools=none:frame-threads=1:open-gop=0:scenecut=0:keyint=${gopFrames}:min-keyint=${gopFrames}`
      return {
        preset: 'ultrafast',
        ...tune,
        'x265-params': hdr ? `${params}:${X265_HDR}` : params,
      }
    }
    case 'av1': {
      const params = 'lp=1:pred-struct=1:lookahead=0'
      return { preset: '10', crf: '40', 'svtav1-params': hdr ? `${params}:${SVT_HDR}` : params }
    }
    case 'vp9':
      return { deadline: 'realtime', 'cpu-used': '8', 'lag-in-frames': '0' }
  }
}

/** A slanted ramp that moves with every picture, its colours along the other slant. */
function paint(frame: Frame, index: number, bytesPerSample: number): void {
  for (const [plane, data] of (frame.data ?? []).entries()) {
    const width = plane === 0 ? frame.width : frame.width / 2
    const height = plane === 0 ? frame.height : frame.height / 2
    const stride = frame.linesize[plane] ?? 0
    for (let y = 0; y < height; y += 1) {
      const row = y * stride
      for (let x = 0; x < width; x += 1) {
        const ramp = plane === 0 ? x + y + index * 4 : plane === 1 ? x - y : y - x
        const level = 48 + (ramp & 127)
        if (bytesPerSample === 1) data[row + x] = level
        else data.writeUInt16LE(level << 2, row + x * 2)
      }
    }
  }
}

/** Opens an audio encoder; stereo at 48 kHz. */
export function openSound(audio: AvPushAudio, index: number): TrackEncoder {
  const [name, format] = AUDIO_ENCODERS[audio.codec]
  const context = allocate(name)
  context.sampleRate = SAMPLE_RATE
  context.sampleFormat = format
  context.channelLayout = AV_CHANNEL_LAYOUT_STEREO
  context.timeBase = new Rational(1, SAMPLE_RATE)
  context.bitRate = 96_000n
  check(context.open2Sync(), 'open')
  const samples = context.frameSize
  const frame = new Frame()
  frame.alloc()
  frame.format = format
  frame.sampleRate = SAMPLE_RATE
  frame.channelLayout = AV_CHANNEL_LAYOUT_STEREO
  frame.nbSamples = samples
  check(frame.getBuffer(0), 'getBuffer')
  const frequency = audio.frequency ?? 440 * 2 ** index
  const play = (number: number): void => sing(frame, format, frequency, number * samples)
  return track(context, frame, play, samples, SAMPLE_RATE)
}

function sing(frame: Frame, format: AVSampleFormat, frequency: number, start: number): void {
  const planes = frame.data ?? []
  for (let sample = 0; sample < frame.nbSamples; sample += 1) {
    const level = 0.2 * Math.sin((2 * Math.PI * frequency * (start + sample)) / SAMPLE_RATE)
    if (format === AV_SAMPLE_FMT_FLTP) {
      for (const plane of planes) plane.writeFloatLE(level, sample * 4)
    } else if (format === AV_SAMPLE_FMT_FLT) {
      planes[0]?.writeFloatLE(level, sample * 8)
      planes[0]?.writeFloatLE(level, sample * 8 + 4)
    } else {
      planes[0]?.writeInt16LE(Math.round(level * 32_767), sample * 4)
      planes[0]?.writeInt16LE(Math.round(level * 32_767), sample * 4 + 2)
    }
  }
}

function track(
  context: CodecContext,
  frame: Frame,
  fill: (index: number) => void,
  ticks: number,
  ticksPerSecond: number,
): TrackEncoder {
  const packet = new Packet()
  packet.alloc()
  let index = 0
  const receive = (onPacket: (packet: Packet) => void): void => {
    for (;;) {
      const result = context.receivePacketSync(packet)
      if (result === AVERROR_EAGAIN || result === AVERROR_EOF) return
      check(result, 'receivePacket')
      onPacket(packet)
      packet.unref()
    }
  }
  return {
    context,
    get timeS() {
      return (index * ticks) / ticksPerSecond
    },
    encode: (onPacket) => {
      // The encoder may still read the last picture's memory.
      check(frame.makeWritable(), 'makeWritable')
      fill(index)
      frame.pts = BigInt(index * ticks)
      index += 1
      check(context.sendFrameSync(frame), 'sendFrame')
      receive(onPacket)
    },
    flush: (onPacket) => {
      check(context.sendFrameSync(null), 'flush')
      receive(onPacket)
    },
  }
}

function allocate(name: string): CodecContext {
  const codec = Codec.findEncoderByName(name as FFEncoderCodec)
  if (codec === null) throw new Error(`this build of FFmpeg has no ${name} encoder`)
  const context = new CodecContext()
  context.allocContext3(codec)
  context.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER)
  return context
}

function check(result: number, what: string): void {
  FFmpegError.throwIfError(result, what)
}
