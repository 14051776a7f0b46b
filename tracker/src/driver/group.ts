/**
 * One Raft group at this member: its core, the tail of its log in memory, its state machine, and those who wait for it. Everything
 * here happens within a turn of the driver.
 */
import { TrackerError } from '../errors.ts'
import { decodeConfChange } from '../raft/conf-change-codec.ts'
import { emptyConfState, MemoryStorage } from '../raft/memory-storage.ts'
import { type RaftStatus, RawNode } from '../raft/raw-node.ts'
import {
  type ConfState,
  type Entry,
  localAppendThread,
  localApplyThread,
  type Message,
  noBytes,
  type Ready,
  type Snapshot,
  type StateType,
} from '../raft/types.ts'
import { Barriers } from './barriers.ts'
import { decodeAddresses, decodeState, encodeState } from './directory.ts'
import { driverLimits } from './driver-limits.ts'
import { GroupElection } from './group-election.ts'
import type { GroupHost, LeadershipListener } from './group-host.ts'
import { GroupPeers } from './group-peers.ts'
import type { GroupStart } from './group-start.ts'
import { GroupStore } from './group-store.ts'
import { travels } from './message-codec.ts'
import { type Proposal, Proposals, type Proposed } from './proposals.ts'
import type { StateMachine } from './state-machine.ts'

const { electionTicks, heartbeatTicks } = driverLimits

/** One group. */
export class Group {
  readonly id: number
  readonly stateMachine: StateMachine
  readonly store: GroupStore
  readonly peers: GroupPeers
  readonly #host: GroupHost
  readonly #node: RawNode
  readonly #proposals: Proposals
  readonly #barriers = new Barriers()
  readonly #election: GroupElection
  readonly #listeners = new Set<LeadershipListener>()
  /** Why the group stopped. */
  failure: unknown
  isStopped = false
  /** As the last ready told. */
  isLeader = false
  leader = 0
  term = 0
  confState: ConfState = emptyConfState
  appliedIndex = 0
  /** Proposals so far. Barriers do not count: leases are renewed by them as long as there are any, and a slower failover ends none. */
  asked = 0
  /** The term in which listeners know that this member leads. */
  #announced: number | undefined
  #entryBytesSinceSnapshot = 0
  #state: StateType = 'StateFollower'
  #campaignedMs = 0

