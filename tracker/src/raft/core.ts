/**
 * What one member knows and wants to send: the state that the roles share. The roles themselves are in their own files:
 * roles.ts (becoming one), election.ts, replication.ts, follower.ts, leader.ts, reads.ts, membership.ts; step.ts hands
 * each message to the right one.
 */

import type { RaftConfig } from './config.ts'
import { type ResolvedConfig, resolveConfig } from './config.ts'
import { RaftLog } from './log.ts'
import { Members } from './members.ts'
import { invariant } from './raft-error.ts'
import { ReadQueue } from './read-queue.ts'
import {
  createMessage,
  type HardState,
  type Message,
  type MessageType,
  type RaftLogger,
  type ReadState,
  type SoftState,
  type StateType,
} from './types.ts'

/** What a sender gives: the rest is filled in. */
export type Outgoing = Partial<Message> & Pick<Message, 'type' | 'to'>

const voteTypes: ReadonlySet<MessageType> = new Set([
  'MsgVote',
  'MsgVoteResp',
  'MsgPreVote',
  'MsgPreVoteResp',
])

/** Promises: they leave only when what they promise is on disk. */
const promiseTypes: ReadonlySet<MessageType> = new Set([
  'MsgAppResp',
  'MsgVoteResp',
  'MsgPreVoteResp',
])

/** The state of one member. */
export class RaftCore {
  readonly config: ResolvedConfig
  readonly id: number
  readonly log: RaftLog
  readonly members = new Members()
  readonly logger: RaftLogger

  term = 0
  /** Whom this member voted for in `term`; 0 for nobody. */
  vote = 0
  lead = 0
  state: StateType = 'StateFollower'

  /** In lease mode: this member was part of the group before it started now. */
  restarted = false
  /** Ticks since the start. */
  ticks = 0
  /** Follower, candidate: ticks since the leader was heard. Leader: ticks since the last quorum check. */
  electionElapsed = 0
  heartbeatElapsed = 0
  /** Ticks at which this member campaigns; drawn anew with every role. */
  electionTimeout = 0

  /** Leader: whom leadership is being handed to; 0 for nobody. */
  leadTransferee = 0
  /** Leader: no further membership change until this index is applied. */
  pendingConfIndex = 0
  /** Leader: command bytes in the log that are not committed, as far as known. */
  uncommittedBytes = 0
  /** Leader: the lease can be overridden in this term, because a transfer told somebody to campaign. */
  leaseGivenAway = false
  readonly reads = new ReadQueue()
  /** Leader: reads that came before the first commit of the term. */
  readonly earlyReads: Message[] = []
  readStates: ReadState[] = []

  /** Messages that may leave at once. */
  messages: Message[] = []
  /** Messages that leave when everything unstable is on disk. */
  messagesAfterAppend: Message[] = []

  constructor(config: RaftConfig) {
    this.config = resolveConfig(config)
    this.id = this.config.id
    this.logger = this.config.logger
    this.log = new RaftLog(this.config.storage, this.logger, this.config.committedBytesMax)
  }

  get softState(): SoftState {
    return { lead: this.lead, state: this.state }
  }

  get hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed }
  }

  /** This member as messages and logs show it. */
  get name(): string {
    return this.id.toString(16)
  }

  /** Whether this member may become leader. */
  get promotable(): boolean {
    return (
      this.members.progress.has(this.id) &&
      !this.members.isLearner(this.id) &&
      this.log.unstable.snapshot === undefined
    )
  }

  /** Whether this term has a committed entry: only then does the leader know what is committed (section 6.4). */
  get hasCommittedInTerm(): boolean {
    return this.log.term(this.log.committed) === this.term
  }

  drawElectionTimeout(): void {
    const { electionTicks, random } = this.config
    this.electionTimeout = electionTicks + Math.floor(random() * electionTicks)
  }

  /** Queues a message; promises wait for the disk. */
  send(given: Outgoing): void {
    const { type } = given
    const isVote = voteTypes.has(type)
    const asked = given.term ?? 0
    invariant(isVote === asked > 0, () => `the term of a ${type} was ${given.term}`)
    // Proposals and read requests are passed on like local ones: they belong to no term.
    const isTermless = type === 'MsgProp' || type === 'MsgReadIndex'
    const term = isVote ? asked : isTermless ? 0 : this.term
    const message: { -readonly [field in keyof Message]: Message[field] } = createMessage(given)
    message.from ||= this.id
    message.term = term
    if (promiseTypes.has(type)) {
      this.messagesAfterAppend.push(message)
      return
    }
    invariant(message.to !== this.id, () => `a ${type} to myself`)
    this.messages.push(message)
  }
}
