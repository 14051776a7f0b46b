/**
 * Runs many Raft groups on one log, one clock and one transport. All that happens in a turn of the event loop is taken together: time
 * first, then what came from others, then what became durable, then what callers propose; one sync serves all groups, and each peer
 * hears all of it in one frame.
 */
import assert from 'node:assert/strict'
import type { Clock } from '../clock.ts'
import { TrackerError } from '../errors.ts'
import { type ConfChange, type ConfState, noBytes, type RaftLogger } from '../raft/types.ts'
import type { Lane, TrackerTransport } from '../transport.ts'
import type { Folder } from '../wal/folder.ts'
import { SnapshotFiles } from '../wal/snapshot-files.ts'
import { WalError } from '../wal/wal-error.ts'
import { walLimits } from '../wal/wal-limits.ts'
import { WriteAheadLog } from '../wal/write-ahead-log.ts'
import { encodeAddresses, type MemberAddress } from './directory.ts'
import { type DriverCounters, newCounters } from './driver-counters.ts'
import { driverLimits } from './driver-limits.ts'
import type { Group } from './group.ts'
import type { LeadershipListener } from './group-host.ts'
import { emptyStart, firstSnapshot, type GroupStart, loadStarts } from './group-start.ts'
import type { StateMachine } from './state-machine.ts'
import { Turns, type TurnsInit } from './turns.ts'

/** What a driver stands on. */
export interface DriverComponents {
  readonly clock: Clock
  readonly send: TrackerTransport['send']
  /** Folders of their own for the log and for snapshots. */
  readonly logFolder: Folder
  readonly snapshotFolder: Folder
  /** A number in [0, 1). */
  readonly random: () => number
  readonly randomBytes: (length: number) => Uint8Array
  readonly logger?: RaftLogger
  /** Calls back after what happens at the same time has happened. */
  readonly defer: (callback: () => void) => void
  /**
   * Whether a peer that a group's directory does not name may speak as a member: so a member that was away while others came hears
   * them again. Default: nobody but the contacts given to {@link Driver.joinGroup}.
   */
  readonly admits?: (peerId: string, memberId: number) => boolean
  /** Told once when the disk failed, so that nothing works here any more. */
  readonly onFailure?: (error: TrackerError) => void
}

/** Settings of a driver. */
export interface DriverInit {
  /** Names the region: a log or a frame of another one is refused. At most 200 bytes. */
  readonly region: string
  /** This member, in all groups. No other member has or had it. */
  readonly memberId: number
  readonly peerId: string
  /** Makes the state of a group that the log holds; undefined leaves it alone. */
  readonly stateMachine: (groupId: number) => StateMachine | undefined
  /** How reads become linearizable. Default: lease. */
  readonly readMode?: 'safe' | 'lease'
  /** Size of a segment of the log. Default: the log's own. */
  readonly segmentBytes?: number
}

/** A change of who belongs to a group. */
export type MemberChange =
  | {
      readonly type: 'add-voter' | 'add-learner'
      readonly memberId: number
      readonly peerId: string
    }
  | { readonly type: 'remove'; readonly memberId: number }

/** What is known of a group here. */
export interface GroupStatus {
  readonly groupId: number
  readonly memberId: number
  readonly isLeader: boolean
  readonly leaderPeerId: string | undefined
  readonly state: string
  readonly term: number
  readonly commit: number
  readonly applied: number
  readonly confState: ConfState
  readonly members: readonly MemberAddress[]
  /** On a leader: how far each member is. */
  readonly progress: readonly {
    readonly memberId: number
    readonly match: number
    readonly isLearner: boolean
    readonly recentActive: boolean
  }[]
}

/** The driver. */
export class Driver {
  /** Since the start. */
  readonly counters: DriverCounters = newCounters()
  readonly #components: DriverComponents
  readonly #init: DriverInit
  readonly #commandBytesMax: number
  readonly #groups = new Map<number, Group>()
  #turns: Turns | undefined
  #log: WriteAheadLog | undefined
  #failure: TrackerError | undefined
  #status: 'new' | 'running' | 'stopped' = 'new'

  constructor(components: DriverComponents, init: DriverInit) {
    assert(Number.isSafeInteger(init.memberId) && init.memberId > 0, 'a member id is 1 or more')
    this.#components = components
    this.#init = init
    // An entry is part of one record of the log, which is a quarter of a segment at most.
    const recordBytes = (init.segmentBytes ?? walLimits.segmentBytes) / 4
    this.#commandBytesMax = Math.min(driverLimits.commandBytesMax, recordBytes - 1024)
  }

