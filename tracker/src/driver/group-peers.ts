/** Who is who in one group: the directory that the group agreed on, and strangers whom a newcomer hears before it has one. */
import type { ConfState } from '../raft/types.ts'
import { type MemberAddress, membersOf } from './directory.ts'
import { driverLimits } from './driver-limits.ts'
import type { PeerLine } from './peer-line.ts'

/** What a group's peers need of the driver. */
export interface PeersHost {
  readonly memberId: number
  line(peerId: string): PeerLine
  admits(peerId: string, memberId: number): boolean
}

/** The peers of one group. */
export class GroupPeers {
  readonly #host: PeersHost
  readonly #directory = new Map<number, string>()
  /** Members who spoke and whom the directory does not name (yet, or any more). */
  readonly #strangers = new Map<number, string>()
  /** Peers that a newcomer was told to listen to. */
  readonly #contacts = new Set<string>()
  readonly #lines = new Map<number, PeerLine>()

  constructor(host: PeersHost) {
    this.#host = host
  }

  /** Listens to these peers, whoever they say they are. */
  addContacts(peerIds: readonly string[]): void {
    for (const peerId of peerIds.slice(0, driverLimits.strangersMax)) this.#contacts.add(peerId)
  }

  /** The libp2p peer id of a member, when it is known. */
  peerOf(memberId: number): string | undefined {
    return this.#directory.get(memberId) ?? this.#strangers.get(memberId)
  }

  /** Members that live at a peer. */
  idsOf(peerId: string): number[] {
    return [...this.#directory].filter(([, peer]) => peer === peerId).map(([memberId]) => memberId)
  }

  /** The directory in ascending order of ids. */
  addresses(): MemberAddress[] {
    return [...this.#directory]
      .map(([memberId, peerId]) => ({ memberId, peerId }))
      .sort((a, b) => a.memberId - b.memberId)
  }

  /** The line to a member; undefined for one whose address nobody told. */
  line(memberId: number): PeerLine | undefined {
    const known = this.#lines.get(memberId)
    if (known !== undefined) return known
    const peerId = this.peerOf(memberId)
    if (peerId === undefined) return undefined
    const line = this.#host.line(peerId)
    this.#lines.set(memberId, line)
    return line
  }

  /** T as a member told it last. */
  paceOf(memberId: number): number | undefined {
    return this.#lines.get(memberId)?.heard.electionMs
  }

  /** Round trip to a member at worst, lately; 0 when none was measured. */
  roundTripMs(memberId: number, nowMs: number): number {
    return this.#lines.get(memberId)?.heard.roundTrips.value(nowMs) ?? 0
  }

  /**
   * Round trip to the slowest of those voters whose answers come first and make a quorum with this member's own, at worst, lately. Who was
   * not heard lately may be gone: then the others' answers have to do.
   */
  quorumMs(voters: readonly number[], nowMs: number): number {
    const others = voters.filter((id) => id !== this.#host.memberId)
    const own = voters.length - others.length
    const times = others
      .map((id) => this.roundTripMs(id, nowMs))
      .filter((ms) => ms > 0)
      .sort((a, b) => a - b)
    return times[Math.min(Math.floor(voters.length / 2) - own, times.length - 1)] ?? 0
  }

  /** Whether a peer may speak as a member: it is that one, or nobody here knows that one and the peer is trusted to tell. */
  admits(peerId: string, memberId: number): boolean {
    const known = this.#directory.get(memberId)
    if (known !== undefined) return known === peerId
    if (memberId === this.#host.memberId) return false
    const stranger = this.#strangers.get(memberId)
    if (stranger !== undefined) return stranger === peerId
    if (!this.#contacts.has(peerId) && !this.#host.admits(peerId, memberId)) return false
    if (this.#strangers.size >= driverLimits.strangersMax) {
      const [oldest] = this.#strangers.keys()
      if (oldest !== undefined) {
        this.#strangers.delete(oldest)
        this.#lines.delete(oldest)
      }
    }
    this.#strangers.set(memberId, peerId)
    return true
  }

  /** Takes in pairs of a membership change. */
  add(addresses: readonly MemberAddress[]): void {
    for (const { memberId, peerId } of addresses) {
      this.#directory.set(memberId, peerId)
      this.#strangers.delete(memberId)
      this.#lines.delete(memberId)
    }
  }

  /** Takes over the directory of a snapshot. */
  replace(addresses: readonly MemberAddress[]): void {
    this.#directory.clear()
    this.#lines.clear()
    this.add(addresses)
  }

  /** Forgets who has no part in the configuration. */
  retain(confState: ConfState): void {
    const kept = new Set(membersOf(confState))
    for (const memberId of [...this.#directory.keys()]) {
      if (kept.has(memberId)) continue
      this.#directory.delete(memberId)
      this.#lines.delete(memberId)
    }
  }
}
