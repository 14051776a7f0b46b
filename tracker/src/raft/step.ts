/**
 * The door to the core: every message and every tick passes here. Terms first (section 5.1), then what concerns every
 * role, then the role.
 */
import type { RaftCore } from './core.ts'
import { answerVote, describeVote, startElection } from './election.ts'
import { entriesSize, payloadSize } from './entry-size.ts'
import { stepCandidate, stepFollower } from './follower.ts'
import { stepLeader } from './leader.ts'
import { becomeFollower } from './roles.ts'
import {
  createMessage,
  leaderTransferContext,
  type Message,
  noBytes,
  type Refusal,
  type Snapshot,
} from './types.ts'

/** Takes one message; the caller has checked its form. */
export function step(core: RaftCore, message: Message): Refusal | undefined {
  if (message.term > core.term) {
    if (!meetHigherTerm(core, message)) return undefined
  } else if (message.term !== 0 && message.term < core.term) {
    meetLowerTerm(core, message)
    return undefined
  }
  switch (message.type) {
    case 'MsgHup':
      startElection(core, core.config.preVote ? 'pre-election' : 'election')
      return undefined
    case 'MsgStorageAppendResp':
      if (message.index !== 0) core.log.unstable.stableTo(message.index, message.logTerm)
      if (message.snapshot !== undefined) snapshotApplied(core, message.snapshot)
      return undefined
    case 'MsgStorageApplyResp':
      entriesApplied(core, message)
      return undefined
    case 'MsgVote':
    case 'MsgPreVote':
      answerVote(core, message)
      return undefined
    default:
      if (core.state === 'StateLeader') return stepLeader(core, message)
      if (core.state === 'StateFollower') return stepFollower(core, message)
      return stepCandidate(core, message)
  }
}

/** One tick of the clock. */
export function tick(core: RaftCore): void {
  core.ticks += 1
  core.electionElapsed += 1
  if (core.state !== 'StateLeader') {
    if (core.promotable && core.electionElapsed >= core.electionTimeout) {
      core.electionElapsed = 0
      step(core, createMessage({ type: 'MsgHup', from: core.id }))
    }
    return
  }
  core.heartbeatElapsed += 1
  if (core.electionElapsed >= core.config.electionTicks) {
    core.electionElapsed = 0
    // A transfer that has not happened by now will not: lead on.
    core.leadTransferee = 0
    if (core.config.checkQuorum) {
      step(core, createMessage({ type: 'MsgCheckQuorum', from: core.id }))
      // The check may have ended the leadership.
      if ((core.state as string) !== 'StateLeader') return
    }
  }
  if (core.heartbeatElapsed >= core.config.heartbeatTicks) {
    core.heartbeatElapsed = 0
    step(core, createMessage({ type: 'MsgBeat', from: core.id }))
  }
}

/**
 * A later term than ours: its sender is right about it, unless it only asks for votes while the leader is well.
 * @returns whether the message goes on.
 */
function meetHigherTerm(core: RaftCore, message: Message): boolean {
  const { type, from } = message
  if (type === 'MsgVote' || type === 'MsgPreVote') {
    const isForced = message.context === leaderTransferContext
    if (!isForced && hearsLeader(core)) {
      // Section 6: a server that was removed, or cut off, must not disturb those who work.
      core.logger.info?.(
        `${describeVote(core, 'ignored', 'from', message)}: lease is not expired (remaining ticks: ${core.config.electionTicks - core.electionElapsed})`,
      )
      return false
    }
  }
  // A pre-vote asks about a term that has not begun; a granted one comes back with it.
  if (type === 'MsgPreVote' || (type === 'MsgPreVoteResp' && !message.reject)) return true
  core.logger.info?.(
    `${core.name} [term: ${core.term}] received a ${type} message with higher term from ${from.toString(16)} [term: ${message.term}]`,
  )
  const isFromLeader = type === 'MsgApp' || type === 'MsgHeartbeat' || type === 'MsgSnap'
  becomeFollower(core, message.term, isFromLeader ? from : 0)
  return true
}

function hearsLeader(core: RaftCore): boolean {
  if (!core.config.checkQuorum) return false
  // In lease mode a member that restarts does not know whom it heard just before, so it waits out a timeout.
  const mayHaveHeard = core.lead !== 0 || (core.restarted && core.ticks < core.config.electionTicks)
  return mayHaveHeard && core.electionElapsed < core.config.electionTicks
}

/** An earlier term than ours: the message is void, but its sender may need to learn that. */
function meetLowerTerm(core: RaftCore, message: Message): void {
  const { type, from } = message
  const { config, logger, name } = core
  if ((config.checkQuorum || config.preVote) && (type === 'MsgHeartbeat' || type === 'MsgApp')) {
    // A leader of an earlier term that is not told would never hear of ours: with these two options on, nobody's
    // campaign reaches it. The answer makes it step down, and this member comes back into the group.
    core.send({ type: 'MsgAppResp', to: from })
  } else if (type === 'MsgPreVote') {
    // Silence could leave a group without leader when some members do not use pre-votes.
    logger.info?.(describeVote(core, 'rejected', 'from', message))
    core.send({ type: 'MsgPreVoteResp', to: from, term: core.term, reject: true })
  } else if (type === 'MsgStorageAppendResp') {
    // Entries written in an earlier term may have been replaced since; a snapshot holds only what is committed.
    if (message.index !== 0) {
      logger.info?.(
        `${name} [term: ${core.term}] ignored entry appends from a ${type} message with lower term [term: ${message.term}]`,
      )
    }
    if (message.snapshot !== undefined) snapshotApplied(core, message.snapshot)
  } else {
    logger.info?.(
      `${name} [term: ${core.term}] ignored a ${type} message with lower term from ${from.toString(16)} [term: ${message.term}]`,
    )
  }
}

function snapshotApplied(core: RaftCore, snapshot: Snapshot): void {
  core.log.unstable.stableSnapshotTo(snapshot.index)
  appliedTo(core, snapshot.index, 0)
}

function entriesApplied(core: RaftCore, { entries }: Message): void {
  const last = entries.at(-1)
  if (last === undefined) return
  appliedTo(core, last.index, entriesSize(entries))
  core.uncommittedBytes = Math.max(0, core.uncommittedBytes - payloadSize(entries))
}

function appliedTo(core: RaftCore, index: number, bytes: number): void {
  const { log, members, logger } = core
  const applied = Math.max(index, log.applied)
  log.appliedTo(applied, bytes)
  if (
    !members.configuration.autoLeave ||
    applied < core.pendingConfIndex ||
    core.state !== 'StateLeader'
  ) {
    return
  }
  // Leaving is a change like any other. During a transfer of leadership it is refused; then the new leader does it, or
  // this one with the next entry that is applied.
  const leave = { term: 0, index: 0, type: 'EntryConfChangeV2' as const, data: noBytes }
  const refusal = step(core, createMessage({ type: 'MsgProp', from: core.id, entries: [leave] }))
  if (refusal === undefined) {
    logger.info?.(`initiating automatic transition out of joint configuration ${members}`)
  } else {
    logger.debug?.(
      `not initiating automatic transition out of joint configuration ${members}: ${refusal}`,
    )
  }
}