  /**
   * Reads the log and goes on with the groups in it.
   * @throws WalError for a log that does not open
   */
  async start(): Promise<void> {
    assert(this.#status === 'new', 'a driver starts once')
    const { logFolder: folder, snapshotFolder, randomBytes, logger = {} } = this.#components
    const { region, memberId, segmentBytes } = this.#init
    const onWarning = (error: unknown) => logger.warn?.(`the log: ${error}`)
    const owner = new TextEncoder().encode(`${region}/${memberId}`)
    const { log, groups } = await WriteAheadLog.open(
      { folder, randomBytes, onWarning },
      { owner, ...(segmentBytes === undefined ? {} : { segmentBytes }) },
    )
    const files = new SnapshotFiles(snapshotFolder)
    const starts = await loadStarts(files, groups)
    this.#log = log
    const init: TurnsInit = {
      ...{ memberId, peerId: this.#init.peerId, readMode: this.#init.readMode ?? 'lease' },
      region: new TextEncoder().encode(region),
      ...{ log, files, groups: this.#groups, counters: this.counters },
      onFailure: (error) => this.#fail(error),
    }
    this.#turns = new Turns(this.#components, init)
    this.#status = 'running'
    for (const [id, start] of starts) {
      const stateMachine = this.#init.stateMachine(id)
      if (stateMachine !== undefined) this.#add(id, stateMachine, start)
    }
  }

  /** Ends all groups and calls, and closes the log. */
  async stop(): Promise<void> {
    if (this.#status !== 'running') {
      this.#status = 'stopped'
      return
    }
    this.#status = 'stopped'
    const error = new TrackerError('ERR_STOPPED', 'the tracker was stopped')
    for (const group of this.#groups.values()) {
      if (!group.isStopped && this.#failure === undefined) group.store.close()
      group.stop(error)
    }
    await this.#turns?.stop()
    try {
      await this.#log?.close()
    } catch (error) {
      // What was acknowledged is durable; the rest was promised to nobody.
      this.#components.logger?.warn?.(`the log did not close: ${error}`)
    }
  }

  /** Election timeout T now, milliseconds. */
  get electionMs(): number {
    return this.#running().electionMs
  }

  /** Ids of the groups here. */
  get groupIds(): number[] {
    return [...this.#groups.keys()]
  }

  /** What came for this driver: frames of the lanes `raft` and `bulk`. */
  onFrame(peerId: string, lane: Lane, frame: Uint8Array): void {
    if (this.#status === 'running') this.#turns?.receive(peerId, lane, frame)
  }

  /** The connection to a peer was made, or broke. */
  onLink(peerId: string, isUp: boolean): void {
    if (this.#status === 'running') this.#turns?.linkChanged(peerId, isUp)
  }

  /**
   * Founds a group. Every founder calls this with the same voters and an equal, fresh state.
   * @throws TrackerError ERR_INVALID_INPUT when it is there already; ERR_STORAGE, ERR_STOPPED
   */
  async createGroup(
    id: number,
    init: { readonly voters: readonly MemberAddress[] },
    stateMachine: StateMachine,
  ): Promise<void> {
    const turns = this.#running()
    this.#checkFree(id)
    const snapshot = firstSnapshot(init.voters, stateMachine)
    const hardState = { term: snapshot.term, vote: 0, commit: snapshot.index }
    await this.#stored(turns.found(id, snapshot, hardState))
    this.#running()
    this.#add(id, stateMachine, { hardState, snapshot, entries: [] })
  }

  /**
   * Waits to become a member: the group's leader, who added this member, sends all that it needs. For a group that waits already, more
   * contacts are taken in.
   * @param contacts peers who may be the leader
   */
  joinGroup(id: number, stateMachine: StateMachine, contacts: readonly string[]): void {
    const running = this.#running()
    let group = this.#groups.get(id)
    if (group === undefined || group.isStopped) {
      this.#checkFree(id)
      group = running.add(id, stateMachine, emptyStart)
    }
    group.peers.addContacts(contacts)
  }

  /** Stops a group and forgets all that it had here. */
  async removeGroup(id: number): Promise<void> {
    const turns = this.#running()
    const group = this.#groups.get(id)
    if (group === undefined) return
    group.stop(new TrackerError('ERR_STOPPED', 'the group left this member'))
    this.#groups.delete(id)
    await this.#stored(turns.remove(id))
  }

  /**
   * Proposes a command.
   * @returns what the state machine here answered when it was applied
   * @throws TrackerError ERR_NOT_LEADER, ERR_UNAVAILABLE, ERR_OVERLOADED, ERR_STORAGE, ERR_STOPPED, ERR_INVALID_INPUT: nothing was
   *   done; ERR_UNKNOWN_OUTCOME: it may or may not be done
   */
  propose(
    id: number,
    command: Uint8Array,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<unknown> {
    if (command.length === 0 || command.length > this.#commandBytesMax) {
      const message = `a command of ${command.length} bytes`
      return Promise.reject(new TrackerError('ERR_INVALID_INPUT', message))
    }
    return this.#with(id, (group) => group.propose({ command }, options.signal))
  }

  /**
   * Waits until the state here holds everything that was acknowledged anywhere before this call.
   * @throws TrackerError ERR_NOT_LEADER, ERR_UNAVAILABLE, ERR_OVERLOADED, ERR_STORAGE, ERR_STOPPED
   */
  barrier(id: number): Promise<void> {
    return this.#with(id, (group) => group.barrier())
  }

  /**
   * Changes who belongs to a group, all at once (by a joint configuration where that needs one). Resolves when it is done.
   * @throws what {@link Driver.propose} throws; ERR_UNAVAILABLE when another change is under way, or this one does not fit
   */
  async changeMembers(
    id: number,
    changes: readonly MemberChange[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<ConfState> {
    const change = toConfChange(changes)
    const propose = (group: Group) => group.propose({ change }, options.signal)
    return (await this.#with(id, propose)) as ConfState
  }

  /** Asks another voter to lead. It takes over within T, or does not. @throws TrackerError ERR_NOT_LEADER */
  transferLeadership(id: number, memberId: number): void {
    const group = this.#group(id)
    if (group.isLeader) group.transfer(memberId)
    else throw group.notLeader()
  }

  /** Who leads a group, as far as this member knows. */
  leaderPeerId(id: number): string | undefined {
    const group = this.#groups.get(id)
    return group === undefined || group.isStopped ? undefined : group.leaderPeerId
  }

  /**
   * Tells of this member's leadership of a group from now on: the term, when its state has all that was committed before; undefined when
   * it is over. Told at once when it leads already.
   * @returns ends that
   */
  onLeadership(id: number, listener: LeadershipListener): () => void {
    return this.#group(id).listen(listener)
  }

  /** What is known of a group. @throws TrackerError ERR_INVALID_INPUT when it is not here */
  status(id: number): GroupStatus {
    const group = this.#group(id)
    const { state, term, commit, applied, progress } = group.status()
    return {
      ...{ groupId: id, memberId: this.#init.memberId, isLeader: group.isLeader },
      ...{ leaderPeerId: group.leaderPeerId, state, term, commit, applied },
      ...{ confState: group.confState, members: group.peers.addresses() },
      progress: progress.map(({ id: memberId, match, isLearner, recentActive }) => {
        return { memberId, match, isLearner, recentActive }
      }),
    }
  }

  #add(id: number, stateMachine: StateMachine, start: GroupStart): void {
    this.#running().add(id, stateMachine, start)
  }

  #running(): Turns {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#status !== 'running' || this.#turns === undefined)
      throw new TrackerError('ERR_STOPPED', 'the tracker is not running')
    return this.#turns
  }

  #group(id: number): Group {
    this.#running()
    const group = this.#groups.get(id)
    if (group === undefined) throw new TrackerError('ERR_INVALID_INPUT', `no group ${id} is here`)
    return group
  }

  #with<Result>(id: number, call: (group: Group) => Promise<Result>): Promise<Result> {
    try {
      return call(this.#group(id))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #checkFree(id: number): void {
    assert(Number.isInteger(id) && id >= 0 && id < 2 ** 32, 'a group is a 32-bit number')
    if (this.#groups.has(id))
      throw new TrackerError('ERR_INVALID_INPUT', `group ${id} is here already`)
  }

  async #stored(write: Promise<void>): Promise<void> {
    try {
      await write
    } catch (cause) {
      if (!(cause instanceof WalError)) throw cause
      throw new TrackerError('ERR_STORAGE', 'the disk took nothing', { cause })
    }
  }

  #fail(cause: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = new TrackerError('ERR_STORAGE', 'the disk failed', { cause })
    this.#components.logger?.error?.(`the driver stops: ${cause}`)
    for (const group of this.#groups.values()) group.stop(this.#failure)
    this.#components.onFailure?.(this.#failure)
  }
}

const changeTypes = {
  'add-voter': 'ConfChangeAddNode',
  'add-learner': 'ConfChangeAddLearnerNode',
  remove: 'ConfChangeRemoveNode',
} as const

function toConfChange(changes: readonly MemberChange[]): ConfChange {
  assert(changes.length > 0, 'a change changes something')
  const addresses = changes.flatMap((change) =>
    change.type === 'remove' ? [] : [{ memberId: change.memberId, peerId: change.peerId }],
  )
  return {
    transition: 'ConfChangeTransitionAuto',
    changes: changes.map(({ type, memberId }) => ({ type: changeTypes[type], nodeId: memberId })),
    context: addresses.length === 0 ? noBytes : encodeAddresses(addresses),
  }
}
