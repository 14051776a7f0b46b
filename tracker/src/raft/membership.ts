/** How a member takes over another configuration: from a snapshot, from storage, or from a change that was applied. */
import {
  changeMembership,
  type Membership,
  type NewcomerInit,
  restoreMembership,
} from './conf-change.ts'
import { toConfState } from './configuration.ts'
import type { RaftCore } from './core.ts'
import { invariant } from './raft-error.ts'
import { releaseEarlyReads } from './reads.ts'
import { advanceCommit, broadcastAppend, sendAppend } from './replication.ts'
import { becomeFollower } from './roles.ts'
import type { ConfChange, ConfState, Snapshot } from './types.ts'

/**
 * Applies a committed change of membership.
 * @throws RaftError ERR_RAFT_CONF_CHANGE when the present configuration does not allow it.
 */
export function applyConfChange(core: RaftCore, change: ConfChange): ConfState {
  return switchTo(core, changeMembership(core.members, change, newcomerInit(core)))
}

/**
 * Takes over the configuration that a snapshot or the storage names.
 * @throws RaftError ERR_RAFT_CONF_CHANGE when it contradicts itself.
 */
export function restoreConfState(core: RaftCore, state: ConfState): void {
  const restored = switchTo(core, restoreMembership(state, newcomerInit(core)))
  invariant(sameConfState(restored, state), () => `configuration restored as ${core.members}`)
}

/**
 * Replaces log and configuration by a snapshot.
 * @returns false when it is not needed, or not meant for this member.
 */
export function restoreSnapshot(core: RaftCore, snapshot: Snapshot): boolean {
  const { log, logger, name } = core
  if (snapshot.index <= log.committed) return false
  const { voters, votersOutgoing, learners } = snapshot.confState
  if (![voters, votersOutgoing, learners].some((ids) => ids.includes(core.id))) {
    logger.warn?.(
      `${name} attempted to restore snapshot but it is not in its configuration; should never happen`,
    )
    return false
  }
  const end = (): string => {
    const last = log.last()
    return `[commit: ${log.committed}, lastindex: ${last.index}, lastterm: ${last.term}]`
  }
  const id = `snapshot [index: ${snapshot.index}, term: ${snapshot.term}]`
  // The log holds everything already: throwing it away would only cost.
  if (log.matches(snapshot)) {
    logger.info?.(`${name} ${end()} fast-forwarded commit to ${id}`)
    log.commitTo(snapshot.index)
    return false
  }
  log.restore(snapshot)
  restoreConfState(core, snapshot.confState)
  logger.info?.(`${name} ${end()} restored ${id}`)
  return true
}

/** What a member that joins now starts from. */
export function newcomerInit(core: RaftCore): NewcomerInit {
  const { inflightMessagesMax: messagesMax, inflightBytesMax: bytesMax } = core.config
  return { lastIndex: core.log.lastIndex(), limits: { messagesMax, bytesMax } }
}

function switchTo(core: RaftCore, membership: Membership): ConfState {
  const { members } = core
  members.replace(membership)
  core.logger.info?.(`${core.name} switched to configuration ${members}`)
  const state = toConfState(members.configuration)
  if (core.state !== 'StateLeader') return state
  if (!members.progress.has(core.id) || members.isLearner(core.id)) {
    // A leader that does not belong leads on until the change is committed (4.2.2), which is the case here.
    if (core.config.stepDownOnRemoval) becomeFollower(core, core.term, 0)
    return state
  }
  if (state.voters.length === 0) return state
  if (advanceCommit(core)) {
    releaseEarlyReads(core)
    broadcastAppend(core)
  } else {
    // Newcomers need not wait for the next heartbeat.
    for (const id of members.ids) if (id !== core.id) sendAppend(core, id, false)
  }
  if (!members.isVoter(core.leadTransferee)) core.leadTransferee = 0
  return state
}

function sameConfState(a: ConfState, b: ConfState): boolean {
  const same = (left: readonly number[], right: readonly number[]): boolean =>
    left.length === right.length && left.every((id) => right.includes(id))
  return (
    same(a.voters, b.voters) &&
    same(a.votersOutgoing, b.votersOutgoing) &&
    same(a.learners, b.learners) &&
    same(a.learnersNext, b.learnersNext) &&
    a.autoLeave === b.autoLeave
  )
}
