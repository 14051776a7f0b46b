/**
 * AV1 configuration: reads and writes the AV1CodecConfigurationRecord (AV1-ISOBMFF 2.3.3) and tells a track's configuration.
 */
import { KairoError } from '../../errors.ts'
import { codecLimits } from '../../limits/codecs.ts'
import type { VideoConfig } from '../access-unit.ts'
import { type Av1Sequence, parseAv1Sequence } from './av1-sequence.ts'
import { OBU, type Obu, readLeb128, readObus, sizedObu } from './obu.ts'
import type { HdrLevels } from './video-signal.ts'

/** What a configuration record holds. */
export interface Av1Config {
  /** Undefined when the record has no sequence header: then the first keyframe has. */
  readonly sequence: Av1Sequence | undefined
  /** The sequence header OBU with its size. */
  readonly sequenceObu: Uint8Array | undefined
  readonly levels: HdrLevels
}

const HEADER_BYTES = 4
/** Marker bit and version 1. */
const MARKER_AND_VERSION = 0x81
const METADATA_CONTENT_LIGHT = 1
const METADATA_MASTERING_DISPLAY = 2
const CONTENT_LIGHT_BYTES = 4
const MASTERING_DISPLAY_BYTES = 24
/** `mdcv` counts chromaticities in 0.00002 and luminances in 0.0001 cd/m2; AV1 in fixed point (6.7.4). */
const CHROMATICITIES_PER_UNIT = 50_000 / 2 ** 16
const LUMINANCE_MAX_PER_UNIT = 10_000 / 2 ** 8
const LUMINANCE_MIN_PER_UNIT = 10_000 / 2 ** 14
/** `mdcv` lists green, blue, red; AV1 red, green, blue; then the white point in both. Offsets into AV1's order. */
const PRIMARY_ORDER = [1, 2, 0, 3]

/**
 * Reads the configuration record of an AV1 track.
 * @throws KairoError `ERR_PROTOCOL` when it is malformed, `ERR_LIMIT` when something in it is larger than this peer takes.
 */
export function parseAv1Config(record: Uint8Array): Av1Config {
  if (record.byteLength < HEADER_BYTES || record[0] !== MARKER_AND_VERSION) {
    throw new KairoError('ERR_PROTOCOL', 'not an AV1 configuration record')
  }
  if (record.byteLength > codecLimits.configBytesMax) {
    throw new KairoError('ERR_LIMIT', 'an AV1 configuration record is too large')
  }
  const obus = readObus(record.subarray(HEADER_BYTES))
  if (obus === undefined) throw new KairoError('ERR_PROTOCOL', 'broken OBUs in an AV1 record')
  const header = obus.find(({ type }) => type === OBU.sequenceHeader)
  return {
    sequence: header === undefined ? undefined : parseAv1Sequence(header.payload),
    sequenceObu: header === undefined ? undefined : sizedObu(header),
    levels: av1HdrLevels(obus),
  }
}

/**
 * The configuration of a track from the first keyframe's sequence header OBU (with its size), HDR levels beside it.
 * @throws KairoError `ERR_PROTOCOL`, `ERR_LIMIT`.
 */
export function av1VideoConfig(sequenceObu: Uint8Array, levels: HdrLevels = {}): VideoConfig {
  const [header] = readObus(sequenceObu) ?? []
  if (header?.type !== OBU.sequenceHeader) {
    throw new KairoError('ERR_PROTOCOL', 'not an AV1 sequence header')
  }
  const sequence = parseAv1Sequence(header.payload)
  const { width, height, frameRate, colour } = sequence
  return {
    kind: 'video',
    codec: 'av1',
    codecString: av1CodecString(sequence),
    width,
    height,
    frameRate,
    description: writeRecord(sequence, sizedObu(header)),
    ...(colour === undefined ? {} : { colour: { ...colour, ...levels } }),
  }
}

/** The light levels that metadata OBUs tell (6.7.3, 6.7.4), as payloads of `mdcv` and `clli`. */
export function av1HdrLevels(obus: readonly Obu[]): HdrLevels {
  let levels: HdrLevels = {}
  for (const { type, payload } of obus) {
    if (type !== OBU.metadata) continue
    const kind = readLeb128(payload, 0)
    if (kind === undefined) continue
    const body = Buffer.from(payload.subarray(kind.end))
    if (kind.value === METADATA_CONTENT_LIGHT && body.byteLength >= CONTENT_LIGHT_BYTES) {
      levels = { ...levels, contentLight: Uint8Array.from(body.subarray(0, CONTENT_LIGHT_BYTES)) }
    }
    if (kind.value === METADATA_MASTERING_DISPLAY && body.byteLength >= MASTERING_DISPLAY_BYTES) {
      levels = { ...levels, masteringDisplay: masteringDisplay(body) }
    }
  }
  return levels
}

function masteringDisplay(body: Buffer): Uint8Array {
  const out = Buffer.alloc(MASTERING_DISPLAY_BYTES)
  for (const [to, from] of PRIMARY_ORDER.entries()) {
    for (const axis of [0, 2]) {
      const value = Math.round(body.readUInt16BE(from * 4 + axis) * CHROMATICITIES_PER_UNIT)
      out.writeUInt16BE(value, to * 4 + axis)
    }
  }
  const luminance = (offset: number, unit: number): number =>
    Math.min(2 ** 32 - 1, Math.round(body.readUInt32BE(offset) * unit))
  out.writeUInt32BE(luminance(16, LUMINANCE_MAX_PER_UNIT), 16)
  out.writeUInt32BE(luminance(20, LUMINANCE_MIN_PER_UNIT), 20)
  return Uint8Array.from(out)
}

function writeRecord(sequence: Av1Sequence, sequenceObu: Uint8Array): Uint8Array {
  const { profile, levelIdx, tier, bitDepth, monochrome } = sequence
  const flags =
    (tier << 7) |
    (bitDepth > 8 ? 0x40 : 0) |
    (bitDepth === 12 ? 0x20 : 0) |
    (monochrome ? 0x10 : 0) |
    (sequence.subsamplingX ? 0x08 : 0) |
    (sequence.subsamplingY ? 0x04 : 0) |
    sequence.chromaSamplePosition
  const fixed = Uint8Array.of(MARKER_AND_VERSION, (profile << 5) | levelIdx, flags, 0)
  return Buffer.concat([fixed, sequenceObu])
}

/** RFC 6381 string (AV1-ISOBMFF 5); the optional fields only where they differ from what they default to. */
function av1CodecString(sequence: Av1Sequence): string {
  const { profile, levelIdx, tier, bitDepth, monochrome, colour } = sequence
  const two = (value: number): string => String(value).padStart(2, '0')
  const short = `av01.${profile}.${two(levelIdx)}${tier === 0 ? 'M' : 'H'}.${two(bitDepth)}`
  const sampling = [sequence.subsamplingX, sequence.subsamplingY].map(Number).join('')
  const position = sampling === '11' ? sequence.chromaSamplePosition : 0
  const points = colour ?? { primaries: 1, transfer: 1, matrix: 1, fullRange: false }
  const long = [
    Number(monochrome),
    `${sampling}${position}`,
    two(points.primaries),
    two(points.transfer),
    two(points.matrix),
    Number(points.fullRange),
  ].join('.')
  return long === DEFAULT_FIELDS ? short : `${short}.${long}`
}

/** Not monochrome, 4:2:0 with unknown or default sample position, BT.709, limited range. */
const DEFAULT_FIELDS = '0.110.01.01.01.0'
