/**
 * The stable log of one group: what the core reads in memory, what must be durable through the log writer. Jobs are done in the
 * order in which the core gave them out; one that has to wait (a snapshot that is being written, a log that took too much) holds up
 * those behind it, of this group only.
 */
import type { MemoryStorage } from '../raft/memory-storage.ts'
import { type Entry, type Message, noBytes, type Snapshot, type Storage } from '../raft/types.ts'
import { membersOf } from './directory.ts'
import { driverLimits } from './driver-limits.ts'
import type { Group } from './group.ts'
import type { GroupHost } from './group-host.ts'

const noLimit = Number.MAX_SAFE_INTEGER

/** One group's stable log. */
export class GroupStore implements Storage {
  readonly #group: Group
  readonly #storage: MemoryStorage
  readonly #host: GroupHost
  #jobs: Message[] = []
  /** A leader's snapshot is being written. */
  isInstalling = false
  #isSaved = false

  constructor(group: Group, storage: MemoryStorage, host: GroupHost) {
    this.#group = group
    this.#storage = storage
    this.#host = host
  }

  get snapshotIndex(): number {
    return this.#storage.snapshot().index
  }

  initialState(): ReturnType<Storage['initialState']> {
    return this.#storage.initialState()
  }

  entries(low: number, high: number, bytesMax: number): readonly Entry[] | undefined {
    return this.#storage.entries(low, high, bytesMax)
  }

  term(index: number): number | undefined {
    return this.#storage.term(index)
  }

  firstIndex(): number {
    return this.#storage.firstIndex()
  }

  lastIndex(): number {
    return this.#storage.lastIndex()
  }

  /**
   * The newest snapshot, without its data, when all members have a part in it: one that does not know a newcomer is of no use to it. Else
   * a new one is asked for.
   */
  snapshot(): Snapshot | undefined {
    const snapshot = this.#storage.snapshot()
    const known = new Set(membersOf(snapshot.confState))
    if (membersOf(this.#group.confState).every((id) => known.has(id))) return snapshot
    this.#host.requestSnapshot(this.#group)
    return undefined
  }

  /** A job that the core gave out. */
  take(job: Message): void {
    this.#jobs.push(job)
    this.work()
  }

  /** Does what can be done. */
  work(): void {
    for (;;) {
      const job = this.#jobs[0]
      if (job === undefined || this.isInstalling) return
      if (job.snapshot !== undefined && !this.#isSaved) {
        this.#install(job.snapshot)
        return
      }
      if (!this.#do(job)) return
      this.#isSaved = false
      this.#jobs.shift()
    }
  }

  /** Writes down how far the group is committed, so that a restart does not have to learn it again. */
  close(): void {
    const { hardState } = this.#storage
    if (this.#jobs.length > 0 || hardState.term === 0) return
    const commit = Math.min(hardState.commit, this.#storage.lastIndex())
    this.#host.writer.append({ group: this.#group.id, hardState: { ...hardState, commit } })
  }

  /**
   * A snapshot of the group's own is in its file: the log need not hold what came before.
   * @returns false when a leader's snapshot overtook it
   */
  compacted({ index, confState }: Snapshot): boolean {
    if (index <= this.snapshotIndex || this.isInstalling) return false
    this.#storage.createSnapshot(index, confState, noBytes)
    return true
  }

  /** Forgets entries in memory, but for a tail that slow followers may still ask for. */
  trim(): void {
    const first = this.#storage.firstIndex()
    const { index } = this.#storage.snapshot()
    const from = Math.max(first, index - driverLimits.tailEntries)
    let keptFrom = index + 1
    if (from <= index) {
      const tail: readonly Entry[] = this.#storage.entries(from, index + 1, noLimit) ?? []
      let bytes = 0
      for (let at = tail.length - 1; at >= 0; at--) {
        const entry = tail[at] as Entry
        bytes += entry.data.length
        if (bytes > driverLimits.tailBytes) break
        keptFrom = entry.index
      }
    }
    if (keptFrom > first) this.#storage.compact(keptFrom - 1)
  }

  /** Into the state machine first, so that bytes which no state can be never reach the disk; then to its file. */
  #install(snapshot: Snapshot): void {
    this.#group.restore(snapshot)
    this.isInstalling = true
    this.#host.saveSnapshot(this.#group, snapshot, () => {
      this.isInstalling = false
      this.#isSaved = true
      this.#host.wake(this.#group)
    })
  }

  /** @returns false when the log takes nothing more now */
  #do(job: Message): boolean {
    const { snapshot, entries, responses } = job
    const before = this.#storage.hardState
    const hasState = job.term > 0
    const { term, vote, commit } = hasState ? job : before
    // The commit index alone need not be durable: a member that lost it hears it again.
    const isPromise =
      snapshot !== undefined || entries.length > 0 || term !== before.term || vote !== before.vote
    const hardState = { term, vote, commit }
    if (isPromise && !this.#append(snapshot, hardState, entries)) return false
    if (snapshot !== undefined) this.#storage.applySnapshot({ ...snapshot, data: noBytes })
    this.#storage.append(entries)
    this.#storage.hardState = hardState
    if (responses.length === 0 && !isPromise) return true
    const { writer } = this.#host
    if (!isPromise && writer.isIdle) this.#group.deliver(responses)
    else writer.promise({ owner: this.#group, responses })
    return true
  }

  #append(
    snapshot: Snapshot | undefined,
    hardState: { term: number; vote: number; commit: number },
    entries: readonly Entry[],
  ): boolean {
    const group = this.#group.id
    return this.#host.writer.append({ group, snapshot, hardState, entries })
  }
}
