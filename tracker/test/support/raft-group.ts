/**
 * A Raft group in memory for tests: members with storage that survives a crash, links that can be cut, and messages that
 * move only when the test says so.
 */
import assert from 'node:assert/strict'
import { decodeConfChange } from '../../src/raft/conf-change-codec.ts'
import type { RaftConfig } from '../../src/raft/config.ts'
import { emptyConfState, MemoryStorage } from '../../src/raft/memory-storage.ts'
import { RawNode } from '../../src/raft/raw-node.ts'
import {
  type ConfChangeSingle,
  type ConfChangeTransition,
  type ConfState,
  createMessage,
  type Entry,
  type HardState,
  localAppendThread,
  localApplyThread,
  type Message,
  type MessageType,
  noBytes,
  type ReadState,
  type Refusal,
  type Snapshot,
  type StateType,
} from '../../src/raft/types.ts'

/** Settings that a test changes; the rest makes the plain algorithm of the paper. */
export type MemberSettings = Partial<Omit<RaftConfig, 'id' | 'storage'>>

/** Rounds of {@link RaftGroup.settle} after which a group is taken to talk for ever. */
const roundsMax = 10_000

/** Text as bytes. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Bytes as text. */
export function text(data: Uint8Array): string {
  return new TextDecoder().decode(data)
}

/** Storage that makes a snapshot of the newest state whenever it is asked for one. */
class SnapshottingStorage extends MemoryStorage {
  readonly #state: () => [index: number, confState: ConfState, data: Uint8Array]

  constructor(state: () => [index: number, confState: ConfState, data: Uint8Array]) {
    super()
    this.#state = state
  }

  /** The newest snapshot that was made. */
  get kept(): Snapshot {
    return super.snapshot()
  }

  override snapshot(): Snapshot {
    const { kept } = this
    const [index, confState, data] = this.#state()
    return index > kept.index ? this.createSnapshot(index, confState, data) : kept
  }
}

/** One member: the core, its disk, and a state machine that remembers what it applied. */
export class GroupMember {
  readonly id: number
  readonly storage = new SnapshottingStorage(() => this.#state())
  readonly settings: MemberSettings
  node: RawNode
  /** Commands in the order they were applied; in a real member they live on in the snapshot. */
  applied: string[] = []
  appliedIndex = 0
  reads: ReadState[] = []
  /** What was applied since a watcher last looked: index and term with the bytes. */
  readonly history: [index: number, what: string][] = []
  /** With asynchronous storage writes: what the storage threads have not done yet, in order. */
  #appendWork: Message[] = []
  #applyWork: Message[] = []

  constructor(id: number, start: Snapshot, settings: MemberSettings) {
    this.id = id
    this.settings = settings
    if (start.index > 0) {
      this.#restore(start)
      this.storage.applySnapshot(start)
    }
    this.node = this.#start()
  }

  #start(): RawNode {
    return new RawNode({
      ...{ random: () => (this.id * 0.3) % 1, electionTicks: 10, heartbeatTicks: 1 },
      ...{ preVote: false, checkQuorum: false },
      ...this.settings,
      ...{ id: this.id, storage: this.storage, applied: this.appliedIndex },
    })
  }

  /** Loses everything that is not on disk, and starts again; what was applied comes back from the snapshot. */
  restart(): void {
    const snapshot = this.storage.kept
    this.applied = []
    this.appliedIndex = 0
    this.reads = []
    this.#appendWork = []
    this.#applyWork = []
    if (snapshot.index > 0) this.#restore(snapshot)
    // A snapshot is of what was committed, however far the disk was behind with saying so.
    const { hardState } = this.storage
    if (hardState.commit < snapshot.index)
      this.storage.hardState = { ...hardState, commit: snapshot.index }
    this.node = this.#start()
  }

  get state(): StateType {
    return this.node.status().state
  }

  get term(): number {
    return this.node.status().term
  }

  get commit(): number {
    return this.node.status().commit
  }

  /** The stable log behind the last compaction, as `term/index command`. */
  get log(): string[] {
    const { storage } = this
    const entries = storage.entries(storage.firstIndex(), storage.lastIndex() + 1, 2 ** 40) ?? []
    return entries.map((entry) => `${entry.term}/${entry.index} ${text(entry.data)}`.trim())
  }

  /** Whether anything is left to do. */
  get busy(): boolean {
    return this.node.hasReady() || this.#appendWork.length > 0 || this.#applyWork.length > 0
  }

