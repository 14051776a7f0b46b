/**
 * What peers say to one another about regions, on the call lane: the kinds of requests and their bodies as bytes
 * (docs/protocol/region.md). Framing, numbers of requests and time-outs belong to whoever owns that lane.
 */
import { ByteReader, malformed } from '../bytes/byte-reader.ts'
import { ByteWriter } from '../bytes/byte-writer.ts'
import type { MemberAddress } from '../driver/directory.ts'
import { type ConfChangeSingle, confChangeTypes } from '../raft/types.ts'
import { type RegionFacts, readRegionId } from './region-facts.ts'
import { regionLimits } from './region-limits.ts'
import type { RegionRank } from './region-rank.ts'
import { shardCount } from './shard-of.ts'

const { peerIdBytesMax, contactsMax, nameBytesMax, regionIdBytes, invitedMax } = regionLimits
const keyBytesMax = 1024

/** The kinds of requests; the place in this list is the kind's number on the wire. New kinds go to the end. */
export const regionRequestKinds = [
  'hello',
  'join',
  'invite',
  'dismiss',
  'change',
  'transfer',
  'report',
  'offer',
] as const

/** One kind of request. */
export type RegionRequestKind = (typeof regionRequestKinds)[number]

/** What a peer says of its region. */
export interface HelloRegion extends RegionRank {
  /** Whether the region can decide anything now, as far as this peer knows. */
  readonly hasQuorum: boolean
}

/** Request and answer: who this peer is with. */
export interface Hello {
  /** The name of the region that it is in or looks for. */
  readonly name: string
  /** Undefined while it looks for one. */
  readonly region: HelloRegion | undefined
  /** Peer ids of members, the speaker's not needed. */
  readonly contacts: readonly string[]
}

/** A peer asks to be let in. */
export interface JoinRequest {
  readonly regionId: string
  /** The asker's own hello: a region that is about to give way itself lets nobody in. */
  readonly hello: Hello
}

/** Why a peer is not let in. */
export const joinRefusals = ['not-here', 'no-quorum', 'not-allowed', 'busy'] as const

/**
 * `not-here`: the asked peer is not in that region. `no-quorum`: the region can decide nothing now. `not-allowed`: its
 * program says no. `busy`: it is about to move itself.
 */
export type JoinRefusal = (typeof joinRefusals)[number]

/** The answer to a join. */
export type JoinAnswer =
  | { readonly admitted: true; readonly facts: RegionFacts }
  | { readonly admitted: false; readonly reason: JoinRefusal }

/** A member is to hold a group, with nothing in it until the leader speaks. The answer is a {@link Seat}. */
export interface Invitation {
  readonly regionId: string
  readonly group: number
  /** Who is in the group, the newcomer too. */
  readonly addresses: readonly MemberAddress[]
}

/** A member's place in a group as it holds it now; drawn anew with each invitation and each start. */
export interface Seat {
  readonly group: number
  readonly seat: number
}

/** A member is to forget a group that it does not belong to any more. Done only if it still holds that very seat. */
export interface Dismissal extends Seat {
  readonly regionId: string
}

/** The leader of a group is to propose a change of its membership. */
export interface ChangeRequest {
  readonly regionId: string
  readonly group: number
  readonly changes: readonly ConfChangeSingle[]
  readonly addresses: readonly MemberAddress[]
}

/** The leader of a group is to hand over. */
export interface TransferRequest {
  readonly regionId: string
  readonly group: number
  readonly to: number
}

/** How far one member of a group is, as its leader sees it. */
export interface MemberProgress {
  readonly memberId: number
  readonly match: number
  readonly isActive: boolean
}

/** The configuration of a group as one of its members has applied it. */
export interface GroupMembers {
  readonly voters: readonly number[]
  readonly votersOutgoing: readonly number[]
  readonly learners: readonly number[]
  readonly learnersNext: readonly number[]
}

/** One group as a member that holds it sees it. */
export interface GroupReport extends Seat {
  readonly term: number
  /** Member id; 0 for nobody. */
  readonly leader: number
  readonly isLeader: boolean
  readonly commit: number
  readonly applied: number
  readonly members: GroupMembers
  /** From the leader only. */
  readonly progress: readonly MemberProgress[]
}

/** The answer to a report: all groups that a member holds. */
export interface MemberReport {
  readonly memberId: number
  readonly groups: readonly GroupReport[]
}

/** A key that a dissolving region leaves to the other. */
export interface OfferedKey {
  readonly key: string
  readonly value: Uint8Array
}

/** Keys of keyspace `region` that are to be put where they are absent. The answer is empty. */
export interface Offer {
  readonly regionId: string
  readonly keys: readonly OfferedKey[]
}

