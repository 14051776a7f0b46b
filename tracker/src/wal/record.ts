/**
 * The records of a segment file: how each is framed, sealed with its checksum, and found again. docs/protocol/wal.md
 * draws the layout.
 *
 * A checksum starts from the segment's seed and the record's place in it. So a block that is left of another segment
 * (files are used again), or that lies at another place than it was written to, never passes as a record.
 */
import { type Bytes, crc32c } from './crc32c.ts'

/** Kinds of records; the number is in the file. 0 is what an unwritten place holds. */
export const recordTypes = {
  /** First in each segment: whose it is, and where the segment before it ends. */
  header: 1,
  /** First in each write: up to where the segment was durable before it. */
  mark: 2,
  /** What one group appended. */
  group: 3,
  /** A group that left this log. */
  removed: 4,
} as const

/** Checksum, payload length, type, flags, two unused bytes, group. */
export const recordHeaderBytes = 16

/** Records start at multiples of this, so that a search for them need not look at every byte. */
const ALIGNMENT = 8

/** Durable bytes, an unused word, and the log's id, so that a mark can be told by itself. */
const MARK_PAYLOAD_BYTES = 16

/** A mark as it lies in the file. */
export const markBytes: number = recordSize(MARK_PAYLOAD_BYTES)

/** Bytes that a record takes, with its header and the zeros up to the next place for one. */
export function recordSize(payloadBytes: number): number {
  return Math.ceil((recordHeaderBytes + payloadBytes) / ALIGNMENT) * ALIGNMENT
}

/** What a record is, beside its payload. */
export interface RecordKind {
  readonly type: number
  readonly flags: number
  readonly group: number
}

/** All of `raw`, seen as plain bytes: a Buffer's `slice` would not copy. */
export function bytesOf(raw: Uint8Array): Bytes {
  const { buffer, byteOffset, byteLength } = raw
  return {
    bytes: new Uint8Array(buffer, byteOffset, byteLength),
    view: new DataView(buffer, byteOffset, byteLength),
  }
}

/**
 * Puts header, padding and checksum around a payload that is in its place already.
 * @param at where the record starts in `target`
 * @param seed of the segment, see `segmentSeed`
 * @param position where the record starts in the segment
 */
export function sealRecord(
  target: Bytes,
  at: number,
  kind: RecordKind,
  payloadBytes: number,
  seed: number,
  position: number,
): void {
  const { bytes, view } = target
  const end = at + recordSize(payloadBytes)
  bytes.fill(0, at + recordHeaderBytes + payloadBytes, end)
  view.setUint32(at + 4, payloadBytes, true)
  bytes[at + 8] = kind.type
  bytes[at + 9] = kind.flags
  view.setUint16(at + 10, 0, true)
  view.setUint32(at + 12, kind.group, true)
  view.setUint32(at, crc32c(target, at + 4, end, placeSeed(seed, position)), true)
}

/** Called for each record that passes: its place, and where its payload lies in the same bytes. */
export type RecordVisitor = (
  kind: RecordKind & { readonly at: number; readonly from: number; readonly to: number },
) => void

/**
 * Visits the records of a segment from `from` on, up to the first that does not pass. Looks at each byte once, makes no
 * memory, and throws nothing but what the visitor throws.
 * @returns where the first that does not pass would start
 */
export function scanRecords(
  source: Bytes,
  from: number,
  seed: number,
  visit: RecordVisitor,
): number {
  const { bytes, view } = source
  // One object for all records: there may be millions.
  const found = { type: 0, flags: 0, group: 0, at: 0, from: 0, to: 0 }
  let at = from
  for (;;) {
    const size = recordAt(source, at, seed)
    if (size === 0) return at
    found.type = bytes[at + 8] as number
    found.flags = bytes[at + 9] as number
    found.group = view.getUint32(at + 12, true)
    found.at = at
    found.from = at + recordHeaderBytes
    found.to = found.from + view.getUint32(at + 4, true)
    visit(found)
    at += size
  }
}

/** Size of the record at `at` when there is a whole one and it passes, else 0. */
export function recordAt(source: Bytes, at: number, seed: number): number {
  const { bytes, view } = source
  if (at + recordHeaderBytes > bytes.length) return 0
  const size = recordSize(view.getUint32(at + 4, true))
  if (size > bytes.length - at || bytes[at + 8] === 0) return 0
  const crc = crc32c(source, at + 4, at + size, placeSeed(seed, at))
  return crc === view.getUint32(at, true) ? size : 0
}

/** Writes the mark that opens a write: `durableBytes` of the segment were durable before it. */
export function writeMark(
  target: Bytes,
  at: number,
  mark: { durableBytes: number; logId: Uint8Array; seed: number; position: number },
): void {
  const payload = at + recordHeaderBytes
  target.view.setUint32(payload, mark.durableBytes, true)
  target.view.setUint32(payload + 4, 0, true)
  target.bytes.set(mark.logId, payload + 8)
  const kind = { type: recordTypes.mark, flags: 0, group: 0 }
  sealRecord(target, at, kind, MARK_PAYLOAD_BYTES, mark.seed, mark.position)
}

/**
 * Looks behind a place where the records stop for a mark that says that the segment was durable beyond it. There is
 * none after a crash: a write begins only when the one before it is durable. There is one when durable bytes were
 * damaged later.
 * @param seedOf the segment's seed, given the log's id that stands in the mark
 * @returns the largest durable length that a mark tells, or 0
 */
export function durableBehind(
  source: Bytes,
  from: number,
  seedOf: (logId: Uint8Array) => number,
): number {
  const { bytes, view } = source
  let durable = 0
  const first = Math.ceil(from / ALIGNMENT) * ALIGNMENT
  for (let at = first; at + markBytes <= bytes.length; at += ALIGNMENT) {
    if (view.getUint32(at + 4, true) !== MARK_PAYLOAD_BYTES) continue
    if (bytes[at + 8] !== recordTypes.mark) continue
    const payload = at + recordHeaderBytes
    const seed = seedOf(bytes.subarray(payload + 8, payload + 16))
    if (recordAt(source, at, seed) === 0) continue
    durable = Math.max(durable, view.getUint32(payload, true))
  }
  return durable
}

/** A safe integer as eight bytes, the lowest first. */
export function writeInteger(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true)
}

/** The reverse of {@link writeInteger}; may give an unsafe integer, which the caller refuses. */
export function readInteger(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32
}

/** The checksum of a record starts from its segment and its place. */
function placeSeed(seed: number, position: number): number {
  return (seed ^ position) >>> 0
}
