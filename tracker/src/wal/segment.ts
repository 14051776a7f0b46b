/** Segment files: their names, their seeds, and the header that each begins with. */
import { type Bytes, crc32c } from './crc32c.ts'
import {
  bytesOf,
  readInteger,
  recordAt,
  recordHeaderBytes,
  recordSize,
  recordTypes,
  sealRecord,
  writeInteger,
} from './record.ts'
import { corrupt, WalError } from './wal-error.ts'
import { walLimits } from './wal-limits.ts'

/** "KWAL" as the first four payload bytes read. */
const MAGIC = 0x4c41574b
/** The layout of records and payloads; a reader refuses a larger one. */
const VERSION = 1
/** Magic, version, log id, sequence, previous bytes, length of the owner's name. */
const HEADER_PAYLOAD_BYTES = 32
const LOG_ID_BYTES = 8
const NAME = /^(\d{12})\.wal$/
const NO_LOG_ID = new Uint8Array(LOG_ID_BYTES)

/** Header and name tell of a segment: */
export interface SegmentHeader {
  /** Drawn when the log is made; the same in all its segments. */
  readonly logId: Uint8Array
  /** Counts up by one from segment to segment. */
  readonly sequence: number
  /** Where the segment before this one ends; all of that was durable before this one was begun. */
  readonly previousBytes: number
  /** Whose log this is: any bytes that name region and member. */
  readonly owner: Uint8Array
}

/** The name of a segment's file. */
export function segmentName(sequence: number): string {
  return `${String(sequence).padStart(12, '0')}.wal`
}

/** The sequence in a segment's name; undefined for other files. */
export function sequenceOf(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** Where the checksums of a segment's records start from. Two segments never share it. */
export function segmentSeed(logId: Uint8Array, sequence: number): number {
  const both = bytesOf(new Uint8Array(LOG_ID_BYTES + 8))
  both.bytes.set(logId)
  writeInteger(both.view, LOG_ID_BYTES, sequence)
  return crc32c(both, 0, LOG_ID_BYTES + 8)
}

/** Bytes that a header takes in the file. */
export function headerSize(owner: Uint8Array): number {
  return recordSize(HEADER_PAYLOAD_BYTES + owner.length)
}

/** Writes the header record of a segment at `at`, which is its byte 0. */
export function writeHeader(target: Bytes, at: number, header: SegmentHeader): void {
  const { bytes, view } = target
  const payload = at + recordHeaderBytes
  view.setUint32(payload, MAGIC, true)
  view.setUint32(payload + 4, VERSION, true)
  bytes.set(header.logId, payload + 8)
  writeInteger(view, payload + 16, header.sequence)
  view.setUint32(payload + 24, header.previousBytes, true)
  view.setUint32(payload + 28, header.owner.length, true)
  bytes.set(header.owner, payload + HEADER_PAYLOAD_BYTES)
  const kind = { type: recordTypes.header, flags: 0, group: 0 }
  const seed = segmentSeed(NO_LOG_ID, header.sequence)
  sealRecord(target, at, kind, HEADER_PAYLOAD_BYTES + header.owner.length, seed, 0)
}

/**
 * Reads the header of a segment.
 * @param bytes the start of the file, or all of it
 * @returns undefined when there is no whole header of this sequence
 * @throws WalError ERR_WAL_VERSION, ERR_WAL_CORRUPT when it passes its checksum and makes no sense
 */
export function readHeader(
  source: Bytes,
  sequence: number,
): (SegmentHeader & { readonly size: number }) | undefined {
  const { bytes, view } = source
  const size = recordAt(source, 0, segmentSeed(NO_LOG_ID, sequence))
  if (size === 0) return undefined
  const file = segmentName(sequence)
  const payload = recordHeaderBytes
  const length = view.getUint32(4, true)
  if (bytes[8] !== recordTypes.header || length < 8 || view.getUint32(payload, true) !== MAGIC)
    throw corrupt(file, 0, 'does not begin with a segment header')
  const version = view.getUint32(payload + 4, true)
  if (version !== VERSION) {
    const message = `has format version ${version}, this program reads ${VERSION}`
    throw new WalError('ERR_WAL_VERSION', message, { file })
  }
  const fits = length >= HEADER_PAYLOAD_BYTES
  const ownerBytes = fits ? view.getUint32(payload + 28, true) : 0
  if (!fits || ownerBytes !== length - HEADER_PAYLOAD_BYTES)
    throw corrupt(file, 0, 'has a header of a wrong length')
  if (ownerBytes > walLimits.ownerBytesMax || readInteger(view, payload + 16) !== sequence)
    throw corrupt(file, 0, 'has a header that contradicts its name')
  const owner = payload + HEADER_PAYLOAD_BYTES
  return {
    logId: bytes.slice(payload + 8, payload + 16),
    sequence,
    previousBytes: view.getUint32(payload + 24, true),
    owner: bytes.slice(owner, owner + ownerBytes),
    size,
  }
}