export function encodeHello(hello: Hello): Uint8Array {
  const writer = new ByteWriter()
  writeHello(writer, hello)
  return writer.take()
}

/** @throws TrackerError ERR_MALFORMED, as all decoders here */
export function decodeHello(bytes: Uint8Array): Hello {
  return whole(bytes, readHello)
}

export function encodeJoinRequest({ regionId, hello }: JoinRequest): Uint8Array {
  const writer = regionWriter(regionId)
  writeHello(writer, hello)
  return writer.take()
}

export function decodeJoinRequest(bytes: Uint8Array): JoinRequest {
  return whole(bytes, (reader) => ({ regionId: readRegionId(reader), hello: readHello(reader) }))
}

export function encodeJoinAnswer(answer: JoinAnswer): Uint8Array {
  const writer = new ByteWriter().flag(answer.admitted)
  if (!answer.admitted) return writer.u8(joinRefusals.indexOf(answer.reason)).take()
  const { facts } = answer
  writer.text32(facts.regionId, regionIdBytes * 2).text32(facts.name, nameBytesMax)
  writer.integer(facts.foundedAtMs).integer(facts.memberId).integer(facts.incarnation)
  return writePeers(writer, facts.contacts).take()
}

export function decodeJoinAnswer(bytes: Uint8Array): JoinAnswer {
  return whole(bytes, (reader) => {
    if (!reader.flag()) return { admitted: false, reason: reader.word(joinRefusals) }
    const facts: RegionFacts = {
      regionId: readRegionId(reader),
      name: reader.text32(nameBytesMax),
      foundedAtMs: reader.integer(),
      memberId: readMemberId(reader),
      incarnation: reader.integer(),
      contacts: readPeers(reader),
    }
    return { admitted: true, facts }
  })
}

export function encodeInvitation({ regionId, group, addresses }: Invitation): Uint8Array {
  return writeAddresses(regionWriter(regionId).u32(group), addresses).take()
}

export function decodeInvitation(bytes: Uint8Array): Invitation {
  return whole(bytes, (reader) => ({
    regionId: readRegionId(reader),
    group: readGroup(reader),
    addresses: readAddresses(reader),
  }))
}

export function encodeDismissal({ regionId, group, seat }: Dismissal): Uint8Array {
  return regionWriter(regionId).u32(group).integer(seat).take()
}

export function decodeDismissal(bytes: Uint8Array): Dismissal {
  return whole(bytes, (reader) => ({
    regionId: readRegionId(reader),
    group: readGroup(reader),
    seat: reader.integer(),
  }))
}

export function encodeChangeRequest(request: ChangeRequest): Uint8Array {
  const writer = regionWriter(request.regionId).u32(request.group)
  writer.list32(request.changes, regionLimits.changesMax, ({ type, nodeId }) => {
    writer.u8(confChangeTypes.indexOf(type)).integer(nodeId)
  })
  return writeAddresses(writer, request.addresses).take()
}

export function decodeChangeRequest(bytes: Uint8Array): ChangeRequest {
  return whole(bytes, (reader) => ({
    regionId: readRegionId(reader),
    group: readGroup(reader),
    changes: reader.list32(regionLimits.changesMax, 9, () => ({
      type: reader.word(confChangeTypes),
      nodeId: readMemberId(reader),
    })),
    addresses: readAddresses(reader),
  }))
}

export function encodeTransferRequest({ regionId, group, to }: TransferRequest): Uint8Array {
  return regionWriter(regionId).u32(group).integer(to).take()
}

export function decodeTransferRequest(bytes: Uint8Array): TransferRequest {
  return whole(bytes, (reader) => ({
    regionId: readRegionId(reader),
    group: readGroup(reader),
    to: readMemberId(reader),
  }))
}

/** Of a request of which nothing but the region counts: a report. */
export function encodeRegionId(regionId: string): Uint8Array {
  return regionWriter(regionId).take()
}

export function decodeRegionId(bytes: Uint8Array): string {
  return whole(bytes, readRegionId)
}

export function encodeReport({ memberId, groups }: MemberReport): Uint8Array {
  const writer = new ByteWriter().integer(memberId)
  writer.list32(groups, regionLimits.groupsMax, (report) => writeGroupReport(writer, report))
  return writer.take()
}

export function decodeReport(bytes: Uint8Array): MemberReport {
  return whole(bytes, (reader) => ({
    memberId: readMemberId(reader),
    groups: reader.list32(regionLimits.groupsMax, 65, () => readGroupReport(reader)),
  }))
}

