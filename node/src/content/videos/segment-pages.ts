/**
 * The segments of a rendition as objects that other peers fetch: pages of a fixed number of segments, so that a long video is no large
 * object, and all but the last page of one that grows stay as they are. Pure.
 */
import { strict as assert } from 'node:assert'
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { KairoError } from '../../errors.ts'
import { videoRecordLimits as limits } from '../../limits/videos.ts'
import { contentLimits } from '../../limits.ts'
import { type PagedSegmentSchema, SegmentPageSchema } from '../../protocol/generated/videos_pb.js'
import type { ArchivedSegment } from '../archive/presentation.ts'
import { type Digest, digestFromBytes, digestToBytes } from '../digest.ts'

const VERSION = 1

/** Number of pages for so many segments. */
export function segmentPageCount(segments: number): number {
  return Math.ceil(segments / limits.segmentsPerPage)
}

/** One page of segments whose numbers grow by one: the same bytes at every peer and every time. */
export function encodeSegmentPage(all: readonly ArchivedSegment[], page: number): Buffer {
  const from = page * limits.segmentsPerPage
  const segments = all.slice(from, from + limits.segmentsPerPage)
  const [first] = segments
  assert(first !== undefined, 'a page has segments')
  const inits = new Map<Digest, number>()
  const paged = segments.map((segment, index): MessageInitShape<typeof PagedSegmentSchema> => {
    assert.equal(segment.msn, first.msn + index, 'numbers grow by one')
    const init = inits.get(segment.initDigest) ?? inits.size
    inits.set(segment.initDigest, init)
    const { digest, bytes, durationUs, startUs, programDateTimeMs, discontinuity } = segment
    return {
      ...{ digest: digestToBytes(digest), bytes, init, discontinuity },
      ...{ durationUs: BigInt(durationUs), startUs: BigInt(startUs) },
      ...(programDateTimeMs === undefined ? {} : { programDateTimeMs: BigInt(programDateTimeMs) }),
    }
  })
  return Buffer.from(
    toBinary(
      SegmentPageSchema,
      create(SegmentPageSchema, {
        ...{ version: VERSION, firstMsn: BigInt(first.msn), segments: paged },
        inits: [...inits.keys()].map(digestToBytes),
      }),
    ),
  )
}

/**
 * The segments of a page.
 * @throws KairoError `ERR_PROTOCOL` when it is malformed, `ERR_LIMIT` when something in it is too large.
 */
export function decodeSegmentPage(bytes: Uint8Array): ArchivedSegment[] {
  if (bytes.byteLength > limits.segmentPageBytesMax) {
    throw new KairoError('ERR_LIMIT', `a page of ${bytes.byteLength} bytes is too large`)
  }
  const page = read(bytes)
  check(page.version === VERSION, 'the version')
  const count = page.segments.length
  check(count > 0 && count <= limits.segmentsPerPage, 'the number of segments')
  check(page.inits.length <= count, 'the number of init segments')
  const inits = page.inits.map(digestFromBytes)
  const firstMsn = Number(page.firstMsn)
  check(Number.isSafeInteger(firstMsn + count), 'the first number')
  return page.segments.map((wire, index): ArchivedSegment => {
    const { bytes: length, programDateTimeMs, discontinuity } = wire
    const durationUs = Number(wire.durationUs)
    const startUs = Number(wire.startUs)
    const initDigest = inits[wire.init]
    check(initDigest !== undefined, 'an init segment')
    check(length > 0 && length <= contentLimits.objectBytesMax, 'a length')
    check(durationUs <= limits.segmentUsMax, 'a duration')
    check(Number.isSafeInteger(startUs), 'a start')
    const wallMs = programDateTimeMs === undefined ? undefined : Number(programDateTimeMs)
    check(wallMs === undefined || isDate(wallMs), 'a wall time')
    return {
      ...{ msn: firstMsn + index, digest: digestFromBytes(wire.digest), bytes: length },
      ...{ durationUs, startUs, programDateTimeMs: wallMs, discontinuity, initDigest },
    }
  })
}

function read(bytes: Uint8Array) {
  try {
    return fromBinary(SegmentPageSchema, bytes)
  } catch (cause) {
    throw new KairoError('ERR_PROTOCOL', 'not a page of segments', { cause })
  }
}

/** What `Date` takes (ECMA-262 21.4.1.1). */
function isDate(ms: number): boolean {
  return ms <= 8.64e15
}

function check(fits: boolean, what: string): asserts fits {
  if (!fits) throw new KairoError('ERR_PROTOCOL', `${what} of a page of segments breaks its rule`)
}
