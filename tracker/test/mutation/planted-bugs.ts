/** Bugs to plant, each with the test file that must catch it. `from` occurs exactly once in its file. */
import { memberBugs } from './planted-member-bugs.ts'

/** One change of the source that breaks a promise. */
export interface PlantedBug {
  readonly name: string
  /** File of tracker/src. */
  readonly file: string
  readonly from: string
  readonly to: string
  /** File of tracker/test, without `.test.ts`. */
  readonly caughtBy: string
}

/** In the core; files are those of its room. */
const coreBugs: readonly PlantedBug[] = [
  {
    name: 'a vote for a candidate whose log is stale',
    file: 'election.ts',
    from: 'if (!mayVote || !core.log.isUpToDate(candidate))',
    to: 'if (!mayVote)',
    caughtBy: 'paper-figure-2',
  },
  {
    name: 'a vote is not remembered',
    file: 'election.ts',
    from: '  core.vote = from\n',
    to: '  core.vote = isPre ? core.vote : 0\n',
    caughtBy: 'paper-figure-2',
  },
  {
    name: 'two votes in one term',
    file: 'election.ts',
    from: '(core.vote === 0 && core.lead === 0)',
    to: '(core.lead === 0)',
    caughtBy: 'paper-figure-2',
  },
  {
    name: 'an acknowledgement before the disk',
    file: 'core.ts',
    from: "  'MsgAppResp',\n  'MsgVoteResp',\n  'MsgPreVoteResp',\n])\n\n/** The state",
    to: "  'MsgPreVoteResp',\n])\n\n/** The state",
    caughtBy: 'raw-node',
  },
  {
    name: 'an entry of an earlier term is committed by counting',
    file: 'log.ts',
    from: '|| term === 0 || this.term(index) !== term) return false',
    to: '|| term === 0) return false',
    caughtBy: 'paper-figure-2',
  },
  {
    name: 'a commit index beyond what was compared',
    file: 'log.ts',
    from: 'this.commitTo(Math.min(commit, matched))',
    to: 'this.commitTo(Math.min(commit, this.lastIndex()))',
    caughtBy: 'paper-figure-2',
  },
  {
    name: 'a heartbeat commits what the follower may not have',
    file: 'replication.ts',
    from: 'Math.min(progress.match, core.log.committed)',
    to: 'core.log.committed',
    caughtBy: 'paper-safety',
  },
  {
    name: 'a removed leader leads on',
    file: 'membership.ts',
    from: 'if (core.config.stepDownOnRemoval) becomeFollower(core, core.term, 0)',
    to: 'if (false as boolean) becomeFollower(core, core.term, 0)',
    caughtBy: 'paper-safety',
  },
  {
    name: 'a snapshot is skipped',
    file: 'membership.ts',
    from: '  log.restore(snapshot)\n',
    to: '',
    caughtBy: 'paper-safety',
  },
  {
    name: 'a snapshot without its configuration',
    file: 'membership.ts',
    from: '  restoreConfState(core, snapshot.confState)\n',
    to: '',
    caughtBy: 'paper-safety',
  },
  {
    name: 'a late append cuts off what follows',
    file: 'log.ts',
    from: '      if (term === entry.term) continue\n',
    to: '      if (term === entry.term && entry !== entries[0]) continue\n',
    caughtBy: 'paper-figure-2',
  },
  {
    name: 'half is a majority',
    file: 'quorum.ts',
    from: 'const needed = Math.floor(voters.size / 2) + 1',
    to: 'const needed = Math.ceil(voters.size / 2)',
    caughtBy: 'properties',
  },
  {
    name: 'the old voters have no say in a joint commit',
    file: 'quorum.ts',
    from: 'voters.outgoing.size === 0\n',
    to: 'voters.outgoing.size >= 0\n',
    caughtBy: 'properties',
  },
  {
    name: 'the new voters elect alone',
    file: 'quorum.ts',
    from: 'if (incoming === outgoing) return incoming',
    to: "if (incoming === outgoing || incoming === 'VoteWon') return incoming",
    caughtBy: 'properties',
  },
  {
    name: 'a candidate without a new term',
    file: 'roles.ts',
    from: 'reset(core, core.term + 1)',
    to: 'reset(core, core.term === 0 ? 1 : core.term)',
    caughtBy: 'paper-figure-2',
  },
  {
    name: 'an overtaken write is believed',
    file: 'step.ts',
    from: '    if (message.index !== 0) {\n      logger',
    to: '    if (message.index !== 0) {\n      core.log.unstable.stableTo(message.index, message.logTerm)\n      logger',
    caughtBy: 'raw-node',
  },
  {
    name: 'a read without a quorum',
    file: 'read-queue.ts',
    from: 'voter === self ? this.#sequence : this.#acknowledged.get(voter),',
    to: 'Math.max(this.#sequence, this.#acknowledged.get(voter) ?? 0),',
    caughtBy: 'reads',
  },
  {
    name: 'a read before the first commit of the term',
    file: 'reads.ts',
    from: 'if (core.hasCommittedInTerm) startRead',
    to: 'if (core.term > 0) startRead',
    caughtBy: 'reads',
  },
  {
    name: 'a read outlives its leadership',
    file: 'roles.ts',
    from: '  core.reads.reset()\n',
    to: '',
    caughtBy: 'reads',
  },
  {
    name: 'two membership changes at once',
    file: 'leader.ts',
    from: 'if (core.pendingConfIndex > core.log.applied) {',
    to: 'if (core.pendingConfIndex > core.log.applied + 3) {',
    caughtBy: 'paper-safety',
  },
  {
    name: 'a new leader forgets the change it inherits',
    file: 'roles.ts',
    from: 'core.pendingConfIndex = core.log.lastIndex()',
    to: 'core.pendingConfIndex = 0',
    caughtBy: 'paper-safety',
  },
  {
    name: 'a campaign with an unapplied change',
    file: 'election.ts',
    from: 'if (hasUnappliedConfChange(core)) {',
    to: 'if (core.ticks < 0 && hasUnappliedConfChange(core)) {',
    caughtBy: 'raw-node',
  },
  {
    name: 'a learner counts as voter',
    file: 'members.ts',
    from: 'return this.configuration.incoming.has(id) || this.configuration.outgoing.has(id)',
    to: 'return this.progress.has(id)',
    caughtBy: 'paper-safety',
  },
  {
    name: 'a lease without end',
    file: 'reads.ts',
    from: 'core.ticks - leaseTick < Math',
    to: 'core.ticks - leaseTick < 100 * Math',
    caughtBy: 'reads',
  },
  {
    name: 'a lease that survives a transfer',
    file: 'leader.ts',
    from: '  core.leaseGivenAway = true\n',
    to: '',
    caughtBy: 'reads',
  },
  {
    name: 'a pre-vote raises the term',
    file: 'step.ts',
    from: "if (type === 'MsgPreVote' ||",
    to: 'if (',
    caughtBy: 'paper-safety',
  },
  {
    name: 'a disruptive server is heard',
    file: 'step.ts',
    from: 'if (!isForced && hearsLeader(core)) {',
    to: 'if (!isForced && core.ticks < 0) {',
    caughtBy: 'paper-safety',
  },
  {
    name: 'a follower stays paused',
    file: 'progress.ts',
    from: '    this.match = index\n    this.next = Math.max(this.next, index + 1)\n    this.flowPaused = false',
    to: '    this.match = index\n    this.next = Math.max(this.next, index + 1)',
    caughtBy: 'flow',
  },
  {
    name: 'the window is never freed',
    file: 'leader.ts',
    from: '    progress.inflights.freeUpTo(index)\n',
    to: '    progress.inflights.count\n',
    caughtBy: 'flow',
  },
  {
    name: 'entries are applied that are not on the disk',
    file: 'raw-node.ts',
    from: 'committedEntries: log.nextCommitted(!this.#async)',
    to: 'committedEntries: log.nextCommitted(true)',
    caughtBy: 'raw-node',
  },
  {
    name: 'the vote is not given to the append thread',
    file: 'raw-node.ts',
    from: 'createMessage({ type, to, from, ...hardState, entries',
    to: 'createMessage({ type, to, from, entries',
    caughtBy: 'raw-node',
  },
  {
    name: 'entries are applied beside a snapshot',
    file: 'log.ts',
    from: 'if (this.#applyingPaused || this.unstable.snapshot !== undefined) return false',
    to: 'if (this.#applyingPaused) return false',
    caughtBy: 'paper-safety',
  },
  {
    name: 'storage keeps what conflicts',
    file: 'memory-storage.ts',
    from: 'this.#entries.length = (fresh[0] as Entry).index - this.firstIndex()',
    to: 'if ((fresh[0] as Entry).index > this.lastIndex()) this.#entries.length = (fresh[0] as Entry).index - this.firstIndex()',
    caughtBy: 'log',
  },
  {
    name: 'the last answer to a vote counts',
    file: 'members.ts',
    from: 'if (!this.#votes.has(id)) this.#votes.set',
    to: 'this.#votes.set',
    caughtBy: 'paper-figure-2',
  },
  {
    name: 'every configuration is left as if joint',
    file: 'step.ts',
    from: '!members.configuration.autoLeave ||',
    to: 'members.configuration.autoLeave ||',
    caughtBy: 'paper-figure-2',
  },
  {
    name: 'an append whose terms fall is taken',
    file: 'message-check.ts',
    from: 'if (entry.term < lastTerm || entry.term > term) return false',
    to: 'if (entry.term < 0) return false',
    caughtBy: 'raw-node',
  },
]

const inCore = ({ file, caughtBy, ...bug }: PlantedBug): PlantedBug => ({
  ...bug,
  file: `raft/${file}`,
  caughtBy: `raft/${caughtBy}`,
})

/** Every bug, the gravest of each list first. */
export const plantedBugs: readonly PlantedBug[] = [...coreBugs.map(inCore), ...memberBugs]

/** Bugs that are planted in every run of the tests. */
export const usualBugs: readonly PlantedBug[] = [
  ...coreBugs.slice(0, 14).map(inCore),
  ...memberBugs,
]
