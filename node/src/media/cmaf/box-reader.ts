/**
 * Reads the boxes that Kairo's own muxer writes, and checks what it relies on: used for stills and by the part checker.
 * It copies nothing; views point into the buffer that was given.
 */
import { KairoError } from '../../errors.ts'
import { BOX_HEADER_BYTES } from './box.ts'

/** Where a box lies in its buffer, as byte offsets. */
export interface BoxView {
  readonly type: string
  readonly start: number
  /** First byte after the header. */
  readonly body: number
  readonly end: number
}

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
/** Boxes in one container; ours hold fewer than ten. */
const BOXES_MAX = 1_024

/**
 * The boxes that fill `start` to `end`.
 * @throws KairoError `ERR_INVALID_INPUT` when a size leaves its container or bytes are left over.
 */
export function readBoxes(
  bytes: Uint8Array,
  start = 0,
  end = bytes.byteLength,
): readonly BoxView[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const boxes: BoxView[] = []
  let at = start
  while (at < end) {
    if (end - at < BOX_HEADER_BYTES || boxes.length === BOXES_MAX) throw malformed('box header')
    const size = view.readUInt32BE(at)
    const type = view.toString('latin1', at + 4, at + 8)
    if (size < BOX_HEADER_BYTES || at + size > end) throw malformed(`${type} size`)
    boxes.push({ type, start: at, body: at + BOX_HEADER_BYTES, end: at + size })
    at += size
  }
  return boxes
}

/**
 * The box that a path of types leads to.
 * @throws KairoError `ERR_INVALID_INPUT` when it is not there.
 */
export function findBox(bytes: Uint8Array, ...path: readonly string[]): BoxView {
  let boxes = readBoxes(bytes)
  let found: BoxView | undefined
  for (const type of path) {
    found = boxes.find((candidate) => candidate.type === type)
    if (found === undefined) throw malformed(`missing ${type}`)
    if (type !== path.at(-1)) boxes = readBoxes(bytes, found.body, found.end)
  }
  if (found === undefined) throw malformed('empty path')
  return found
}

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
  const moof = findBox(part, 'moof')
  const sequence = read32(part, findBox(part, 'moof', 'mfhd'), 4)
  const trackHeader = findBox(part, 'moof', 'traf', 'tfhd')
  const decodeTime = findBox(part, 'moof', 'traf', 'tfdt')
  const run = findBox(part, 'moof', 'traf', 'trun')
  const defaults = readDefaults(part, trackHeader)
  if ((part[decodeTime.body] ?? 0) !== 1) throw malformed('tfdt version')
  if (decodeTime.end - decodeTime.body < 12) throw malformed('tfdt')
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
  if ((flags & 0x000003) !== 0) throw malformed('tfhd flags')
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
  if ((flags & 0x000005) !== 0x000001) throw malformed('trun flags')
  const count = read32(part, run, 4)
  const fields = [0x100, 0x200, 0x400, 0x800].filter((bit) => (flags & bit) !== 0).length
  if (run.body + 12 + count * fields * 4 !== run.end) throw malformed('trun size')
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
  if (offset > part.byteLength) throw malformed('sample sizes')
  return samples
}

function read32(bytes: Buffer, box: BoxView, offset: number): number {
  if (box.body + offset + 4 > box.end) throw malformed(`${box.type} length`)
  return bytes.readUInt32BE(box.body + offset)
}

function malformed(what: string): KairoError {
  return new KairoError('ERR_INVALID_INPUT', `malformed media fragment: ${what}`)
}
