/**
 * HEVC samples with NAL lengths (ISO/IEC 14496-15 8.3.2): checks one access unit and finds out whether decoding can start there.
 */
import { readNalSample, type SeiMessage, seiMessages } from './nal-units.ts'

/** One checked access unit. */
export interface HevcSample {
  /** NAL units with 4-byte lengths; the input itself where it has them already. */
  readonly data: Uint8Array
  /** The picture is an IRAP picture: IDR, CRA or BLA. */
  readonly keyframe: boolean
  /** Messages of its prefix SEI, of keyframes only: those that repeat what all pictures share. */
  readonly sei: readonly SeiMessage[]
}

/** NAL unit types of intra random access pictures, 22 and 23 being reserved ones (ISO/IEC 23008-2 table 7-1). */
const NAL_TYPE_IRAP_FIRST = 16
const NAL_TYPE_IRAP_LAST = 21
const NAL_TYPE_SEI_PREFIX = 39
const NAL_HEADER_BYTES = 2

/** The type of an HEVC NAL unit. */
export function hevcNalType(nal: Uint8Array): number {
  return ((nal[0] ?? 0) >> 1) & 63
}

/** True for the types of slices from which decoding can start. */
export function isIrapType(type: number): boolean {
  return type >= NAL_TYPE_IRAP_FIRST && type <= NAL_TYPE_IRAP_LAST
}

/**
 * Checks one access unit; undefined when it is empty or its NAL lengths do not add up.
 * `nalLengthBytes` comes from the track's configuration record.
 */
export function readHevcSample(data: Uint8Array, nalLengthBytes: number): HevcSample | undefined {
  let keyframe = false
  const seiNals: Uint8Array[] = []
  const wide = readNalSample(data, nalLengthBytes, (nal) => {
    const type = hevcNalType(nal)
    if (isIrapType(type)) keyframe = true
    if (type === NAL_TYPE_SEI_PREFIX) seiNals.push(nal)
  })
  if (wide === undefined) return undefined
  const sei = keyframe ? seiNals.flatMap((nal) => seiMessages(nal.subarray(NAL_HEADER_BYTES))) : []
  return { data: wide, keyframe, sei }
}
