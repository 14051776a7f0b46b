/**
 * Whether a peer is asked at all: closed (it is), open (it is left alone for a while), half-open (one request tries it).
 * A pure state machine, after Nygard's circuit breaker; time comes in as a number.
 */
import { fetchLimits } from '../../limits/fetch.ts'

/** What is known of a peer's failures. */
export type BreakerState =
  | { readonly kind: 'closed'; readonly score: number }
  | { readonly kind: 'open'; readonly untilMs: number; readonly openings: number }
  /** One trial is under way. */
  | { readonly kind: 'half-open'; readonly openings: number }

/** A failed request, or one whose answer was a lie, which counts hardest. */
export type Failure = 'failed' | 'lied'

/** Nothing known against it. */
export const closedBreaker: BreakerState = { kind: 'closed', score: 0 }

/** True when a request may go out now. */
export function mayAsk(state: BreakerState, nowMs: number): boolean {
  return state.kind === 'closed' || (state.kind === 'open' && state.untilMs <= nowMs)
}

/** The state once a request that {@link mayAsk} allowed has gone out. */
export function onAsked(state: BreakerState): BreakerState {
  return state.kind === 'open' ? { kind: 'half-open', openings: state.openings } : state
}

/** The peer gave what it was asked for, or said in good order that it has not got it. */
export function onSuccess(state: BreakerState): BreakerState {
  // One that was sent before the breaker opened proves nothing new.
  if (state.kind === 'open') return state
  if (state.kind === 'half-open') return closedBreaker
  return { kind: 'closed', score: state.score < 1 ? 0 : state.score / 2 }
}

/** The peer failed. */
export function onFailure(state: BreakerState, failure: Failure, nowMs: number): BreakerState {
  if (failure === 'lied') return openFor(openingsOf(state) + fetchLimits.lieOpenings, nowMs)
  if (state.kind === 'open') return state
  if (state.kind === 'half-open') return openFor(state.openings + 1, nowMs)
  const score = state.score + 1
  return score < fetchLimits.breakerScoreMax ? { kind: 'closed', score } : openFor(1, nowMs)
}

/** The request was given up by this side, so it says nothing; the next one may try. */
export function onAbandoned(state: BreakerState, nowMs: number): BreakerState {
  if (state.kind !== 'half-open') return state
  return { kind: 'open', untilMs: nowMs, openings: state.openings }
}

function openingsOf(state: BreakerState): number {
  return state.kind === 'closed' ? 0 : state.openings
}

function openFor(openings: number, nowMs: number): BreakerState {
  const ms = fetchLimits.breakerMsMin * 2 ** Math.min(openings - 1, 30)
  return { kind: 'open', untilMs: nowMs + Math.min(ms, fetchLimits.breakerMsMax), openings }
}
