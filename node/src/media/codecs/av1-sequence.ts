/**
 * The AV1 sequence header OBU (AV1 bitstream specification 5.5).
 */
import { KairoError } from '../../errors.ts'
import type { VideoColour } from '../access-unit.ts'
import { BitReader } from './bit-reader.ts'
import { expectPictureSize } from './picture-size.ts'
import { colourOf, UNSPECIFIED } from './video-signal.ts'

/** What a sequence header says. */
export interface Av1Sequence {
  readonly profile: number
  /** `seq_level_idx[0]`, for example 8 for level 4.0. */
  readonly levelIdx: number
  readonly tier: number
  readonly bitDepth: 8 | 10 | 12
  readonly monochrome: boolean
  readonly subsamplingX: boolean
  readonly subsamplingY: boolean
  readonly chromaSamplePosition: number
  /** Largest picture of the sequence in pixels. */
  readonly width: number
  readonly height: number
  /** Pictures a second by the timing information; undefined when absent or absurd. */
  readonly frameRate: number | undefined
  /** Undefined when it says no more than the default. */
  readonly colour: VideoColour | undefined
}

type ColourConfig = Pick<
  Av1Sequence,
  'bitDepth' | 'monochrome' | 'subsamplingX' | 'subsamplingY' | 'chromaSamplePosition' | 'colour'
>

const PRIMARIES_BT709 = 1
const TRANSFER_SRGB = 13
const MATRIX_IDENTITY = 0
const SELECT = 2
const UVLC_ZEROS_MAX = 32
const FRAME_RATE_MIN = 1
const FRAME_RATE_MAX = 480

/**
 * Reads the payload of a sequence header OBU.
 * @throws KairoError `ERR_PROTOCOL` when it is malformed, `ERR_LIMIT` when the picture is larger than this peer takes.
 */
export function parseAv1Sequence(payload: Uint8Array): Av1Sequence {
  const reader = new BitReader(payload)
  const profile = reader.bits(3)
  if (profile > 2) throw new KairoError('ERR_PROTOCOL', 'unknown AV1 profile')
  reader.skip(1) // still_picture
  const reducedStillPicture = reader.flag()
  const point = reducedStillPicture
    ? { levelIdx: reader.bits(5), tier: 0, frameRate: undefined }
    : readOperatingPoints(reader)
  const size = readSize(reader)
  const hasFrameIds = !reducedStillPicture && reader.flag()
  if (hasFrameIds) reader.skip(4 + 3)
  reader.skip(3) // use_128x128_superblock, enable_filter_intra, enable_intra_edge_filter
  if (!reducedStillPicture) skipTools(reader)
  reader.skip(3) // enable_superres, enable_cdef, enable_restoration
  const colour = readColourConfig(reader, profile)
  return { profile, ...point, ...size, ...colour }
}

type OperatingPoint = Pick<Av1Sequence, 'levelIdx' | 'tier' | 'frameRate'>

/** From `timing_info_present_flag` to the last operating point; the first point is what the whole sequence needs. */
function readOperatingPoints(reader: BitReader): OperatingPoint {
  let frameRate: number | undefined
  let delayBits: number | undefined
  if (reader.flag()) {
    frameRate = readTiming(reader)
    if (reader.flag()) {
      delayBits = reader.bits(5) + 1
      reader.skip(32 + 5 + 5)
    }
  }
  const displayDelays = reader.flag()
  const count = reader.bits(5) + 1
  let first: OperatingPoint | undefined
  for (let index = 0; index < count; index += 1) {
    reader.skip(12) // operating_point_idc
    const levelIdx = reader.bits(5)
    const tier = levelIdx > 7 ? reader.bits(1) : 0
    if (delayBits !== undefined && reader.flag()) reader.skip(2 * delayBits + 1)
    if (displayDelays && reader.flag()) reader.skip(4)
    first ??= { levelIdx, tier, frameRate }
  }
  if (first === undefined) throw new KairoError('ERR_PROTOCOL', 'AV1 without operating points')
  return first
}

/** `timing_info()`; a rate only where all pictures last equally long. */
function readTiming(reader: BitReader): number | undefined {
  const unitsInTick = reader.bits(32)
  const timeScale = reader.bits(32)
  if (!reader.flag()) return undefined
  const ticks = readUvlc(reader) + 1
  const rate = timeScale / (unitsInTick * ticks)
  return rate >= FRAME_RATE_MIN && rate <= FRAME_RATE_MAX ? rate : undefined
}

function readUvlc(reader: BitReader): number {
  let zeros = 0
  while (!reader.flag()) zeros += 1
  return zeros >= UVLC_ZEROS_MAX ? 2 ** 32 - 1 : 2 ** zeros - 1 + reader.bits(zeros)
}

function readSize(reader: BitReader): { readonly width: number; readonly height: number } {
  const widthBits = reader.bits(4) + 1
  const heightBits = reader.bits(4) + 1
  const width = reader.bits(widthBits) + 1
  const height = reader.bits(heightBits) + 1
  expectPictureSize(width, height)
  return { width, height }
}

/** From `enable_interintra_compound` to `order_hint_bits_minus_1`. */
function skipTools(reader: BitReader): void {
  reader.skip(4)
  const orderHint = reader.flag()
  if (orderHint) reader.skip(2)
  const screenContent = reader.flag() ? SELECT : reader.bits(1)
  if (screenContent > 0 && !reader.flag()) reader.skip(1)
  if (orderHint) reader.skip(3)
}

/** `color_config()` (5.5.2). */
function readColourConfig(reader: BitReader, profile: number): ColourConfig {
  const high = reader.flag()
  const twelve = profile === 2 && high && reader.flag()
  const bitDepth = twelve ? 12 : high ? 10 : 8
  const monochrome = profile !== 1 && reader.flag()
  const described = reader.flag()
  const primaries = described ? reader.bits(8) : UNSPECIFIED
  const transfer = described ? reader.bits(8) : UNSPECIFIED
  const matrix = described ? reader.bits(8) : UNSPECIFIED
  const colour = (fullRange: boolean) => colourOf({ primaries, transfer, matrix, fullRange })
  if (monochrome) {
    const sampling = { subsamplingX: true, subsamplingY: true, chromaSamplePosition: 0 }
    return { bitDepth, monochrome, ...sampling, colour: colour(reader.flag()) }
  }
  if (primaries === PRIMARIES_BT709 && transfer === TRANSFER_SRGB && matrix === MATRIX_IDENTITY) {
    const sampling = { subsamplingX: false, subsamplingY: false, chromaSamplePosition: 0 }
    return { bitDepth, monochrome, ...sampling, colour: colour(true) }
  }
  const fullRange = reader.flag()
  const { subsamplingX, subsamplingY } = readSubsampling(reader, profile, bitDepth)
  const chromaSamplePosition = subsamplingX && subsamplingY ? reader.bits(2) : 0
  const sampling = { subsamplingX, subsamplingY, chromaSamplePosition }
  return { bitDepth, monochrome, ...sampling, colour: colour(fullRange) }
}

function readSubsampling(
  reader: BitReader,
  profile: number,
  bitDepth: number,
): Pick<Av1Sequence, 'subsamplingX' | 'subsamplingY'> {
  if (profile === 0) return { subsamplingX: true, subsamplingY: true }
  if (profile === 1) return { subsamplingX: false, subsamplingY: false }
  if (bitDepth !== 12) return { subsamplingX: true, subsamplingY: false }
  const subsamplingX = reader.flag()
  return { subsamplingX, subsamplingY: subsamplingX && reader.flag() }
}
