/**
 * Sample entries: what a decoder must know, in the box that each codec has for it (ISO/IEC 14496-12 8.5.2 and 12, 14496-15,
 * AV1-ISOBMFF, VP9-ISOBMFF, Opus-in-ISOBMFF, FLAC-in-ISOBMFF).
 */
import type { AudioConfig, VideoColour, VideoConfig } from '../access-unit.ts'
import { box, fullBox, uint16, uint32 } from './box.ts'

/** Resolution of 72 dots an inch in 16.16 fixed point, which the format asks for in every visual entry. */
const RESOLUTION_72_DPI = 0x00480000
/** Colour with no alpha (ISO/IEC 14496-12 12.1.3). */
const DEPTH_COLOUR = 0x0018
/** `pre_defined` of a visual entry: minus one. */
const COLOUR_TABLE_NONE = 0xffff
const BITS_PER_SAMPLE = 16
/** 16.16 fixed point holds sample rates to this only; above it the format says 0 and decoders use the codec's own box. */
const ENTRY_RATE_MAX = 0xffff
/** The byte of a `dfLa` description whose last bit begins the bits of a sample minus one; four more bits follow (RFC 9639 8.2). */
const FLAC_BITS_OFFSET = 4 + 12

/** The sample entry of a video track. */
export function videoSampleEntry(config: VideoConfig): Buffer {
  const { type, configuration } = videoBoxes(config)
  return box(
    type,
    new Uint8Array(6),
    uint16(1),
    new Uint8Array(16),
    uint16(config.width, config.height),
    uint32(RESOLUTION_72_DPI, RESOLUTION_72_DPI, 0),
    uint16(1),
    new Uint8Array(32),
    uint16(DEPTH_COLOUR, COLOUR_TABLE_NONE),
    configuration,
    ...(config.colour === undefined ? [] : colourBoxes(config.colour)),
  )
}

function videoBoxes(config: VideoConfig): {
  readonly type: string
  readonly configuration: Buffer
} {
  const { description } = config
  switch (config.codec) {
    case 'h264':
      return { type: 'avc1', configuration: box('avcC', description) }
    case 'hevc':
      return { type: 'hvc1', configuration: box('hvcC', description) }
    case 'av1':
      return { type: 'av01', configuration: box('av1C', description) }
    case 'vp9':
      return { type: 'vp09', configuration: fullBox('vpcC', 1, 0, description) }
  }
}

/** `colr` of type `nclx` and, for HDR, the mastering display and the light levels. */
function colourBoxes(colour: VideoColour): readonly Buffer[] {
  const { primaries, transfer, matrix, fullRange, masteringDisplay, contentLight } = colour
  const codePoints = box(
    'colr',
    Buffer.from('nclx', 'latin1'),
    uint16(primaries, transfer, matrix),
    Uint8Array.of(fullRange ? 0x80 : 0),
  )
  return [
    codePoints,
    ...(masteringDisplay === undefined ? [] : [box('mdcv', masteringDisplay)]),
    ...(contentLight === undefined ? [] : [box('clli', contentLight)]),
  ]
}

/** The sample entry of an audio track. */
export function audioSampleEntry(config: AudioConfig): Buffer {
  const { sampleRate, channels, description } = config
  const entry = (type: string, bitsPerSample: number, configuration: Buffer): Buffer =>
    box(
      type,
      new Uint8Array(6),
      uint16(1),
      new Uint8Array(8),
      uint16(channels, bitsPerSample, 0, 0),
      uint32(sampleRate > ENTRY_RATE_MAX ? 0 : sampleRate * 0x10000),
      configuration,
    )
  switch (config.codec) {
    case 'aac':
      return entry('mp4a', BITS_PER_SAMPLE, elementaryStreamDescriptor(description))
    case 'opus':
      return entry('Opus', BITS_PER_SAMPLE, box('dOps', description))
    case 'flac':
      return entry('fLaC', flacBits(description), fullBox('dfLa', 0, 0, description))
  }
}

/** Bits of a FLAC sample as its STREAMINFO tells them (RFC 9639 8.2). */
function flacBits(description: Uint8Array): number {
  const high = (description[FLAC_BITS_OFFSET] ?? 0) & 1
  const low = (description[FLAC_BITS_OFFSET + 1] ?? 0) >> 4
  return high * 16 + low + 1
}

/** `esds` with the AudioSpecificConfig (ISO/IEC 14496-1 7.2.6, 14496-14 5.6). */
function elementaryStreamDescriptor(audioSpecificConfig: Uint8Array): Buffer {
  const decoderConfig = descriptor(
    0x04,
    // MPEG-4 audio, an audio stream (type 5, reserved bit set), no buffer size and no rates stated.
    Uint8Array.of(0x40, 0x15, 0, 0, 0),
    uint32(0, 0),
    descriptor(0x05, audioSpecificConfig),
  )
  const elementaryStream = descriptor(
    0x03,
    uint16(0),
    Uint8Array.of(0),
    decoderConfig,
    descriptor(0x06, Uint8Array.of(0x02)),
  )
  return fullBox('esds', 0, 0, elementaryStream)
}

/** A descriptor with the four-byte form of its length, which old QuickTime readers insist on. */
function descriptor(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content)
  const length = body.byteLength
  const header = Uint8Array.of(
    tag,
    0x80 | ((length >> 21) & 0x7f),
    0x80 | ((length >> 14) & 0x7f),
    0x80 | ((length >> 7) & 0x7f),
    length & 0x7f,
  )
  return Buffer.concat([header, body])
}