  constructor(host: GroupHost, id: number, stateMachine: StateMachine, start: GroupStart) {
    this.#host = host
    this.id = id
    this.stateMachine = stateMachine
    this.peers = new GroupPeers(host)
    this.#election = new GroupElection(host)
    this.#proposals = new Proposals({
      onOverload: () => {
        host.counters.refusedProposals += 1
      },
      lostError: () => this.notLeader('it was not done: another leader took over'),
    })
    const storage = new MemoryStorage()
    const { hardState, snapshot, entries } = start
    if (snapshot.index > 0) {
      this.#takeState(snapshot)
      storage.applySnapshot({ ...snapshot, data: noBytes })
    }
    storage.append(entries)
    storage.hardState = { ...hardState, commit: Math.max(hardState.commit, snapshot.index) }
    this.term = hardState.term
    this.store = new GroupStore(this, storage, host)
    this.#node = new RawNode({
      ...{
        id: host.memberId,
        storage: this.store,
        random: host.random,
        electionTicks,
        heartbeatTicks,
      },
      ...{ applied: snapshot.index, asyncStorageWrites: true, preVote: true, checkQuorum: true },
      ...{ readMode: host.readMode, forwardProposals: false },
    })
    this.#placeElection()
  }

  /** Begins: who is alone need not wait for anybody. */
  begin(): void {
    if (this.#isAlone) this.#guard(() => this.#node.campaign())
    this.#host.wake(this)
  }

  /** Whether time means something to the group: a lone leader has nobody to tell that it is there. */
  get needsTicks(): boolean {
    return !this.isStopped && !(this.isLeader && this.#isAlone)
  }

  get #isAlone(): boolean {
    const { voters, votersOutgoing, learners, learnersNext } = this.confState
    const others = votersOutgoing.length + learners.length + learnersNext.length
    return voters.length === 1 && others === 0 && voters[0] === this.#host.memberId
  }

  /** Ticks that passed while this member leads; a heartbeat is among them. */
  passAsLeader(ticks: number): void {
    this.#tick(this.#election.dueAsLeader(ticks))
  }

  /**
   * Time that passed while it does not.
   * @param followingTickMs length of a tick, when the leader's own is no longer
   * @returns whether this member stood still for so long that not all of it counts
   */
  passBehind(elapsedMs: number, followingTickMs: number): boolean {
    const tickMs = this.#tickBehindMs(followingTickMs)
    const due = this.#election.dueBehind(elapsedMs, tickMs)
    if (due === 0) return false
    const mayCampaign = this.#election.mayCampaign(due)
    if (!mayCampaign) this.#node.setElectionTimeout(Number.MAX_SAFE_INTEGER)
    this.#tick(due)
    if (!mayCampaign) this.#placeElection()
    return elapsedMs > 2 * electionTicks * tickMs
  }

  /** Time until the next tick is due while this member does not lead. */
  waitBehind(followingTickMs: number): number {
    return this.#election.waitMs(this.#tickBehindMs(followingTickMs))
  }

  #tickBehindMs(followingTickMs: number): number {
    return Math.max((this.peers.paceOf(this.leader) ?? 0) / electionTicks, followingTickMs)
  }

  #tick(due: number): void {
    this.#guard(() => {
      for (let tick = 0; tick < due; tick++) this.#node.tick()
    })
    this.#noteUnknown(this.#proposals.expire(this.#host.monotonicMs()))
    if (this.#node.hasReady()) this.#host.wake(this)
  }

  /** The round trip that this member's part in the group depends on: to the leader, or to the slowest of the fastest quorum. */
  roundTripMs(nowMs: number): number {
    if (!this.isLeader && this.leader !== 0) return this.peers.roundTripMs(this.leader, nowMs)
    // Without a leader an election has to come to its end: a candidate needs the answers that a leader does, in both halves of a change.
    const { voters, votersOutgoing } = this.confState
    return Math.max(...[voters, votersOutgoing].map((half) => this.peers.quorumMs(half, nowMs)))
  }

  /** A message from a member who is who it says. */
  step(message: Message): void {
    this.#guard(() => {
      const refusal = this.#node.step(message)
      if (refusal !== undefined) this.#host.counters.refusedMessages += 1
    })
    this.#host.wake(this)
  }

  /** What the core promised is durable. */
  deliver(responses: readonly Message[]): void {
    this.#guard(() => {
      for (const response of responses) {
        if (response.to !== this.#host.memberId) {
          this.#send(response)
          continue
        }
        this.#node.stepLocal(response)
        const { snapshot } = response
        if (snapshot !== undefined) this.#host.snapshotInstalled(this, snapshot.index)
      }
    })
    this.#host.wake(this)
  }

  /** See {@link Driver.propose}. */
  propose(proposed: Proposed, signal: AbortSignal | undefined): Promise<unknown> {
    if (this.isStopped) return Promise.reject(this.#stoppedError())
    if (!this.isLeader) return Promise.reject(this.notLeader())
    if (this.#host.writer.isFull) return Promise.reject(fullError())
    this.asked += 1
    this.#host.wake(this)
    return this.#proposals.add(proposed, signal)
  }

  /** See {@link Driver.barrier}. */
  barrier(): Promise<void> {
    if (this.isStopped) return Promise.reject(this.#stoppedError())
    if (!this.isLeader) return Promise.reject(this.notLeader())
    this.#host.wake(this)
    return this.#barriers.add()
  }

  /** What a call gets that only the leader can do. */
  notLeader(message = 'this member does not lead the group'): TrackerError {
    const leader = this.isLeader ? undefined : this.leaderPeerId
    return new TrackerError('ERR_NOT_LEADER', message, { leader })
  }

  /** Who leads, as far as this member knows. */
  get leaderPeerId(): string | undefined {
    return this.leader === 0 ? undefined : this.peers.peerOf(this.leader)
  }

  /** See {@link Driver.onLeadership}. */
  listen(listener: LeadershipListener): () => void {
    this.#listeners.add(listener)
    if (this.#announced !== undefined) listener(this.#announced)
    return () => this.#listeners.delete(listener)
  }

  /** All that there is to do now. */
  work(): void {
    if (this.isStopped) return
    this.#guard(() => {
      this.store.work()
      do {
        const batch = this.#proposeWaiting()
        if (this.#barriers.hasWaiting) this.#readWaiting()
        if (!this.#node.hasReady()) continue
        this.#handle(this.#node.ready(), batch)
      } while (this.#node.hasReady() || this.#mayPropose)
    })
  }

  status(): RaftStatus {
    return this.#node.status()
  }

  /** Asks a member to take over; it has one election timeout. */
  transfer(to: number): void {
    this.#guard(() => this.#node.transferLeader(to))
    this.#host.wake(this)
  }

  /** The disk here is full: whoever has most of the log takes over. */
  handOver(): void {
    if (!this.isLeader || this.isStopped) return
    const { progress } = this.#node.status()
    const others = progress.filter(
      ({ id, isLearner, recentActive }) => id !== this.#host.memberId && !isLearner && recentActive,
    )
    const best = others.toSorted((a, b) => b.match - a.match)[0]
    if (best !== undefined) this.transfer(best.id)
  }

  /** The line to a peer broke or was made. */
  linkChanged(peerId: string, isUp: boolean): void {
    if (this.isStopped || this.isLeader || this.leader === 0) return
    if (this.peers.peerOf(this.leader) !== peerId) return
    this.#election.isLinkDown = !isUp
    const { confState, term } = this
    const isFirst = this.#election.place(confState, term) === 0
    this.#guard(() => {
      this.#placeElection()
      // In lease mode the leader counts on T, however dead its line looks from here.
      if (isUp || this.#host.readMode === 'lease') return
      this.#node.forgetLeader()
      if (isFirst) this.#node.campaign()
    })
    this.#host.wake(this)
  }

  /** The transport lost something that was meant for a peer: the core probes what arrived. */
  unreachable(peerId: string): void {
    if (!this.isLeader) return
    this.#guard(() => {
      for (const id of this.peers.idsOf(peerId)) this.#node.reportUnreachable(id)
    })
  }

  reportSnapshot(to: number, arrived: boolean): void {
    if (this.isStopped) return
    this.#guard(() => this.#node.reportSnapshot(to, arrived))
    this.#host.wake(this)
  }

  /** The state as of the last applied entry, for a snapshot file. */
  takeSnapshot(): Snapshot {
    const { appliedIndex: index, confState } = this
    const term = this.store.term(index) ?? 0
    const data = encodeState(this.peers.addresses(), this.stateMachine.snapshot())
    this.#entryBytesSinceSnapshot = 0
    return { index, term, confState, data }
  }

  /** Replaces the state by a leader's snapshot; called before it is promised to be durable. */
  restore(snapshot: Snapshot): void {
    this.#takeState(snapshot)
    this.#noteUnknown(this.#proposals.passed(snapshot.index))
    this.#entryBytesSinceSnapshot = 0
  }

  /** Ends the group here. Calls that wait end with `error`, or without a known outcome. */
  stop(error: TrackerError): void {
    if (this.isStopped) return
    this.isStopped = true
    this.#proposals.stop(error)
    this.#barriers.rejectAll(error)
    this.#announce(undefined)
    this.isLeader = false
  }

  #handle(ready: Ready, batch: readonly Proposal[]): void {
    const { hardState, softState, entries, messages } = ready
    if (batch.length > 0) this.#proposals.place(batch, entries)
    for (const read of ready.readStates) this.#barriers.confirm(read)
    const wasLeader = this.isLeader
    const newTerm = hardState !== undefined && hardState.term !== this.term
    if (newTerm) this.term = hardState.term
    if (softState !== undefined) {
      this.#noteState(softState.state)
      this.isLeader = softState.state === 'StateLeader'
      this.leader = softState.lead
      if (softState.lead !== 0) this.#election.follow(softState.lead)
    }
    if (softState !== undefined || newTerm) this.#placeElection()
    for (const message of messages) this.#take(message)
    this.#barriers.applied(this.appliedIndex)
    if (wasLeader && (newTerm || !this.isLeader)) this.#lostLeadership()
  }

  #noteState(state: StateType): void {
    const nowMs = this.#host.monotonicMs()
    const was = this.#state
    this.#state = state
    if (state === 'StateCandidate') this.#campaignedMs = nowMs
    if (state !== 'StateLeader' || was === 'StateLeader') return
    this.#election.lead()
    if (was === 'StateCandidate') this.#host.won(nowMs - this.#campaignedMs)
  }

  #take(message: Message): void {
    if (message.to === localAppendThread) this.store.take(message)
    else if (message.to === localApplyThread) this.#apply(message)
    else this.#send(message)
  }

  #send(message: Message): void {
    // What only leaders do is not passed on: a leadership that ends in this very turn ends those calls as well.
    if (message.type !== 'MsgSnap' && !travels(message.type)) return
    const line = this.peers.line(message.to)
    // A member of whom no address is known hears nothing until it speaks.
    if (line === undefined) return
    if (message.type === 'MsgSnap') {
      this.#host.sendSnapshot(this, message, line)
      return
    }
    line.add(this.id, message, this.#host.monotonicMs())
    this.#host.touch(line)
  }

  #apply({ entries, responses }: Message): void {
    for (const entry of entries) {
      if (entry.type === 'EntryNormal') this.#applyCommand(entry)
      else this.#applyChange(entry)
      this.appliedIndex = entry.index
      if (this.isLeader && this.#announced !== this.term && entry.term === this.term)
        this.#announce(this.term)
    }
    this.#host.counters.applied += entries.length
    for (const response of responses) this.#node.stepLocal(response)
    const behind = this.appliedIndex - this.store.snapshotIndex
    if (
      behind >= driverLimits.snapshotEntries ||
      this.#entryBytesSinceSnapshot >= driverLimits.snapshotEntryBytes
    )
      this.#host.requestSnapshot(this)
  }

  #applyCommand(entry: Entry): void {
    const { index, term, data } = entry
    // Empty is what a new leader begins its term with.
    const result =
      data.length === 0 ? undefined : this.stateMachine.apply({ index, term, command: data })
    this.#entryBytesSinceSnapshot += data.length
    this.#proposals.applied(entry, result, false)
  }

  #applyChange(entry: Entry): void {
    const change = decodeConfChange(entry.data)
    // Before the core hears of them: it speaks to newcomers at once.
    this.peers.add(decodeAddresses(change.context))
    this.confState = this.#node.applyConfChange(change)
    this.peers.retain(this.confState)
    this.#proposals.applied(entry, this.confState, this.confState.votersOutgoing.length > 0)
    this.#host.wake(this)
  }

  #takeState(snapshot: Snapshot): void {
    const { addresses, state } = decodeState(snapshot.data)
    this.stateMachine.restore(state)
    this.peers.replace(addresses)
    this.confState = snapshot.confState
    this.appliedIndex = snapshot.index
  }

  /** The core drops what is proposed while it hands over. It is a matter of a round trip or two, so that waits. */
  get #mayPropose(): boolean {
    return this.#proposals.hasWaiting && !this.#node.isHandingOver
  }

  #proposeWaiting(): Proposal[] {
    if (!this.#mayPropose) return []
    const batch = this.#proposals.takeBatch()
    const appended: Proposal[] = []
    const commands: Uint8Array[] = []
    // All commands cost one append; a change of membership is one of its own, behind them.
    for (const { command } of batch) if (command !== undefined) commands.push(command)
    const ofCommands = batch.filter(({ command }) => command !== undefined)
    if (commands.length > 0) {
      this.#host.counters.proposals += commands.length
      if (this.#node.propose(...commands) === undefined) appended.push(...ofCommands)
      else this.#refuse(ofCommands)
    }
    for (const proposal of batch) {
      if (proposal.change === undefined) continue
      if (this.#node.proposeConfChange(proposal.change) === undefined) appended.push(proposal)
      else this.#refuse([proposal])
    }
    return appended
  }

  #refuse(batch: Proposal[]): void {
    const { state } = this.#node.status()
    const error =
      state === 'StateLeader'
        ? new TrackerError('ERR_OVERLOADED', 'too much waits for a quorum')
        : this.notLeader()
    this.#proposals.refuse(batch, error)
  }

  #readWaiting(): void {
    if (this.#node.readIndex(this.#barriers.begin()) !== undefined)
      this.#barriers.rejectAll(new TrackerError('ERR_UNAVAILABLE', 'too many reads wait'))
  }

  #lostLeadership(): void {
    const error = this.notLeader()
    const untilMs = this.#host.monotonicMs() + driverLimits.keptMs
    this.#host.counters.keptProposals += this.#proposals.keep(untilMs, error)
    this.#barriers.rejectAll(error)
    this.#announce(undefined)
  }

  #noteUnknown(count: number): void {
    this.#host.counters.unknownProposals += count
  }

  #announce(term: number | undefined): void {
    if (this.#announced === term) return
    this.#announced = term
    this.stateMachine.lead(term)
    for (const listener of this.#listeners) listener(term)
  }

  /** Sets after how many ticks without a leader this member campaigns. */
  #placeElection(): void {
    const { confState, term } = this
    this.#node.setElectionTimeout(this.#election.ticks(this.#state, confState, term))
  }

  #guard(call: () => void): void {
    if (this.isStopped) return
    try {
      call()
    } catch (error) {
      this.#host.stopGroup(this, error)
    }
  }

  #stoppedError(): TrackerError {
    const cause = this.failure
    return cause === undefined
      ? new TrackerError('ERR_STOPPED', 'the group was stopped')
      : new TrackerError('ERR_UNAVAILABLE', 'the group broke one of its rules', { cause })
  }
}

function fullError(): TrackerError {
  return new TrackerError('ERR_STORAGE', 'the disk is full')
}
