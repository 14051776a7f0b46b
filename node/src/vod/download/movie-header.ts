/**
 * The head of an ordinary MP4 file: `ftyp` and a `moov` with whole sample tables before the media, so that players show a
 * picture after the first bytes and seek without reading the rest (ISO/IEC 14496-12).
 */
import { strict as assert } from 'node:assert'
import { box, fullBox, uint32 } from '../../media/cmaf/box.ts'
import { findBox, readBoxes } from '../../media/cmaf/box-reader.ts'
import { readInit } from '../../media/cmaf/fragment-reader.ts'
import { Numbers, type Runs, type SampleTable } from './sample-table.ts'

/** One track of the file. */
export interface MovieTrack {
  /** Init segments by sample description, in order; all of one timescale and handler. */
  readonly inits: readonly Buffer[]
  readonly table: SampleTable
  /** Offset of each chunk from the first byte of the media. */
  readonly chunkOffsets: readonly number[]
}

/** Ticks a second of the movie's own times, in which edits are given. */
const MOVIE_TIMESCALE = 90_000
/** Identity transformation matrix (8.2.2). */
const MATRIX = uint32(0x00010000, 0, 0, 0, 0x00010000, 0, 0, 0, 0x40000000)
const TRACK_FLAGS = 0x000007
/** Bytes of `tkhd` after its duration: layer, group, volume, matrix, size. */
const TRACK_HEADER_TAIL_BYTES = 60
/** An edit that shows nothing. */
const EMPTY = -1
const UINT32_MAX = 0xffff_ffff
/** Offsets stay below it with 32 bits, the head itself included. */
const SMALL_FILE_BYTES = 0xf000_0000

/** Bytes before the media: `ftyp`, `moov` and the header of the `mdat` that holds `mediaBytes`. */
export function movieHead(tracks: readonly MovieTrack[], mediaBytes: number): Buffer {
  assert(tracks.length > 0, 'a file has a track')
  const fileType = box(
    'ftyp',
    Buffer.from('isom', 'latin1'),
    uint32(0x200),
    Buffer.from('isomiso6mp41', 'latin1'),
  )
  const isLarge = mediaBytes > SMALL_FILE_BYTES
  const mediaHeader = mediaDataHeader(mediaBytes)
  // The offsets' values do not change the size of their tables: written once to learn where the media begin.
  const bytes = movie(tracks, 0, isLarge).byteLength
  const mediaStart = fileType.byteLength + bytes + mediaHeader.byteLength
  return Buffer.concat([fileType, movie(tracks, mediaStart, isLarge), mediaHeader])
}

function mediaDataHeader(mediaBytes: number): Buffer {
  if (mediaBytes + 8 <= UINT32_MAX)
    return Buffer.concat([uint32(mediaBytes + 8), Buffer.from('mdat')])
  return Buffer.concat([uint32(1), Buffer.from('mdat'), uint64(mediaBytes + 16)])
}

function movie(tracks: readonly MovieTrack[], mediaStart: number, isLarge: boolean): Buffer {
  const timed = tracks.map((track) => ({ track, edit: trackEdit(track) }))
  const origin = Math.min(...timed.map(({ edit }) => edit.shownAt))
  const boxes = timed.map(({ track, edit }, index) => {
    const gap = Math.round((edit.shownAt - origin) * MOVIE_TIMESCALE)
    return trackBox({ track, edit, gap, id: index + 1, mediaStart, isLarge })
  })
  const durations = timed.map(({ edit }) => edit.shownAt - origin + edit.seconds)
  const header = fullBox(
    'mvhd',
    1,
    0,
    uint64(0),
    uint64(0),
    uint32(MOVIE_TIMESCALE),
    uint64(Math.round(Math.max(...durations) * MOVIE_TIMESCALE)),
    uint32(0x00010000, 0x01000000, 0, 0),
    MATRIX,
    new Uint8Array(24),
    uint32(tracks.length + 1),
  )
  return box('moov', header, ...boxes)
}

interface TrackEdit {
  /** Seconds of the timeline at which the first sample is shown. */
  readonly shownAt: number
  /** How much is shown, seconds. */
  readonly seconds: number
  /** Media time of what is shown first, ticks after the composition offsets were made positive. */
  readonly mediaTime: number
}

function trackEdit({ inits, table }: MovieTrack): TrackEdit {
  const init = inits[0] as Buffer
  const { timescale } = readInit(init)
  const skipped = initSkip(init)
  const lead = table.lead + skipped
  return {
    shownAt: (table.start + lead) / timescale,
    seconds: Math.max(0, table.duration - skipped) / timescale,
    mediaTime: lead - table.compositionMin,
  }
}

/** Ticks that the init segment's own edit list passes over, as encoders ask for their priming samples. */
function initSkip(init: Buffer): number {
  const track = findBox(init, 'moov', 'trak')
  const edits = readBoxes(init, track.body, track.end).find(({ type }) => type === 'edts')
  if (edits === undefined) return 0
  const [list] = readBoxes(init, edits.body, edits.end)
  if (list?.type !== 'elst') return 0
  const isLong = init[list.body] === 1
  const time = isLong
    ? Number(init.readBigInt64BE(list.body + 16))
    : init.readInt32BE(list.body + 12)
  return Math.max(0, time)
}

