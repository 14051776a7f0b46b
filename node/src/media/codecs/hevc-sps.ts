/**
 * The HEVC sequence parameter set (ISO/IEC 23008-2 7.3.2.2 and annex E), read as far as its VUI.
 */
import { KairoError } from '../../errors.ts'
import { codecLimits } from '../../limits/codecs.ts'
import type { VideoColour } from '../access-unit.ts'
import { BitReader } from './bit-reader.ts'
import { withoutEmulationPrevention } from './nal-units.ts'
import { expectPictureSize } from './picture-size.ts'
import { readVideoSignalType } from './video-signal.ts'

/** What a configuration record and a codec string repeat of profile, tier and level. */
export interface HevcProfile {
  /** `general_profile_space`, tier flag and `general_profile_idc` as one byte. */
  readonly profileByte: number
  /** `general_profile_compatibility_flags`. */
  readonly compatibility: number
  /** The six bytes of constraint flags. */
  readonly constraints: Uint8Array
  readonly levelIdc: number
}

/** What a sequence parameter set says. */
export interface HevcSps extends HevcProfile {
  /** `sps_max_sub_layers_minus1` + 1. */
  readonly temporalLayers: number
  readonly temporalNesting: boolean
  /** `chroma_format_idc`: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4. */
  readonly chromaFormat: number
  readonly bitDepthLuma: number
  readonly bitDepthChroma: number
  /** Pixels inside the conformance window. */
  readonly width: number
  readonly height: number
  /** Pictures a second by the VUI timing; undefined when absent or absurd. */
  readonly frameRate: number | undefined
  /** Undefined when not said. */
  readonly colour: VideoColour | undefined
}

const NAL_HEADER_BITS = 16
const NAL_TYPE_SPS = 33
const EXTENDED_SAR = 255
const BIT_DEPTH_MAX = 16
const POC_BITS_MAX = 16
/** Sub-layer profile and level fields of {@link readProfile}, bits. */
const SUB_LAYER_PROFILE_BITS = 88
const SUB_LAYER_LEVEL_BITS = 8
/** Declared rates outside these are time bases of variable-rate sources, not rates. */
const FRAME_RATE_MIN = 1
const FRAME_RATE_MAX = 480

/**
 * Reads an SPS NAL unit, its header included. What lies behind the bit depths may be damaged: then frame rate and colour are
 * undefined, since decoders play such streams.
 * @throws KairoError `ERR_PROTOCOL` when it is malformed, `ERR_LIMIT` when the picture is larger than this peer takes.
 */
export function parseHevcSps(nal: Uint8Array): HevcSps {
  if (((nal[0] ?? 0) >> 1) % 64 !== NAL_TYPE_SPS) {
    throw new KairoError('ERR_PROTOCOL', 'an HEVC parameter set is no SPS')
  }
  const reader = new BitReader(withoutEmulationPrevention(nal))
  reader.skip(NAL_HEADER_BITS + 4) // sps_video_parameter_set_id
  const subLayers = reader.bits(3)
  const temporalNesting = reader.flag()
  const profile = readProfile(reader, subLayers)
  reader.unsigned() // sps_seq_parameter_set_id
  const chromaFormat = reader.unsigned()
  if (chromaFormat > 3) throw new KairoError('ERR_PROTOCOL', 'unknown HEVC chroma format')
  const separatePlanes = chromaFormat === 3 && reader.flag()
  const size = readPictureSize(reader, separatePlanes ? 0 : chromaFormat)
  const bitDepthLuma = readBitDepth(reader)
  const bitDepthChroma = readBitDepth(reader)
  const vui = readVuiLeniently(reader, subLayers)
  return {
    ...profile,
    temporalLayers: subLayers + 1,
    temporalNesting,
    chromaFormat,
    bitDepthLuma,
    bitDepthChroma,
    ...size,
    ...vui,
  }
}

/** `profile_tier_level(1, subLayers)` (7.3.3). */
function readProfile(reader: BitReader, subLayers: number): HevcProfile {
  const profileByte = reader.bits(8)
  const compatibility = reader.bits(32)
  const constraints = Uint8Array.from({ length: 6 }, () => reader.bits(8))
  const levelIdc = reader.bits(8)
  const present: (readonly [boolean, boolean])[] = []
  for (let layer = 0; layer < subLayers; layer += 1) present.push([reader.flag(), reader.flag()])
  if (subLayers > 0) reader.skip(2 * (8 - subLayers))
  for (const [profile, level] of present) {
    reader.skip((profile ? SUB_LAYER_PROFILE_BITS : 0) + (level ? SUB_LAYER_LEVEL_BITS : 0))
  }
  return { profileByte, compatibility, constraints, levelIdc }
}