export function encodeSeat(seat: number): Uint8Array {
  return new ByteWriter().integer(seat).take()
}

export function decodeSeat(bytes: Uint8Array): number {
  return whole(bytes, (reader) => reader.integer())
}

export function encodeOffer({ regionId, keys }: Offer): Uint8Array {
  const writer = regionWriter(regionId)
  writer.list32(keys, regionLimits.offeredMax, ({ key, value }) => {
    writer.text32(key, keyBytesMax).bytes32(value, regionLimits.offeredBytesMax)
  })
  return writer.take()
}

export function decodeOffer(bytes: Uint8Array): Offer {
  return whole(bytes, (reader) => ({
    regionId: readRegionId(reader),
    keys: reader.list32(regionLimits.offeredMax, 8, () => ({
      key: reader.text32(keyBytesMax),
      value: reader.bytes32(regionLimits.offeredBytesMax),
    })),
  }))
}

function whole<T>(bytes: Uint8Array, read: (reader: ByteReader) => T): T {
  const reader = new ByteReader(bytes)
  const value = read(reader)
  reader.end()
  return value
}

function regionWriter(regionId: string): ByteWriter {
  return new ByteWriter().text32(regionId, regionIdBytes * 2)
}

function writeHello(writer: ByteWriter, { name, region, contacts }: Hello): void {
  writer.text32(name, nameBytesMax).flag(region !== undefined)
  if (region !== undefined) {
    writer.text32(region.regionId, regionIdBytes * 2).u32(region.memberCount)
    writer.integer(region.foundedAtMs).flag(region.hasQuorum)
  }
  writePeers(writer, contacts)
}

function readHello(reader: ByteReader): Hello {
  const name = reader.text32(nameBytesMax)
  const region = reader.flag()
    ? {
        regionId: readRegionId(reader),
        memberCount: reader.u32(),
        foundedAtMs: reader.integer(),
        hasQuorum: reader.flag(),
      }
    : undefined
  return { name, region, contacts: readPeers(reader) }
}

function writePeers(writer: ByteWriter, peerIds: readonly string[]): ByteWriter {
  return writer.list32(peerIds, contactsMax, (peerId) => writer.text32(peerId, peerIdBytesMax))
}

function readPeers(reader: ByteReader): string[] {
  return reader.list32(contactsMax, 4, () => reader.text32(peerIdBytesMax))
}

function writeAddresses(writer: ByteWriter, addresses: readonly MemberAddress[]): ByteWriter {
  return writer.list32(addresses, invitedMax, ({ memberId, peerId }) => {
    writer.integer(memberId).text32(peerId, peerIdBytesMax)
  })
}

function readAddresses(reader: ByteReader): MemberAddress[] {
  return reader.list32(invitedMax, 12, () => ({
    memberId: readMemberId(reader),
    peerId: reader.text32(peerIdBytesMax),
  }))
}

function writeGroupReport(writer: ByteWriter, report: GroupReport): void {
  writer.u32(report.group).integer(report.seat).integer(report.term).integer(report.leader)
  writer.flag(report.isLeader).integer(report.commit).integer(report.applied)
  const { voters, votersOutgoing, learners, learnersNext } = report.members
  for (const list of [voters, votersOutgoing, learners, learnersNext])
    writer.list32(list, regionLimits.groupMembersMax, (id) => writer.integer(id))
  writer.list32(report.progress, regionLimits.groupMembersMax, ({ memberId, match, isActive }) => {
    writer.integer(memberId).integer(match).flag(isActive)
  })
}

function readGroupReport(reader: ByteReader): GroupReport {
  const ids = (): number[] =>
    reader.list32(regionLimits.groupMembersMax, 8, () => readMemberId(reader))
  return {
    group: readGroup(reader),
    seat: reader.integer(),
    term: reader.integer(),
    leader: reader.integer(),
    isLeader: reader.flag(),
    commit: reader.integer(),
    applied: reader.integer(),
    members: {
      voters: ids(),
      votersOutgoing: ids(),
      learners: ids(),
      learnersNext: ids(),
    },
    progress: reader.list32(regionLimits.groupMembersMax, 17, () => ({
      memberId: readMemberId(reader),
      match: reader.integer(),
      isActive: reader.flag(),
    })),
  }
}

function readGroup(reader: ByteReader): number {
  const group = reader.u32()
  // A false number would make a member hold a group that nobody else knows of.
  if (group > shardCount) throw malformed(`there is no group ${group}`)
  return group
}

function readMemberId(reader: ByteReader): number {
  const memberId = reader.integer()
  if (memberId === 0) throw malformed('member 0 is nobody')
  return memberId
}
