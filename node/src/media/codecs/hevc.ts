/**
 * HEVC configuration: reads the HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 8.3.3.1) and tells a track's configuration
 * from it; builds one from parameter sets.
 */
import { KairoError } from '../../errors.ts'
import { codecLimits } from '../../limits/codecs.ts'
import type { VideoConfig } from '../access-unit.ts'
import { type HevcProfile, type HevcSps, parseHevcSps } from './hevc-sps.ts'
import { readParameterSets, seiMessages, writeParameterSets } from './nal-units.ts'
import { hdrLevels } from './video-signal.ts'

/** The parts of an HEVCDecoderConfigurationRecord that matter here. */
export interface HevcConfig {
  /** RFC 6381 string by ISO/IEC 14496-15 annex E, `hvc1.1.6.L93.B0`. */
  readonly codecString: string
  /** Bytes of each NAL unit's length field: 1, 2 or 4. */
  readonly nalLengthBytes: number
  readonly sps: HevcSps
  /** SEI NAL units that the record holds, with their headers. */
  readonly sei: readonly Uint8Array[]
}

const HEADER_BYTES = 23
const LENGTH_SIZE_OFFSET = 21
const ARRAYS_OFFSET = 22
const ARRAYS_MAX = 16
const NAL_TYPE_VPS = 32
const NAL_TYPE_SPS = 33
const NAL_TYPE_PPS = 34
const NAL_TYPE_SEI_PREFIX = 39
const NAL_HEADER_BYTES = 2
/** Set in the type byte of an array that holds all units of its type, as the sample entry `hvc1` asks. */
const ARRAY_COMPLETE = 0x80

/**
 * Reads the configuration record of an HEVC track.
 * @throws KairoError `ERR_PROTOCOL` when it is malformed or lacks parameter sets, `ERR_LIMIT` when something in it is larger
 * than this peer takes.
 */
export function parseHevcConfig(record: Uint8Array): HevcConfig {
  // Version 0 is what encoders wrote before the standard was done; the layout is the same.
  if (record.byteLength < HEADER_BYTES || (record[0] ?? 0) > 1) {
    throw new KairoError('ERR_PROTOCOL', 'not an HEVC configuration record')
  }
  if (record.byteLength > codecLimits.configBytesMax) {
    throw new KairoError('ERR_LIMIT', 'an HEVC configuration record is too large')
  }
  const nalLengthBytes = ((record[LENGTH_SIZE_OFFSET] ?? 0) & 3) + 1
  if (nalLengthBytes === 3) {
    throw new KairoError('ERR_PROTOCOL', 'HEVC NAL lengths of 3 bytes do not exist')
  }
  const units = readArrays(record)
  const [first] = units.get(NAL_TYPE_SPS) ?? []
  if (first === undefined || !units.has(NAL_TYPE_PPS)) {
    throw new KairoError('ERR_PROTOCOL', 'the HEVC configuration holds no parameter sets')
  }
  const sps = parseHevcSps(first)
  const sei = units.get(NAL_TYPE_SEI_PREFIX) ?? []
  return { codecString: hevcCodecString(sps), nalLengthBytes, sps, sei }
}

function readArrays(record: Uint8Array): ReadonlyMap<number, readonly Uint8Array[]> {
  const count = record[ARRAYS_OFFSET] ?? 0
  if (count > ARRAYS_MAX) throw new KairoError('ERR_LIMIT', 'too many arrays in an HEVC record')
  const units = new Map<number, readonly Uint8Array[]>()
  let offset = HEADER_BYTES
  for (let index = 0; index < count; index += 1) {
    const type = (record[offset] ?? 0) & 63
    const size = ((record[offset + 1] ?? 0) << 8) | (record[offset + 2] ?? 0)
    const array = readParameterSets(record, offset + 3, size)
    if (array.units.length > 0) units.set(type, [...(units.get(type) ?? []), ...array.units])
    offset = array.end
  }
  return units
}

