/**
 * Colour in H.264 and HEVC: the video signal type of the VUI (ISO/IEC 14496-10 E.1.1, ISO/IEC 23008-2 E.2.1), and the HDR
 * messages that come beside it.
 */
import type { VideoColour } from '../access-unit.ts'
import type { BitReader } from './bit-reader.ts'
import type { SeiMessage } from './nal-units.ts'

/** ISO/IEC 23091-2 calls 2 "unspecified" in each of the three tables. */
export const UNSPECIFIED = 2
/** Transfer characteristics of HDR (ISO/IEC 23091-2 8.2), by what HLS calls them. */
export const HDR_TRANSFER = { PQ: 16, HLG: 18 } as const
/** What is shown when nothing is said: ITU-R BT.709, limited range. */
export const BT709: VideoColour = { primaries: 1, transfer: 1, matrix: 1, fullRange: false }

/** Dynamic range of pictures; `PQ` is that of HDR10. */
export type VideoRange = 'SDR' | keyof typeof HDR_TRANSFER

const SEI_MASTERING_DISPLAY = 137
const SEI_CONTENT_LIGHT = 144
const MASTERING_DISPLAY_BYTES = 24
const CONTENT_LIGHT_BYTES = 4

/** What HDR displays must know beside code points. */
export type HdrLevels = Pick<VideoColour, 'masteringDisplay' | 'contentLight'>

/** The dynamic range that a transfer characteristic means; SDR where it is not known. */
export function videoRangeOf(transfer: number | undefined): VideoRange {
  if (transfer === HDR_TRANSFER.PQ) return 'PQ'
  return transfer === HDR_TRANSFER.HLG ? 'HLG' : 'SDR'
}

/** Reads the fields behind `video_signal_type_present_flag`; undefined when they say no more than the default. */
export function readVideoSignalType(reader: BitReader): VideoColour | undefined {
  reader.skip(3) // video_format
  const fullRange = reader.flag()
  const described = reader.flag()
  const primaries = described ? reader.bits(8) : UNSPECIFIED
  const transfer = described ? reader.bits(8) : UNSPECIFIED
  const matrix = described ? reader.bits(8) : UNSPECIFIED
  return colourOf({ primaries, transfer, matrix, fullRange })
}

/** The colour, or undefined when it says no more than the default: nothing specified, limited range. */
export function colourOf(colour: VideoColour): VideoColour | undefined {
  const { primaries, transfer, matrix, fullRange } = colour
  const silent = [primaries, transfer, matrix].every((point) => point === UNSPECIFIED)
  return silent && !fullRange ? undefined : colour
}

/** The levels that SEI messages of a picture or a configuration tell; their payloads are those of `mdcv` and `clli`. */
export function hdrLevels(messages: readonly SeiMessage[]): HdrLevels {
  const payloadOf = (type: number, bytes: number): Uint8Array | undefined => {
    const found = messages.find((message) => message.type === type)
    return found === undefined || found.payload.byteLength < bytes
      ? undefined
      : Uint8Array.from(found.payload.subarray(0, bytes))
  }
  const masteringDisplay = payloadOf(SEI_MASTERING_DISPLAY, MASTERING_DISPLAY_BYTES)
  const contentLight = payloadOf(SEI_CONTENT_LIGHT, CONTENT_LIGHT_BYTES)
  return {
    ...(masteringDisplay === undefined ? {} : { masteringDisplay }),
    ...(contentLight === undefined ? {} : { contentLight }),
  }
}

/** True for HDR10 whose mastering display nobody has told yet: the first keyframe may. */
export function awaitsLevels(colour: VideoColour | undefined): boolean {
  return colour?.transfer === HDR_TRANSFER.PQ && colour.masteringDisplay === undefined
}
