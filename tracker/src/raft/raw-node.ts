/**
 * One member of a Raft group as its driver sees it: a pure state machine without clock, disk or network. The driver
 * ticks, steps messages and proposes; it asks for the work that follows ({@link RawNode.ready}), does it, and says so
 * ({@link RawNode.advance}). Not to be called from within its own calls.
 */
import { encodeConfChange } from './conf-change-codec.ts'
import type { RaftConfig } from './config.ts'
import { toConfState } from './configuration.ts'
import { RaftCore } from './core.ts'
import { entriesSize } from './entry-size.ts'
import { applyConfChange, restoreConfState } from './membership.ts'
import { refusalOf } from './message-check.ts'
import { invariant } from './raft-error.ts'
import { becomeFollower } from './roles.ts'
import { step, tick } from './step.ts'
import {
  type ConfChange,
  type ConfState,
  createMessage,
  type Entry,
  type EntryType,
  type HardState,
  localAppendThread,
  localApplyThread,
  type Message,
  type MessageType,
  type Ready,
  type Refusal,
  type SoftState,
} from './types.ts'

/** How far one member is, as its leader sees it. */
export interface ProgressStatus {
  readonly id: number
  readonly match: number
  readonly next: number
  readonly isLearner: boolean
  readonly recentActive: boolean
  /** The same and more in one line. */
  readonly description: string
}

/** What a member knows of itself and its group. */
export interface RaftStatus extends HardState, SoftState {
  readonly id: number
  readonly applied: number
  /** Whom leadership is being handed to; 0 for nobody. */
  readonly leadTransferee: number
  readonly confState: ConfState
  /** On a leader: everyone, by id; else empty. */
  readonly progress: readonly ProgressStatus[]
}

/** One member of a Raft group. */
export class RawNode {
  readonly #core: RaftCore
  readonly #async: boolean
  #softState: SoftState
  #hardState: HardState
  /** What `advance` feeds back: this member's own promises, which are kept by then. */
  #stepsOnAdvance: Message[] = []
  #mustAdvance = false

  /**
   * @throws RaftError ERR_RAFT_CONFIG for settings that do not fit, ERR_RAFT_INVARIANT for storage that lost what it
   * had promised, ERR_RAFT_CONF_CHANGE for a configuration that contradicts itself.
   */
  constructor(config: RaftConfig) {
    this.#core = startCore(config)
    this.#async = this.#core.config.asyncStorageWrites
    this.#softState = this.#core.softState
    this.#hardState = this.#core.hardState
  }

