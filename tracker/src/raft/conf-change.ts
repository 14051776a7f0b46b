/**
 * What a membership change makes of a configuration (sections 4.1 to 4.3 of Ongaro's thesis). Functions of the present
 * configuration and its progress; nothing happens until the caller takes over what they return.
 */
import { type Configuration, emptyConfiguration, isJoint } from './configuration.ts'
import type { InflightLimits } from './inflights.ts'
import { Progress } from './progress.ts'
import { RaftError } from './raft-error.ts'
import type { ConfChange, ConfChangeSingle, ConfState } from './types.ts'

/** A configuration with the progress of everyone in it. */
export interface Membership {
  readonly configuration: Configuration
  readonly progress: ReadonlyMap<number, Progress>
}

/** What a member that joins starts from. */
export interface NewcomerInit {
  /** Last index of the leader's log: where a newcomer is probed first. */
  readonly lastIndex: number
  readonly limits: InflightLimits
}

/** A membership while it is being changed. */
interface Draft {
  readonly incoming: Set<number>
  readonly outgoing: Set<number>
  readonly learners: Set<number>
  readonly learnersNext: Set<number>
  autoLeave: boolean
  readonly progress: Map<number, Progress>
  readonly newcomer: NewcomerInit
}

/**
 * The membership after a change, by the way that the change asks for.
 * @throws RaftError ERR_RAFT_CONF_CHANGE when the present configuration does not allow it.
 */
export function changeMembership(
  present: Membership,
  change: ConfChange,
  newcomer: NewcomerInit,
): Membership {
  if (leavesJoint(change)) return leaveJoint(present, newcomer)
  if (change.transition === 'ConfChangeTransitionAuto' && change.changes.length === 1) {
    return changeSimply(present, change.changes, newcomer)
  }
  const autoLeave = change.transition !== 'ConfChangeTransitionJointExplicit'
  return enterJoint(present, autoLeave, change.changes, newcomer)
}

/** Whether a change is the one that ends a joint configuration. */
export function leavesJoint(change: ConfChange): boolean {
  return change.transition === 'ConfChangeTransitionAuto' && change.changes.length === 0
}

/**
 * The membership after changes of which at most one concerns a voter.
 * @throws RaftError ERR_RAFT_CONF_CHANGE
 */
export function changeSimply(
  present: Membership,
  changes: readonly ConfChangeSingle[],
  newcomer: NewcomerInit,
): Membership {
  const draft = draftOf(present, newcomer)
  refuse(draft.outgoing.size > 0, "can't apply simple config change in joint config")
  applyChanges(draft, changes)
  const before = present.configuration.incoming
  refuse(
    countDifferences(before, draft.incoming) > 1,
    'more than one voter changed without entering joint config',
  )
  return finish(draft)
}

/**
 * The membership in which the old voters and the changed ones decide together.
 * @throws RaftError ERR_RAFT_CONF_CHANGE
 */
export function enterJoint(
  present: Membership,
  autoLeave: boolean,
  changes: readonly ConfChangeSingle[],
  newcomer: NewcomerInit,
): Membership {
  const draft = draftOf(present, newcomer)
  refuse(draft.outgoing.size > 0, 'config is already joint')
  refuse(draft.incoming.size === 0, "can't make a zero-voter config joint")
  for (const id of draft.incoming) draft.outgoing.add(id)
  applyChanges(draft, changes)
  draft.autoLeave = autoLeave
  return finish(draft)
}

/**
 * The membership in which the new voters decide alone.
 * @throws RaftError ERR_RAFT_CONF_CHANGE
 */
export function leaveJoint(present: Membership, newcomer: NewcomerInit): Membership {
  const draft = draftOf(present, newcomer)
  refuse(draft.outgoing.size === 0, "can't leave a non-joint config")
  for (const id of draft.learnersNext) draft.learners.add(id)
  draft.learnersNext.clear()
  for (const id of draft.outgoing) {
    if (!draft.incoming.has(id) && !draft.learners.has(id)) draft.progress.delete(id)
  }
  draft.outgoing.clear()
  draft.autoLeave = false
  return finish(draft)
}

/**
 * The membership that a snapshot or the storage names.
 * @throws RaftError ERR_RAFT_CONF_CHANGE when it contradicts itself.
 */
