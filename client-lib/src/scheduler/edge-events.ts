/** What the edge says, and what else concerns more than one part: the playlist, manners, the time. */
import { protocolLimits } from '../protocol/limits.ts'
import type { SchedulerEvent } from './events.ts'
import type { SchedulerState } from './state.ts'

type EventOf<Type extends SchedulerEvent['type']> = Extract<SchedulerEvent, { type: Type }>

/** The trees of a rendition are replaced; what is under way stays. */
export function onTree(state: SchedulerState, { rendition, stripes }: EventOf<'tree'>): void {
  state.stripes.plant(rendition, stripes)
  for (const part of state.stripes.recent(rendition)) state.touch(part)
  state.touchActive()
}

/** Another edge, or none: what was asked of the last one is asked anew. */
export function onEdge(state: SchedulerState, { isOpen, isTried }: EventOf<'edge'>): void {
  state.isEdgeOpen = isOpen
  state.edgeTriedMs = isTried && !isOpen ? state.nowMs : undefined
  for (const part of state.parts.active) {
    part.edgeAskedMs = undefined
    part.edgeAsks = 0
  }
  state.touchActive()
}

/** The playlist lists new live parts. */
export function onPublished(state: SchedulerState, event: EventOf<'published'>): void {
  const parts = event.keys.flatMap((key) => state.parts.open(key) ?? [])
  state.counters.limited += event.keys.length - parts.length
  for (const part of state.stripes.publish(parts)) state.touch(part)
  for (const part of parts) state.touch(part)
}

/** The edge lets this page fetch; what nobody here needs any more is given back. */
export function onGrant(state: SchedulerState, { key, untilMs }: EventOf<'grant'>): void {
  const part = state.parts.get(key)
  if (!part?.isNeeded || part.isComplete || !state.mayTake || part.isHttpDown) {
    state.act({ type: 'return-lease', key })
    return
  }
  part.leaseUntilMs = untilMs
  part.edgeAskedMs = undefined
  part.answer = undefined
  state.touch(part)
}

/** The edge names others. */
export function onFrom(state: SchedulerState, event: EventOf<'from'>): void {
  const part = state.parts.get(event.key)
  if (!part?.isNeeded) return
  const peers = [...new Set(event.peers)].slice(0, protocolLimits.peersPerMessageMax)
  const { isWhole, untilMs } = event
  part.answer = { peers, isWhole, sinceMs: state.nowMs, untilMs }
  part.edgeAskedMs = undefined
  for (const id of peers) {
    const peer = state.peers.get(id)
    if (peer !== undefined) state.addHolder(part, peer, event.isWhole)
  }
  state.touch(part)
}

/** Whether this page takes and gives. What it had promised to fetch is given back. */
export function onManners(state: SchedulerState, event: EventOf<'manners'>): void {
  const { mayTake, mayGive } = event
  state.mayTake = mayTake
  state.mayGive = mayGive
  for (const part of state.parts.active) {
    if (!mayTake && part.leaseUntilMs !== undefined) state.returnLease(part)
    if (!mayTake || !mayGive) part.isDuty = false
  }
  for (const part of state.stripes.recent()) state.touch(part)
  state.touchActive()
}

/** A moment has come. */
export function onTime(state: SchedulerState): void {
  for (const part of state.parts.active) {
    if (part.wakeMs <= state.nowMs) state.touch(part)
  }
}
