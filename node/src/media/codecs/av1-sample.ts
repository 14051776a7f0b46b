/**
 * AV1 samples (AV1-ISOBMFF 2.4): checks one temporal unit, takes out what a sample must not hold, and finds out whether
 * decoding can start there.
 */
import { av1HdrLevels } from './av1.ts'
import { OBU, readObus, sizedObu } from './obu.ts'
import type { HdrLevels } from './video-signal.ts'

/** One checked temporal unit. */
export interface Av1Sample {
  /** OBUs without temporal delimiters; the input itself where it has none of those that must go. */
  readonly data: Uint8Array
  /** The first frame is a keyframe that is shown. */
  readonly keyframe: boolean
  /** The sequence header OBU in front of a frame, with its size; undefined when there is none. */
  readonly sequenceObu: Uint8Array | undefined
  /** HDR light levels that metadata OBUs of a keyframe tell. */
  readonly levels: HdrLevels
}

/** OBUs that a sample should not hold (2.4). */
const DROPPED_TYPES: ReadonlySet<number> = new Set([
  OBU.temporalDelimiter,
  OBU.tileList,
  OBU.padding,
])
const SHOW_EXISTING_FRAME = 0x80
/** `frame_type` 0 and `show_frame` 1 behind `show_existing_frame` 0 (5.9.2). */
const KEY_AND_SHOWN_MASK = 0x70
const KEY_AND_SHOWN = 0x10

/** Checks one temporal unit; undefined when its OBUs do not add up or it has no frame. */
export function readAv1Sample(data: Uint8Array): Av1Sample | undefined {
  const obus = readObus(data)
  const frame = obus?.find(({ type }) => type === OBU.frame || type === OBU.frameHeader)
  const first = frame?.payload[0]
  if (obus === undefined || first === undefined) return undefined
  const kept = obus.filter(({ type }) => !DROPPED_TYPES.has(type))
  const whole = kept.length === obus.length && obus.every(({ sized }) => sized)
  const sequence = obus.find(({ type }) => type === OBU.sequenceHeader)
  const keyframe =
    (first & SHOW_EXISTING_FRAME) === 0 && (first & KEY_AND_SHOWN_MASK) === KEY_AND_SHOWN
  return {
    data: whole ? data : Buffer.concat(kept.map(sizedObu)),
    keyframe,
    sequenceObu: sequence === undefined ? undefined : sizedObu(sequence),
    levels: keyframe ? av1HdrLevels(obus) : {},
  }
}
