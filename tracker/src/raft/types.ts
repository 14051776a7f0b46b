/**
 * The words of the Raft core: what its log, its messages and its storage are made of. The driver, the write-ahead log
 * and the transport are written against this file and know nothing else of the core.
 *
 * Indices, terms and member ids are safe integers; 0 means "none". Values handed out by the core are shared, not
 * copied: nobody writes into an entry, a snapshot or a message that the core has seen.
 */

/** The kinds of log entries; the position in this list is the kind's number in storage and on the wire. */
export const entryTypes = ['EntryNormal', 'EntryConfChange', 'EntryConfChangeV2'] as const

/** `EntryNormal` carries a command, the others a membership change as `conf-change-codec.ts` writes it. */
export type EntryType = (typeof entryTypes)[number]

/** One entry of the replicated log. */
export interface Entry {
  readonly term: number
  readonly index: number
  readonly type: EntryType
  /** Empty in the entry that a new leader starts its term with, and in the one that leaves a joint configuration. */
  readonly data: Uint8Array
}

/** What must be on disk before a promise is made: figure 2's "persistent state", with the commit index to start from. */
export interface HardState {
  readonly term: number
  /** Whom this member voted for in `term`; 0 for nobody. */
  readonly vote: number
  readonly commit: number
}

/** The role of a member at this moment. */
export type StateType = 'StateFollower' | 'StateCandidate' | 'StateLeader' | 'StatePreCandidate'

/** What may be lost in a crash. */
export interface SoftState {
  /** The leader as this member knows it; 0 for none. */
  readonly lead: number
  readonly state: StateType
}

/** Who belongs to the group; ids in ascending order. `votersOutgoing` is filled while the configuration is joint. */
export interface ConfState {
  readonly voters: readonly number[]
  readonly votersOutgoing: readonly number[]
  readonly learners: readonly number[]
  /** Voters of the outgoing half that become learners when the joint configuration is left. */
  readonly learnersNext: readonly number[]
  /** The leader leaves the joint configuration by itself as soon as it may. */
  readonly autoLeave: boolean
}

/** The state machine up to an index, in place of the log up to there. `index` 0 is no snapshot. */
export interface Snapshot {
  readonly index: number
  readonly term: number
  readonly confState: ConfState
  /** Opaque to the core: the driver writes and reads it. */
  readonly data: Uint8Array
}

/** The kinds of messages; the position in this list is the kind's number on the wire. New kinds go to the end. */
export const messageTypes = [
  'MsgHup',
  'MsgBeat',
  'MsgProp',
  'MsgApp',
  'MsgAppResp',
  'MsgVote',
  'MsgVoteResp',
  'MsgSnap',
  'MsgHeartbeat',
  'MsgHeartbeatResp',
  'MsgUnreachable',
  'MsgSnapStatus',
  'MsgCheckQuorum',
  'MsgTransferLeader',
  'MsgTimeoutNow',
  'MsgReadIndex',
  'MsgReadIndexResp',
  'MsgPreVote',
  'MsgPreVoteResp',
  'MsgStorageAppend',
  'MsgStorageAppendResp',
  'MsgStorageApply',
  'MsgStorageApplyResp',
  'MsgForgetLeader',
] as const

/** One kind of message. */
export type MessageType = (typeof messageTypes)[number]

/** Addressee of `MsgStorageAppend`: the writer of the local log (asynchronous storage writes only). */
export const localAppendThread: number = Number.MAX_SAFE_INTEGER
/** Addressee of `MsgStorageApply`: the local state machine (asynchronous storage writes only). */
export const localApplyThread: number = Number.MAX_SAFE_INTEGER - 1

/**
 * Everything members say to one another. All kinds share one shape, which keeps the engine's fast path fast; fields
 * that a kind does not use are 0, empty or undefined. Build one with {@link createMessage}.
 */
export interface Message {
  readonly type: MessageType
  readonly to: number
  /** Who speaks; in forwarded proposals and reads who asked first, in a transfer the member to hand over to. */
  readonly from: number
  /** The sender's term; 0 in local messages, proposals and read requests. A pre-vote carries the term to come. */
  readonly term: number
  /** Term of the entry at `index` (appends, votes), or of the entry at `rejectHint` (a refused append). */
  readonly logTerm: number
  /** Entry before the first one carried (appends), last entry (votes, acknowledgements), read index (reads). */
  readonly index: number
  readonly entries: readonly Entry[]
  readonly commit: number
  /** `MsgStorageAppend`: the vote to persist, with `term` and `commit`; all three 0 when there is no new hard state. */
  readonly vote: number
  readonly snapshot: Snapshot | undefined
  readonly reject: boolean
  readonly rejectHint: number
  /**
   * Heartbeats and their answers: number of the newest read that waits for a quorum, 0 for none.
   * Votes: 1 when the leader itself asked for the election ({@link leaderTransferContext}).
   */
  readonly context: number
  /** Local storage messages: what to deliver (to members or back to the core) once the work is durable. */
  readonly responses: readonly Message[]
}

/** {@link Message.context} of a vote request that a leadership transfer caused: it overrides the leader's lease. */
export const leaderTransferContext = 1

/** A read that may be served: the state machine must have applied `index`. */
export interface ReadState {
  readonly index: number
  /** The bytes that the caller gave to `readIndex`. */
  readonly requestContext: Uint8Array
}

