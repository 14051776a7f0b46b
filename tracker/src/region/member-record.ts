/** What the region's keyspace holds about its members: the keys and the values as bytes. */
import { ByteReader, malformed } from '../bytes/byte-reader.ts'
import { ByteWriter } from '../bytes/byte-writer.ts'
import { regionLimits } from './region-limits.ts'

/** Counts member ids: the value is the last one that was given away. */
export const counterKey = 'member-counter'
/** Before the id of each member of the region, alive or not: a {@link RosterRecord}. */
export const rosterPrefix = 'roster/'
/** Before the id of each member that is alive, on that member's own lease: a {@link PresenceRecord}. */
export const presencePrefix = 'members/'
/** Before each key of configuration: what a region that dissolves offers to the other. */
export const configPrefix = 'config/'

/** The member id of whoever founds a region. */
export const founderId = 1

/** Load is stored in thousandths. */
const LOAD_SCALE = 1_000

/** Who a member is; there until it is struck off. */
export interface RosterRecord {
  readonly peerId: string
  /** The starts of this member; an older one than is written here has lost what it promised since. */
  readonly incarnation: number
}

/** What a living member says of itself. */
export interface PresenceRecord {
  readonly peerId: string
  readonly incarnation: number
  /** Wall time since which it has been there without a lapse, milliseconds, by its own clock. */
  readonly sinceMs: number
  /** Whether peers can connect to it from outside. */
  readonly isReachable: boolean
  /** It is about to go for good: others take its seats at once. */
  readonly isLeaving: boolean
  /** How busy it is, from 0 to 1. */
  readonly load: number
  /** What it does for the region, such as `ingest` or `gpu`. */
  readonly roles: readonly string[]
}

export function rosterKey(memberId: number): string {
  return `${rosterPrefix}${memberId}`
}

export function presenceKey(memberId: number): string {
  return `${presencePrefix}${memberId}`
}

/** The member id behind a prefix. @throws TrackerError ERR_MALFORMED */
export function memberIdOf(key: string, prefix: string): number {
  const memberId = Number(key.slice(prefix.length))
  if (!Number.isSafeInteger(memberId) || memberId <= 0 || key !== `${prefix}${memberId}`)
    throw malformed('a key names no member')
  return memberId
}

export function encodeCounter(last: number): Uint8Array {
  return new ByteWriter().integer(last).take()
}

/** @throws TrackerError ERR_MALFORMED, as all decoders here */
export function decodeCounter(bytes: Uint8Array): number {
  const reader = new ByteReader(bytes)
  const last = reader.integer()
  reader.end()
  return last
}

export function encodeRoster({ peerId, incarnation }: RosterRecord): Uint8Array {
  return new ByteWriter().text32(peerId, regionLimits.peerIdBytesMax).integer(incarnation).take()
}

export function decodeRoster(bytes: Uint8Array): RosterRecord {
  const reader = new ByteReader(bytes)
  const record = {
    peerId: reader.text32(regionLimits.peerIdBytesMax),
    incarnation: reader.integer(),
  }
  reader.end()
  return record
}

export function encodePresence(record: PresenceRecord): Uint8Array {
  const writer = new ByteWriter().text32(record.peerId, regionLimits.peerIdBytesMax)
  writer.integer(record.incarnation).integer(record.sinceMs)
  writer.flag(record.isReachable).flag(record.isLeaving)
  writer.u32(Math.round(Math.min(Math.max(record.load, 0), 1) * LOAD_SCALE))
  writer.list32(record.roles, regionLimits.rolesMax, (role) =>
    writer.text32(role, regionLimits.roleBytesMax),
  )
  return writer.take()
}

export function decodePresence(bytes: Uint8Array): PresenceRecord {
  const reader = new ByteReader(bytes)
  const record: PresenceRecord = {
    peerId: reader.text32(regionLimits.peerIdBytesMax),
    incarnation: reader.integer(),
    sinceMs: reader.integer(),
    isReachable: reader.flag(),
    isLeaving: reader.flag(),
    load: reader.u32() / LOAD_SCALE,
    roles: reader.list32(regionLimits.rolesMax, 4, () => reader.text32(regionLimits.roleBytesMax)),
  }
  reader.end()
  if (record.load > 1) throw malformed('a load is above 1')
  return record
}
