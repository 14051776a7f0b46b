/**
 * The index beside a media file of a segment log: which segments lie where. Pure: bytes in, facts out, so that every way in which
 * a crash can leave the two files can be tried.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { KairoError } from '../../errors.ts'
import { archiveLimits } from '../../limits/vod.ts'
import {
  type ArchivedInit,
  type ArchivedSegmentEntry,
  type ArchiveEntry,
  ArchiveEntrySchema,
} from '../../protocol/generated/vod_pb.js'
import { type Digest, digestFromBytes, digestToBytes } from '../digest.ts'
import type { RenditionInfo } from '../stream.ts'
import { encodeCheckedRecord, readCheckedRecord } from './checked-record.ts'
import type { ArchivedSegment } from './presentation.ts'
import { renditionFromMessage, renditionToMessage } from './rendition-codec.ts'

const VERSION = 1

/** Bytes in a media file. */
export interface Place {
  readonly offset: number
  readonly bytes: number
}

/** A segment and where its file has it. */
export interface StoredSegment {
  readonly segment: ArchivedSegment
  readonly offset: number
}

/** What an index says, as far as it and its media file are whole. */
export interface IndexContent {
  /** The newest description of the rendition. */
  info: RenditionInfo | undefined
  readonly segments: StoredSegment[]
  readonly inits: Map<Digest, Place>
  /** The init segment that the next segment needs no new record for. */
  init: Digest | undefined
  /** Length of the index up to the end of the last good record. */
  indexBytes: number
  /** Length of the media that good records describe. */
  mediaBytes: number
}

/** The record that begins an index. */
export function headerRecord(): Buffer {
  return encode({
    case: 'header',
    value: { $typeName: 'kairo.v1.ArchiveHeader', version: VERSION },
  })
}

/** The record of a rendition's description. */
export function renditionRecord(info: RenditionInfo): Buffer {
  return encodeCheckedRecord(
    toBinary(
      ArchiveEntrySchema,
      create(ArchiveEntrySchema, {
        entry: { case: 'rendition', value: renditionToMessage(info) },
      }),
    ),
  )
}

/** The record of an init segment. */
export function initRecord(digest: Digest, place: Place): Buffer {
  return encode({
    case: 'init',
    value: {
      $typeName: 'kairo.v1.ArchivedInit',
      digest: digestToBytes(digest),
      offset: BigInt(place.offset),
      bytes: place.bytes,
    },
  })
}

/** The record of a segment whose init segment is the newest one before it. */
export function segmentRecord(segment: ArchivedSegment, offset: number): Buffer {
  const { msn, digest, bytes, durationUs, startUs, programDateTimeMs, discontinuity } = segment
  return encodeCheckedRecord(
    toBinary(
      ArchiveEntrySchema,
      create(ArchiveEntrySchema, {
        entry: {
          case: 'segment',
          value: {
            ...{ msn: BigInt(msn), digest: digestToBytes(digest), offset: BigInt(offset), bytes },
            ...{ durationUs: BigInt(durationUs), startUs: BigInt(startUs), discontinuity },
            ...(programDateTimeMs === undefined
              ? {}
              : { programDateTimeMs: BigInt(programDateTimeMs) }),
          },
        },
      }),
    ),
  )
}

/**
 * Reads an index up to the first record that is torn, damaged, or says something that its media file, of `mediaSize` bytes,
 * does not have. What follows such a record is not looked at: after a crash it is what was never finished.
 * @throws KairoError `ERR_STORAGE` for an index of another version, which must not be cut off as damaged.
 */
export function readIndex(index: Buffer, mediaSize: number): IndexContent {
  const content: IndexContent = {
    info: undefined,
    segments: [],
    inits: new Map(),
    init: undefined,
    indexBytes: 0,
    mediaBytes: 0,
  }
  for (;;) {
    const record = readCheckedRecord(index, content.indexBytes, archiveLimits.recordBytesMax)
    if (record === undefined) return content
    const entry = decode(record.body)
    if (entry === undefined || !take(content, entry, mediaSize)) return content
    content.indexBytes = record.end
  }
}

function encode(entry: ArchiveEntry['entry']): Buffer {
  return encodeCheckedRecord(toBinary(ArchiveEntrySchema, create(ArchiveEntrySchema, { entry })))
}

function decode(body: Buffer): ArchiveEntry['entry'] | undefined {
  try {
    return fromBinary(ArchiveEntrySchema, body).entry
  } catch {
    // The CRC is right and the message is not: no record of ours, and the end of what can be read.
    return undefined
  }
}

/** False when the record does not follow from those before it. */
function take(content: IndexContent, entry: ArchiveEntry['entry'], mediaSize: number): boolean {
  if (content.indexBytes === 0) {
    if (entry.case !== 'header') return false
    if (entry.value.version === VERSION) return true
    throw new KairoError(
      'ERR_STORAGE',
      `this segment log has version ${entry.value.version}, which this version of Kairo does not know`,
    )
  }
  if (entry.case === 'rendition') {
    content.info = renditionFromMessage(entry.value)
    return true
  }
  if (entry.case === 'init') return takeInit(content, entry.value, mediaSize)
  return entry.case === 'segment' && takeSegment(content, entry.value, mediaSize)
}

function takeInit(content: IndexContent, value: ArchivedInit, mediaSize: number): boolean {
  const place = { offset: Number(value.offset), bytes: value.bytes }
  // Captions need no init segment: theirs is empty, and lies nowhere.
  const lies = place.bytes === 0 || follows(content, place, mediaSize)
  if (value.digest.byteLength !== 32 || !lies) return false
  content.init = digestFromBytes(value.digest)
  content.inits.set(content.init, place)
  return true
}

function takeSegment(
  content: IndexContent,
  value: ArchivedSegmentEntry,
  mediaSize: number,
): boolean {
  const { init } = content
  const offset = Number(value.offset)
  const msn = Number(value.msn)
  const last = content.segments.at(-1)
  if (init === undefined || value.digest.byteLength !== 32) return false
  if (last !== undefined && msn <= last.segment.msn) return false
  if (!follows(content, { offset, bytes: value.bytes }, mediaSize)) return false
  const { programDateTimeMs } = value
  content.segments.push({
    offset,
    segment: {
      msn,
      digest: digestFromBytes(value.digest),
      bytes: value.bytes,
      durationUs: Number(value.durationUs),
      startUs: Number(value.startUs),
      programDateTimeMs: programDateTimeMs === undefined ? undefined : Number(programDateTimeMs),
      discontinuity: value.discontinuity,
      initDigest: init,
    },
  })
  return true
}

/** Media lie one after the other without gaps; moves the end on when this place does. */
function follows(content: IndexContent, place: Place, mediaSize: number): boolean {
  if (place.offset !== content.mediaBytes || place.bytes === 0) return false
  if (place.offset + place.bytes > mediaSize) return false
  content.mediaBytes += place.bytes
  return true
}
