/**
 * Reads the init segments and parts that Kairo's own muxer writes, and checks what it relies on: used for stills and by
 * the part checker. It copies nothing; views point into the buffer that was given.
 */
import { type BoxView, findBox, malformedBox, readBoxes } from './box-reader.ts'

/** One sample of a fragment and where its bytes lie in the part. */
export interface SampleView {
  readonly offset: number
  readonly bytes: number
  /** Ticks of the track's timescale. */
  readonly duration: number
  readonly flags: number
  readonly compositionOffset: number
}

/** A part, read. */
export interface FragmentView {
  readonly sequence: number
  readonly trackId: number
  readonly baseDecodeTime: number
  readonly samples: readonly SampleView[]
}

/** What fragments of a track rely on in its init segment. */
export interface InitView {
  readonly trackId: number
  readonly timescale: number
  readonly handler: string
}

const NON_SYNC_BIT = 0x00010000

/**
 * Reads an init segment of one track.
 * @throws KairoError `ERR_INVALID_INPUT`.
 */
export function readInit(init: Buffer): InitView {
  const trackHeader = findBox(init, 'moov', 'trak', 'tkhd')
  const mediaHeader = findBox(init, 'moov', 'trak', 'mdia', 'mdhd')
  const handler = findBox(init, 'moov', 'trak', 'mdia', 'hdlr')
  const trackId = read32(init, trackHeader, 12)
  const timescale = read32(init, mediaHeader, 12)
  return {
    trackId,
    timescale,
    handler: init.toString('latin1', handler.body + 8, handler.body + 12),
  }
}

/**
 * Reads a part: one `moof` and one `mdat`, one track fragment, one track run.
 * @throws KairoError `ERR_INVALID_INPUT`.
 */
export function readFragment(part: Buffer): FragmentView {
  const [moof, mdat, more] = readBoxes(part)
  if (moof?.type !== 'moof' || mdat?.type !== 'mdat' || more !== undefined) {
    throw malformedBox('not one moof and one mdat')
  }
  const sequence = read32(part, findBox(part, 'moof', 'mfhd'), 4)
  const trackHeader = findBox(part, 'moof', 'traf', 'tfhd')
  const decodeTime = findBox(part, 'moof', 'traf', 'tfdt')
  const run = findBox(part, 'moof', 'traf', 'trun')
  const defaults = readDefaults(part, trackHeader)
  if ((part[decodeTime.body] ?? 0) !== 1) throw malformedBox('tfdt version')
  if (decodeTime.end - decodeTime.body < 12) throw malformedBox('tfdt')
  return {
    sequence,
    trackId: read32(part, trackHeader, 4),
    baseDecodeTime: Number(part.readBigUInt64BE(decodeTime.body + 4)),
    samples: readRun(part, moof, run, defaults),
  }
}

/** True when decoding can start at the sample. */
export function isSync(sample: SampleView): boolean {
  return (sample.flags & NON_SYNC_BIT) === 0
}

interface SampleDefaults {
  readonly duration: number
  readonly bytes: number
  readonly flags: number
}

function readDefaults(part: Buffer, header: BoxView): SampleDefaults {
  const flags = read32(part, header, 0) & 0xffffff
  // A base data offset or another sample description are things we never write.
  if ((flags & 0x000003) !== 0) throw malformedBox('tfhd flags')
  let at = 8
  const next = (bit: number): number => {
    if ((flags & bit) === 0) return 0
    const value = read32(part, header, at)
    at += 4
    return value
  }
  return { duration: next(0x08), bytes: next(0x10), flags: next(0x20) }
}

function readRun(
  part: Buffer,
  moof: BoxView,
  run: BoxView,
  defaults: SampleDefaults,
): readonly SampleView[] {
  const flags = read32(part, run, 0) & 0xffffff
  // The data offset is required, first-sample flags are not used.
  if ((flags & 0x000005) !== 0x000001) throw malformedBox('trun flags')
  const count = read32(part, run, 4)
  const fields = [0x100, 0x200, 0x400, 0x800].filter((bit) => (flags & bit) !== 0).length
  if (run.body + 12 + count * fields * 4 !== run.end) throw malformedBox('trun size')
  let offset = moof.start + (read32(part, run, 8) | 0)
  let at = 12
  const next = (bit: number, fallback: number): number => {
    if ((flags & bit) === 0) return fallback
    const value = read32(part, run, at)
    at += 4
    return value
  }
  const samples: SampleView[] = []
  for (let index = 0; index < count; index++) {
    const duration = next(0x100, defaults.duration)
    const bytes = next(0x200, defaults.bytes)
    const sampleFlags = next(0x400, defaults.flags)
    const compositionOffset = next(0x800, 0) | 0
    samples.push({ offset, bytes, duration, flags: sampleFlags, compositionOffset })
    offset += bytes
  }
  if (offset > part.byteLength) throw malformedBox('sample sizes')
  return samples
}

function read32(bytes: Buffer, box: BoxView, offset: number): number {
  if (box.body + offset + 4 > box.end) throw malformedBox(`${box.type} length`)
  return bytes.readUInt32BE(box.body + offset)
}
