/**
 * H.264 configuration: reads the AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1) and the sequence parameter set
 * inside it (ISO/IEC 14496-10 7.3.2.1.1 and annex E).
 */
import { KairoError } from '../../errors.ts'
import type { VideoColour, VideoConfig } from '../access-unit.ts'
import { BitReader } from './bit-reader.ts'
import { readParameterSets, withoutEmulationPrevention } from './nal-units.ts'
import { expectPictureSize } from './picture-size.ts'
import { readVideoSignalType } from './video-signal.ts'

/** What a sequence parameter set says. */
export interface H264Sps {
  readonly profileIdc: number
  /** The constraint flags and reserved bits, as one byte. */
  readonly compatibility: number
  readonly levelIdc: number
  /** Pixels after cropping. */
  readonly width: number
  readonly height: number
  /** Pictures a second by the VUI timing; undefined when absent or absurd. */
  readonly frameRate: number | undefined
  /** Pictures that may precede a picture in decoding order and follow it in output; undefined when not said. */
  readonly reorderMax: number | undefined
  /** `chroma_format_idc`: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4. */
  readonly chromaFormat: number
  readonly bitDepthLuma: number
  readonly bitDepthChroma: number
  /** How the samples are to be shown; undefined when not said. */
  readonly colour: VideoColour | undefined
}

/** The parts of an AVCDecoderConfigurationRecord that matter here. */
export interface H264Config {
  /** RFC 6381 string, `avc1.PPCCLL`. */
  readonly codecString: string
  /** Bytes of each NAL unit's length field: 1, 2 or 4. */
  readonly nalLengthBytes: number
  readonly sps: H264Sps
}

/** Profiles whose SPS carries chroma format and scaling lists (ISO/IEC 14496-10 7.3.2.1.1). */
const HIGH_PROFILES = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135])
const NAL_TYPE_SPS = 7
const LENGTH_SIZE_OFFSET = 4
const LENGTH_SIZE_FOUR = 0xff
const EXTENDED_SAR = 255
const BIT_DEPTH_MAX = 14
/** What profiles below High always are. */
const MAIN_PROFILE_FORMAT: SampleFormat = {
  chromaFormat: 1,
  bitDepthLuma: 8,
  bitDepthChroma: 8,
  cropFormat: 1,
}
/** Declared rates outside these are time bases of variable-rate sources, not rates. */
const FRAME_RATE_MIN = 1
const FRAME_RATE_MAX = 480

/**
 * Reads the configuration record of an H.264 track.
 * @throws KairoError `ERR_PROTOCOL` when it is malformed, `ERR_LIMIT` when the picture is larger than this peer takes.
 */
export function parseH264Config(record: Uint8Array): H264Config {
  if (record.byteLength < 7 || record[0] !== 1) {
    throw new KairoError('ERR_PROTOCOL', 'not an H.264 configuration record')
  }
  const nalLengthBytes = ((record[4] ?? 0) & 3) + 1
  if (nalLengthBytes === 3) {
    throw new KairoError('ERR_PROTOCOL', 'H.264 NAL lengths of 3 bytes do not exist')
  }
  const spsCount = (record[5] ?? 0) & 31
  const first = readParameterSets(record, 6, spsCount)
  const ppsCount = record[first.end] ?? 0
  readParameterSets(record, first.end + 1, ppsCount)
  const spsUnit = first.units[0]
  if (spsUnit === undefined || ppsCount === 0) {
    throw new KairoError('ERR_PROTOCOL', 'the H.264 configuration holds no parameter sets')
  }
  const sps = parseH264Sps(spsUnit)
  return {
    codecString: `avc1.${hex(sps.profileIdc)}${hex(sps.compatibility)}${hex(sps.levelIdc)}`,
    nalLengthBytes,
    sps,
  }
}

/**
 * Reads a sequence parameter set NAL unit, header byte included. A damaged VUI is taken as absent, since decoders do so too.
 * @throws KairoError `ERR_PROTOCOL`, `ERR_LIMIT`.
 */
