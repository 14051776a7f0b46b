/**
 * Index entries and heads between their wire form and the shapes of `stream.ts`. Decoding checks every field, because what
 * comes in was made by a stranger; encoding asserts, because what goes out was made here.
 */
import assert from 'node:assert/strict'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { KairoError } from '../../errors.ts'
import { contentLimits } from '../../limits.ts'
import { IndexEntrySchema, IndexHeadSchema } from '../../protocol/generated/feed_pb.js'
import { digestFromBytes, digestToBytes } from '../digest.ts'
import { type IndexEntry, type IndexHead, RENDITION_NAME } from '../stream.ts'

/** EXT-X-TARGETDURATION a publisher may declare. */
const TARGET_DURATION_S_MAX = 3_600
/** Last instant a JavaScript date can hold. */
const DATE_MS_MAX = 8.64e15

/** Fails where an entry cannot be encoded, which is the fault of whoever made it. */
export function assertEntry(entry: IndexEntry): void {
  const problem = entryProblem(entry)
  assert(problem === undefined, problem)
}

/** Fails where a head cannot be encoded, which is the fault of whoever made it. */
export function assertHead(head: IndexHead): void {
  const problem = headProblem(head)
  assert(problem === undefined, problem)
}

/** The wire form of an entry. */
export function encodeEntry(entry: IndexEntry): Uint8Array {
  assertEntry(entry)
  return toBinary(
    IndexEntrySchema,
    create(IndexEntrySchema, {
      msn: BigInt(entry.msn),
      part: entry.part,
      digest: digestToBytes(entry.digest),
      bytes: entry.bytes,
      durationUs: entry.durationUs,
      independent: entry.independent,
      endOfSegment: entry.endOfSegment,
      segmentDigest:
        entry.segmentDigest === undefined ? new Uint8Array() : digestToBytes(entry.segmentDigest),
      programDateTimeMs: BigInt(entry.programDateTimeMs ?? 0),
      discontinuity: entry.discontinuity,
      initDigest: digestToBytes(entry.initDigest),
    }),
  )
}

/**
 * Reads an entry.
 * @throws KairoError `ERR_PROTOCOL` for anything a correct publisher would not send.
 */
export function decodeEntry(encoded: Uint8Array): IndexEntry {
  const message = parse(IndexEntrySchema, encoded, 'index entry')
  const entry: IndexEntry = {
    msn: safeNumber(message.msn),
    part: message.part,
    digest: digestFromBytes(message.digest),
    bytes: message.bytes,
    durationUs: message.durationUs,
    independent: message.independent,
    endOfSegment: message.endOfSegment,
    segmentDigest: optionalDigest(message.segmentDigest),
    programDateTimeMs:
      message.programDateTimeMs === 0n ? undefined : safeNumber(message.programDateTimeMs),
    discontinuity: message.discontinuity,
    initDigest: digestFromBytes(message.initDigest),
  }
  const problem = entryProblem(entry)
  if (problem !== undefined) throw new KairoError('ERR_PROTOCOL', problem)
  return entry
}

/** The wire form of a head. */
export function encodeHead(head: IndexHead): Uint8Array {
  assertHead(head)
  return toBinary(
    IndexHeadSchema,
    create(IndexHeadSchema, {
      rendition: head.rendition,
      firstMsn: BigInt(head.firstMsn),
      discontinuitySequence: BigInt(head.discontinuitySequence),
      targetDurationS: head.targetDurationS,
      partTargetUs: head.partTargetUs,
      ended: head.ended,
    }),
  )
}

/**
 * Reads a head.
 * @throws KairoError `ERR_PROTOCOL` for anything a correct publisher would not send.
 */
export function decodeHead(encoded: Uint8Array): IndexHead {
  const message = parse(IndexHeadSchema, encoded, 'index head')
  const head: IndexHead = {
    rendition: message.rendition,
    firstMsn: safeNumber(message.firstMsn),
    discontinuitySequence: safeNumber(message.discontinuitySequence),
    targetDurationS: message.targetDurationS,
    partTargetUs: message.partTargetUs,
    ended: message.ended,
  }
  const problem = headProblem(head)
  if (problem !== undefined) throw new KairoError('ERR_PROTOCOL', problem)
  return head
}

/** True for a well-formed rendition name. */
export function isRenditionName(name: string): boolean {
  return RENDITION_NAME.test(name)
}

function entryProblem(entry: IndexEntry): string | undefined {
  if (!inRange(entry.msn, 0, Number.MAX_SAFE_INTEGER)) return 'index entry: bad segment number'
  if (!inRange(entry.part, 0, contentLimits.segmentPartsMax - 1)) return 'index entry: bad part'
  if (!inRange(entry.bytes, 1, contentLimits.objectBytesMax)) return 'index entry: bad size'
  if (!inRange(entry.durationUs, 1, contentLimits.partUsMax)) return 'index entry: bad duration'
  if (entry.endOfSegment !== (entry.segmentDigest !== undefined)) {
    return 'index entry: the last part of a segment, and no other, carries the digest of the segment'
  }
  if (entry.part !== 0 && (entry.discontinuity || entry.programDateTimeMs !== undefined)) {
    return 'index entry: only the first part of a segment carries a date or a discontinuity'
  }
  if (entry.programDateTimeMs !== undefined && !inRange(entry.programDateTimeMs, 1, DATE_MS_MAX)) {
    return 'index entry: bad date'
  }
  return undefined
}

function headProblem(head: IndexHead): string | undefined {
  if (!isRenditionName(head.rendition)) return 'index head: bad rendition name'
  if (!inRange(head.firstMsn, 0, Number.MAX_SAFE_INTEGER)) return 'index head: bad segment number'
  if (!inRange(head.discontinuitySequence, 0, Number.MAX_SAFE_INTEGER)) {
    return 'index head: bad discontinuity sequence'
  }
  if (!inRange(head.targetDurationS, 1, TARGET_DURATION_S_MAX)) return 'index head: bad target'
  if (!inRange(head.partTargetUs, 1, contentLimits.partUsMax)) return 'index head: bad part target'
  return undefined
}

function inRange(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max
}

function optionalDigest(bytes: Uint8Array): string | undefined {
  return bytes.byteLength === 0 ? undefined : digestFromBytes(bytes)
}

function safeNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new KairoError('ERR_PROTOCOL', 'a number on the wire is too large')
  }
  return Number(value)
}

function parse<Schema extends Parameters<typeof fromBinary>[0]>(
  schema: Schema,
  encoded: Uint8Array,
  what: string,
): ReturnType<typeof fromBinary<Schema>> {
  try {
    return fromBinary(schema, encoded)
  } catch (cause) {
    throw new KairoError('ERR_PROTOCOL', `${what}: not a message of this type`, { cause })
  }
}
