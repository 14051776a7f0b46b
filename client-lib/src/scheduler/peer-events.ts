/** What peers do: they come and go, say what they have, push, and end. What a peer says that is not up counts for nothing. */
import type { SchedulerEvent } from './events.ts'
import { schedulerLimits } from './limits.ts'
import type { Part } from './part-state.ts'
import type { Peer } from './sources.ts'
import type { SchedulerState } from './state.ts'

type EventOf<Type extends SchedulerEvent['type']> = Extract<SchedulerEvent, { type: Type }>

/** A peer is connected: it may be somebody who was waited for, or a child that is to be given the recent parts. */
export function onPeerUp(state: SchedulerState, { peer: id, rttMs }: EventOf<'peer-up'>): void {
  const peer = state.addPeer(id, rttMs)
  if (peer === undefined) return
  for (const part of state.parts.active) {
    if (part.answer?.peers.includes(id)) state.addHolder(part, peer, part.answer.isWhole)
  }
  state.touchActive()
  for (const part of state.stripes.recent()) state.touch(part)
}

/** A round trip was measured. */
export function onPeerRtt(state: SchedulerState, event: EventOf<'peer-rtt'>): void {
  const peer = state.peers.get(event.peer)
  if (peer !== undefined) peer.rttMs = event.rttMs
}

/** A peer is gone. Live parts no longer wait for it. */
export function onPeerDown(state: SchedulerState, { peer }: EventOf<'peer-down'>): void {
  state.removePeer(peer)
  state.touchActive()
}

/** A peer has a part, or it is coming in there. */
export function onPeerHas(state: SchedulerState, event: EventOf<'peer-has'>): void {
  const peer = state.peers.get(event.peer)
  if (peer === undefined) return
  const part = state.parts.open(event.key)
  if (part === undefined) return
  if (event.isWhole && part.holders.get(peer.id) !== true) part.spent.delete(peer.id)
  state.addHolder(part, peer, event.isWhole)
  state.touch(part)
}

/** A peer has let a part go. */
export function onPeerLost(state: SchedulerState, event: EventOf<'peer-lost'>): void {
  const peer = state.peers.get(event.peer)
  const part = state.parts.get(event.key)
  if (peer === undefined || part === undefined) return
  state.removeHolder(part, peer)
  const pull = part.pulls.get(peer.id)
  if (pull !== undefined) {
    state.cancelPull(part, pull)
    part.isHttpDown = false
  }
  if (part.isNeeded) part.spent.add(peer.id)
  state.touch(part)
}

/**
 * A peer pushes a part. It is taken where the part is wanted or its rendition has trees, and nothing of it is there or under way; else it is cancelled,
 * and the peer is one more holder that can be asked for what is missing.
 */
export function onPush(state: SchedulerState, event: EventOf<'push'>): void {
  const peer = state.peers.get(event.peer)
  if (peer === undefined) return
  const part = state.parts.open(event.key)
  if (part?.pulls.has(peer.id)) return
  if (part !== undefined && isWelcome(state, part, peer)) {
    part.isPushed = state.stripes.hasTree(part)
    state.addHolder(part, peer, false)
    state.takePush(part, peer)
    return
  }
  state.act({ type: 'cancel-peer', peer: peer.id, key: event.key })
  if (part === undefined) return
  state.addHolder(part, peer, false)
  state.touch(part)
}

function isWelcome(state: SchedulerState, part: Part, peer: Peer): boolean {
  if (!state.mayTake || part.isHttpOnly || part.state !== 'open') return false
  if (part.hasBegun || peer.pushes >= schedulerLimits.pushesPerPeerMax) return false
  return part.isNeeded || state.stripes.hasTree(part)
}

/** A peer has sent all that it will. Bytes may still be on their way beside it, so what is missing has the peer's patience to come. */
export function onPeerEnd(state: SchedulerState, event: EventOf<'peer-end'>): void {
  const part = state.parts.get(event.key)
  const pull = part?.pulls.get(event.peer)
  if (part === undefined || pull === undefined) return
  pull.isEnded = true
  pull.lastMs = state.nowMs
  if (event.isCut || part.restOf(pull) === 0) state.endPull(part, pull)
  if (event.isCut) {
    part.spent.add(event.peer)
    part.isHttpDown = false
  }
  state.touch(part)
}
