/** A track's configuration as FFmpeg's decoders and muxers want it. */
import {
  AVCOL_RANGE_JPEG,
  AVCOL_RANGE_MPEG,
  AVMEDIA_TYPE_AUDIO,
  AVMEDIA_TYPE_VIDEO,
} from 'node-av/constants'
import { avChannelLayoutDefault, CodecParameters, Rational } from 'node-av/lib'
import type { AudioConfig, TrackConfig, VideoColour, VideoConfig } from '../../access-unit.ts'
import { codecId } from './codecs.ts'

/** Bytes of a FLAC metadata block's header, which FFmpeg's extradata go without. */
const FLAC_BLOCK_HEADER_BYTES = 4
/** Denominator of frame rates; 1001/30000 and its like are kept exactly. */
const RATE_DENOMINATOR = 1_001

/** FFmpeg's parameters of a track; the caller frees them. */
export function parametersOf(config: TrackConfig): CodecParameters {
  const parameters = new CodecParameters()
  parameters.alloc()
  parameters.codecId = codecId(config.codec)
  // MP4 and FLV muxers choose their own tag; one from another container would be refused.
  parameters.codecTag = 0
  const extradata = extradataOf(config)
  if (extradata !== undefined) parameters.extradata = extradata
  if (config.kind === 'video') fillVideo(parameters, config)
  else fillAudio(parameters, config)
  return parameters
}

/** The rate as FFmpeg's fraction: whole where it is whole. */
export function rateOf(frameRate: number): Rational {
  const whole = Math.round(frameRate)
  if (Math.abs(frameRate - whole) < 0.001) return new Rational(whole, 1)
  return new Rational(Math.round(frameRate * RATE_DENOMINATOR), RATE_DENOMINATOR)
}

function fillVideo(parameters: CodecParameters, config: VideoConfig): void {
  parameters.codecType = AVMEDIA_TYPE_VIDEO
  parameters.width = config.width
  parameters.height = config.height
  if (config.frameRate !== undefined) parameters.frameRate = rateOf(config.frameRate)
  if (config.colour !== undefined) fillColour(parameters, config.colour)
}

/** FFmpeg's enumerations of colours are the code points of ISO/IEC 23091-2 themselves. */
function fillColour(parameters: CodecParameters, colour: VideoColour): void {
  parameters.colorPrimaries = colour.primaries as CodecParameters['colorPrimaries']
  parameters.colorTrc = colour.transfer as CodecParameters['colorTrc']
  parameters.colorSpace = colour.matrix as CodecParameters['colorSpace']
  parameters.colorRange = colour.fullRange ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG
}

function fillAudio(parameters: CodecParameters, config: AudioConfig): void {
  parameters.codecType = AVMEDIA_TYPE_AUDIO
  parameters.sampleRate = config.sampleRate
  parameters.channelLayout = avChannelLayoutDefault(config.channels)
  parameters.frameSize = config.samplesPerFrame
}

/** What FFmpeg calls extradata: the description, but for codecs that it describes as Ogg or a FLAC file does. */
function extradataOf(config: TrackConfig): Buffer | undefined {
  const description = Buffer.from(config.description)
  if (config.codec === 'vp9') return undefined
  if (config.codec === 'opus') return opusHead(description)
  if (config.codec === 'flac') return description.subarray(FLAC_BLOCK_HEADER_BYTES)
  return description
}

/** The identification header (RFC 7845 5.1) out of a `dOps` payload, which has the other byte order. */
function opusHead(dOps: Buffer): Buffer {
  const head = Buffer.alloc(8 + dOps.byteLength)
  head.write('OpusHead', 0, 'latin1')
  head[8] = 1
  head[9] = dOps[1] ?? 2
  head.writeUInt16LE(dOps.readUInt16BE(2), 10)
  head.writeUInt32LE(dOps.readUInt32BE(4), 12)
  head.writeInt16LE(dOps.readInt16BE(8), 16)
  dOps.copy(head, 18, 10)
  return head
}
