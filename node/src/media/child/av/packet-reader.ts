/**
 * FFmpeg's packets, from a demuxer or an encoder, into access units and configurations as the rest of Kairo knows them:
 * start codes become lengths, ADTS headers go, and configurations come out of extradata or the bitstream itself, read by the
 * same parsers as those of publishers.
 */
import type { IRational, Packet } from 'node-av/lib'
import { isKairoError } from '../../../errors.ts'
import type { AccessUnit, TrackConfig, VideoConfig } from '../../access-unit.ts'
import { aacAudioConfig } from '../../codecs/aac.ts'
import { adtsFrames } from '../../codecs/adts.ts'
import { av1VideoConfig, parseAv1Config } from '../../codecs/av1.ts'
import { readAv1Sample } from '../../codecs/av1-sample.ts'
import { flacAudioConfig } from '../../codecs/flac.ts'
import { h264VideoConfig, parseH264Config } from '../../codecs/h264.ts'
import { avcConfigFrom, h264FromAnnexB } from '../../codecs/h264-annexb.ts'
import { readH264Sample } from '../../codecs/h264-sample.ts'
import { hevcConfigFrom, hevcVideoConfig, parseHevcConfig } from '../../codecs/hevc.ts'
import { hevcFromAnnexB } from '../../codecs/hevc-annexb.ts'
import { readHevcSample } from '../../codecs/hevc-sample.ts'
import { opusAudioConfig } from '../../codecs/opus.ts'
import { readVp9Sample, vp9VideoConfig } from '../../codecs/vp9.ts'
import type { MediaCodec } from './codecs.ts'
import { ticksOf } from './packets.ts'

/** How a {@link PacketReader} is built. */
export interface PacketReaderInit {
  readonly codec: MediaCodec
  /** FFmpeg's extradata of the stream or the encoder, where there are any. */
  readonly extradata: Uint8Array | null
  /** Time base of the packets. */
  readonly timeBase: IRational
  /** What is known of the track beside its bitstream, for its configuration. */
  readonly track?: number
  readonly language?: string
  /** Pictures a second, taken where the bitstream says nothing. */
  readonly frameRate?: number | undefined
}

/** What one packet holds. */
export interface ReadPacket {
  readonly unit: AccessUnit
  /** The track's configuration, when this packet is the first that it holds for. */
  readonly config: TrackConfig | undefined
}

/** A sample, and the configuration that it or the extradata tell. */
interface Sample {
  readonly data: Uint8Array
  readonly keyframe: boolean
  readonly config?: TrackConfig | undefined
}

type ReadSample = (data: Uint8Array) => Sample | undefined

/** Reads the packets of one track. */
export class PacketReader {
  readonly #init: PacketReaderInit
  readonly #read: ReadSample
  #config: TrackConfig | undefined

  /** @throws KairoError `ERR_PROTOCOL`, `ERR_UNSUPPORTED_CODEC`, `ERR_LIMIT` when the extradata cannot be used. */
  constructor(init: PacketReaderInit) {
    this.#init = init
    // Copied, since FFmpeg's own go with its stream or encoder.
    const extradata = init.extradata && Uint8Array.from(init.extradata)
    const known = extradata?.byteLength === 0 ? null : extradata
    this.#read = readerOf(init.codec, known, init.frameRate)
  }

  /** The configuration so far; undefined until the first keyframe where the extradata say nothing. */
  get config(): TrackConfig | undefined {
    return this.#config
  }

  /** What the packet holds; undefined when it is damaged, has no time, or its configuration is not known yet. */
  read(packet: Packet): ReadPacket | undefined {
    const { data } = packet
    const { timeBase, track } = this.#init
    const pts = ticksOf(packet.pts, timeBase) ?? ticksOf(packet.dts, timeBase)
    if (data === null || pts === undefined) return undefined
    // The packet's bytes are FFmpeg's and go with the packet; a unit's stay.
    const sample = this.#sample(Buffer.from(data))
    if (sample === undefined) return undefined
    const config = this.#changed(sample.config)
    if (this.#config === undefined) return undefined
    const dts = ticksOf(packet.dts, timeBase) ?? pts
    const unit: AccessUnit = {
      kind: this.#config.kind,
      ...(track !== undefined && { track }),
      dts: Math.min(dts, pts),
      pts,
      keyframe: sample.keyframe,
      data: sample.data,
    }
    return { unit, config }
  }

  #sample(data: Uint8Array): Sample | undefined {
    try {
      const sample = this.#read(data)
      return sample === undefined || sample.data.byteLength === 0 ? undefined : sample
    } catch (error) {
      if (!isKairoError(error)) throw error
      return undefined
    }
  }

