/** One member of an interaction scenario: the core, its storage, and the work of its storage threads. */
import { decodeConfChange } from '../../src/raft/conf-change-codec.ts'
import type { RaftConfig } from '../../src/raft/config.ts'
import { MemoryStorage } from '../../src/raft/memory-storage.ts'
import { RawNode } from '../../src/raft/raw-node.ts'
import {
  type ConfState,
  type Entry,
  type HardState,
  localAppendThread,
  localApplyThread,
  type Message,
  type Refusal,
  type Snapshot,
} from '../../src/raft/types.ts'

/** Storage that answers with the newest state of the member when it is asked for a snapshot. */
class HistoryStorage extends MemoryStorage {
  readonly #history: readonly Snapshot[]

  constructor(history: readonly Snapshot[]) {
    super()
    this.#history = history
  }

  override snapshot(): Snapshot {
    return this.#history.at(-1) as Snapshot
  }
}

/** One member. */
export class ScenarioMember {
  readonly id: number
  readonly node: RawNode
  readonly storage: MemoryStorage
  readonly isAsync: boolean
  readonly electionTicks: number
  readonly heartbeatTicks: number
  appendWork: Message[] = []
  applyWork: Message[] = []
  /** The state machine after every entry: it appends the commands to one another. */
  readonly #history: Snapshot[]

  constructor(settings: Omit<RaftConfig, 'storage'>, start: Snapshot) {
    this.#history = [start]
    this.storage = new HistoryStorage(this.#history)
    if (start.index > 0) this.storage.applySnapshot(start)
    this.id = settings.id
    this.electionTicks = settings.electionTicks
    this.heartbeatTicks = settings.heartbeatTicks
    this.isAsync = settings.asyncStorageWrites ?? false
    this.node = new RawNode({ ...settings, storage: this.storage })
  }

  /** A message that was delivered, from a member or a storage thread. */
  step(message: Message): Refusal | undefined {
    const isLocal = message.from === localAppendThread || message.from === localApplyThread
    if (isLocal || message.from === this.id) {
      this.node.stepLocal(message)
      return undefined
    }
    return this.node.step(message)
  }

  append(
    hardState: HardState | undefined,
    entries: readonly Entry[],
    snapshot: Snapshot | undefined,
  ): void {
    if (hardState !== undefined) this.storage.hardState = hardState
    if (snapshot === undefined || snapshot.index === 0) {
      this.storage.append(entries)
      return
    }
    if (entries.length > 0) throw new Error("can't apply snapshot and entries at the same time")
    this.storage.applySnapshot(snapshot)
  }

  apply(entries: readonly Entry[]): void {
    for (const { type, term, index, data } of entries) {
      const last = this.#history.at(-1) as Snapshot
      let update = data
      let confState: ConfState = last.confState
      if (type !== 'EntryNormal') {
        const change = decodeConfChange(data)
        confState = this.node.applyConfChange(change)
        update = change.context
      }
      const state = new Uint8Array([...last.data, ...update])
      this.#history.push({ index, term, confState, data: state })
    }
  }
}