export function restoreMembership(state: ConfState, newcomer: NewcomerInit): Membership {
  const draft = draftOf({ configuration: emptyConfiguration, progress: new Map() }, newcomer)
  for (const id of state.voters) draft.incoming.add(id)
  for (const id of state.votersOutgoing) draft.outgoing.add(id)
  for (const id of state.learners) draft.learners.add(id)
  for (const id of state.learnersNext) draft.learnersNext.add(id)
  draft.autoLeave = state.autoLeave
  for (const id of everyone(draft)) draft.progress.set(id, newProgress(newcomer))
  return finish(draft)
}

function draftOf(present: Membership, newcomer: NewcomerInit): Draft {
  const { configuration, progress } = finish(present)
  return {
    incoming: new Set(configuration.incoming),
    outgoing: new Set(configuration.outgoing),
    learners: new Set(configuration.learners),
    learnersNext: new Set(configuration.learnersNext),
    autoLeave: configuration.autoLeave,
    progress: new Map(progress),
    newcomer,
  }
}

function applyChanges(draft: Draft, changes: readonly ConfChangeSingle[]): void {
  for (const { type, nodeId } of changes) {
    // Whoever sits above Raft may void a step by taking its id away.
    if (nodeId === 0) continue
    if (type === 'ConfChangeAddNode') addVoter(draft, nodeId)
    else if (type === 'ConfChangeAddLearnerNode') addLearner(draft, nodeId)
    else if (type === 'ConfChangeRemoveNode') remove(draft, nodeId)
  }
  refuse(draft.incoming.size === 0, 'removed all voters')
}

function addVoter(draft: Draft, id: number): void {
  meet(draft, id)
  draft.learners.delete(id)
  draft.learnersNext.delete(id)
  draft.incoming.add(id)
}

function addLearner(draft: Draft, id: number): void {
  if (draft.learners.has(id)) return
  meet(draft, id)
  draft.incoming.delete(id)
  // Nobody is voter and learner at once: a voter of the outgoing half waits for the end of the joint configuration.
  if (draft.outgoing.has(id)) draft.learnersNext.add(id)
  else draft.learners.add(id)
}

function remove(draft: Draft, id: number): void {
  draft.incoming.delete(id)
  draft.learners.delete(id)
  draft.learnersNext.delete(id)
  if (!draft.outgoing.has(id)) draft.progress.delete(id)
}

function meet(draft: Draft, id: number): void {
  if (!draft.progress.has(id)) draft.progress.set(id, newProgress(draft.newcomer))
}

function newProgress({ lastIndex, limits }: NewcomerInit): Progress {
  return new Progress({
    match: 0,
    next: Math.max(lastIndex, 1),
    // A newcomer has had no chance to speak yet; counting it as silent could depose the leader at once.
    recentActive: true,
    limits,
  })
}

/** Ids that are in one of two sets only. */
function countDifferences(a: ReadonlySet<number>, b: ReadonlySet<number>): number {
  const isMissingIn = (set: ReadonlySet<number>) => (id: number) => !set.has(id)
  return [...a].filter(isMissingIn(b)).length + [...b].filter(isMissingIn(a)).length
}

function everyone(of: Configuration): Set<number> {
  return new Set([...of.incoming, ...of.outgoing, ...of.learners, ...of.learnersNext])
}

/** Checks what every configuration must hold, before a change as after it. */
function finish(given: Draft | Membership): Membership {
  const { progress } = given
  const configuration: Configuration =
    'configuration' in given
      ? given.configuration
      : {
          incoming: given.incoming,
          outgoing: given.outgoing,
          learners: given.learners,
          learnersNext: given.learnersNext,
          autoLeave: given.autoLeave,
        }
  const { incoming, outgoing, learners, learnersNext, autoLeave } = configuration
  for (const id of everyone(configuration)) {
    refuse(!progress.has(id), `no progress for ${id}`)
  }
  for (const id of learnersNext) {
    refuse(!outgoing.has(id), `${id} is in LearnersNext, but not Voters[1]`)
    refuse(learners.has(id), `${id} is in LearnersNext, but is already marked as learner`)
  }
  for (const id of learners) {
    refuse(outgoing.has(id), `${id} is in Learners and Voters[1]`)
    refuse(incoming.has(id), `${id} is in Learners and Voters[0]`)
  }
  refuse(autoLeave && !isJoint(configuration), 'AutoLeave must be false when not joint')
  return { configuration, progress }
}

function refuse(wrong: boolean, message: string): void {
  if (wrong) throw new RaftError('ERR_RAFT_CONF_CHANGE', message)
}
