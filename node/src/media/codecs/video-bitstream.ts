/**
 * One video track as a container carries it, whatever its codec: a configuration record, then samples. It finds out what only
 * keyframes tell (the picture size of VP9, a sequence header of AV1, the light levels of HDR10) and says when that changes.
 */
import type { VideoCodec, VideoConfig } from '../access-unit.ts'
import { av1VideoConfig, parseAv1Config } from './av1.ts'
import { readAv1Sample } from './av1-sample.ts'
import { h264VideoConfig, parseH264Config } from './h264.ts'
import { readH264Sample } from './h264-sample.ts'
import { hevcVideoConfig, parseHevcConfig } from './hevc.ts'
import { readHevcSample } from './hevc-sample.ts'
import { awaitsLevels, type HdrLevels, hdrLevels } from './video-signal.ts'
import { parseVp9Config, readVp9Sample, type Vp9Keyframe, vp9VideoConfig } from './vp9.ts'

/** One checked sample in the form of an access unit. */
export interface VideoSample {
  readonly data: Uint8Array
  /** Decoding can start here. */
  readonly keyframe: boolean
  /** H.264: decoding can start here although it is no IDR picture, if the publisher means it so. */
  readonly recoveryPoint: boolean
  /** The track's configuration from this sample on, when the sample completes or changes it. */
  readonly config: VideoConfig | undefined
}

/** Reads one track. */
export interface VideoBitstream {
  /** What is known from the record alone; undefined when the first keyframe has to complete it. */
  readonly config: VideoConfig | undefined
  /**
   * Checks one sample; undefined when it is damaged.
   * @throws KairoError `ERR_PROTOCOL`, `ERR_LIMIT` for a keyframe whose sequence header cannot be.
   */
  read(data: Uint8Array): VideoSample | undefined
}

/**
 * Opens a track by its configuration record: `avcC`, `hvcC`, `av1C` or `vpcC`. `frameRate` is what the container declares.
 * @throws KairoError `ERR_PROTOCOL`, `ERR_LIMIT`.
 */
export function openVideoBitstream(
  codec: VideoCodec,
  record: Uint8Array,
  frameRate?: number,
): VideoBitstream {
  switch (codec) {
    case 'h264':
      return openH264(record)
    case 'hevc':
      return openHevc(record)
    case 'av1':
      return openAv1(record)
    case 'vp9':
      return openVp9(record, frameRate)
  }
}

function openH264(record: Uint8Array): VideoBitstream {
  const { nalLengthBytes } = parseH264Config(record)
  return {
    config: h264VideoConfig(record),
    read: (data) => {
      const sample = readH264Sample(data, nalLengthBytes)
      if (sample === undefined) return undefined
      const { idr, recoveryPoint } = sample
      return { data: sample.data, keyframe: idr, recoveryPoint, config: undefined }
    },
  }
}

function openHevc(record: Uint8Array): VideoBitstream {
  const { nalLengthBytes } = parseHevcConfig(record)
  const known = hevcVideoConfig(record)
  let waiting = awaitsLevels(known.colour)
  return {
    config: waiting ? undefined : known,
    read: (data) => {
      const sample = readHevcSample(data, nalLengthBytes)
      if (sample === undefined) return undefined
      const { keyframe, sei } = sample
      const completes = waiting && keyframe
      if (completes) waiting = false
      const config = completes ? withLevels(known, hdrLevels(sei)) : undefined
      return { data: sample.data, keyframe, recoveryPoint: false, config }
    },
  }
}

function openAv1(record: Uint8Array): VideoBitstream {
  const { sequenceObu, levels } = parseAv1Config(record)
  const known = sequenceObu === undefined ? undefined : av1VideoConfig(sequenceObu, levels)
  let waiting = known === undefined || awaitsLevels(known.colour)
  let current = sequenceObu
  const refine = (sequence: Uint8Array | undefined, found: HdrLevels): VideoConfig | undefined => {
    const header = sequence ?? current
    const changed = header !== undefined && !sameBytes(header, current)
    if (header === undefined || !(waiting || changed)) return undefined
    current = Uint8Array.from(header)
    waiting = false
    return av1VideoConfig(current, { ...levels, ...found })
  }
  return {
    config: waiting ? undefined : known,
    read: (data) => {
      const sample = readAv1Sample(data)
      if (sample === undefined) return undefined
      const { keyframe, sequenceObu: sequence } = sample
      const config = keyframe ? refine(sequence, sample.levels) : undefined
      // Samples to start from hold their sequence header (AV1-ISOBMFF 2.4); some muxers keep it in the record alone.
      const bare = keyframe && sequence === undefined && current !== undefined
      const whole = bare ? Buffer.concat([current ?? new Uint8Array(0), sample.data]) : sample.data
      return { data: whole, keyframe, recoveryPoint: false, config }
    },
  }
}

function openVp9(record: Uint8Array, frameRate: number | undefined): VideoBitstream {
  const said = parseVp9Config(record)
  let current: Vp9Keyframe | undefined
  return {
    config: undefined,
    read: (data) => {
      const sample = readVp9Sample(data)
      if (sample === undefined) return undefined
      const { keyframe } = sample
      const changed = keyframe !== undefined && !sameKeyframe(keyframe, current)
      if (changed) current = keyframe
      const config = changed ? vp9VideoConfig(keyframe, said, frameRate) : undefined
      return { data, keyframe: keyframe !== undefined, recoveryPoint: false, config }
    },
  }
}

function withLevels(config: VideoConfig, levels: HdrLevels): VideoConfig {
  const { colour } = config
  return colour === undefined ? config : { ...config, colour: { ...colour, ...levels } }
}

function sameKeyframe(a: Vp9Keyframe, b: Vp9Keyframe | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

function sameBytes(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0
}