  /**
   * Says that a tick has passed. A driver that was held up makes up for all ticks before it steps anything else: leases
   * are measured in ticks.
   */
  tick(): void {
    tick(this.#core)
  }

  /**
   * Takes a message from another member. The transport has made sure that `from` is who sent it, save in forwarded
   * proposals, reads and transfers, which any member may pass on.
   * @throws RaftError ERR_RAFT_INVARIANT when a rule of Raft is broken: the group stops here.
   */
  step(message: Message): Refusal | undefined {
    const refusal = refusalOf(message, (id) => this.#core.members.progress.has(id))
    return refusal ?? step(this.#core, message)
  }

  /**
   * Takes a message that a local storage thread delivers to this very member when its work is done (asynchronous
   * storage writes): one of the `responses` whose `to` is this member.
   */
  stepLocal(message: Message): void {
    invariant(message.to === this.#core.id, () => `a local message to ${message.to}`)
    step(this.#core, message)
  }

  /** Starts an election, or asks first whether it could be won. */
  campaign(): void {
    this.#local('MsgHup', 0)
  }

  /** Proposes commands, which commit together in order or are lost together; each may be of any size. */
  propose(...commands: readonly Uint8Array[]): Refusal | undefined {
    if (commands.length === 0) return undefined
    return this.#propose(commands.map((data) => proposal('EntryNormal', data)))
  }

  /**
   * Proposes a change of membership; when it comes back committed it goes to {@link applyConfChange}.
   * A change that does not fit the present configuration becomes an empty entry.
   */
  proposeConfChange(
    change: ConfChange,
    type: Exclude<EntryType, 'EntryNormal'> = 'EntryConfChangeV2',
  ): Refusal | undefined {
    return this.#propose([proposal(type, encodeConfChange(change))])
  }

  /**
   * Takes over a committed change of membership. Whoever decides not to apply one calls this with its changes' ids set
   * to 0.
   * @throws RaftError ERR_RAFT_CONF_CHANGE when the present configuration does not allow it.
   */
  applyConfChange(change: ConfChange): ConfState {
    return applyConfChange(this.#core, change)
  }

  /** Asks for a linearizable read; the answer comes as a read state with the same bytes, or never: ask again. */
  readIndex(requestContext: Uint8Array): Refusal | undefined {
    const entries = [proposal('EntryNormal', requestContext)]
    return step(this.#core, createMessage({ type: 'MsgReadIndex', from: this.#core.id, entries }))
  }

  /** Whether this member leads and hands over: until that is done or given up it takes no proposals. */
  get isHandingOver(): boolean {
    return this.#core.leadTransferee !== 0
  }

  /** Asks the leader to hand over to a member. */
  transferLeader(to: number): void {
    this.#local('MsgTransferLeader', to)
  }

  /** Makes a follower act as if it had no leader, in the same term: it may vote for another. Not in lease mode. */
  forgetLeader(): void {
    this.#local('MsgForgetLeader', 0)
  }

  /** The transport could not reach a member. */
  reportUnreachable(id: number): void {
    this.#local('MsgUnreachable', id)
  }

  /** A snapshot reached a member, or did not. Without this a lost snapshot would never be sent again. */
  reportSnapshot(id: number, arrived: boolean): void {
    this.#local('MsgSnapStatus', id, !arrived)
  }

  /**
   * Sets the ticks without a leader after which this member campaigns, until it changes its role: for a driver that saw
   * the leader's connection close, and for simulations.
   */
  setElectionTimeout(ticks: number): void {
    this.#core.electionTimeout = ticks
  }

  /** Whether {@link ready} has work. */
  hasReady(): boolean {
    const { log, messages, messagesAfterAppend, readStates } = this.#core
    return (
      !isSameSoftState(this.#core.softState, this.#softState) ||
      !isSameHardState(this.#core.hardState, this.#hardState) ||
      log.unstable.nextSnapshot() !== undefined ||
      messages.length > 0 ||
      messagesAfterAppend.length > 0 ||
      log.unstable.hasNextEntries() ||
      log.hasNextCommitted(!this.#async) ||
      readStates.length > 0
    )
  }

  /** The work to do now; it is handed out once. Without asynchronous storage writes `advance` must follow. */
  ready(): Ready {
    invariant(!this.#mustAdvance, () => 'ready was called again before advance')
    const core = this.#core
    const { log } = core
    const { softState, hardState } = core
    const isNewSoftState = !isSameSoftState(softState, this.#softState)
    const isNewHardState = !isSameHardState(hardState, this.#hardState)
    const entries = log.unstable.nextEntries()
    const work: Omit<Ready, 'messages'> = {
      softState: isNewSoftState ? softState : undefined,
      hardState: isNewHardState ? hardState : undefined,
      readStates: core.readStates,
      entries,
      snapshot: log.unstable.nextSnapshot(),
      committedEntries: log.nextCommitted(!this.#async),
      // Figure 2: term, vote and entries must be on disk before anyone hears of them; the commit index need not.
      mustSync:
        entries.length > 0 ||
        hardState.vote !== this.#hardState.vote ||
        hardState.term !== this.#hardState.term,
    }
    const messages = core.messages
    if (this.#async) this.#addStorageMessages(messages, work)
    else this.#addPromises(messages, work)
    this.#accept(work)
    return { ...work, messages }
  }

  /** The work of the last {@link ready} is done. Not used with asynchronous storage writes. */
  advance(): void {
    invariant(!this.#async, () => 'advance with asynchronous storage writes')
    this.#mustAdvance = false
    const steps = this.#stepsOnAdvance
    this.#stepsOnAdvance = []
    for (const message of steps) step(this.#core, message)
  }

  status(): RaftStatus {
    const { id, softState, hardState, log, members, leadTransferee } = this.#core
    const known = softState.state === 'StateLeader' ? members.ids : []
    return {
      ...{ id, ...softState, ...hardState, applied: log.applied, leadTransferee },
      confState: toConfState(members.configuration),
      progress: known.flatMap((of) => {
        const progress = members.progress.get(of)
        if (progress === undefined) return []
        const { match, next, recentActive } = progress
        const isLearner = members.isLearner(of)
        return [{ id: of, match, next, isLearner, recentActive, description: members.describe(of) }]
      }),
    }
  }

  #local(type: MessageType, from: number, reject = false): void {
    step(this.#core, createMessage({ type, from, reject }))
  }

  #propose(entries: readonly Entry[]): Refusal | undefined {
    return step(this.#core, createMessage({ type: 'MsgProp', from: this.#core.id, entries }))
  }

  /** Synchronous writes: whatever waits for the disk can leave, as the driver writes before it sends. */
  #addPromises(messages: Message[], work: Omit<Ready, 'messages'>): void {
    const core = this.#core
    for (const message of core.messagesAfterAppend) {
      if (message.to === core.id) this.#stepsOnAdvance.push(message)
      else messages.push(message)
    }
    if (needsAppendResponse(core, work)) this.#stepsOnAdvance.push(appendResponse(core, work))
    if (work.committedEntries.length > 0) this.#stepsOnAdvance.push(applyResponse(core, work))
    this.#mustAdvance = true
  }

  /** Asynchronous writes: the work goes to the storage threads as messages, which carry what to say when it is done. */
  #addStorageMessages(messages: Message[], work: Omit<Ready, 'messages'>): void {
    const core = this.#core
    const { hardState, entries, snapshot, committedEntries } = work
    const promises = core.messagesAfterAppend
    if (hardState !== undefined || entries.length > 0 || snapshot || promises.length > 0) {
      // Its own acknowledgement comes before the end of the unstable entries: their terms are still at hand then.
      const responses = needsAppendResponse(core, work)
        ? [...promises, appendResponse(core, work)]
        : promises
      const [type, to, from] = ['MsgStorageAppend' as const, localAppendThread, core.id]
      messages.push(createMessage({ type, to, from, ...hardState, entries, snapshot, responses }))
    }
    if (committedEntries.length > 0) {
      const [type, to, from] = ['MsgStorageApply' as const, localApplyThread, core.id]
      const responses = [applyResponse(core, work)]
      messages.push(createMessage({ type, to, from, entries: committedEntries, responses }))
    }
  }

  #accept(work: Omit<Ready, 'messages'>): void {
    const core = this.#core
    if (work.softState !== undefined) this.#softState = work.softState
    if (work.hardState !== undefined) this.#hardState = work.hardState
    core.readStates = []
    core.messages = []
    core.messagesAfterAppend = []
    core.log.unstable.acceptInProgress()
    const last = work.committedEntries.at(-1)
    if (last !== undefined) {
      core.log.acceptApplying(last.index, entriesSize(work.committedEntries), !this.#async)
    }
  }
}

function startCore(config: RaftConfig): RaftCore {
  const core = new RaftCore(config)
  const { log } = core
  const { hardState, confState } = core.config.storage.initialState()
  restoreConfState(core, confState)
  const { term, vote, commit } = hardState
  if (term > 0 || vote > 0 || commit > 0) {
    invariant(
      commit >= log.committed && commit <= log.lastIndex(),
      () => `stored commit index ${commit} is out of range [${log.committed}, ${log.lastIndex()}]`,
    )
    log.committed = commit
    core.term = term
    core.vote = vote
    core.restarted = core.config.readMode === 'lease'
  }
  if (core.config.applied > 0) {
    // The commit index is not synced, so a state machine with a disk of its own can be ahead of it.
    log.commitTo(core.config.applied)
    log.appliedTo(core.config.applied, 0)
  }
  becomeFollower(core, core.term, 0)
  const last = log.last()
  const peers = core.members.ids.filter((id) => core.members.isVoter(id))
  core.logger.info?.(
    `newRaft ${core.name} [peers: [${peers.map((id) => id.toString(16)).join(',')}], term: ${core.term}, commit: ${log.committed}, applied: ${log.applied}, lastindex: ${last.index}, lastterm: ${last.term}]`,
  )
  return core
}

function proposal(type: EntryType, data: Uint8Array): Entry {
  return { term: 0, index: 0, type, data }
}

/** Also without new entries: an earlier confirmation may have been dropped because the term changed meanwhile. */
function needsAppendResponse(core: RaftCore, { snapshot }: Omit<Ready, 'messages'>): boolean {
  return core.log.unstable.entries.length > 0 || snapshot !== undefined
}

/**
 * Tells the core what is stable. It carries the term of now: a write is only known to be final when no other term has
 * begun meanwhile, in which the same indices could be written again.
 */
function appendResponse(core: RaftCore, { snapshot }: Omit<Ready, 'messages'>): Message {
  const hasEntries = core.log.unstable.entries.length > 0
  const last = hasEntries ? core.log.last() : { index: 0, term: 0 }
  return createMessage({
    type: 'MsgStorageAppendResp',
    to: core.id,
    from: localAppendThread,
    term: core.term,
    index: last.index,
    logTerm: last.term,
    snapshot,
  })
}

function applyResponse(core: RaftCore, { committedEntries }: Omit<Ready, 'messages'>): Message {
  return createMessage({
    type: 'MsgStorageApplyResp',
    to: core.id,
    from: localApplyThread,
    entries: committedEntries,
  })
}

function isSameSoftState(a: SoftState, b: SoftState): boolean {
  return a.lead === b.lead && a.state === b.state
}

function isSameHardState(a: HardState, b: HardState): boolean {
  return a.term === b.term && a.vote === b.vote && a.commit === b.commit
}
