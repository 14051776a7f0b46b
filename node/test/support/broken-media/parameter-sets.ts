/** H.264 parameter sets that say what no encoder says. */
import { type BitField, bits, flags, ue } from '../bit-writer.ts'

/** A picture parameter set: CAVLC, one slice group. */
const PPS = bits(
  [0x68, 8],
  ...[ue(0), ue(0), ...flags(0, 0), ue(0), ue(0), ue(0)],
  ...([[0, 1], [0, 2], ue(0), ue(0), ue(0)] as const),
  ...flags(1, 0, 0, 1),
)

/** A baseline sequence parameter set of so many macroblocks, `crop` chroma samples of which are cut away at the right. */
function spsOf(columns: number, rows: number, crop: number): Uint8Array {
  const head: BitField[] = [
    [0x67, 8],
    [66, 8],
    [0, 8],
    [62, 8],
  ]
  const cropping = crop > 0 ? [...flags(1), ue(0), ue(crop), ue(0), ue(0)] : flags(0)
  return bits(
    ...head,
    ...[ue(0), ue(0), ue(2), ue(1), ...flags(0)],
    ...[ue(columns - 1), ue(rows - 1), ...flags(1, 1)],
    ...cropping,
    ...flags(0, 1),
  )
}

/** 16384 by 16384. */
export function hugeSps(): Uint8Array {
  return spsOf(1_024, 1_024, 0)
}

/** 0 by 16: all columns are cropped away. */
export function noSizeSps(): Uint8Array {
  return spsOf(1, 1, 8)
}

/** The FLV tag that configures H.264 by one sequence parameter set. */
export function avcConfigTag(sps: Uint8Array): Buffer {
  const size = (bytes: Uint8Array): Uint8Array =>
    Uint8Array.of(bytes.byteLength >> 8, bytes.byteLength & 255)
  return Buffer.concat([
    Uint8Array.of(0x17, 0, 0, 0, 0, 1, sps[1] ?? 0, sps[2] ?? 0, sps[3] ?? 0, 0xff, 0xe1),
    ...[size(sps), sps, Uint8Array.of(1), size(PPS), PPS],
  ])
}
