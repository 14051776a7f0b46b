/**
 * Sends snapshots to followers that are too far behind: a few at a time, each in pieces that the receiver confirms, so that a slow
 * line is never flooded. A transfer of which nothing is heard is given up, and the core tries again.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import type { Message, RaftLogger, Snapshot } from '../raft/types.ts'
import type { TrackerTransport } from '../transport.ts'
import { type Bytes, crc32c } from '../wal/crc32c.ts'
import { bytesOf } from '../wal/record.ts'
import { encodeBulk, type Receipt, type SnapshotTitle } from './bulk-codec.ts'
import { driverLimits } from './driver-limits.ts'

const { pieceBytes, piecesInFlight, sendsMax, sendsWaitingMax, transferIdleMs } = driverLimits

/** What a sender needs. */
export interface SnapshotSenderInit {
  readonly region: number
  readonly memberId: number
  readonly clock: Clock
  readonly logger: RaftLogger
  readonly send: TrackerTransport['send']
  /** Reads the file of a snapshot. */
  readonly load: (group: number, snapshot: Snapshot) => Promise<Snapshot>
  readonly counters: { snapshotsSent: number; snapshotsNotSent: number }
}

/** One snapshot for one member. */
export interface SnapshotJob {
  readonly group: number
  readonly peerId: string
  readonly message: Message
  /** Called once: it arrived, or did not. */
  readonly done: (arrived: boolean) => void
}

interface Transfer extends SnapshotJob {
  readonly number: number
  data: Bytes | undefined
  /** Its first piece left; it may be the only one, without any bytes. */
  isBegun: boolean
  sent: number
  confirmed: number
  /** Checksum of all that was sent. */
  crc: number
  heardMs: number
  cancel: CancelTimer | undefined
  cancelRetry: CancelTimer | undefined
}

/** Sends snapshots. */
export class SnapshotSender {
  readonly #init: SnapshotSenderInit
  readonly #waiting: SnapshotJob[] = []
  readonly #transfers = new Map<number, Transfer>()
  #number = 0

  constructor(init: SnapshotSenderInit) {
    this.#init = init
  }

  /** Sends when there is room; `done` is called later, never now. */
  add(job: SnapshotJob): boolean {
    if (this.#waiting.length >= sendsWaitingMax) return false
    this.#waiting.push(job)
    this.#next()
    return true
  }

  /** A receiver said something. */
  receive(peerId: string, { transfer: number, received, status, from }: Receipt): void {
    const transfer = this.#transfers.get(number)
    if (transfer === undefined || transfer.peerId !== peerId) return
    if (transfer.message.to !== from || received > transfer.sent) return
    transfer.heardMs = this.#init.clock.monotonicMs()
    transfer.confirmed = Math.max(transfer.confirmed, received)
    const { data } = transfer
    if (status === 'refused') this.#end(transfer, false)
    else if (status === 'done') this.#end(transfer, received === data?.bytes.length)
    else this.#pump(transfer)
  }

  /** The line to a peer broke: what was on its way to it is lost. */
  linkBroke(peerId: string): void {
    for (const transfer of [...this.#transfers.values()])
      if (transfer.peerId === peerId) this.#end(transfer, false)
  }

  stop(): void {
    this.#waiting.length = 0
    for (const transfer of this.#transfers.values()) {
      transfer.cancel?.()
      transfer.cancelRetry?.()
    }
    this.#transfers.clear()
  }

  #next(): void {
    while (this.#transfers.size < sendsMax) {
      const job = this.#waiting.shift()
      if (job === undefined) return
      this.#number = (this.#number + 1) % 2 ** 32
      const transfer: Transfer = {
        ...job,
        ...{ number: this.#number, data: undefined, isBegun: false, sent: 0, confirmed: 0, crc: 0 },
        heardMs: this.#init.clock.monotonicMs(),
        ...{ cancel: undefined, cancelRetry: undefined },
      }
      this.#transfers.set(transfer.number, transfer)
      this.#watch(transfer)
      void this.#load(transfer)
    }
  }

  async #load(transfer: Transfer): Promise<void> {
    try {
      const { data } = await this.#init.load(transfer.group, transfer.message.snapshot as Snapshot)
      transfer.data = bytesOf(data)
    } catch (error) {
      // A newer one may have taken its place: then the core sends that.
      this.#init.logger.warn?.(`a snapshot of group ${transfer.group} cannot be read: ${error}`)
      this.#end(transfer, false)
      return
    }
    if (this.#transfers.has(transfer.number)) this.#pump(transfer)
  }

  #watch(transfer: Transfer): void {
    const idleMs = this.#init.clock.monotonicMs() - transfer.heardMs
    if (idleMs >= transferIdleMs) {
      this.#end(transfer, false)
      return
    }
    transfer.cancel = this.#init.clock.after(transferIdleMs - idleMs, () => this.#watch(transfer))
  }

  #pump(transfer: Transfer): void {
    const { data } = transfer
    if (data === undefined) return
    while (
      (transfer.sent < data.bytes.length || !transfer.isBegun) &&
      transfer.sent - transfer.confirmed < piecesInFlight * pieceBytes
    ) {
      if (this.#sendPiece(transfer, data)) continue
      transfer.cancelRetry ??= this.#init.clock.after(driverLimits.pieceRetryMs, () => {
        transfer.cancelRetry = undefined
        this.#pump(transfer)
      })
      return
    }
  }

  #sendPiece(transfer: Transfer, data: Bytes): boolean {
    const { region, memberId } = this.#init
    const { message, number, sent } = transfer
    const end = Math.min(sent + pieceBytes, data.bytes.length)
    const crc = crc32c(data, sent, end, transfer.crc)
    const frame = encodeBulk({
      ...{ kind: 'piece', region, from: memberId, to: message.to, transfer: number },
      title: sent === 0 ? titleOf(transfer, data.bytes.length) : undefined,
      ...{ offset: sent, crc, data: data.bytes.subarray(sent, end) },
    })
    if (!this.#init.send(transfer.peerId, 'bulk', frame)) return false
    transfer.isBegun = true
    transfer.sent = end
    transfer.crc = crc
    return true
  }

  #end(transfer: Transfer, arrived: boolean): void {
    if (!this.#transfers.delete(transfer.number)) return
    transfer.cancel?.()
    transfer.cancelRetry?.()
    this.#init.counters[arrived ? 'snapshotsSent' : 'snapshotsNotSent'] += 1
    transfer.done(arrived)
    this.#next()
  }
}

function titleOf({ group, message }: SnapshotJob, bytes: number): SnapshotTitle {
  const { index, term, confState } = message.snapshot as Snapshot
  return { group, messageTerm: message.term, index, term, confState, bytes }
}
