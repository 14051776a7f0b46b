/**
 * HEVC with start codes into samples with 4-byte lengths. The configuration of such a stream is built from its parameter
 * sets by `hevcConfigFrom` in hevc.ts.
 */
import { annexBUnits } from './annexb.ts'
import { hevcNalType, isIrapType } from './hevc-sample.ts'
import { joinNals } from './nal-units.ts'

/** The parameter sets of a picture, with their NAL headers, in their order. */
export interface HevcParameterSets {
  readonly vps: readonly Uint8Array[]
  readonly sps: readonly Uint8Array[]
  readonly pps: readonly Uint8Array[]
}

/** One access unit. */
export interface HevcAccessUnit {
  /** NAL units with 4-byte lengths, without delimiters and parameter sets; empty when there was nothing else. */
  readonly data: Uint8Array
  /** An IRAP picture: IDR, CRA or BLA. */
  readonly keyframe: boolean
  /** Undefined when the unit carries none. */
  readonly parameterSets: HevcParameterSets | undefined
}

const NAL_TYPE_VPS = 32
const NAL_TYPE_SPS = 33
const NAL_TYPE_PPS = 34
/** Access unit delimiter, end of sequence, end of bitstream, filler data. */
const DROPPED_TYPES = new Set([35, 36, 37, 38])

/**
 * Reads one access unit with start codes.
 * @throws KairoError `ERR_LIMIT` with too many NAL units.
 */
export function hevcFromAnnexB(data: Uint8Array): HevcAccessUnit {
  const vps: Uint8Array[] = []
  const sps: Uint8Array[] = []
  const pps: Uint8Array[] = []
  const rest: Uint8Array[] = []
  const sets = new Map([
    [NAL_TYPE_VPS, vps],
    [NAL_TYPE_SPS, sps],
    [NAL_TYPE_PPS, pps],
  ])
  let keyframe = false
  for (const nal of annexBUnits(data)) {
    const type = hevcNalType(nal)
    const set = sets.get(type)
    if (set !== undefined) set.push(nal)
    else if (!DROPPED_TYPES.has(type)) {
      rest.push(nal)
      if (isIrapType(type)) keyframe = true
    }
  }
  const hasSets = [vps, sps, pps].some((units) => units.length > 0)
  return {
    data: joinNals(rest),
    keyframe,
    parameterSets: hasSets ? { vps, sps, pps } : undefined,
  }
}
