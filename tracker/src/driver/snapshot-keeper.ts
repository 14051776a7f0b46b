/**
 * Writes snapshots, one after another: those that a leader sent, and those of the groups' own making, after which the log need not
 * hold what came before. Their order: the file, the log's marker, its sync, then the older files go.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import type { RaftLogger, Snapshot } from '../raft/types.ts'
import type { SnapshotFiles } from '../wal/snapshot-files.ts'
import { WalError } from '../wal/wal-error.ts'
import type { WriteAheadLog } from '../wal/write-ahead-log.ts'
import { driverLimits } from './driver-limits.ts'
import type { Group } from './group.ts'

/** What a keeper needs. */
export interface SnapshotKeeperInit {
  readonly files: SnapshotFiles
  readonly log: WriteAheadLog
  readonly clock: Clock
  readonly logger: RaftLogger
  readonly onFailure: (error: unknown) => void
  readonly counters: { snapshotsTaken: number }
}

/** Keeps the snapshot files of all groups. */
export class SnapshotKeeper {
  readonly #init: SnapshotKeeperInit
  /** Groups whose turn comes. */
  readonly #wanted = new Set<Group>()
  #tasks: Promise<void> = Promise.resolve()
  #isTaking = false
  #isStopped = false
  readonly #pauses = new Set<() => void>()

  constructor(init: SnapshotKeeperInit) {
    this.#init = init
  }

  /** Takes a snapshot of a group soon. */
  request(group: Group): void {
    if (group.appliedIndex <= group.store.snapshotIndex) return
    this.#wanted.add(group)
    if (this.#isTaking || this.#isStopped) return
    this.#isTaking = true
    void this.#do(async () => {
      try {
        for (const next of this.#wanted) {
          this.#wanted.delete(next)
          await this.#take(next)
        }
      } finally {
        this.#isTaking = false
      }
    })
  }

  /** Writes a snapshot that a leader sent, as soon as there is room for it. */
  save(group: Group, snapshot: Snapshot, done: () => void): void {
    void this.#do(async () => {
      if (await this.#save(group, snapshot)) done()
    })
  }

  /** Removes a group's files below an index, all of them without one. */
  remove(group: number, below: number = Number.POSITIVE_INFINITY): Promise<void> {
    return this.#do(() => this.#init.files.removeBefore(group, below))
  }

  /** Resolves when nothing is written any more. */
  async stop(): Promise<void> {
    this.#isStopped = true
    for (const wake of [...this.#pauses]) wake()
    await this.#tasks
  }

  #do(task: () => Promise<void>): Promise<void> {
    this.#tasks = this.#tasks.then(async () => {
      if (this.#isStopped) return
      try {
        await task()
      } catch (error) {
        if (!this.#isStopped) this.#init.onFailure(error)
      }
    })
    return this.#tasks
  }

  async #take(group: Group): Promise<void> {
    if (group.isStopped || group.store.isInstalling) return
    if (group.appliedIndex <= group.store.snapshotIndex) return
    const snapshot = group.takeSnapshot()
    if (!(await this.#save(group, snapshot))) return
    // A leader's snapshot may have come meanwhile, or the group may be gone; `retain` takes the file at the next start.
    if (group.isStopped || !group.store.compacted(snapshot)) return
    this.#init.log.compact(group.id, snapshot)
    if (!(await this.#untilThereIsRoom(() => this.#init.log.sync()))) return
    this.#init.counters.snapshotsTaken += 1
    if (!group.isStopped) group.store.trim()
    await this.#init.files.removeBefore(group.id, snapshot.index)
  }

  async #save(group: Group, snapshot: Snapshot): Promise<boolean> {
    return this.#untilThereIsRoom(async () => {
      if (!group.isStopped) await this.#init.files.save(group.id, snapshot)
    })
  }

  /** Tries again while the disk is full; false when the driver stopped meanwhile. */
  async #untilThereIsRoom(write: () => Promise<void>): Promise<boolean> {
    for (let pauseMs = driverLimits.fullRetryMsMin; !this.#isStopped; pauseMs *= 2) {
      try {
        await write()
        return true
      } catch (error) {
        if (!(error instanceof WalError) || error.code !== 'ERR_WAL_FULL') throw error
        this.#init.logger.warn?.('a snapshot waits for room on the disk')
      }
      await this.#pause(Math.min(pauseMs, driverLimits.fullRetryMsMax))
    }
    return false
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      let cancel: CancelTimer | undefined
      const wake = () => {
        cancel?.()
        this.#pauses.delete(wake)
        resolve()
      }
      this.#pauses.add(wake)
      cancel = this.#init.clock.after(ms, wake)
    })
  }
}
