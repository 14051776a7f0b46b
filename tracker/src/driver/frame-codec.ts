/** The head of a frame on the `raft` lane: who speaks to whom, how patient the sender is, and stamps that measure round trips. */
import type { Bytes } from '../wal/crc32c.ts'
import { crc32c } from '../wal/crc32c.ts'
import { readInteger, writeInteger } from '../wal/record.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import { malformed } from './bytes.ts'

const VERSION = 1
const HAS_ECHO = 1

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

/** Writes a head at the start of an empty writer. */
export function writeFrameHead(writer: ByteWriter, head: FrameHead): void {
  writer.reserve(frameHeadBytes)
  const { view } = writer
  view.setUint8(0, VERSION)
  view.setUint8(1, head.echo === undefined ? 0 : HAS_ECHO)
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
  const { view } = reader
  if (reader.left < frameHeadBytes) throw malformed('a frame ends early')
  if (view.getUint8(0) !== VERSION) throw malformed('a frame of another version')
  const flags = view.getUint8(1)
  const unused = view.getUint16(2, true) + view.getUint16(26, true)
  if (flags > HAS_ECHO || unused !== 0) throw malformed('unknown flags')
  const from = readInteger(view, 8)
  const to = readInteger(view, 16)
  if (!isMember(from) || !isMember(to)) throw malformed('a member id is out of range')
  reader.at = frameHeadBytes
  return {
    ...{ region: view.getUint32(4, true), from, to },
    electionMs: view.getUint16(24, true),
    stamp: view.getUint32(28, true),
    echo: flags === HAS_ECHO ? view.getUint32(32, true) : undefined,
    heldMicros: view.getUint32(36, true),
  }
}

function isMember(id: number): boolean {
  return Number.isSafeInteger(id) && id > 0
}
