/**
 * Program association and map tables (ISO/IEC 13818-1 2.4.4.4 and 2.4.4.9): which elementary streams there are, and of what.
 */
import { mpegtsLimits } from '../../limits/mpegts.ts'

/** A program and where its map is. */
export interface ProgramEntry {
  readonly number: number
  readonly mapPid: number
}

/** An elementary stream of a program. */
export interface StreamEntry {
  readonly pid: number
  /** ISO/IEC 13818-1 table 2-34. */
  readonly type: number
  readonly descriptors: readonly Descriptor[]
}

/** A tagged piece of facts about a stream. */
export interface Descriptor {
  readonly tag: number
  readonly content: Buffer
}

const TABLE_PAT = 0
const TABLE_PMT = 2
const TABLE_HEADER_BYTES = 8

/** The programs of a section; undefined when it is no program association that holds now. */
export function readPat(section: Buffer): readonly ProgramEntry[] | undefined {
  if (!holdsNow(section, TABLE_PAT)) return undefined
  const programs: ProgramEntry[] = []
  for (let offset = TABLE_HEADER_BYTES; offset + 4 <= section.byteLength; offset += 4) {
    const number = section.readUInt16BE(offset)
    const mapPid = section.readUInt16BE(offset + 2) & 0x1fff
    // Program 0 names the network's table.
    if (number !== 0 && programs.length < mpegtsLimits.programsMax)
      programs.push({ number, mapPid })
  }
  return programs
}

/** The streams of a program; undefined when the section is no map of it that holds now, or is malformed. */
export function readPmt(section: Buffer, program: number): readonly StreamEntry[] | undefined {
  if (!holdsNow(section, TABLE_PMT) || section.byteLength < TABLE_HEADER_BYTES + 4) return undefined
  if (section.readUInt16BE(3) !== program) return undefined
  const streams: StreamEntry[] = []
  let offset = TABLE_HEADER_BYTES + 4 + (section.readUInt16BE(TABLE_HEADER_BYTES + 2) & 0x0fff)
  while (offset + 5 <= section.byteLength && streams.length < mpegtsLimits.streamsMax) {
    const type = section.readUInt8(offset)
    const pid = section.readUInt16BE(offset + 1) & 0x1fff
    const end = offset + 5 + (section.readUInt16BE(offset + 3) & 0x0fff)
    if (end > section.byteLength) return undefined
    streams.push({ pid, type, descriptors: readDescriptors(section.subarray(offset + 5, end)) })
    offset = end
  }
  return streams
}

function holdsNow(section: Buffer, table: number): boolean {
  if (section.byteLength < TABLE_HEADER_BYTES || section.readUInt8(0) !== table) return false
  return (section.readUInt8(5) & 1) === 1
}

function readDescriptors(bytes: Buffer): readonly Descriptor[] {
  const descriptors: Descriptor[] = []
  let offset = 0
  while (offset + 2 <= bytes.byteLength) {
    const end = offset + 2 + bytes.readUInt8(offset + 1)
    if (end > bytes.byteLength) break
    descriptors.push({ tag: bytes.readUInt8(offset), content: bytes.subarray(offset + 2, end) })
    offset = end
  }
  return descriptors
}