function readPictureSize(
  reader: BitReader,
  chromaFormat: number,
): { readonly width: number; readonly height: number } {
  let width = reader.unsigned()
  let height = reader.unsigned()
  if (reader.flag()) {
    const unitX = chromaFormat === 1 || chromaFormat === 2 ? 2 : 1
    const unitY = chromaFormat === 1 ? 2 : 1
    width -= (reader.unsigned() + reader.unsigned()) * unitX
    height -= (reader.unsigned() + reader.unsigned()) * unitY
  }
  if (width <= 0 || height <= 0) {
    throw new KairoError('ERR_PROTOCOL', 'the HEVC picture is cropped to nothing')
  }
  expectPictureSize(width, height)
  return { width, height }
}

function readBitDepth(reader: BitReader): number {
  const depth = reader.unsigned() + 8
  if (depth > BIT_DEPTH_MAX) throw new KairoError('ERR_PROTOCOL', 'unknown HEVC bit depth')
  return depth
}

interface Vui {
  frameRate: number | undefined
  colour: VideoColour | undefined
}

function readVuiLeniently(reader: BitReader, subLayers: number): Vui {
  const vui: Vui = { frameRate: undefined, colour: undefined }
  try {
    const pocBits = reader.unsigned() + 4
    if (pocBits > POC_BITS_MAX) return vui
    const first = reader.flag() ? 0 : subLayers
    for (let layer = first; layer <= subLayers; layer += 1) skipCodes(reader, 3)
    skipCodes(reader, 6) // block sizes and hierarchy depths
    if (reader.flag() && reader.flag()) skipScalingLists(reader)
    reader.skip(2) // amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if (reader.flag()) {
      reader.skip(8) // pcm sample bit depths
      skipCodes(reader, 2)
      reader.skip(1) // pcm_loop_filter_disabled_flag
    }
    skipReferenceSets(reader)
    if (reader.flag()) {
      const longTerm = reader.unsigned()
      for (let index = 0; index < longTerm; index += 1) reader.skip(pocBits + 1)
    }
    reader.skip(2) // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
    if (reader.flag()) readVui(reader, vui)
  } catch (error) {
    if (!(error instanceof KairoError)) throw error
    // What a picture needs to be shown is read already.
  }
  return vui
}

function readVui(reader: BitReader, vui: Vui): void {
  if (reader.flag() && reader.bits(8) === EXTENDED_SAR) reader.skip(32)
  if (reader.flag()) reader.skip(1) // overscan
  if (reader.flag()) vui.colour = readVideoSignalType(reader)
  if (reader.flag()) skipCodes(reader, 2) // chroma sample location
  reader.skip(1) // neutral_chroma_indication_flag
  const fields = reader.flag()
  reader.skip(1) // frame_field_info_present_flag
  if (reader.flag()) skipCodes(reader, 4) // default display window
  if (!reader.flag()) return
  const unitsInTick = reader.bits(32)
  const rate = reader.bits(32) / unitsInTick / (fields ? 2 : 1)
  if (rate >= FRAME_RATE_MIN && rate <= FRAME_RATE_MAX) vui.frameRate = rate
}

/** `scaling_list_data()` (7.3.4). */
function skipScalingLists(reader: BitReader): void {
  for (let size = 0; size < 4; size += 1) {
    // 32x32 blocks have lists for two of the six matrices.
    const step = size === 3 ? 3 : 1
    for (let matrix = 0; matrix < 6; matrix += step) {
      if (!reader.flag()) {
        reader.unsigned() // scaling_list_pred_matrix_id_delta
        continue
      }
      if (size > 1) reader.signed() // scaling_list_dc_coef_minus8
      const coefficients = Math.min(64, 1 << (4 + (size << 1)))
      for (let index = 0; index < coefficients; index += 1) reader.signed()
    }
  }
}

/** The short-term reference picture sets (7.3.7); each may be told as a difference to the one before. */
function skipReferenceSets(reader: BitReader): void {
  const sets = reader.unsigned()
  if (sets > codecLimits.hevcReferenceSetsMax) {
    throw new KairoError('ERR_LIMIT', 'too many HEVC reference picture sets')
  }
  let pictures = 0
  for (let index = 0; index < sets; index += 1) {
    pictures =
      index > 0 && reader.flag() ? readPredictedSet(reader, pictures) : readPlainSet(reader)
    if (pictures > codecLimits.hevcReferencePicturesMax) {
      throw new KairoError('ERR_LIMIT', 'too many pictures in an HEVC reference picture set')
    }
  }
}

/** Returns the number of pictures in the set. */
function readPredictedSet(reader: BitReader, before: number): number {
  reader.skip(1) // delta_rps_sign
  reader.unsigned() // abs_delta_rps_minus1
  let pictures = 0
  for (let index = 0; index <= before; index += 1) {
    const used = reader.flag()
    if (used || reader.flag()) pictures += 1
  }
  return pictures
}

function readPlainSet(reader: BitReader): number {
  const pictures = reader.unsigned() + reader.unsigned()
  if (pictures > codecLimits.hevcReferencePicturesMax) return pictures
  for (let index = 0; index < pictures; index += 1) {
    reader.unsigned() // delta_poc_minus1
    reader.skip(1) // used_by_curr_pic_flag
  }
  return pictures
}

function skipCodes(reader: BitReader, count: number): void {
  for (let index = 0; index < count; index += 1) reader.unsigned()
}
