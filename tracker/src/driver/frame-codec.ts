/** The head of a frame on the `raft` lane: who speaks to whom, how patient the sender is, and stamps that measure round trips. */
import { type ByteReader, malformed } from '../bytes/byte-reader.ts'
import type { ByteWriter } from '../bytes/byte-writer.ts'
import type { Bytes } from '../wal/crc32c.ts'
import { crc32c } from '../wal/crc32c.ts'
import { writeInteger } from '../wal/record.ts'

const VERSION = 1

/** Bytes of the head. */
export const frameHeadBytes = 40

/** What a head says. */
export interface FrameHead {
  /** Checksum of the region's name: frames of another region are none of ours. */
  readonly region: number
  readonly from: number
  readonly to: number
  /** The sender's election timeout T, ms, which its followers keep to. */
  readonly electionMs: number
  /** When the frame left, in microseconds of the sender's clock modulo 2^32. */
  readonly stamp: number
  /** The stamp of the frame that came last, once; and for how many microseconds the sender held it. */
  readonly echo: number | undefined
  readonly heldMicros: number
}

/** The number by which frames tell regions apart. */
export function regionNumber(name: Uint8Array): number {
  const bytes = new Uint8Array(name)
  const all: Bytes = { bytes, view: new DataView(bytes.buffer) }
  return crc32c(all, 0, bytes.length)
}

/** Writes a head at the start of a writer, whatever is behind it already. */
export function writeFrameHead(writer: ByteWriter, head: FrameHead): void {
  writer.reserve(frameHeadBytes)
  // One look at the memory for all fields: every frame has a head.
  const { view } = writer
  view.setUint8(0, VERSION)
  view.setUint8(1, head.echo === undefined ? 0 : 1)
  view.setUint16(2, 0, true)
  view.setUint32(4, head.region, true)
  writeInteger(view, 8, head.from)
  writeInteger(view, 16, head.to)
  view.setUint16(24, head.electionMs, true)
  view.setUint16(26, 0, true)
  view.setUint32(28, head.stamp, true)
  view.setUint32(32, head.echo ?? 0, true)
  view.setUint32(36, head.heldMicros, true)
}

/**
 * Reads a head.
 * @throws TrackerError ERR_MALFORMED
 */
export function readFrameHead(reader: ByteReader): FrameHead {
  if (reader.u8() !== VERSION) throw malformed('a frame of another version')
  const hasEcho = reader.flag()
  if (reader.u16() !== 0) throw malformed('unknown flags')
  const region = reader.u32()
  const from = reader.integer()
  const to = reader.integer()
  if (from === 0 || to === 0) throw malformed('a member without an id')
  const electionMs = reader.u16()
  if (reader.u16() !== 0) throw malformed('unknown flags')
  const stamp = reader.u32()
  const echo = reader.u32()
  const heldMicros = reader.u32()
  return {
    ...{ region, from, to, electionMs, stamp, heldMicros },
    echo: hasEcho ? echo : undefined,
  }
}
