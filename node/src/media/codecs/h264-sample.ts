/**
 * H.264 samples in AVC format (ISO/IEC 14496-15 5.3.2): checks the NAL lengths of one access unit, finds out whether
 * decoding can start there, and brings shorter length fields to the 4 bytes that the rest of the peer expects.
 */
import { readNalSample, seiMessages } from './nal-units.ts'

/** One checked access unit. */
export interface H264Sample {
  /** NAL units with 4-byte lengths; the input itself where it has them already. */
  readonly data: Uint8Array
  /** The picture is an IDR picture. */
  readonly idr: boolean
  /** A recovery point SEI says that decoding can start here without an IDR (open GOP, intra refresh). */
  readonly recoveryPoint: boolean
}

const NAL_TYPE_IDR = 5
const NAL_TYPE_SEI = 6
const SEI_RECOVERY_POINT = 6

/**
 * Checks one access unit; undefined when it is empty or its NAL lengths do not add up.
 * `nalLengthBytes` comes from the track's configuration record.
 */
export function readH264Sample(data: Uint8Array, nalLengthBytes: number): H264Sample | undefined {
  let idr = false
  let recoveryPoint = false
  const wide = readNalSample(data, nalLengthBytes, (nal) => {
    const type = (nal[0] ?? 0) & 31
    if (type === NAL_TYPE_IDR) idr = true
    else if (type === NAL_TYPE_SEI && !recoveryPoint) recoveryPoint = hasRecoveryPoint(nal)
  })
  return wide === undefined ? undefined : { data: wide, idr, recoveryPoint }
}

/** True when one of the messages of an SEI NAL unit is a recovery point (ISO/IEC 14496-10 D.1.8). */
export function hasRecoveryPoint(nal: Uint8Array): boolean {
  return seiMessages(nal.subarray(1)).some(({ type }) => type === SEI_RECOVERY_POINT)
}
