/** When a fragment is first seen or heard: the one fact of it that manifests need and the index does not tell. */
import { findBox, malformedBox } from '../../media/cmaf/box-reader.ts'

/** Fields of a track run's samples, in their order, by flag (ISO/IEC 14496-12 8.8.8). */
const DATA_OFFSET = 0x1
const FIRST_SAMPLE_FLAGS = 0x4
const SAMPLE_FIELDS = [0x100, 0x200, 0x400] as const
const COMPOSITION_OFFSETS = 0x800

/**
 * Presentation time of the first sample of a fragment, in ticks of its track.
 * @throws KairoError `ERR_INVALID_INPUT` when it is no fragment.
 */
export function fragmentStart(part: Buffer): number {
  const decodeTime = findBox(part, 'moof', 'traf', 'tfdt')
  const run = findBox(part, 'moof', 'traf', 'trun')
  const isWide = part[decodeTime.body] === 1
  if (decodeTime.end - decodeTime.body < (isWide ? 12 : 8)) throw malformedBox('tfdt')
  if (run.end - run.body < 8) throw malformedBox('trun')
  const base = isWide
    ? Number(part.readBigUInt64BE(decodeTime.body + 4))
    : part.readUInt32BE(decodeTime.body + 4)
  return base + firstCompositionOffset(part.subarray(run.body, run.end))
}

function firstCompositionOffset(run: Buffer): number {
  const flags = run.readUIntBE(1, 3)
  if ((flags & COMPOSITION_OFFSETS) === 0 || run.readUInt32BE(4) === 0) return 0
  let at = 8
  if ((flags & DATA_OFFSET) !== 0) at += 4
  if ((flags & FIRST_SAMPLE_FLAGS) !== 0) at += 4
  for (const field of SAMPLE_FIELDS) if ((flags & field) !== 0) at += 4
  if (at + 4 > run.byteLength) throw malformedBox('trun samples')
  return run[0] === 0 ? run.readUInt32BE(at) : run.readInt32BE(at)
}