  /** Does everything there is to do, and returns what the member says. */
  work(): Message[] {
    const said: Message[] = []
    while (this.busy) {
      if (this.node.hasReady()) said.push(...this.process())
      said.push(...this.workAppend(), ...this.workApply())
    }
    return said
  }

  /** Takes the work of one ready; without asynchronous writes it is done here, in the order that the core asks for. */
  process(): readonly Message[] {
    const ready = this.node.ready()
    this.reads.push(...ready.readStates)
    if (this.settings.asyncStorageWrites) {
      const isFor = (thread: number) => (message: Message) => message.to === thread
      this.#appendWork.push(...ready.messages.filter(isFor(localAppendThread)))
      this.#applyWork.push(...ready.messages.filter(isFor(localApplyThread)))
      return ready.messages.filter(({ to }) => to !== localAppendThread && to !== localApplyThread)
    }
    this.#persist(ready.hardState, ready.entries, ready.snapshot)
    for (const entry of ready.committedEntries) this.#apply(entry)
    this.node.advance()
    return ready.messages
  }

  /** The next job of the append thread; what it lets out. */
  workAppend(): readonly Message[] {
    const job = this.#appendWork.shift()
    if (job === undefined) return []
    const { term, vote, commit, entries, snapshot } = job
    this.#persist(term === 0 ? undefined : { term, vote, commit }, entries, snapshot)
    return this.#release(job)
  }

  /** The next job of the apply thread. */
  workApply(): readonly Message[] {
    const job = this.#applyWork.shift()
    if (job === undefined) return []
    for (const entry of job.entries) this.#apply(entry)
    return this.#release(job)
  }

  #release({ responses }: Message): readonly Message[] {
    for (const message of responses) if (message.to === this.id) this.node.stepLocal(message)
    return responses.filter(({ to }) => to !== this.id)
  }

  #persist(
    hardState: HardState | undefined,
    entries: readonly Entry[],
    snapshot: Snapshot | undefined,
  ): void {
    if (hardState !== undefined) this.storage.hardState = hardState
    if (snapshot !== undefined) {
      this.storage.applySnapshot(snapshot)
      this.#restore(snapshot)
    }
    this.storage.append(entries)
  }

  /** Makes a snapshot of what is applied and forgets the log up to `keep` entries before it. */
  compact(keep = 0): void {
    this.storage.snapshot()
    this.storage.compact(this.appliedIndex - keep)
  }

  /** The state machine as a snapshot holds it. */
  #state(): [number, ConfState, Uint8Array] {
    const { confState } = this.node.status()
    return [this.appliedIndex, confState, bytes(JSON.stringify(this.applied))]
  }

  #apply({ type, term, index, data }: Entry): void {
    assert.equal(index, this.appliedIndex + 1, 'entries are applied in order, each once')
    this.appliedIndex = index
    this.history.push([index, `${term} ${type} ${text(data)}`])
    if (type !== 'EntryNormal') this.node.applyConfChange(decodeConfChange(data))
    else if (data.length > 0) this.applied.push(text(data))
  }

  #restore({ index, data }: Snapshot): void {
    this.applied = data.length === 0 ? [] : JSON.parse(text(data))
    this.appliedIndex = index
  }
}

/** A group of members. */
export class RaftGroup {
  readonly members = new Map<number, GroupMember>()
  /** Messages on their way. */
  network: Message[] = []
  /** Links `from>to` that lose everything. */
  readonly #cut = new Set<string>()

  /** Members 1 to `voters`, who know one another and hold an empty log behind index 1. */
  static start(voters: number, settings: MemberSettings = {}): RaftGroup {
    const group = new RaftGroup()
    const ids = Array.from({ length: voters }, (_, at) => at + 1)
    const confState = { ...emptyConfState, voters: ids }
    for (const id of ids) group.add(id, settings, { index: 1, term: 1, confState, data: noBytes })
    return group
  }

  /** One more member, who knows nobody unless `start` says so. */
  add(id: number, settings: MemberSettings = {}, start?: Snapshot): GroupMember {
    const nothing = { index: 0, term: 0, confState: emptyConfState, data: noBytes }
    const member = new GroupMember(id, start ?? nothing, settings)
    this.members.set(id, member)
    return member
  }

  member(id: number): GroupMember {
    const member = this.members.get(id)
    assert(member !== undefined, `member ${id}`)
    return member
  }