  /** Takes a configuration; gives it back when it is another than before. */
  #changed(config: TrackConfig | undefined): TrackConfig | undefined {
    if (config === undefined) return undefined
    const before = this.#config
    if (before !== undefined && Buffer.compare(before.description, config.description) === 0) {
      return undefined
    }
    const { track, language, frameRate } = this.#init
    const tracked = { ...config, ...(track !== undefined && { track }) }
    this.#config =
      tracked.kind === 'video'
        ? { ...tracked, frameRate: tracked.frameRate ?? frameRate }
        : { ...tracked, ...(language !== undefined && { language }) }
    return this.#config
  }
}

function readerOf(
  codec: MediaCodec,
  extradata: Uint8Array | null,
  frameRate: number | undefined,
): ReadSample {
  switch (codec) {
    case 'h264':
      return h264Reader(extradata)
    case 'hevc':
      return hevcReader(extradata)
    case 'av1':
      return av1Reader(extradata)
    case 'vp9':
      return (data) => {
        const sample = readVp9Sample(data)
        if (sample === undefined) return undefined
        const { keyframe } = sample
        if (keyframe === undefined) return { data, keyframe: false }
        return { data, keyframe: true, config: vp9VideoConfig(keyframe, undefined, frameRate) }
      }
    case 'aac':
      return extradata === null ? readAdts : audioReader(aacAudioConfig(extradata))
    case 'opus':
      return audioReader(opusAudioConfig(extradata ?? new Uint8Array(0)))
    case 'flac':
      return audioReader(flacAudioConfig(extradata ?? new Uint8Array(0)))
  }
}

function audioReader(config: TrackConfig): ReadSample {
  return (data) => ({ data, keyframe: true, config })
}

/** AAC of a transport stream: the header of each frame is its configuration. Demuxers give one frame a packet. */
function readAdts(data: Uint8Array): Sample | undefined {
  const [frame] = adtsFrames(data).frames
  if (frame === undefined) return undefined
  return { data: frame.data, keyframe: true, config: aacAudioConfig(frame.config) }
}

function h264Reader(extradata: Uint8Array | null): ReadSample {
  if (extradata !== null && extradata[0] === 1) {
    const config = h264VideoConfig(extradata)
    const { nalLengthBytes } = parseH264Config(extradata)
    return (data) => {
      const sample = readH264Sample(data, nalLengthBytes)
      if (sample === undefined) return undefined
      return { data: sample.data, keyframe: sample.idr || sample.recoveryPoint, config }
    }
  }
  const outside = extradata === null ? undefined : h264FromAnnexB(extradata).parameterSets
  let config = outside && avcConfigFrom(outside.sps, outside.pps)
  return (data) => {
    const { data: joined, keyframe, parameterSets } = h264FromAnnexB(data)
    if (parameterSets !== undefined && parameterSets.sps.length > 0) {
      config = avcConfigFrom(parameterSets.sps, parameterSets.pps)
    }
    // An encoder whose parameter sets are in the extradata sends keyframes without any.
    const starts = keyframe || (outside !== undefined && hasIdr(joined))
    return { data: joined, keyframe: starts, config: starts ? config : undefined }
  }
}

function hasIdr(data: Uint8Array): boolean {
  return readH264Sample(data, 4)?.idr ?? false
}

function hevcReader(extradata: Uint8Array | null): ReadSample {
  if (extradata !== null && extradata[0] === 1) {
    const config = hevcVideoConfig(extradata)
    const { nalLengthBytes } = parseHevcConfig(extradata)
    return (data) => {
      const sample = readHevcSample(data, nalLengthBytes)
      return sample && { data: sample.data, keyframe: sample.keyframe, config }
    }
  }
  const outside = extradata === null ? undefined : hevcFromAnnexB(extradata).parameterSets
  let config = outside && hevcConfigFrom(outside.vps, outside.sps, outside.pps)
  return (data) => {
    const { data: joined, keyframe, parameterSets: sets } = hevcFromAnnexB(data)
    if (sets !== undefined && sets.sps.length > 0) {
      config = hevcConfigFrom(sets.vps, sets.sps, sets.pps)
    }
    return { data: joined, keyframe, config: keyframe ? config : undefined }
  }
}

function av1Reader(extradata: Uint8Array | null): ReadSample {
  let config = extradata === null ? undefined : av1Config(extradata)
  return (data) => {
    const sample = readAv1Sample(data)
    if (sample === undefined) return undefined
    const { keyframe, sequenceObu, levels } = sample
    if (keyframe && sequenceObu !== undefined) config = av1VideoConfig(sequenceObu, levels)
    return { data: sample.data, keyframe, config: keyframe ? config : undefined }
  }
}

/** FFmpeg's AV1 extradata are a configuration record from a file and bare OBUs from an encoder. */
function av1Config(extradata: Uint8Array): VideoConfig | undefined {
  if (extradata[0] !== 0x81) return av1VideoConfig(extradata)
  const { sequenceObu, levels } = parseAv1Config(extradata)
  return sequenceObu && av1VideoConfig(sequenceObu, levels)
}
