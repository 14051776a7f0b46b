/** The leader's sending side: appends, snapshots, its own entries, and the commit index that follows from the answers. */
import type { RaftCore } from './core.ts'
import { payloadSize } from './entry-size.ts'
import type { Progress } from './progress.ts'
import { invariant } from './raft-error.ts'
import type { Entry } from './types.ts'

/** An append to everyone, if only to tell the commit index. */
export function broadcastAppend(core: RaftCore): void {
  for (const id of core.members.ids) if (id !== core.id) sendAppend(core, id, true)
}

/**
 * The next append to one member.
 * @param evenEmpty also when there is no entry to send: it tells the commit index and probes.
 * @returns whether something was sent.
 */
export function sendAppend(core: RaftCore, to: number, evenEmpty: boolean): boolean {
  const progress = core.members.progress.get(to)
  if (progress === undefined || progress.paused) return false
  const { log } = core
  const previous = progress.next - 1
  const logTerm = log.term(previous)
  if (logTerm === undefined) return sendSnapshot(core, to, progress)
  // With a full window only empty appends go out: if everything in the window was lost, they still find it out.
  const isFull = progress.state === 'StateReplicate' && progress.inflights.full
  const entries = isFull ? [] : log.entriesFrom(progress.next, core.config.messageBytesMax)
  if (entries === undefined) return sendSnapshot(core, to, progress)
  if (entries.length === 0 && !evenEmpty) return false
  core.send({ type: 'MsgApp', to, index: previous, logTerm, entries, commit: log.committed })
  progress.sentEntries(entries.length, payloadSize(entries))
  progress.sentCommit(log.committed)
  return true
}

function sendSnapshot(core: RaftCore, to: number, progress: Progress): boolean {
  const { logger, log, members, name } = core
  const target = to.toString(16)
  if (!progress.recentActive) {
    logger.debug?.(`ignore sending snapshot to ${target} since it is not recently active`)
    return false
  }
  const snapshot = log.snapshot()
  if (snapshot === undefined) {
    logger.debug?.(
      `${name} failed to send snapshot to ${target} because snapshot is temporarily unavailable`,
    )
    return false
  }
  invariant(snapshot.index > 0, () => `entries before ${log.firstIndex()} are gone, no snapshot`)
  logger.debug?.(
    `${name} [firstindex: ${log.firstIndex()}, commit: ${log.committed}] sent snapshot[index: ${snapshot.index}, term: ${snapshot.term}] to ${target} [${members.describe(to)}]`,
  )
  progress.becomeSnapshot(snapshot.index)
  logger.debug?.(
    `${name} paused sending replication messages to ${target} [${members.describe(to)}]`,
  )
  core.send({ type: 'MsgSnap', to, snapshot })
  return true
}

/**
 * Appends entries of the leader itself, which get their term and index here.
 * @returns false when that would be more uncommitted bytes than allowed.
 */
export function appendOwn(core: RaftCore, proposed: readonly Entry[]): boolean {
  const bytes = payloadSize(proposed)
  // The first proposal may have any size, and empty entries always pass: a new term and the end of a joint
  // configuration must not wait.
  if (
    core.uncommittedBytes > 0 &&
    bytes > 0 &&
    core.uncommittedBytes + bytes > core.config.uncommittedBytesMax
  ) {
    core.logger.warn?.(
      `${core.name} appending new entries to log would exceed uncommitted entry size limit; dropping proposal`,
    )
    return false
  }
  core.uncommittedBytes += bytes
  const { term } = core
  let index = core.log.lastIndex()
  const entries = proposed.map(({ type, data }): Entry => {
    index += 1
    return { term, index, type, data }
  })
  invariant(Number.isSafeInteger(index), () => `index ${index} is too large`)
  core.log.append(entries)
  // The leader's own acknowledgement goes the way of everyone's: after the disk.
  core.send({ type: 'MsgAppResp', to: core.id, index })
  return true
}

/**
 * Moves the commit index to what a quorum holds.
 * @returns whether it moved, in which case everyone should hear it.
 */
export function advanceCommit(core: RaftCore): boolean {
  return core.log.tryCommit({ index: core.members.committed(), term: core.term })
}

/** A heartbeat to everyone; `context` numbers the reads that it confirms. */
export function broadcastHeartbeat(core: RaftCore, context: number): void {
  for (const id of core.members.ids) {
    if (id === core.id) continue
    const progress = core.members.progress.get(id) as Progress
    // Never beyond what the member surely has: it may hold other entries there.
    const commit = Math.min(progress.match, core.log.committed)
    core.send({ type: 'MsgHeartbeat', to: id, commit, context })
    progress.sentCommit(commit)
  }
}
