/**
 * NAL units with start codes, as MPEG-TS and raw files carry them (ISO/IEC 14496-10 annex B, ISO/IEC 23008-2 annex B).
 */
import { KairoError } from '../../errors.ts'
import { codecLimits } from '../../limits/codecs.ts'

const START_CODE = Buffer.of(0, 0, 1)

/**
 * The NAL units of a byte stream, without start codes and the zeros around them; views into `data`. Bytes in front of the first
 * start code belong to no unit and are left out.
 * @throws KairoError `ERR_LIMIT` with more than `codecLimits.nalUnitsMax` units.
 */
export function annexBUnits(data: Uint8Array): readonly Uint8Array[] {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  const units: Uint8Array[] = []
  let code = bytes.indexOf(START_CODE)
  while (code !== -1) {
    const start = code + START_CODE.byteLength
    code = bytes.indexOf(START_CODE, start)
    let end = code === -1 ? bytes.byteLength : code
    // A unit ends in a one bit, so zeros behind it are the next start code's or stuffing.
    while (end > start && bytes[end - 1] === 0) end -= 1
    if (end === start) continue
    if (units.length === codecLimits.nalUnitsMax) {
      throw new KairoError('ERR_LIMIT', 'too many NAL units in one access unit')
    }
    units.push(data.subarray(start, end))
  }
  return units
}
