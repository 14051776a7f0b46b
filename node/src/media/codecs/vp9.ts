/**
 * VP9: the uncompressed header of a frame (VP9 bitstream specification 6.2), the configuration record (VP9-ISOBMFF 2.2) and
 * the configuration of a track, whose picture size only a keyframe tells.
 */
import { KairoError } from '../../errors.ts'
import { FRAME_RATE_ASSUMED, type VideoColour, type VideoConfig } from '../access-unit.ts'
import { BitReader } from './bit-reader.ts'
import { expectPictureSize } from './picture-size.ts'
import { colourOf, UNSPECIFIED } from './video-signal.ts'

/** What a keyframe's header says. */
export interface Vp9Keyframe {
  readonly profile: number
  readonly bitDepth: 8 | 10 | 12
  /** As in the configuration record: 1 is 4:2:0, 2 is 4:2:2, 3 is 4:4:4. */
  readonly chromaSubsampling: number
  readonly fullRange: boolean
  /** Code point of the matrix by `color_space`; 2 where that is unknown. */
  readonly matrix: number
  readonly width: number
  readonly height: number
}

/** One checked sample. */
export interface Vp9Sample {
  /** Undefined for a frame from which decoding cannot start. */
  readonly keyframe: Vp9Keyframe | undefined
}

/** What a configuration record says that frames do not. */
export interface Vp9Config {
  /** Ten times the level, 10 to 62; undefined when not told. */
  readonly level: number | undefined
  readonly colour: VideoColour | undefined
}

const FRAME_MARKER = 2
const SYNC_CODE = 0x498342
const RECORD_BYTES = 8
/** Version 1 and no flags: the header of the box, which some muxers leave in front of the record. */
const FULL_BOX_HEADER = Buffer.of(1, 0, 0, 0)
const SPACE_SRGB = 7
/** Matrix code points by `color_space` (7.2.2): unknown, BT.601, BT.709, SMPTE 170, SMPTE 240, BT.2020, reserved, sRGB. */
const MATRICES = [UNSPECIFIED, 6, 1, 6, 7, 9, UNSPECIFIED, 0]
/** Largest picture in pixels and pixels a second of each level (VP9 levels, as published by the WebM project). */
const LEVELS: readonly (readonly [level: number, picture: number, rate: number])[] = [
  [10, 36_864, 829_440],
  [11, 73_728, 2_764_800],
  [20, 122_880, 4_608_000],
  [21, 245_760, 9_216_000],
  [30, 552_960, 20_736_000],
  [31, 983_040, 36_864_000],
  [40, 2_228_224, 83_558_400],
  [41, 2_228_224, 160_432_128],
  [50, 8_912_896, 311_951_360],
  [51, 8_912_896, 588_251_136],
  [52, 8_912_896, 1_176_502_272],
  [60, 35_651_584, 1_176_502_272],
  [61, 35_651_584, 2_353_004_544],
  [62, 35_651_584, 4_706_009_088],
]

/**
 * Reads a configuration record, with or without the header of its box in front.
 * @throws KairoError `ERR_PROTOCOL` when it is too short.
 */
export function parseVp9Config(record: Uint8Array): Vp9Config {
  const headed =
    record.byteLength >= RECORD_BYTES + FULL_BOX_HEADER.byteLength &&
    FULL_BOX_HEADER.equals(record.subarray(0, FULL_BOX_HEADER.byteLength))
  const body = headed ? record.subarray(FULL_BOX_HEADER.byteLength) : record
  const [profile = 0, level = 0, depth = 0, primaries = 0, transfer = 0, matrix = 0] = body
  if (body.byteLength < RECORD_BYTES || profile > 3) {
    throw new KairoError('ERR_PROTOCOL', 'not a VP9 configuration record')
  }
  const known = LEVELS.some(([one]) => one === level)
  const fullRange = (depth & 1) === 1
  return {
    level: known ? level : undefined,
    colour: colourOf({ primaries, transfer, matrix, fullRange }),
  }
}

