/** What came for a driver and waits for its turn: checks whose it is, reads it strictly, and hands it to the groups. */
import { ByteReader } from '../bytes/byte-reader.ts'
import { TrackerError } from '../errors.ts'
import type { RaftLogger } from '../raft/types.ts'
import type { Lane } from '../transport.ts'
import { decodeBulk } from './bulk-codec.ts'
import type { DriverCounters } from './driver-counters.ts'
import { driverLimits } from './driver-limits.ts'
import { readFrameHead } from './frame-codec.ts'
import type { Group } from './group.ts'
import { readMessage } from './message-codec.ts'
import type { PeerLine } from './peer-line.ts'
import type { SnapshotReceiver } from './snapshot-receiver.ts'
import type { SnapshotSender } from './snapshot-sender.ts'

/** What an inbox works with. */
export interface InboxInit {
  readonly region: number
  readonly memberId: number
  readonly groups: ReadonlyMap<number, Group>
  readonly counters: DriverCounters
  readonly logger: RaftLogger
  readonly sender: SnapshotSender
  readonly receiver: SnapshotReceiver
  readonly line: (peerId: string) => PeerLine
}

/** A frame that came. */
export interface Arrived {
  readonly peerId: string
  readonly lane: Lane
  readonly frame: Uint8Array
  readonly cameMs: number
}

/** The frames of one turn. */
export class Inbox {
  readonly #init: InboxInit
  #arrived: Arrived[] = []
  #bytes = 0

  constructor(init: InboxInit) {
    this.#init = init
  }

  /** @returns false when it was dropped, or is none of ours */
  add(arrived: Arrived): boolean {
    const { length } = arrived.frame
    if (arrived.lane === 'call') return false
    if (this.#bytes + length > driverLimits.inboxBytesMax) {
      this.#init.counters.framesDropped += 1
      return false
    }
    this.#bytes += length
    this.#arrived.push(arrived)
    return true
  }

  /** Reads all that came. */
  read(): void {
    if (this.#arrived.length === 0) return
    const all = this.#arrived
    this.#arrived = []
    this.#bytes = 0
    const { counters, logger } = this.#init
    for (const arrived of all) {
      try {
        if (arrived.lane === 'raft') this.#readFrame(arrived)
        else this.#readBulk(arrived)
      } catch (error) {
        if (!(error instanceof TrackerError)) throw error
        counters.framesMalformed += 1
        logger.debug?.(`a frame of ${arrived.peerId} is malformed: ${error.message}`)
      }
    }
  }

  /** The group, when it is here and the peer may speak in it as that member. */
  member(id: number, peerId: string, memberId: number): Group | undefined {
    const { groups, counters } = this.#init
    const group = groups.get(id)
    if (group === undefined || group.isStopped) counters.unknownGroups += 1
    else if (!group.peers.admits(peerId, memberId)) counters.unknownMembers += 1
    else return group
    return undefined
  }

  #readFrame({ peerId, frame, cameMs }: Arrived): void {
    const { region, memberId, counters, line } = this.#init
    const reader = new ByteReader(frame)
    const head = readFrameHead(reader)
    if (head.region !== region || head.to !== memberId) {
      counters.framesForeign += 1
      return
    }
    let isKnown = false
    while (reader.left > 0) {
      const { group: id, message } = readMessage(reader, head.from, head.to)
      const group = this.member(id, peerId, head.from)
      if (group === undefined) continue
      // Once for the whole frame, and before what it carries: a heartbeat counts in its sender's ticks.
      if (!isKnown) line(peerId).hear(head, cameMs)
      isKnown = true
      counters.messagesReceived += 1
      group.step(message)
    }
  }

  #readBulk({ peerId, frame }: Arrived): void {
    const { region, memberId, counters, receiver, sender } = this.#init
    const bulk = decodeBulk(frame)
    if (bulk.region !== region || bulk.to !== memberId) counters.framesForeign += 1
    else if (bulk.kind === 'piece') receiver.receive(peerId, bulk)
    else sender.receive(peerId, bulk)
  }
}
