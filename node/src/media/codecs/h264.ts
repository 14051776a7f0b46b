/**
 * H.264 configuration: reads the AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1) and the sequence parameter set
 * inside it (ISO/IEC 14496-10 7.3.2.1.1 and annex E).
 */
import { KairoError } from '../../errors.ts'
import { bitstreamLimits } from '../../limits.ts'
import { BitReader } from './bit-reader.ts'

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
const EXTENDED_SAR = 255
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
  const first = parameterSets(record, 6, spsCount)
  const ppsCount = record[first.end] ?? 0
  parameterSets(record, first.end + 1, ppsCount)
  const spsUnit = first.units[0]
  if (spsUnit === undefined || ppsCount === 0) {
    throw new KairoError('ERR_PROTOCOL', 'the H.264 configuration holds no parameter sets')
  }
  const sps = parseSps(spsUnit)
  return {
    codecString: `avc1.${hex(sps.profileIdc)}${hex(sps.compatibility)}${hex(sps.levelIdc)}`,
    nalLengthBytes,
    sps,
  }
}

/** Reads a sequence parameter set NAL unit, header byte included. A damaged VUI is taken as absent, since decoders do so too. */
function parseSps(nal: Uint8Array): H264Sps {
  if (((nal[0] ?? 0) & 31) !== NAL_TYPE_SPS) {
    throw new KairoError('ERR_PROTOCOL', 'the first H.264 parameter set is no SPS')
  }
  const reader = new BitReader(withoutEmulationPrevention(nal.subarray(1)))
  const profileIdc = reader.bits(8)
  const compatibility = reader.bits(8)
  const levelIdc = reader.bits(8)
  reader.unsigned() // seq_parameter_set_id
  const chromaFormat = HIGH_PROFILES.has(profileIdc) ? readHighProfileFields(reader) : 1
  reader.unsigned() // log2_max_frame_num_minus4
  const orderType = readPictureOrder(reader)
  reader.unsigned() // max_num_ref_frames
  reader.skip(1) // gaps_in_frame_num_value_allowed_flag
  const { width, height } = readPictureSize(reader, chromaFormat)
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
  }
}

function parameterSets(
  record: Uint8Array,
  start: number,
  count: number,
): { units: Uint8Array[]; end: number } {
  const units: Uint8Array[] = []
  let offset = start
  for (let index = 0; index < count; index += 1) {
    const length = ((record[offset] ?? 0) << 8) | (record[offset + 1] ?? 0)
    const end = offset + 2 + length
    if (length === 0 || end > record.byteLength) {
      throw new KairoError('ERR_PROTOCOL', 'a parameter set exceeds its H.264 configuration')
    }
    units.push(record.subarray(offset + 2, end))
    offset = end
  }
  return { units, end: offset }
}

function readHighProfileFields(reader: BitReader): number {
  const chromaFormat = reader.unsigned()
  if (chromaFormat > 3) throw new KairoError('ERR_PROTOCOL', 'unknown H.264 chroma format')
  const separatePlanes = chromaFormat === 3 && reader.flag()
  reader.unsigned() // bit_depth_luma_minus8
  reader.unsigned() // bit_depth_chroma_minus8
  reader.skip(1) // qpprime_y_zero_transform_bypass_flag
  if (reader.flag()) {
    const lists = chromaFormat === 3 ? 12 : 8
    for (let index = 0; index < lists; index += 1) {
      if (reader.flag()) skipScalingList(reader, index < 6 ? 16 : 64)
    }
  }
  // Separate planes are cropped in luma units, as monochrome is (ChromaArrayType 0).
  return separatePlanes ? 0 : chromaFormat
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
  const sideMax = bitstreamLimits.pictureSideMax
  if (width > sideMax || height > sideMax) {
    throw new KairoError('ERR_LIMIT', `a picture of ${width}x${height} exceeds ${sideMax} pixels`)
  }
  return { width, height }
}

interface Vui {
  readonly frameRate: number | undefined
  readonly reorderMax: number | undefined
}

function readVuiLeniently(reader: BitReader): Vui {
  let frameRate: number | undefined
  try {
    if (!reader.flag()) return { frameRate: undefined, reorderMax: undefined }
    skipVuiDisplay(reader)
    frameRate = readTiming(reader)
    const nalHrd = reader.flag()
    if (nalHrd) skipHrd(reader)
    const vclHrd = reader.flag()
    if (vclHrd) skipHrd(reader)
    if (nalHrd || vclHrd) reader.skip(1) // low_delay_hrd_flag
    reader.skip(1) // pic_struct_present_flag
    if (!reader.flag()) return { frameRate, reorderMax: undefined }
    reader.skip(1) // motion_vectors_over_pic_boundaries_flag
    for (let field = 0; field < 4; field += 1) reader.unsigned()
    return { frameRate, reorderMax: reader.unsigned() }
  } catch (error) {
    if (!(error instanceof KairoError)) throw error
    // Truncated VUI is common in cheap encoders; picture size, which matters, is read already.
    return { frameRate, reorderMax: undefined }
  }
}

function skipVuiDisplay(reader: BitReader): void {
  if (reader.flag() && reader.bits(8) === EXTENDED_SAR) reader.skip(32)
  if (reader.flag()) reader.skip(1) // overscan
  if (reader.flag()) {
    reader.skip(4) // video_format, video_full_range_flag
    if (reader.flag()) reader.skip(24) // colour description
  }
  if (reader.flag()) {
    reader.unsigned() // chroma_sample_loc_type_top_field
    reader.unsigned() // chroma_sample_loc_type_bottom_field
  }
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

/** The RBSP of a NAL unit: its bytes without the 03 of each 00 00 03 (ISO/IEC 14496-10 7.4.1.1). */
function withoutEmulationPrevention(payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(payload.byteLength)
  let length = 0
  let zeros = 0
  for (const byte of payload) {
    if (zeros >= 2 && byte === 3) {
      zeros = 0
      continue
    }
    out[length] = byte
    length += 1
    zeros = byte === 0 ? zeros + 1 : 0
  }
  return out.subarray(0, length)
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}
