/** What followers and candidates do with what a leader, or whoever means to reach it, sends. */
import type { RaftCore } from './core.ts'
import { countVote, startElection } from './election.ts'
import { restoreSnapshot } from './membership.ts'
import { invariant } from './raft-error.ts'
import { becomeFollower } from './roles.ts'
import type { Message, Refusal } from './types.ts'

/** A message of this term to a follower. */
export function stepFollower(core: RaftCore, message: Message): Refusal | undefined {
  const { logger, name } = core
  switch (message.type) {
    case 'MsgApp':
    case 'MsgHeartbeat':
    case 'MsgSnap':
      core.electionElapsed = 0
      core.lead = message.from
      followLeader(core, message)
      return undefined
    case 'MsgProp':
      return forwardProposal(core, message)
    case 'MsgTransferLeader':
      if (core.lead === 0) {
        logger.info?.(`${name} no leader at term ${core.term}; dropping leader transfer msg`)
      } else {
        core.send({ ...message, term: undefined, to: core.lead })
      }
      return undefined
    case 'MsgForgetLeader':
      forgetLeader(core)
      return undefined
    case 'MsgTimeoutNow':
      logger.info?.(
        `${name} [term ${core.term}] received MsgTimeoutNow from ${message.from.toString(16)} and starts an election to get leadership.`,
      )
      // The leader itself asks for it, so there is nobody whom a pre-vote would protect.
      startElection(core, 'transfer')
      return undefined
    case 'MsgReadIndex':
      if (core.lead === 0) {
        logger.info?.(`${name} no leader at term ${core.term}; dropping index reading msg`)
        return 'ERR_READ_DROPPED'
      }
      core.send({ ...message, term: undefined, to: core.lead })
      return undefined
    case 'MsgReadIndexResp': {
      const [request] = message.entries
      invariant(request !== undefined, () => 'an answered read without its request')
      core.readStates.push({ index: message.index, requestContext: request.data })
      return undefined
    }
    default:
      return undefined
  }
}

/** A message of this term to a candidate or pre-candidate. */
export function stepCandidate(core: RaftCore, message: Message): Refusal | undefined {
  switch (message.type) {
    case 'MsgProp':
      core.logger.info?.(`${core.name} no leader at term ${core.term}; dropping proposal`)
      return 'ERR_PROPOSAL_DROPPED'
    case 'MsgReadIndex':
      return 'ERR_READ_DROPPED'
    case 'MsgApp':
    case 'MsgHeartbeat':
    case 'MsgSnap':
      // Somebody won this term.
      becomeFollower(core, message.term, message.from)
      followLeader(core, message)
      return undefined
    case 'MsgPreVoteResp':
      if (core.state === 'StatePreCandidate') countVote(core, message)
      return undefined
    case 'MsgVoteResp':
      if (core.state === 'StateCandidate') countVote(core, message)
      return undefined
    case 'MsgTimeoutNow':
      core.logger.debug?.(
        `${core.name} [term ${core.term} state ${core.state}] ignored MsgTimeoutNow from ${message.from.toString(16)}`,
      )
      return undefined
    default:
      return undefined
  }
}

function followLeader(core: RaftCore, message: Message): void {
  if (message.type === 'MsgApp') {
    takeAppend(core, message)
  } else if (message.type === 'MsgSnap') {
    takeSnapshot(core, message)
  } else {
    core.log.commitTo(message.commit)
    core.send({ type: 'MsgHeartbeatResp', to: message.from, context: message.context })
  }
}

function takeAppend(core: RaftCore, message: Message): void {
  const { log } = core
  const { from: to, index, logTerm, entries, commit } = message
  if (index < log.committed) {
    core.send({ type: 'MsgAppResp', to, index: log.committed })
    return
  }
  const matched = log.tryAppend({ previous: { index, term: logTerm }, entries, commit })
  if (matched !== undefined) {
    core.send({ type: 'MsgAppResp', to, index: matched })
    return
  }
  core.logger.debug?.(
    `${core.name} [logterm: ${log.term(index) ?? 0}, index: ${index}] rejected MsgApp [logterm: ${logTerm}, index: ${index}] from ${to.toString(16)}`,
  )
  // Where the logs can agree at best: no entry of a later term than the leader has at this index can be the leader's.
  // That skips a whole tail of entries in one answer instead of one by one.
  const hint = log.findConflictByTerm({ index: Math.min(index, log.lastIndex()), term: logTerm })
  core.send({
    type: 'MsgAppResp',
    to,
    index,
    reject: true,
    rejectHint: hint.index,
    logTerm: hint.term,
  })
}

function takeSnapshot(core: RaftCore, { from: to, snapshot }: Message): void {
  invariant(snapshot !== undefined, () => 'a MsgSnap without a snapshot')
  const restored = restoreSnapshot(core, snapshot)
  core.logger.info?.(
    `${core.name} [commit: ${core.log.committed}] ${restored ? 'restored' : 'ignored'} snapshot [index: ${snapshot.index}, term: ${snapshot.term}]`,
  )
  const index = restored ? core.log.lastIndex() : core.log.committed
  core.send({ type: 'MsgAppResp', to, index })
}

function forwardProposal(core: RaftCore, message: Message): Refusal | undefined {
  if (core.lead !== 0 && core.config.forwardProposals) {
    core.send({ ...message, term: undefined, to: core.lead })
    return undefined
  }
  const reason =
    core.lead === 0
      ? `no leader at term ${core.term}`
      : `not forwarding to leader ${core.lead.toString(16)} at term ${core.term}`
  core.logger.info?.(`${core.name} ${reason}; dropping proposal`)
  return 'ERR_PROPOSAL_DROPPED'
}

function forgetLeader(core: RaftCore): void {
  if (core.config.readMode === 'lease') {
    // The leader counts on this member voting for nobody else while its lease lasts.
    core.logger.error?.('ignoring MsgForgetLeader due to ReadOnlyLeaseBased')
  } else if (core.lead !== 0) {
    core.logger.info?.(
      `${core.name} forgetting leader ${core.lead.toString(16)} at term ${core.term}`,
    )
    core.lead = 0
  }
}
