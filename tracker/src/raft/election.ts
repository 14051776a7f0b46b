/** Elections: asking for votes, giving them, counting them (section 5.2 and 5.4.1 of the paper, 9.6 of the thesis). */
import type { RaftCore } from './core.ts'
import { jointIds } from './quorum.ts'
import { broadcastAppend } from './replication.ts'
import { becomeCandidate, becomeFollower, becomeLeader, becomePreCandidate } from './roles.ts'
import { leaderTransferContext, type Message } from './types.ts'

/** Why an election starts. */
export type CampaignKind = 'pre-election' | 'election' | 'transfer'

/** The election timeout has passed, the leader asked for it, or somebody above did. */
export function startElection(core: RaftCore, kind: CampaignKind): void {
  const { logger, name } = core
  if (core.state === 'StateLeader') {
    logger.debug?.(`${name} ignoring MsgHup because already leader`)
    return
  }
  if (!core.promotable) {
    logger.warn?.(`${name} is unpromotable and can not campaign`)
    return
  }
  if (hasUnappliedConfChange(core)) {
    logger.warn?.(
      `${name} cannot campaign at term ${core.term} since there are still pending configuration changes to apply`,
    )
    return
  }
  logger.info?.(`${name} is starting a new election at term ${core.term}`)
  campaign(core, kind)
}

/** A member that has not applied a committed membership change would count the votes of the wrong members. */
function hasUnappliedConfChange({ log }: RaftCore): boolean {
  return log.some(
    log.applied + 1,
    log.committed + 1,
    log.applyingBytesMax,
    ({ type }) => type !== 'EntryNormal',
  )
}

function campaign(core: RaftCore, kind: CampaignKind): void {
  const isPre = kind === 'pre-election'
  if (isPre) becomePreCandidate(core)
  else becomeCandidate(core)
  const type = isPre ? 'MsgPreVote' : 'MsgVote'
  const term = isPre ? core.term + 1 : core.term
  const last = core.log.last()
  const context = kind === 'transfer' ? leaderTransferContext : 0
  for (const id of jointIds(core.members.configuration)) {
    if (id === core.id) {
      // The vote for itself counts when it is on disk, like everyone's.
      core.send({ type: isPre ? 'MsgPreVoteResp' : 'MsgVoteResp', to: id, term })
      continue
    }
    core.logger.info?.(
      `${core.name} [logterm: ${last.term}, index: ${last.index}] sent ${type} request to ${id.toString(16)} at term ${core.term}`,
    )
    core.send({ type, to: id, term, index: last.index, logTerm: last.term, context })
  }
}

/** Answers a request for a vote of this member's term, or a pre-vote of any. */
export function answerVote(core: RaftCore, message: Message): void {
  const { type, from } = message
  const isPre = type === 'MsgPreVote'
  const answer = isPre ? 'MsgPreVoteResp' : 'MsgVoteResp'
  const mayVote =
    core.vote === from ||
    (core.vote === 0 && core.lead === 0) ||
    (isPre && message.term > core.term)
  const candidate = { term: message.logTerm, index: message.index }
  // Learners vote too when they are asked: whoever asks may know of their promotion before they do.
  if (!mayVote || !core.log.isUpToDate(candidate)) {
    core.logger.info?.(describeVote(core, 'rejected', 'from', message))
    core.send({ type: answer, to: from, term: core.term, reject: true })
    return
  }
  core.logger.info?.(describeVote(core, 'cast', 'for', message))
  // With the term that was asked for: to a pre-vote this differs from the term of either side.
  core.send({ type: answer, to: from, term: message.term })
  if (isPre) return
  core.electionElapsed = 0
  core.vote = from
}

/** A sentence about a vote request, for the log. */
export function describeVote(
  core: RaftCore,
  verdict: string,
  preposition: string,
  message: Message,
): string {
  const last = core.log.last()
  return `${core.name} [logterm: ${last.term}, index: ${last.index}, vote: ${core.vote.toString(16)}] ${verdict} ${message.type} ${preposition} ${message.from.toString(16)} [logterm: ${message.logTerm}, index: ${message.index}] at term ${core.term}`
}

/** Counts the answer to a request of this (pre-)candidate. */
export function countVote(core: RaftCore, { type, from, reject }: Message): void {
  core.logger.info?.(
    `${core.name} received ${type}${reject ? ' rejection' : ''} from ${from.toString(16)} at term ${core.term}`,
  )
  core.members.recordVote(from, !reject)
  const { granted, rejected, result } = core.members.tally()
  core.logger.info?.(
    `${core.name} has received ${granted} ${type} votes and ${rejected} vote rejections`,
  )
  if (result === 'VoteLost') {
    becomeFollower(core, core.term, 0)
  } else if (result === 'VoteWon') {
    if (core.state === 'StatePreCandidate') {
      campaign(core, 'election')
    } else {
      becomeLeader(core)
      broadcastAppend(core)
    }
  }
}