/**
 * The configuration of a track from its HEVCDecoderConfigurationRecord. Samples must then have 4-byte NAL lengths, whatever
 * the record says: its description here says so.
 * @throws KairoError as {@link parseHevcConfig}.
 */
export function hevcVideoConfig(record: Uint8Array): VideoConfig {
  const { codecString, sps, sei } = parseHevcConfig(record)
  const description = Uint8Array.from(record)
  description[0] = 1
  description[LENGTH_SIZE_OFFSET] = (description[LENGTH_SIZE_OFFSET] ?? 0) | 3
  const messages = sei.flatMap((nal) => seiMessages(nal.subarray(NAL_HEADER_BYTES)))
  const { colour } = sps
  return {
    kind: 'video',
    codec: 'hevc',
    codecString,
    width: sps.width,
    height: sps.height,
    frameRate: sps.frameRate,
    description,
    ...(colour === undefined ? {} : { colour: { ...colour, ...hdrLevels(messages) } }),
  }
}

/**
 * The configuration of a track out of parameter sets with their NAL headers.
 * @throws KairoError `ERR_PROTOCOL` when they are malformed or one kind is missing, `ERR_LIMIT`.
 */
export function hevcConfigFrom(
  vps: readonly Uint8Array[],
  sps: readonly Uint8Array[],
  pps: readonly Uint8Array[],
): VideoConfig {
  const [first] = sps
  if (first === undefined || vps.length === 0 || pps.length === 0) {
    throw new KairoError('ERR_PROTOCOL', 'HEVC needs video, sequence and picture parameter sets')
  }
  const said = parseHevcSps(first)
  const fixed = Buffer.alloc(HEADER_BYTES)
  fixed[0] = 1
  fixed[1] = said.profileByte
  fixed.writeUInt32BE(said.compatibility, 2)
  fixed.set(said.constraints, 6)
  fixed[12] = said.levelIdc
  fixed.writeUInt16BE(0xf000, 13) // min_spatial_segmentation_idc: nothing known
  fixed[15] = 0xfc // parallelismType: mixed or unknown
  fixed[16] = 0xfc | said.chromaFormat
  fixed[17] = 0xf8 | (said.bitDepthLuma - 8)
  fixed[18] = 0xf8 | (said.bitDepthChroma - 8)
  fixed[LENGTH_SIZE_OFFSET] = (said.temporalLayers << 3) | (said.temporalNesting ? 4 : 0) | 3
  fixed[ARRAYS_OFFSET] = 3
  const array = (type: number, units: readonly Uint8Array[]): Uint8Array =>
    Buffer.concat([
      Uint8Array.of(ARRAY_COMPLETE | type, units.length >> 8, units.length & 255),
      writeParameterSets(units),
    ])
  return hevcVideoConfig(
    Buffer.concat([
      fixed,
      array(NAL_TYPE_VPS, vps),
      array(NAL_TYPE_SPS, sps),
      array(NAL_TYPE_PPS, pps),
    ]),
  )
}

/** RFC 6381 string: profile, compatibility flags in reverse bit order, tier and level, constraint bytes without trailing zeros. */
function hevcCodecString(profile: HevcProfile): string {
  const space = ['', 'A', 'B', 'C'][profile.profileByte >> 6] ?? ''
  const tier = (profile.profileByte & 0x20) === 0 ? 'L' : 'H'
  let reversed = 0
  for (let bit = 0; bit < 32; bit += 1) {
    reversed = reversed * 2 + ((profile.compatibility >>> bit) & 1)
  }
  const constraints = [...profile.constraints]
  while (constraints.at(-1) === 0) constraints.pop()
  return [
    `hvc1.${space}${profile.profileByte & 31}`,
    reversed.toString(16).toUpperCase(),
    `${tier}${profile.levelIdc}`,
    ...constraints.map((byte) => byte.toString(16).toUpperCase()),
  ].join('.')
}