export function parseH264Sps(nal: Uint8Array): H264Sps {
  if (((nal[0] ?? 0) & 31) !== NAL_TYPE_SPS) {
    throw new KairoError('ERR_PROTOCOL', 'the first H.264 parameter set is no SPS')
  }
  const reader = new BitReader(withoutEmulationPrevention(nal.subarray(1)))
  const profileIdc = reader.bits(8)
  const compatibility = reader.bits(8)
  const levelIdc = reader.bits(8)
  reader.unsigned() // seq_parameter_set_id
  const high = HIGH_PROFILES.has(profileIdc) ? readHighProfileFields(reader) : MAIN_PROFILE_FORMAT
  reader.unsigned() // log2_max_frame_num_minus4
  const orderType = readPictureOrder(reader)
  reader.unsigned() // max_num_ref_frames
  reader.skip(1) // gaps_in_frame_num_value_allowed_flag
  const { width, height } = readPictureSize(reader, high.cropFormat)
  const vui = readVuiLeniently(reader)
  // Without reordering in the order count itself, output order is decoding order (8.2.1.3).
  const reorderMax = orderType === 2 || profileIdc === 66 ? 0 : vui.reorderMax
  return {
    profileIdc,
    compatibility,
    levelIdc,
    width,
    height,
    frameRate: vui.frameRate,
    reorderMax,
    chromaFormat: high.chromaFormat,
    bitDepthLuma: high.bitDepthLuma,
    bitDepthChroma: high.bitDepthChroma,
    colour: vui.colour,
  }
}

interface SampleFormat {
  readonly chromaFormat: number
  readonly bitDepthLuma: number
  readonly bitDepthChroma: number
  /** The chroma format that cropping units follow (ChromaArrayType). */
  readonly cropFormat: number
}

function readHighProfileFields(reader: BitReader): SampleFormat {
  const chromaFormat = reader.unsigned()
  if (chromaFormat > 3) throw new KairoError('ERR_PROTOCOL', 'unknown H.264 chroma format')
  const separatePlanes = chromaFormat === 3 && reader.flag()
  const bitDepthLuma = reader.unsigned() + 8
  const bitDepthChroma = reader.unsigned() + 8
  if (bitDepthLuma > BIT_DEPTH_MAX || bitDepthChroma > BIT_DEPTH_MAX) {
    throw new KairoError('ERR_PROTOCOL', 'unknown H.264 bit depth')
  }
  reader.skip(1) // qpprime_y_zero_transform_bypass_flag
  if (reader.flag()) {
    const lists = chromaFormat === 3 ? 12 : 8
    for (let index = 0; index < lists; index += 1) {
      if (reader.flag()) skipScalingList(reader, index < 6 ? 16 : 64)
    }
  }
  // Separate planes are cropped in luma units, as monochrome is (ChromaArrayType 0).
  return {
    chromaFormat,
    bitDepthLuma,
    bitDepthChroma,
    cropFormat: separatePlanes ? 0 : chromaFormat,
  }
}

function skipScalingList(reader: BitReader, size: number): void {
  let last = 8
  let next = 8
  for (let index = 0; index < size; index += 1) {
    if (next !== 0) next = (last + reader.signed() + 256) & 255
    if (next !== 0) last = next
  }
}

function readPictureOrder(reader: BitReader): number {
  const type = reader.unsigned()
  if (type > 2) throw new KairoError('ERR_PROTOCOL', 'unknown H.264 picture order type')
  if (type === 0) reader.unsigned() // log2_max_pic_order_cnt_lsb_minus4
  if (type === 1) {
    reader.skip(1) // delta_pic_order_always_zero_flag
    reader.signed()
    reader.signed()
    const cycle = reader.unsigned()
    if (cycle > 255) throw new KairoError('ERR_PROTOCOL', 'H.264 picture order cycle too long')
    for (let index = 0; index < cycle; index += 1) reader.signed()
  }
  return type
}

