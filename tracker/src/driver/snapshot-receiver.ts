/** Puts snapshots together that come in pieces: a few at a time, within bounds, each piece checked. */
import type { CancelTimer, Clock } from '../clock.ts'
import type { Message } from '../raft/types.ts'
import { createMessage } from '../raft/types.ts'
import type { TrackerTransport } from '../transport.ts'
import { crc32c } from '../wal/crc32c.ts'
import { bytesOf } from '../wal/record.ts'
import {
  encodeBulk,
  type ReceiptStatus,
  type SnapshotPiece,
  type SnapshotTitle,
} from './bulk-codec.ts'
import { driverLimits } from './driver-limits.ts'

const { receiptsMax, receiptBytesMax, transferIdleMs } = driverLimits

/** What a receiver needs. */
export interface SnapshotReceiverInit {
  readonly region: number
  readonly memberId: number
  readonly clock: Clock
  readonly send: TrackerTransport['send']
  /** Whether a group is here, and the peer may speak in it as that member. */
  readonly admits: (group: number, peerId: string, memberId: number) => boolean
  /** A whole snapshot came. */
  readonly onSnapshot: (group: number, message: Message) => void
  readonly counters: { snapshotsReceived: number; snapshotsRefused: number }
}

interface Arrival {
  readonly key: string
  readonly title: SnapshotTitle
  readonly data: Uint8Array
  received: number
  crc: number
  heardMs: number
  cancel: CancelTimer | undefined
}

/** Receives snapshots. */
export class SnapshotReceiver {
  readonly #init: SnapshotReceiverInit
  readonly #arrivals = new Map<string, Arrival>()
  #bytes = 0

  constructor(init: SnapshotReceiverInit) {
    this.#init = init
  }

  /** A piece came from a peer. */
  receive(peerId: string, piece: SnapshotPiece): void {
    const key = `${peerId} ${piece.from} ${piece.transfer}`
    if (piece.title !== undefined && !this.#begin(key, peerId, piece, piece.title)) {
      this.#init.counters.snapshotsRefused += 1
      this.#answer(peerId, piece, 0, 'refused')
      return
    }
    const arrival = this.#arrivals.get(key)
    if (arrival === undefined) return
    if (!take(arrival, piece)) {
      // The line keeps the order and loses nothing while it stands: whatever this is, it will not become whole.
      this.#init.counters.snapshotsRefused += 1
      this.#forget(arrival)
      this.#answer(peerId, piece, 0, 'refused')
      return
    }
    arrival.heardMs = this.#init.clock.monotonicMs()
    if (arrival.received < arrival.data.length) {
      this.#answer(peerId, piece, arrival.received, 'going-on')
      return
    }
    this.#forget(arrival)
    this.#finish(arrival, piece)
    this.#answer(peerId, piece, arrival.received, 'done')
  }

  /** The line to a peer broke: the rest of what it sent will not come. */
  linkBroke(peerId: string): void {
    for (const arrival of [...this.#arrivals.values()])
      if (arrival.key.startsWith(`${peerId} `)) this.#forget(arrival)
  }

  stop(): void {
    for (const arrival of [...this.#arrivals.values()]) this.#forget(arrival)
  }

  #begin(key: string, peerId: string, piece: SnapshotPiece, title: SnapshotTitle): boolean {
    const before = this.#arrivals.get(key)
    if (before !== undefined) this.#forget(before)
    if (!this.#init.admits(title.group, peerId, piece.from)) return false
    if (this.#arrivals.size >= receiptsMax || this.#bytes + title.bytes > receiptBytesMax)
      return false
    const arrival: Arrival = {
      ...{ key, title, data: new Uint8Array(title.bytes), received: 0, crc: 0 },
      heardMs: this.#init.clock.monotonicMs(),
      cancel: undefined,
    }
    this.#arrivals.set(key, arrival)
    this.#bytes += title.bytes
    this.#watch(arrival)
    return true
  }

  #watch(arrival: Arrival): void {
    const idleMs = this.#init.clock.monotonicMs() - arrival.heardMs
    if (idleMs >= transferIdleMs) {
      this.#init.counters.snapshotsRefused += 1
      this.#forget(arrival)
      return
    }
    arrival.cancel = this.#init.clock.after(transferIdleMs - idleMs, () => this.#watch(arrival))
  }

  #forget(arrival: Arrival): void {
    if (!this.#arrivals.delete(arrival.key)) return
    arrival.cancel?.()
    this.#bytes -= arrival.data.length
  }

  #finish({ title, data }: Arrival, { from, to }: SnapshotPiece): void {
    const { group, messageTerm: term, index, term: snapshotTerm, confState } = title
    const snapshot = { index, term: snapshotTerm, confState, data }
    this.#init.counters.snapshotsReceived += 1
    this.#init.onSnapshot(group, createMessage({ type: 'MsgSnap', from, to, term, snapshot }))
  }

  #answer(
    peerId: string,
    { from: to, transfer }: SnapshotPiece,
    received: number,
    status: ReceiptStatus,
  ): void {
    const { region, memberId: from } = this.#init
    // One that is lost is made up for by the next, or by the sender's patience.
    this.#init.send(
      peerId,
      'bulk',
      encodeBulk({ kind: 'receipt', region, from, to, transfer, received, status }),
    )
  }
}

/** @returns false for a piece that does not follow, is too much or damaged */
function take(arrival: Arrival, { offset, crc, data }: SnapshotPiece): boolean {
  if (offset !== arrival.received || offset + data.length > arrival.data.length) return false
  if (crc32c(bytesOf(data), 0, data.length, arrival.crc) !== crc) return false
  if (data.length === 0 && arrival.data.length > 0) return false
  arrival.data.set(data, offset)
  arrival.received += data.length
  arrival.crc = crc
  return true
}