  /** The one leader of the highest term. */
  get leader(): GroupMember {
    const leaders = [...this.members.values()].filter(({ state }) => state === 'StateLeader')
    const [first] = leaders.sort((a, b) => b.term - a.term)
    assert(first !== undefined, 'there is a leader')
    return first
  }

  /** Elects a member and lets everything calm down. */
  elect(id: number): GroupMember {
    this.member(id).node.campaign()
    this.settle()
    assert.equal(this.member(id).state, 'StateLeader')
    return this.member(id)
  }

  propose(id: number, ...commands: string[]): Refusal | undefined {
    return this.member(id).node.propose(...commands.map(bytes))
  }

  change(
    id: number,
    changes: readonly ConfChangeSingle[],
    transition: ConfChangeTransition = 'ConfChangeTransitionAuto',
  ): Refusal | undefined {
    return this.member(id).node.proposeConfChange({ transition, changes, context: noBytes })
  }

  tick(id: number, count = 1): void {
    for (let left = count; left > 0; left -= 1) this.member(id).node.tick()
  }

  /** Ticks everybody in turn, with time for messages in between. */
  tickAll(count = 1): void {
    for (let left = count; left > 0; left -= 1) {
      for (const id of this.members.keys()) this.tick(id)
      this.settle()
    }
  }

  /** Everything that a member has to do; its messages go on their way. */
  process(id: number): void {
    this.network.push(...this.member(id).work())
  }

  /** Delivers what is on its way now, save what `hold` keeps back; members do not answer yet. */
  deliver(hold: (message: Message) => boolean = () => false): number {
    const moving = this.network
    this.network = moving.filter(hold)
    const arriving = moving.filter(
      (message) => !hold(message) && !this.#cut.has(`${message.from}>${message.to}`),
    )
    for (const message of arriving) this.members.get(message.to)?.node.step(message)
    return arriving.length
  }

  /** Delivers one message, unless its link is cut. */
  deliverOne(message: Message): void {
    if (this.#cut.has(`${message.from}>${message.to}`)) return
    this.members.get(message.to)?.node.step(message)
  }

  /** Works and delivers until nothing moves any more. */
  settle(hold?: (message: Message) => boolean): void {
    for (let round = 0; round < roundsMax; round += 1) {
      for (const id of this.members.keys()) this.process(id)
      if (this.deliver(hold) === 0) return
    }
    assert.fail('the group does not come to rest')
  }

  /** Loses what is on its way, all or of one kind. */
  drop(type?: MessageType): void {
    this.network = type === undefined ? [] : this.network.filter((m) => m.type !== type)
  }

  /** Cuts the links between two sides, in both directions. */
  cut(left: readonly number[], right: readonly number[]): void {
    for (const a of left) {
      for (const b of right) {
        this.#cut.add(`${a}>${b}`)
        this.#cut.add(`${b}>${a}`)
      }
    }
  }

  /** Cuts one member off from all others. */
  isolate(id: number): void {
    const others = [...this.members.keys()].filter((other) => other !== id)
    this.cut([id], others)
  }

  heal(): void {
    this.#cut.clear()
  }
}

/** One member alone, in front of which the test plays everybody else. */
export class LoneMember extends GroupMember {
  constructor(peers: readonly number[], settings: MemberSettings = {}, log: readonly Entry[] = []) {
    const confState = { ...emptyConfState, voters: [1, ...peers] }
    super(1, { index: 1, term: 1, confState, data: noBytes }, settings)
    if (log.length === 0) return
    this.storage.append(log)
    this.storage.hardState = { term: (log.at(-1) as Entry).term, vote: 0, commit: 1 }
    this.restart()
  }

  /** A message from a peer; returns what the member says to it. */
  hear(given: Partial<Message> & Pick<Message, 'type'>): Message[] {
    this.node.step(createMessage({ to: this.id, from: 2, term: this.term, ...given }))
    return this.work()
  }

  tick(count = 1): Message[] {
    for (let left = count; left > 0; left -= 1) this.node.tick()
    return this.work()
  }
}

/** Entries with the given terms, behind index 1. */
export function entriesOf(...terms: number[]): Entry[] {
  return terms.map((term, at) => ({
    ...{ term, index: at + 2, type: 'EntryNormal' as const },
    data: bytes(`${term}-${at + 2}`),
  }))
}