function readPictureSize(
  reader: BitReader,
  chromaFormat: number,
): { width: number; height: number } {
  const widthMacroblocks = reader.unsigned() + 1
  const heightMapUnits = reader.unsigned() + 1
  const frameOnly = reader.flag()
  if (!frameOnly) reader.skip(1) // mb_adaptive_frame_field_flag
  reader.skip(1) // direct_8x8_inference_flag
  const fieldFactor = frameOnly ? 1 : 2
  let width = widthMacroblocks * 16
  let height = heightMapUnits * 16 * fieldFactor
  if (reader.flag()) {
    const cropX = chromaFormat === 1 || chromaFormat === 2 ? 2 : 1
    const cropY = (chromaFormat === 1 ? 2 : 1) * fieldFactor
    width -= (reader.unsigned() + reader.unsigned()) * cropX
    height -= (reader.unsigned() + reader.unsigned()) * cropY
  }
  if (width <= 0 || height <= 0) {
    throw new KairoError('ERR_PROTOCOL', 'the H.264 picture is cropped to nothing')
  }
  expectPictureSize(width, height)
  return { width, height }
}

interface Vui {
  frameRate: number | undefined
  reorderMax: number | undefined
  colour: VideoColour | undefined
}

function readVuiLeniently(reader: BitReader): Vui {
  const vui: Vui = { frameRate: undefined, reorderMax: undefined, colour: undefined }
  try {
    if (reader.flag()) readVui(reader, vui)
  } catch (error) {
    if (!(error instanceof KairoError)) throw error
    // Truncated VUI is common in cheap encoders; picture size, which matters, is read already.
  }
  return vui
}

function readVui(reader: BitReader, vui: Vui): void {
  if (reader.flag() && reader.bits(8) === EXTENDED_SAR) reader.skip(32)
  if (reader.flag()) reader.skip(1) // overscan
  if (reader.flag()) vui.colour = readVideoSignalType(reader)
  if (reader.flag()) {
    reader.unsigned() // chroma_sample_loc_type_top_field
    reader.unsigned() // chroma_sample_loc_type_bottom_field
  }
  vui.frameRate = readTiming(reader)
  const nalHrd = reader.flag()
  if (nalHrd) skipHrd(reader)
  const vclHrd = reader.flag()
  if (vclHrd) skipHrd(reader)
  if (nalHrd || vclHrd) reader.skip(1) // low_delay_hrd_flag
  reader.skip(1) // pic_struct_present_flag
  if (!reader.flag()) return
  reader.skip(1) // motion_vectors_over_pic_boundaries_flag
  for (let field = 0; field < 4; field += 1) reader.unsigned()
  vui.reorderMax = reader.unsigned()
}

function readTiming(reader: BitReader): number | undefined {
  if (!reader.flag()) return undefined
  const unitsInTick = reader.bits(32)
  const timeScale = reader.bits(32)
  reader.skip(1) // fixed_frame_rate_flag
  // A tick is a field, so a frame takes two (annex E.2.1).
  const rate = timeScale / (2 * unitsInTick)
  return rate >= FRAME_RATE_MIN && rate <= FRAME_RATE_MAX ? rate : undefined
}

function skipHrd(reader: BitReader): void {
  const count = reader.unsigned() + 1
  if (count > 32) throw new KairoError('ERR_PROTOCOL', 'more than 32 H.264 HRD schedules')
  reader.skip(8)
  for (let index = 0; index < count; index += 1) {
    reader.unsigned()
    reader.unsigned()
    reader.skip(1)
  }
  reader.skip(20)
}

/**
 * The configuration of a track from its AVCDecoderConfigurationRecord. Samples must then have 4-byte NAL lengths, whatever
 * the record says: its description here says so.
 * @throws KairoError as {@link parseH264Config}.
 */
export function h264VideoConfig(record: Uint8Array): VideoConfig {
  const { codecString, sps } = parseH264Config(record)
  const description = Uint8Array.from(record)
  description[LENGTH_SIZE_OFFSET] = LENGTH_SIZE_FOUR
  return {
    kind: 'video',
    codec: 'h264',
    codecString,
    width: sps.width,
    height: sps.height,
    frameRate: sps.frameRate,
    description,
    ...(sps.colour === undefined ? {} : { colour: sps.colour }),
  }
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}
