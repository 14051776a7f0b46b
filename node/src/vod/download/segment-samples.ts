/** Finds the samples of a whole segment, which is one fragment of a file or several parts of a live stream. */
import { malformedBox, readBoxes } from '../../media/cmaf/box-reader.ts'
import { type FragmentView, readFragment } from '../../media/cmaf/fragment-reader.ts'

/** Boxes between fragments that carry nothing of the samples. */
const skipped = new Set(['styp', 'sidx', 'prft', 'emsg', 'free', 'skip'])

/**
 * The fragments of a segment; offsets of samples count from the segment's first byte.
 * @throws KairoError `ERR_INVALID_INPUT`.
 */
export function readSegment(segment: Buffer): readonly FragmentView[] {
  const boxes = readBoxes(segment).filter(({ type }) => !skipped.has(type))
  const fragments: FragmentView[] = []
  for (let index = 0; index < boxes.length; index += 2) {
    const [moof, mdat] = [boxes[index], boxes[index + 1]]
    if (moof?.type !== 'moof' || mdat?.type !== 'mdat') throw malformedBox('no moof and mdat')
    const fragment = readFragment(segment.subarray(moof.start, mdat.end))
    const samples = fragment.samples.map((sample) => ({
      ...sample,
      offset: sample.offset + moof.start,
    }))
    fragments.push({ ...fragment, samples })
  }
  return fragments
}

/** The bytes of all samples, in order, as few views of the segment. */
export function samplePayload(segment: Buffer): readonly Buffer[] {
  const views: Buffer[] = []
  let start = 0
  let end = 0
  for (const { samples } of readSegment(segment)) {
    for (const { offset, bytes } of samples) {
      if (offset !== end) {
        if (end > start) views.push(segment.subarray(start, end))
        start = offset
      }
      end = offset + bytes
    }
  }
  if (end > start) views.push(segment.subarray(start, end))
  return views
}
