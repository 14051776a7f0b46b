/** What happens to parts: wishes of the player, bytes, ends of HTTP, the check of the digest. */
import type { SchedulerEvent } from './events.ts'
import { schedulerLimits } from './limits.ts'
import type { Part } from './part-state.ts'
import type { SchedulerState } from './state.ts'

type EventOf<Type extends SchedulerEvent['type']> = Extract<SchedulerEvent, { type: Type }>

/** The player wants a part, or wants it by another time. */
export function onWant(state: SchedulerState, event: EventOf<'want'>): void {
  const part = state.parts.open(event.key)
  if (part === undefined) {
    state.counters.limited += 1
    state.act({ type: 'give-up', key: event.key })
    return
  }
  if (part.state === 'whole') return
  if (part.wish === undefined) part.startAnew()
  const { deadlineMs, isUrgent } = event
  part.wish = { deadlineMs, isUrgent, sinceMs: part.wish?.sinceMs ?? state.nowMs }
  state.touch(part)
}

/** The player wants it no more. */
export function onUnwant(state: SchedulerState, { key }: EventOf<'unwant'>): void {
  const part = state.parts.get(key)
  if (part === undefined) return
  part.wish = undefined
  state.touch(part)
}

/** How long a part is. */
export function onLength(state: SchedulerState, { key, bytes }: EventOf<'length'>): void {
  const part = state.parts.open(key)
  if (part === undefined) return
  part.bytes = bytes
  state.touch(part)
}

/** Bytes are in memory. */
export function onBytes(state: SchedulerState, event: EventOf<'bytes'>): void {
  const part = state.parts.open(event.key)
  if (part === undefined) return
  const { from, to, peer } = event
  part.have.add(from, to)
  if (peer === undefined) onHttpBytes(state, part, to - from)
  else onPeerBytes(state, part, peer, to - from)
  state.touch(part)
}

function onHttpBytes(state: SchedulerState, part: Part, bytes: number): void {
  const { fetch } = part
  if (fetch === undefined) return
  state.http.add(bytes, activeMs(state, fetch) / Math.max(1, state.fetches))
  fetch.got += bytes
  fetch.firstMs ??= state.nowMs
  fetch.lastMs = state.nowMs
}

function onPeerBytes(state: SchedulerState, part: Part, id: string, bytes: number): void {
  part.peerBytes += bytes
  const pull = part.pulls.get(id)
  if (pull !== undefined) {
    const { peer } = pull
    peer.hasGiven = true
    const share = Math.max(1, peer.asks + peer.pushes)
    if (part.holders.get(id)) peer.rate.add(bytes, activeMs(state, pull) / share)
    pull.got += bytes
    pull.firstMs ??= state.nowMs
    pull.lastMs = state.nowMs
    if (part.restOf(pull) === 0) {
      peer.faults = Math.max(0, peer.faults - schedulerLimits.comingFault)
      if (pull.isEnded) state.endPull(part, pull)
    }
  }
  if (part.have.pieces <= schedulerLimits.piecesMax) return
  const peer = state.peers.get(id)
  if (peer !== undefined) state.dropPeer(peer, 'bytes', part)
}

/** The time that counts for a rate: the wait for a first byte only in part. */
function activeMs(
  state: SchedulerState,
  { got, lastMs }: { readonly got: number; readonly lastMs: number },
): number {
  const ms = state.nowMs - lastMs
  return got === 0 ? Math.min(ms, schedulerLimits.firstByteMsMax) : ms
}

/** HTTP has ended. If bytes are still missing it counts as failed; as down when none came at all. */
export function onFetched(state: SchedulerState, { key }: EventOf<'fetched'>): void {
  const part = state.parts.get(key)
  if (part?.fetch === undefined) return
  const { fetch } = part
  state.endFetch(part)
  if (part.restOf(fetch) > 0) {
    part.failures += 1
    part.isHttpDown = fetch.got === 0
  }
  state.touch(part)
}

/** HTTP has failed. */
export function onFetchFailed(state: SchedulerState, { key }: EventOf<'fetch-failed'>): void {
  const part = state.parts.get(key)
  if (part?.fetch === undefined) return
  state.endFetch(part)
  part.failures += 1
  part.isHttpDown = true
  if (part.leaseUntilMs !== undefined) state.returnLease(part)
  state.touch(part)
}

/** All bytes of a part are there. */
export function onComplete(state: SchedulerState, part: Part): void {
  if (part.fetch !== undefined) {
    if (part.fetch.got < Math.min(part.fetch.to, part.end) - part.fetch.from) state.stopFetch(part)
    else state.endFetch(part)
  }
  for (const pull of part.pulls.values()) {
    if (pull.got < Math.min(pull.to, part.end) - pull.from) state.cancelPull(part, pull)
    else state.endPull(part, pull)
  }
  if (part.leaseUntilMs !== undefined && part.peerBytes > 0) state.returnLease(part)
  if (part.wish !== undefined && state.nowMs > part.wish.deadlineMs) {
    state.counters.deadlineMisses += 1
  }
  part.state = 'checking'
  state.act({ type: 'verify', key: part.key })
}

/** A part is what it should be. */
export function onVerified(state: SchedulerState, { key }: EventOf<'verified'>): void {
  const part = state.parts.get(key)
  if (part?.state !== 'checking') return
  part.state = 'whole'
  part.wish = undefined
  part.leaseUntilMs = undefined
  part.isDuty = false
  state.touch(part)
}

/** A part is not what it should be: one peer is guilty, of several each may be. HTTP brings it from the start. */
export function onRefused(state: SchedulerState, { key, peers }: EventOf<'refused'>): void {
  const part = state.parts.get(key)
  if (part === undefined) return
  state.counters.refused += 1
  if (part.peerBytes === 0) part.failures += 1
  empty(state, part)
  part.isHttpOnly = true
  for (const id of peers) {
    const peer = state.peers.get(id)
    if (peer === undefined) continue
    if (peers.length === 1) state.dropPeer(peer, 'bytes', part)
    else state.blame(peer, 1, 'bytes', part)
  }
  state.touch(part)
}

/** A part is no longer in memory. */
export function onEvicted(state: SchedulerState, { key }: EventOf<'evicted'>): void {
  const part = state.parts.get(key)
  if (part === undefined) return
  empty(state, part)
  part.isDutyOver = true
  state.touch(part)
}

function empty(state: SchedulerState, part: Part): void {
  state.stopFetch(part)
  state.cancelPulls(part)
  part.have.clear()
  part.peerBytes = 0
  part.state = 'open'
}
