/** What a leader does with a message of its term. */
import { changeMembership, leavesJoint } from './conf-change.ts'
import { decodeConfChange } from './conf-change-codec.ts'
import { isJoint } from './configuration.ts'
import type { RaftCore } from './core.ts'
import { newcomerInit } from './membership.ts'
import type { Progress } from './progress.ts'
import { RaftError } from './raft-error.ts'
import { confirmReads, heartbeatContext, releaseEarlyReads, requestRead } from './reads.ts'
import {
  advanceCommit,
  appendOwn,
  broadcastAppend,
  broadcastHeartbeat,
  sendAppend,
} from './replication.ts'
import { becomeFollower } from './roles.ts'
import { type ConfChange, type Entry, type Message, noBytes, type Refusal } from './types.ts'

/** A message of this term to a leader. */
export function stepLeader(core: RaftCore, message: Message): Refusal | undefined {
  switch (message.type) {
    case 'MsgBeat':
      broadcastHeartbeat(core, heartbeatContext(core))
      return undefined
    case 'MsgCheckQuorum':
      checkQuorum(core)
      return undefined
    case 'MsgProp':
      return propose(core, message.entries)
    case 'MsgReadIndex':
      return requestRead(core, message)
    default:
      stepProgress(core, message)
      return undefined
  }
}

/** The messages that concern the progress of their sender. */
function stepProgress(core: RaftCore, message: Message): void {
  if (message.type === 'MsgForgetLeader') return
  const progress = core.members.progress.get(message.from)
  if (progress === undefined) {
    core.logger.debug?.(`${core.name} no progress available for ${message.from.toString(16)}`)
    return
  }
  switch (message.type) {
    case 'MsgAppResp':
      progress.recentActive = true
      if (message.reject) takeRejection(core, progress, message)
      else takeAcknowledgement(core, progress, message)
      return
    case 'MsgHeartbeatResp':
      progress.recentActive = true
      progress.flowPaused = false
      // An empty append when nothing is missing lets a probed member return to replication, and finds out losses.
      if (progress.match < core.log.lastIndex() || progress.state === 'StateProbe') {
        sendAppend(core, message.from, true)
      }
      confirmReads(core, message)
      return
    case 'MsgSnapStatus':
      takeSnapshotStatus(core, progress, message)
      return
    case 'MsgUnreachable':
      // What was sent ahead is probably lost.
      if (progress.state === 'StateReplicate') progress.becomeProbe()
      core.logger.debug?.(
        `${core.name} failed to send message to ${message.from.toString(16)} because it is unreachable [${core.members.describe(message.from)}]`,
      )
      return
    case 'MsgTransferLeader':
      transferLeader(core, progress, message.from)
      return
    default:
  }
}

function checkQuorum(core: RaftCore): void {
  if (!core.members.quorumActive()) {
    core.logger.warn?.(`${core.name} stepped down to follower since quorum is not active`)
    becomeFollower(core, core.term, 0)
  }
  for (const [id, progress] of core.members.progress) {
    if (id !== core.id) progress.recentActive = false
  }
}

function propose(core: RaftCore, proposed: readonly Entry[]): Refusal | undefined {
  // A leader that was removed, or that hands over, takes nothing new.
  if (!core.members.progress.has(core.id)) return 'ERR_PROPOSAL_DROPPED'
  if (core.leadTransferee !== 0) {
    core.logger.debug?.(
      `${core.name} [term ${core.term}] transfer leadership to ${core.leadTransferee.toString(16)} is in progress; dropping proposal`,
    )
    return 'ERR_PROPOSAL_DROPPED'
  }
  const pendingBefore = core.pendingConfIndex
  const entries = proposed.map((entry, at) => {
    if (entry.type === 'EntryNormal') return entry
    const change = decodeConfChange(entry.data)
    const problem = problemWith(core, change)
    if (problem !== undefined && core.config.validateConfChanges) {
      core.logger.info?.(
        `${core.name} ignoring conf change ${describeConfChange(change)} at config ${core.members}: ${problem}`,
      )
      return { ...entry, type: 'EntryNormal' as const, data: noBytes }
    }
    core.pendingConfIndex = core.log.lastIndex() + at + 1
    return entry
  })
  if (!appendOwn(core, entries)) {
    core.pendingConfIndex = pendingBefore
    return 'ERR_PROPOSAL_DROPPED'
  }
  broadcastAppend(core)
  return undefined
}

/**
 * Why a change cannot be taken now. Only one may be under way, and what is not applied yet may hold one; so a change that
 * passes is applied to this very configuration, and can be tried out: one that fails there would stop every member.
 */
function problemWith(core: RaftCore, change: ConfChange): string | undefined {
  const { members } = core
  const joint = isJoint(members.configuration)
  if (core.pendingConfIndex > core.log.applied) {
    return `possible unapplied conf change at index ${core.pendingConfIndex} (applied to ${core.log.applied})`
  }
  if (joint && !leavesJoint(change)) return 'must transition out of joint config first'
  if (!joint && change.changes.length === 0) {
    return 'not in joint state; refusing empty conf change'
  }
  try {
    changeMembership(members, change, newcomerInit(core))
    return undefined
  } catch (error) {
    if (error instanceof RaftError) return error.message
    throw error
  }
}

