/** What a peer knows of itself and its region, and how it lies in the tracker's folder across restarts. */
import { ByteReader, malformed } from '../bytes/byte-reader.ts'
import { ByteWriter } from '../bytes/byte-writer.ts'
import { crc32c } from '../wal/crc32c.ts'
import type { Folder } from '../wal/folder.ts'
import { regionLimits } from './region-limits.ts'

const FILE = 'region'
const TEMPORARY = 'region.tmp'
/** "KRGN" as it lies in the file. */
const MAGIC = 0x4e47524b
const VERSION = 1
const CRC_BYTES = 4

/** Who this peer is in which region. */
export interface RegionFacts {
  /** Random, lower-case hexadecimal. */
  readonly regionId: string
  readonly name: string
  /** Wall time of the founding, milliseconds, by the founder's clock. */
  readonly foundedAtMs: number
  /** A number that no other member has or had; the founder is 1. */
  readonly memberId: number
  /** Counts the starts of this member, so that a disk of yesterday is known as such. */
  readonly incarnation: number
  /** Peer ids of members, to find the region again. */
  readonly contacts: readonly string[]
}

/**
 * The facts in a folder, or undefined when this peer belongs to no region.
 * @throws TrackerError ERR_MALFORMED for a damaged file: whoever deletes it makes this peer a newcomer
 */
export async function readFacts(folder: Folder): Promise<RegionFacts | undefined> {
  if (!(await folder.list()).includes(FILE)) return undefined
  const file = await folder.open(FILE)
  try {
    const size = await file.size()
    if (size > regionLimits.fileBytesMax) throw malformed('the region file is too large')
    const bytes = new Uint8Array(size)
    if ((await file.read(bytes, 0)) !== size) throw malformed('the region file was cut')
    return decodeFacts(bytes)
  } finally {
    await file.close()
  }
}

/** Writes the facts, whole or not at all; durable when this resolves. @throws the file system's error */
export async function writeFacts(folder: Folder, facts: RegionFacts): Promise<void> {
  // A half that an earlier crash left would be in the way.
  if ((await folder.list()).includes(TEMPORARY)) await folder.remove(TEMPORARY)
  const file = await folder.create(TEMPORARY)
  try {
    await file.write(encodeFacts(facts), 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await folder.rename(TEMPORARY, FILE)
  await folder.sync()
}

/** Forgets the region, durably. @throws the file system's error */
export async function removeFacts(folder: Folder): Promise<void> {
  if (!(await folder.list()).includes(FILE)) return
  await folder.remove(FILE)
  await folder.sync()
}

/** The facts as bytes. */
export function encodeFacts(facts: RegionFacts): Uint8Array {
  const { nameBytesMax, regionIdBytes, contactsMax, peerIdBytesMax } = regionLimits
  const writer = new ByteWriter().u32(MAGIC).u32(VERSION)
  writer.text32(facts.regionId, regionIdBytes * 2).text32(facts.name, nameBytesMax)
  writer.integer(facts.foundedAtMs).integer(facts.memberId).integer(facts.incarnation)
  writer.list32(facts.contacts, contactsMax, (peerId) => writer.text32(peerId, peerIdBytesMax))
  return writer.u32(crc(writer.bytes.subarray(0, writer.length))).take()
}

/** @throws TrackerError ERR_MALFORMED */
export function decodeFacts(bytes: Uint8Array): RegionFacts {
  if (bytes.length < CRC_BYTES) throw malformed('the region file was cut')
  const body = bytes.subarray(0, bytes.length - CRC_BYTES)
  const sum = new ByteReader(bytes.subarray(body.length)).u32()
  if (sum !== crc(body)) throw malformed('the region file is damaged')
  const reader = new ByteReader(body)
  if (reader.u32() !== MAGIC) throw malformed('this is no region file')
  if (reader.u32() !== VERSION) throw malformed('the region file is of another version')
  const { nameBytesMax, contactsMax, peerIdBytesMax } = regionLimits
  const facts: RegionFacts = {
    regionId: readRegionId(reader),
    name: reader.text32(nameBytesMax),
    foundedAtMs: reader.integer(),
    memberId: reader.integer(),
    incarnation: reader.integer(),
    contacts: reader.list32(contactsMax, 4, () => reader.text32(peerIdBytesMax)),
  }
  reader.end()
  if (facts.memberId === 0) throw malformed('member 0 is nobody')
  return facts
}

/** A region id as it stands in files and messages. @throws TrackerError ERR_MALFORMED */
export function readRegionId(reader: ByteReader): string {
  const text = reader.text32(regionLimits.regionIdBytes * 2)
  if (!isRegionId(text)) throw malformed('this is no region id')
  return text
}

/** Whether a text has the form of a region id. */
export function isRegionId(text: string): boolean {
  return text.length === regionLimits.regionIdBytes * 2 && /^[0-9a-f]+$/.test(text)
}

/** Draws a region id. @param random a number in [0, 1) */
export function drawRegionId(random: () => number): string {
  const byte = (): string =>
    Math.floor(random() * 256)
      .toString(16)
      .padStart(2, '0')
  return Array.from({ length: regionLimits.regionIdBytes }, byte).join('')
}

function crc(bytes: Uint8Array): number {
  return crc32c({ bytes, view: new DataView(bytes.buffer, bytes.byteOffset) }, 0, bytes.length)
}
