/**
 * H.264 with start codes into what the rest of the peer takes: samples with 4-byte lengths, and a configuration record built
 * from the parameter sets that such streams carry in band.
 */
import { KairoError } from '../../errors.ts'
import type { VideoConfig } from '../access-unit.ts'
import { annexBUnits } from './annexb.ts'
import { h264VideoConfig, parseH264Sps } from './h264.ts'
import { hasRecoveryPoint } from './h264-sample.ts'
import { joinNals, writeParameterSets } from './nal-units.ts'

/** The parameter sets of a picture, with their NAL headers, in their order. */
export interface H264ParameterSets {
  readonly sps: readonly Uint8Array[]
  readonly pps: readonly Uint8Array[]
}

/** One access unit. */
export interface H264AccessUnit {
  /** NAL units with 4-byte lengths, without delimiters and parameter sets; empty when there was nothing else. */
  readonly data: Uint8Array
  /** An IDR, or a picture with a recovery point, whose parameter sets stand in front of it. */
  readonly keyframe: boolean
  /** Undefined when the unit carries none. */
  readonly parameterSets: H264ParameterSets | undefined
}

const NAL_TYPE_IDR = 5
const NAL_TYPE_SEI = 6
const NAL_TYPE_SPS = 7
const NAL_TYPE_PPS = 8
const NAL_TYPE_DELIMITER = 9
const NAL_TYPE_FILLER = 12
/** Ends of sequence and stream say nothing to a decoder of samples. */
const DROPPED_TYPES = new Set([NAL_TYPE_DELIMITER, 10, 11, NAL_TYPE_FILLER])
/** Profiles whose record names the sample format behind the parameter sets (ISO/IEC 14496-15 5.3.3.1.2). */
const PROFILES_WITH_FORMAT = new Set([100, 110, 122, 144])

/**
 * Reads one access unit with start codes.
 * @throws KairoError `ERR_LIMIT` with too many NAL units.
 */
export function h264FromAnnexB(data: Uint8Array): H264AccessUnit {
  const sps: Uint8Array[] = []
  const pps: Uint8Array[] = []
  const rest: Uint8Array[] = []
  let idr = false
  let recoveryPoint = false
  for (const nal of annexBUnits(data)) {
    const type = (nal[0] ?? 0) & 31
    if (type === NAL_TYPE_SPS) sps.push(nal)
    else if (type === NAL_TYPE_PPS) pps.push(nal)
    else if (!DROPPED_TYPES.has(type)) {
      rest.push(nal)
      if (type === NAL_TYPE_IDR) idr = true
      if (type === NAL_TYPE_SEI) recoveryPoint ||= hasRecoveryPoint(nal)
    }
  }
  const hasSets = sps.length > 0 || pps.length > 0
  return {
    data: joinNals(rest),
    // An encoder with intra refresh marks every wave as a recovery point; only one with parameter sets is meant as a start.
    keyframe: idr || (recoveryPoint && sps.length > 0),
    parameterSets: hasSets ? { sps, pps } : undefined,
  }
}

/**
 * The configuration of a track out of parameter sets with their NAL headers.
 * @throws KairoError `ERR_PROTOCOL` when they are malformed or one kind is missing, `ERR_LIMIT`.
 */
export function avcConfigFrom(sps: readonly Uint8Array[], pps: readonly Uint8Array[]): VideoConfig {
  const [first] = sps
  if (first === undefined || pps.length === 0 || sps.length > 31 || pps.length > 255) {
    throw new KairoError('ERR_PROTOCOL', 'H.264 needs sequence and picture parameter sets')
  }
  const { profileIdc, compatibility, levelIdc, ...format } = parseH264Sps(first)
  const record = Buffer.concat([
    Uint8Array.of(1, profileIdc, compatibility, levelIdc, 0xff, 0xe0 | sps.length),
    writeParameterSets(sps),
    Uint8Array.of(pps.length),
    writeParameterSets(pps),
    PROFILES_WITH_FORMAT.has(profileIdc)
      ? Uint8Array.of(
          0xfc | format.chromaFormat,
          0xf8 | (format.bitDepthLuma - 8),
          0xf8 | (format.bitDepthChroma - 8),
          0,
        )
      : new Uint8Array(0),
  ])
  return h264VideoConfig(record)
}