interface TrackPlace {
  readonly track: MovieTrack
  readonly edit: TrackEdit
  /** Ticks of the movie before the track is shown. */
  readonly gap: number
  readonly id: number
  readonly mediaStart: number
  readonly isLarge: boolean
}

function trackBox({ track, edit, gap, id, mediaStart, isLarge }: TrackPlace): Buffer {
  const init = track.inits[0] as Buffer
  const { timescale } = readInit(init)
  const shown = Math.round(edit.seconds * MOVIE_TIMESCALE)
  const oldHeader = findBox(init, 'moov', 'trak', 'tkhd')
  const header = fullBox(
    'tkhd',
    1,
    TRACK_FLAGS,
    uint64(0),
    uint64(0),
    uint32(id, 0),
    uint64(gap + shown),
    init.subarray(oldHeader.end - TRACK_HEADER_TAIL_BYTES, oldHeader.end),
  )
  const edits: [duration: number, mediaTime: number][] = [[shown, edit.mediaTime]]
  if (gap > 0) edits.unshift([gap, EMPTY])
  const oldMediaHeader = findBox(init, 'moov', 'trak', 'mdia', 'mdhd')
  const mediaHeader = fullBox(
    'mdhd',
    1,
    0,
    uint64(0),
    uint64(0),
    uint32(timescale),
    uint64(track.table.duration),
    // Language, as the init segment has it.
    init.subarray(oldMediaHeader.end - 4, oldMediaHeader.end),
  )
  const information = findBox(init, 'moov', 'trak', 'mdia', 'minf')
  const kept = readBoxes(init, information.body, information.end)
    .filter(({ type }) => type !== 'stbl')
    .map(({ start, end }) => init.subarray(start, end))
  const handler = findBox(init, 'moov', 'trak', 'mdia', 'hdlr')
  return box(
    'trak',
    header,
    box('edts', editList(edits)),
    box(
      'mdia',
      mediaHeader,
      init.subarray(handler.start, handler.end),
      box('minf', ...kept, sampleTableBox(track, mediaStart, isLarge)),
    ),
  )
}

function editList(edits: readonly (readonly [duration: number, mediaTime: number])[]): Buffer {
  const entries = edits.map(([duration, mediaTime]) =>
    Buffer.concat([uint64(duration), int64(mediaTime), uint32(0x00010000)]),
  )
  return fullBox('elst', 1, 0, uint32(edits.length), ...entries)
}

function sampleTableBox(track: MovieTrack, mediaStart: number, isLarge: boolean): Buffer {
  const { table, chunkOffsets } = track
  const { sizes, sync } = table
  const isReordered = table.compositionOffsets.values.some((value) => value !== 0)
  const shift = -table.compositionMin
  return box(
    'stbl',
    sampleDescriptions(track.inits),
    fullBox('stts', 0, 0, uint32(table.durations.values.length), runEntries(table.durations, 0)),
    ...(isReordered
      ? [
          fullBox(
            ...(['ctts', 0, 0] as const),
            uint32(table.compositionOffsets.values.length),
            runEntries(table.compositionOffsets, shift),
          ),
        ]
      : []),
    ...(sync.length < sizes.length
      ? [fullBox('stss', 0, 0, uint32(sync.length), sync.toBuffer())]
      : []),
    sampleToChunk(table),
    fullBox('stsz', 0, 0, uint32(0, sizes.length), sizes.toBuffer()),
    chunkOffsetBox(chunkOffsets, mediaStart, isLarge),
  )
}

/** The descriptions of all init segments in one box. */
function sampleDescriptions(inits: readonly Buffer[]): Buffer {
  const entries = inits.map((init) => {
    const { body, end } = findBox(init, 'moov', 'trak', 'mdia', 'minf', 'stbl', 'stsd')
    return init.subarray(body + 8, end)
  })
  return fullBox('stsd', 0, 0, uint32(inits.length), ...entries)
}

function runEntries({ counts, values }: Runs, shift: number): Buffer {
  const bytes = Buffer.alloc(values.length * 8)
  for (const [index, value] of values.entries()) {
    bytes.writeUInt32BE(counts[index] ?? 0, index * 8)
    bytes.writeUInt32BE(value + shift, index * 8 + 4)
  }
  return bytes
}

function sampleToChunk({ chunks }: SampleTable): Buffer {
  const entries = new Numbers()
  let last: string | undefined
  for (const [index, { samples, description }] of chunks.entries()) {
    const key = `${samples} ${description}`
    if (key !== last) for (const value of [index + 1, samples, description]) entries.push(value)
    last = key
  }
  return fullBox('stsc', 0, 0, uint32(entries.length / 3), entries.toBuffer())
}

function chunkOffsetBox(offsets: readonly number[], mediaStart: number, isLarge: boolean): Buffer {
  const width = isLarge ? 8 : 4
  const bytes = Buffer.alloc(offsets.length * width)
  for (const [index, offset] of offsets.entries()) {
    if (isLarge) bytes.writeBigUInt64BE(BigInt(mediaStart + offset), index * width)
    else bytes.writeUInt32BE(mediaStart + offset, index * width)
  }
  return fullBox(isLarge ? 'co64' : 'stco', 0, 0, uint32(offsets.length), bytes)
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}

function int64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes
}