function describeConfChange(change: ConfChange): string {
  const changes = change.changes.map(
    ({ type, nodeId }) => ` changes:{type:${type} node_id:${nodeId}}`,
  )
  return `transition:${change.transition}${changes.join('')}`
}

function takeRejection(core: RaftCore, progress: Progress, message: Message): void {
  const { from, index, logTerm, rejectHint } = message
  core.logger.debug?.(
    `${core.name} received MsgAppResp(rejected, hint: (index ${rejectHint}, term ${logTerm})) from ${from.toString(16)} for index ${index}`,
  )
  // Entries of this log with a later term than the follower has at the hint cannot be the follower's: skip them all.
  const hint =
    logTerm > 0
      ? core.log.findConflictByTerm({ index: rejectHint, term: logTerm }).index
      : rejectHint
  if (!progress.decrease(index, hint)) return
  core.logger.debug?.(
    `${core.name} decreased progress of ${from.toString(16)} to [${core.members.describe(from)}]`,
  )
  if (progress.state === 'StateReplicate') progress.becomeProbe()
  sendAppend(core, from, true)
}

function takeAcknowledgement(core: RaftCore, progress: Progress, { from, index }: Message): void {
  const isNews = progress.acknowledge(index)
  // A probe that tells nothing new still ends the probing.
  if (!isNews && !(progress.match === index && progress.state === 'StateProbe')) return
  resumeReplication(core, progress, from, index)
  if (advanceCommit(core)) {
    releaseEarlyReads(core)
    broadcastAppend(core)
  } else if (from !== core.id && progress.canBumpCommit(core.log.committed)) {
    sendAppend(core, from, true)
  }
  if (from === core.id) return
  // The window may have room for several messages now.
  while (sendAppend(core, from, false));
  if (from === core.leadTransferee && progress.match === core.log.lastIndex()) {
    core.logger.info?.(
      `${core.name} sent MsgTimeoutNow to ${from.toString(16)} after received MsgAppResp`,
    )
    sendTimeoutNow(core, from)
  }
}

function resumeReplication(core: RaftCore, progress: Progress, from: number, index: number): void {
  if (progress.state === 'StateProbe') {
    progress.becomeReplicate()
  } else if (progress.state === 'StateReplicate') {
    progress.inflights.freeUpTo(index)
  } else if (progress.match + 1 >= core.log.firstIndex()) {
    // Whatever snapshot it was that the follower restored: the log reaches it again.
    core.logger.debug?.(
      `${core.name} recovered from needing snapshot, resumed sending replication messages to ${from.toString(16)} [${core.members.describe(from)}]`,
    )
    progress.becomeProbe()
    progress.becomeReplicate()
  }
}

function takeSnapshotStatus(core: RaftCore, progress: Progress, message: Message): void {
  if (progress.state !== 'StateSnapshot') return
  // A snapshot that never arrived is no place to probe from.
  if (message.reject) progress.pendingSnapshot = 0
  progress.becomeProbe()
  core.logger.debug?.(
    `${core.name} snapshot ${message.reject ? 'failed' : 'succeeded'}, resumed sending replication messages to ${message.from.toString(16)} [${core.members.describe(message.from)}]`,
  )
  // Its own acknowledgement, or the next heartbeat, says more than the transport can.
  progress.flowPaused = true
}

function transferLeader(core: RaftCore, progress: Progress, to: number): void {
  const { logger, name } = core
  const target = to.toString(16)
  if (core.members.isLearner(to)) {
    logger.debug?.(`${name} is learner. Ignored transferring leadership`)
    return
  }
  if (core.leadTransferee === to) {
    logger.info?.(
      `${name} [term ${core.term}] transfer leadership to ${target} is in progress, ignores request to same node ${target}`,
    )
    return
  }
  if (core.leadTransferee !== 0) {
    logger.info?.(
      `${name} [term ${core.term}] abort previous transferring leadership to ${core.leadTransferee.toString(16)}`,
    )
    core.leadTransferee = 0
  }
  if (to === core.id) {
    logger.debug?.(`${name} is already leader. Ignored transferring leadership to self`)
    return
  }
  logger.info?.(`${name} [term ${core.term}] starts to transfer leadership to ${target}`)
  // It has one election timeout (thesis 3.10).
  core.electionElapsed = 0
  core.leadTransferee = to
  if (progress.match === core.log.lastIndex()) {
    sendTimeoutNow(core, to)
    logger.info?.(
      `${name} sends MsgTimeoutNow to ${target} immediately as ${target} already has up-to-date log`,
    )
  } else {
    sendAppend(core, to, true)
  }
}

function sendTimeoutNow(core: RaftCore, to: number): void {
  core.leaseGivenAway = true
  core.send({ type: 'MsgTimeoutNow', to })
}