/** Reads the header of a frame or of a superframe's first frame; undefined when it is none. */
export function readVp9Sample(data: Uint8Array): Vp9Sample | undefined {
  try {
    return { keyframe: readFrame(new BitReader(data)) }
  } catch (error) {
    if (!(error instanceof KairoError)) throw error
    return undefined
  }
}

function readFrame(reader: BitReader): Vp9Keyframe | undefined {
  if (reader.bits(2) !== FRAME_MARKER) throw new KairoError('ERR_PROTOCOL', 'not a VP9 frame')
  const profile = reader.bits(1) + 2 * reader.bits(1)
  if (profile === 3) reader.skip(1)
  // Frames that are shown again, and those that are no keyframes.
  if (reader.flag() || reader.flag()) return undefined
  reader.skip(2) // show_frame, error_resilient_mode
  if (reader.bits(24) !== SYNC_CODE) throw new KairoError('ERR_PROTOCOL', 'not a VP9 keyframe')
  const bitDepth = profile < 2 ? 8 : reader.flag() ? 12 : 10
  const space = reader.bits(3)
  const hasSampling = profile === 1 || profile === 3
  const fullRange = space === SPACE_SRGB || reader.flag()
  const chromaSubsampling = readSubsampling(reader, hasSampling, space)
  const width = reader.bits(16) + 1
  const height = reader.bits(16) + 1
  expectPictureSize(width, height)
  const matrix = MATRICES[space] ?? UNSPECIFIED
  return { profile, bitDepth, chromaSubsampling, fullRange, matrix, width, height }
}

function readSubsampling(reader: BitReader, hasSampling: boolean, space: number): number {
  if (space === SPACE_SRGB) {
    if (hasSampling) reader.skip(1)
    return 3
  }
  if (!hasSampling) return 1
  const x = reader.flag()
  const y = reader.flag()
  reader.skip(1)
  if (x && y) return 1
  return x ? 2 : 3
}

/**
 * The configuration of a track from a keyframe's header and, where there is one, its record. `frameRate` is what the publisher
 * declares; it only serves to judge the level.
 */
export function vp9VideoConfig(
  keyframe: Vp9Keyframe,
  config?: Vp9Config,
  frameRate?: number,
): VideoConfig {
  const { width, height, profile, bitDepth, chromaSubsampling, fullRange, matrix } = keyframe
  const level = config?.level ?? levelOf(width * height, frameRate ?? FRAME_RATE_ASSUMED)
  const colour =
    config?.colour ?? colourOf({ primaries: UNSPECIFIED, transfer: UNSPECIFIED, matrix, fullRange })
  const points = colour ?? { primaries: 2, transfer: 2, matrix: 2, fullRange: false }
  const description = Uint8Array.of(
    profile,
    level,
    (bitDepth << 4) | (chromaSubsampling << 1) | Number(points.fullRange),
    points.primaries,
    points.transfer,
    points.matrix,
    0,
    0,
  )
  const two = (value: number): string => String(value).padStart(2, '0')
  const short = ['vp09', two(profile), two(level), two(bitDepth)]
  const codes = [chromaSubsampling, points.primaries, points.transfer, points.matrix].map(two)
  // The fields after the bit depth default to 4:2:0, BT.709 and limited range: left out where nothing else is known.
  const plain = colour === undefined && chromaSubsampling === 1
  const long = plain ? [] : [...codes, two(Number(points.fullRange))]
  return {
    kind: 'video',
    codec: 'vp9',
    codecString: [...short, ...long].join('.'),
    width,
    height,
    frameRate,
    description,
    ...(colour === undefined ? {} : { colour }),
  }
}

function levelOf(picture: number, frameRate: number): number {
  const found = LEVELS.find(
    ([, pictureMax, rateMax]) => picture <= pictureMax && picture * frameRate <= rateMax,
  )
  return found?.[0] ?? 62
}
