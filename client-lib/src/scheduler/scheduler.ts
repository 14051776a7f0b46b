/**
 * Who brings each part: HTTP, a neighbour, or whoever has the lease. A pure state machine: an event and the time go in, actions come out; the same
 * events with the same random numbers bring the same actions. Facts are kept in `state.ts` and `part-state.ts`; `bring.ts` says what follows from them
 * for one part, `live-stripes.ts` and `pass-on.ts` what a page does for others, `deadline.ts` and `hand-over.ts` when one source takes over from another.
 *
 * An event costs what the parts cost that it touches. Only when a fetch begins or ends, a peer comes or goes or the edge does, all active parts are
 * looked at; these are the few that are wanted or under way.
 */
import { protocolLimits } from '../protocol/limits.ts'
import { bring, judgeSilence } from './bring.ts'
import { onEdge, onFrom, onGrant, onManners, onPublished, onTime, onTree } from './edge-events.ts'
import type { SchedulerAction, SchedulerEvent } from './events.ts'
import { type SchedulerFigures, schedulerFigures } from './figures.ts'
import { schedulerLimits } from './limits.ts'
import {
  onBytes,
  onComplete,
  onEvicted,
  onFetched,
  onFetchFailed,
  onLength,
  onRefused,
  onUnwant,
  onVerified,
  onWant,
} from './part-events.ts'
import type { Part } from './part-state.ts'
import { passOn } from './pass-on.ts'
import {
  onPeerDown,
  onPeerEnd,
  onPeerHas,
  onPeerLost,
  onPeerRtt,
  onPeerUp,
  onPush,
} from './peer-events.ts'
import { SchedulerState } from './state.ts'

/** Decides for every part who brings it. */
export class PartScheduler {
  readonly #state: SchedulerState

  /** @param init.random draws among equals, from 0 up to 1 */
  constructor(init: { readonly random: () => number }) {
    this.#state = new SchedulerState(init.random)
  }

  /** Takes notice of something. Returns what is to be done, in order. @param nowMs never goes back */
  handle(event: SchedulerEvent, nowMs: number): readonly SchedulerAction[] {
    const state = this.#state
    state.nowMs = Math.max(state.nowMs, nowMs)
    const { fetches } = state
    ;(handlers[event.type] as (state: SchedulerState, event: SchedulerEvent) => void)(state, event)
    lookAtTouched(state)
    if (state.fetches !== fetches) {
      state.touchActive()
      lookAtTouched(state)
    }
    askEdge(state)
    return state.takeActions()
  }

  /** When `time` is to be told of at the latest; undefined: nothing waits for a moment. */
  wakeAtMs(): number | undefined {
    let wakeMs = Number.POSITIVE_INFINITY
    for (const part of this.#state.parts.active) wakeMs = Math.min(wakeMs, part.wakeMs)
    return wakeMs === Number.POSITIVE_INFINITY ? undefined : wakeMs
  }

  /** What it decided, and what it is at. */
  figures(): SchedulerFigures {
    return schedulerFigures(this.#state)
  }
}

type Handlers = {
  readonly [Type in SchedulerEvent['type']]: (
    state: SchedulerState,
    event: Extract<SchedulerEvent, { type: Type }>,
  ) => void
}

const handlers: Handlers = {
  want: onWant,
  unwant: onUnwant,
  published: onPublished,
  tree: onTree,
  edge: onEdge,
  grant: onGrant,
  from: onFrom,
  'peer-up': onPeerUp,
  'peer-rtt': onPeerRtt,
  'peer-down': onPeerDown,
  'peer-has': onPeerHas,
  'peer-lost': onPeerLost,
  push: onPush,
  bytes: onBytes,
  length: onLength,
  'peer-end': onPeerEnd,
  fetched: onFetched,
  'fetch-failed': onFetchFailed,
  verified: onVerified,
  refused: onRefused,
  evicted: onEvicted,
  manners: onManners,
  time: onTime,
}

function lookAtTouched(state: SchedulerState): void {
  for (let part = state.takeTouched(); part !== undefined; part = state.takeTouched()) {
    lookAt(state, part)
  }
}

/** Draws the conclusions for one part. */
function lookAt(state: SchedulerState, part: Part): void {
  part.wakeMs = Number.POSITIVE_INFINITY
  if (part.state === 'open') {
    takeDuty(state, part)
    if (part.isComplete) onComplete(state, part)
    else if (part.isNeeded) bring(state, part)
    else release(state, part)
  }
  passOn(state, part)
  state.parts.settle(part)
}

/** The root of a stripe fetches what is new in it, wanted or not. */
function takeDuty(state: SchedulerState, part: Part): void {
  if (!part.isRecent || part.isDutyOver || !state.mayTake || !state.mayGive) return
  const place = state.stripes.placeOf(part)
  if (place !== undefined && place.parent === undefined) part.isDuty = true
}

/** Nobody needs the part (any more): what was asked for ends, unless it is as good as done; what is pushed along a tree goes on. */
function release(state: SchedulerState, part: Part): void {
  if (part.fetch !== undefined) {
    const restMs = (part.restOf(part.fetch) * 8_000) / state.httpShare(true)
    if (restMs > schedulerLimits.finishMs) state.stopFetch(part)
  }
  if (part.leaseUntilMs !== undefined && part.fetch === undefined) state.returnLease(part)
  const isLive = state.mayTake && (part.isPushed || part.isRecent)
  for (const pull of part.pulls.values()) {
    if (!pull.isPush || !isLive) state.cancelPull(part, pull)
  }
  judgeSilence(state, part)
}

function askEdge(state: SchedulerState): void {
  const questions = state.takeEdgeQuestions().flatMap(({ key, wish }) => {
    if (wish === undefined) return []
    return [{ key, withinMs: Math.max(0, Math.round(wish.deadlineMs - state.nowMs)) }]
  })
  for (let at = 0; at < questions.length; at += protocolLimits.partsPerMessageMax) {
    const parts = questions.slice(at, at + protocolLimits.partsPerMessageMax)
    state.act({ type: 'ask-edge', parts })
  }
}