/**
 * Work that the core hands out. The order of doing it, without asynchronous storage writes: persist `hardState`,
 * `entries` and `snapshot` (synced when `mustSync`), then send `messages`, then apply `snapshot` and
 * `committedEntries`, then call `advance`.
 * With asynchronous storage writes only `messages` counts, at once and in order; the other fields tell the same again.
 */
export interface Ready {
  /** Set when leader or role changed. */
  readonly softState: SoftState | undefined
  /** Set when it changed. */
  readonly hardState: HardState | undefined
  readonly readStates: readonly ReadState[]
  /** To be appended to storage, replacing what lies there from `entries[0].index` on. */
  readonly entries: readonly Entry[]
  /** To be saved to storage, replacing the log. Never comes with `entries` below its index. */
  readonly snapshot: Snapshot | undefined
  /** To be applied to the state machine; membership changes among them go to `applyConfChange`. */
  readonly committedEntries: readonly Entry[]
  readonly messages: readonly Message[]
  /** The write must be synced before messages leave; false when only the commit index moved. */
  readonly mustSync: boolean
}

/**
 * The stable log as the core reads it; the driver writes it. Synchronous: what the core asks for lies in memory, or is
 * read at once.
 */
export interface Storage {
  /** The hard state (zeros when nothing was stored), and the configuration as of the last index that is applied. */
  initialState(): { readonly hardState: HardState; readonly confState: ConfState }
  /**
   * Entries `[low, high)`, cut so that their `entrySize` sums to `bytesMax` at most, but at least one.
   * @returns undefined when some of them were compacted away.
   */
  entries(low: number, high: number, bytesMax: number): readonly Entry[] | undefined
  /**
   * Term of an entry in `[firstIndex - 1, lastIndex]`: the last compacted entry's term stays known.
   * @returns undefined outside that range.
   */
  term(index: number): number | undefined
  /** Index of the first entry that `entries` can give; lastIndex + 1 when there is none. */
  firstIndex(): number
  /** Index of the last entry; that of the snapshot when the log behind it is empty; 0 at the very start. */
  lastIndex(): number
  /** The newest snapshot, or undefined when it cannot be had right now: the core asks again later. */
  snapshot(): Snapshot | undefined
}

/** Where the core says what it does, one sentence a call. Each method may be left out. */
export interface RaftLogger {
  debug?(message: string): void
  info?(message: string): void
  warn?(message: string): void
  error?(message: string): void
}

/** One step of a membership change. `ConfChangeUpdateNode` changes nothing here: it carries a notice through the log. */
export const confChangeTypes = [
  'ConfChangeAddNode',
  'ConfChangeRemoveNode',
  'ConfChangeUpdateNode',
  'ConfChangeAddLearnerNode',
] as const

/** One kind of step. */
export type ConfChangeType = (typeof confChangeTypes)[number]

/** What happens to one member. `nodeId` 0 is skipped. */
export interface ConfChangeSingle {
  readonly type: ConfChangeType
  readonly nodeId: number
}

/**
 * How a change passes through a joint configuration. `Auto`: only when it must, and left by itself. `JointImplicit`:
 * always, left by itself. `JointExplicit`: always, left by a further empty change.
 */
export const confChangeTransitions = [
  'ConfChangeTransitionAuto',
  'ConfChangeTransitionJointImplicit',
  'ConfChangeTransitionJointExplicit',
] as const

/** One way to pass. */
export type ConfChangeTransition = (typeof confChangeTransitions)[number]

/** A change of membership; without changes it leaves a joint configuration. */
export interface ConfChange {
  readonly transition: ConfChangeTransition
  readonly changes: readonly ConfChangeSingle[]
  /** Opaque bytes for whoever applies the change. */
  readonly context: Uint8Array
}

/** Why a message or proposal did nothing. */
export type Refusal =
  /** There is no leader, a transfer is under way, or too much is uncommitted: try again later. */
  | 'ERR_PROPOSAL_DROPPED'
  /** Too many reads wait already: ask again later. */
  | 'ERR_READ_DROPPED'
  /** A kind of message that only the core itself may send came from outside. */
  | 'ERR_LOCAL_MESSAGE'
  /** An answer from somebody who is not a member. */
  | 'ERR_UNKNOWN_PEER'
  /** A message that contradicts itself: its sender is broken or means harm. */
  | 'ERR_MALFORMED_MESSAGE'

/** No bytes; shared by all entries and requests that carry none. */
export const noBytes: Uint8Array = new Uint8Array(0)
const noEntries: readonly Entry[] = Object.freeze([])
const noMessages: readonly Message[] = Object.freeze([])

/** A message of which everything that is not given is empty. */
export function createMessage(given: Partial<Message> & Pick<Message, 'type'>): Message {
  return {
    type: given.type,
    to: given.to ?? 0,
    from: given.from ?? 0,
    term: given.term ?? 0,
    logTerm: given.logTerm ?? 0,
    index: given.index ?? 0,
    entries: given.entries ?? noEntries,
    commit: given.commit ?? 0,
    vote: given.vote ?? 0,
    snapshot: given.snapshot,
    reject: given.reject ?? false,
    rejectHint: given.rejectHint ?? 0,
    context: given.context ?? 0,
    responses: given.responses ?? noMessages,
  }
}
