/**
 * Linearizable reads without a log entry (section 6.4 of the thesis): the leader remembers its commit index, makes sure
 * that it still leads, and lets the read wait until that index is applied.
 */
import type { RaftCore } from './core.ts'
import { raftLimits } from './limits.ts'
import type { WaitingRead } from './read-queue.ts'
import { broadcastHeartbeat } from './replication.ts'
import type { Message, Refusal } from './types.ts'

/** Share of the election timeout that a lease lasts: the rest is for clocks that run at different speeds. */
const leaseShare = 0.9

/** A read that reached the leader. */
export function requestRead(core: RaftCore, request: Message): Refusal | undefined {
  if (core.reads.count + core.earlyReads.length >= raftLimits.pendingReadsMax) {
    core.logger.warn?.(`${core.name} too many reads are waiting; dropping one`)
    return 'ERR_READ_DROPPED'
  }
  // Before its first commit a leader does not know which entries of earlier terms are committed.
  if (core.hasCommittedInTerm) startRead(core, request)
  else core.earlyReads.push(request)
  return undefined
}

/** The term has its first commit: reads that waited for it go on. */
export function releaseEarlyReads(core: RaftCore): void {
  if (core.earlyReads.length === 0 || !core.hasCommittedInTerm) return
  for (const request of core.earlyReads.splice(0)) startRead(core, request)
}

function startRead(core: RaftCore, request: Message): void {
  const decidesAlone = core.members.isSingleton() && core.members.isVoter(core.id)
  if (decidesAlone || holdsLease(core)) {
    answerRead(core, request, core.log.committed)
    return
  }
  broadcastHeartbeat(core, core.reads.add(request, core.log.committed))
}

/** Number to put on the heartbeats of a tick. In lease mode each of them can renew the lease. */
export function heartbeatContext(core: RaftCore): number {
  return core.config.readMode === 'lease' ? core.reads.startRound(core.ticks) : core.reads.newest
}

/** A member answered a heartbeat that carried a number. */
export function confirmReads(core: RaftCore, { from, context }: Message): void {
  if (context === 0) return
  const { configuration } = core.members
  const confirmed: WaitingRead[] = core.reads.acknowledge(from, context, configuration, core.id)
  for (const { request, index } of confirmed) answerRead(core, request, index)
}

/**
 * Whether no other leader can have been elected yet: a quorum answered a heartbeat that left so recently that nobody in
 * it votes for another. A transfer of leadership overrides that, so it ends the lease for the term.
 */
function holdsLease(core: RaftCore): boolean {
  const { leaseTick } = core.reads
  if (core.config.readMode !== 'lease' || core.leaseGivenAway || leaseTick === undefined) {
    return false
  }
  // One tick less, because a follower's first tick may come right after the heartbeat.
  return core.ticks - leaseTick < Math.floor((core.config.electionTicks - 1) * leaseShare)
}

function answerRead(core: RaftCore, { from, entries }: Message, index: number): void {
  if (from !== 0 && from !== core.id) {
    core.send({ type: 'MsgReadIndexResp', to: from, index, entries })
    return
  }
  const [request] = entries
  if (request !== undefined) core.readStates.push({ index, requestContext: request.data })
}
