/** How a member becomes follower, candidate or leader: figure 4 of the paper, with pre-candidates (thesis 9.6). */
import type { RaftCore } from './core.ts'
import { Progress } from './progress.ts'
import { invariant } from './raft-error.ts'
import { appendOwn } from './replication.ts'
import { noBytes } from './types.ts'

/** What every change of role or term does; a new term forgets the vote. */
function reset(core: RaftCore, term: number): void {
  if (core.term !== term) {
    invariant(
      Number.isSafeInteger(term) && term > core.term,
      () => `term ${core.term} cannot become ${term}`,
    )
    core.term = term
    core.vote = 0
  }
  core.lead = 0
  core.electionElapsed = 0
  core.heartbeatElapsed = 0
  core.drawElectionTimeout()
  core.leadTransferee = 0
  core.leaseGivenAway = false
  core.members.resetVotes()
  const last = core.log.lastIndex()
  const { inflightMessagesMax: messagesMax, inflightBytesMax: bytesMax } = core.config
  core.members.resetProgress(
    (id) =>
      new Progress({
        match: id === core.id ? last : 0,
        next: last + 1,
        recentActive: false,
        limits: { messagesMax, bytesMax },
      }),
  )
  core.pendingConfIndex = 0
  core.uncommittedBytes = 0
  core.reads.reset()
  core.earlyReads.length = 0
}

/** Follows `lead`, or nobody yet when it is 0. */
export function becomeFollower(core: RaftCore, term: number, lead: number): void {
  reset(core, term)
  core.lead = lead
  core.state = 'StateFollower'
  core.logger.info?.(`${core.name} became follower at term ${core.term}`)
}

/** Starts a term of its own and votes for itself. */
export function becomeCandidate(core: RaftCore): void {
  invariant(core.state !== 'StateLeader', () => 'a leader cannot become candidate')
  reset(core, core.term + 1)
  core.vote = core.id
  core.state = 'StateCandidate'
  core.logger.info?.(`${core.name} became candidate at term ${core.term}`)
}

/** Asks around before it starts a term: neither term nor vote change. */
export function becomePreCandidate(core: RaftCore): void {
  invariant(core.state !== 'StateLeader', () => 'a leader cannot become pre-candidate')
  core.members.resetVotes()
  core.lead = 0
  core.state = 'StatePreCandidate'
  core.logger.info?.(`${core.name} became pre-candidate at term ${core.term}`)
}

/** Leads the term, and starts it with an empty entry: the first one that it may commit (section 5.4.2). */
export function becomeLeader(core: RaftCore): void {
  invariant(core.state === 'StateCandidate', () => `a ${core.state} cannot become leader`)
  reset(core, core.term)
  core.lead = core.id
  core.state = 'StateLeader'
  const own = core.members.progress.get(core.id)
  invariant(own !== undefined, () => 'a leader that is no member')
  own.becomeReplicate()
  own.recentActive = true
  // There may be a membership change among the entries that are not applied yet; waiting for all of them is cheaper
  // than looking.
  core.pendingConfIndex = core.log.lastIndex()
  appendOwn(core, [{ term: 0, index: 0, type: 'EntryNormal', data: noBytes }])
  core.logger.info?.(`${core.name} became leader at term ${core.term}`)
}
