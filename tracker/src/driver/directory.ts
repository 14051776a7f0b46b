/**
 * Which peer is which member of a group. It is part of the group's state: membership changes carry new pairs, snapshots all of
 * them, so that every member knows whom to talk to without asking anybody.
 */
import { ByteReader, malformed } from '../bytes/byte-reader.ts'
import { ByteWriter } from '../bytes/byte-writer.ts'
import type { ConfState } from '../raft/types.ts'
import { driverLimits } from './driver-limits.ts'

const VERSION = 1

/** One member and its libp2p peer id. */
export interface MemberAddress {
  readonly memberId: number
  readonly peerId: string
}

/** Pairs as the context of a membership change. */
export function encodeAddresses(addresses: readonly MemberAddress[]): Uint8Array {
  const writer = new ByteWriter()
  writeAddresses(writer, addresses)
  return writer.take()
}

/**
 * The reverse of {@link encodeAddresses}.
 * @throws TrackerError ERR_MALFORMED
 */
export function decodeAddresses(bytes: Uint8Array): MemberAddress[] {
  if (bytes.length === 0) return []
  const reader = new ByteReader(bytes)
  const addresses = readAddresses(reader)
  if (reader.left > 0) throw malformed('bytes behind the addresses')
  return addresses
}

/** A snapshot's data: the directory, then the state machine's own bytes. */
export function encodeState(addresses: readonly MemberAddress[], state: Uint8Array): Uint8Array {
  const writer = new ByteWriter()
  writeAddresses(writer, addresses)
  const head = writer.take()
  const whole = new Uint8Array(head.length + state.length)
  whole.set(head)
  whole.set(state, head.length)
  return whole
}

/**
 * The reverse of {@link encodeState}; `state` lies in the same bytes.
 * @throws TrackerError ERR_MALFORMED
 */
export function decodeState(bytes: Uint8Array): { addresses: MemberAddress[]; state: Uint8Array } {
  const reader = new ByteReader(bytes)
  const addresses = readAddresses(reader)
  return { addresses, state: reader.raw(reader.left) }
}

/** Everybody who has a part in a configuration, in ascending order. */
export function membersOf(confState: ConfState): number[] {
  const { voters, votersOutgoing, learners, learnersNext } = confState
  const all = new Set([...voters, ...votersOutgoing, ...learners, ...learnersNext])
  return [...all].sort((a, b) => a - b)
}

function writeAddresses(writer: ByteWriter, addresses: readonly MemberAddress[]): void {
  writer.u8(VERSION)
  writer.varint(addresses.length)
  for (const { memberId, peerId } of addresses) {
    writer.varint(memberId)
    writer.text(peerId)
  }
}

function readAddresses(reader: ByteReader): MemberAddress[] {
  if (reader.u8() !== VERSION) throw malformed('a directory of another version')
  const count = reader.varint()
  if (count > driverLimits.directoryMax) throw malformed('a directory that is too long')
  const addresses: MemberAddress[] = []
  for (let at = 0; at < count; at++) {
    const memberId = reader.varint()
    if (memberId === 0) throw malformed('a member without an id')
    addresses.push({ memberId, peerId: reader.text(driverLimits.peerIdBytesMax) })
  }
  return addresses
}
