/** The scheduler for `diagnose` and the overlay: decisions in numbers, and what each part waits for in words. */
import type { PartKey } from '../protocol/part-key.ts'
import type { Counters } from './counters.ts'
import type { PeerId } from './events.ts'
import { schedulerLimits } from './limits.ts'
import type { Part } from './part-state.ts'
import type { SchedulerState } from './state.ts'

/** A picture of the moment. */
export interface SchedulerFigures {
  readonly counters: Counters
  /** Bits a second; an assumption while it is not measured. */
  readonly httpBps: number
  readonly isHttpMeasured: boolean
  readonly isEdgeOpen: boolean
  readonly mayTake: boolean
  readonly mayGive: boolean
  readonly partsKnown: number
  /** Those that are wanted or under way; not more than `partFiguresMax`. */
  readonly parts: readonly PartFigures[]
  readonly peers: readonly SourceFigures[]
}

/** One part. */
export interface PartFigures {
  readonly key: PartKey
  readonly state: string
  readonly bytesHeld: number
  readonly bytes: number | undefined
}

/** One peer. */
export interface SourceFigures {
  readonly peer: PeerId
  readonly bps: number
  readonly rttMs: number
  readonly asks: number
  readonly faults: number
}

/** The picture. */
export function schedulerFigures(state: SchedulerState): SchedulerFigures {
  const { counters } = state
  return {
    counters: {
      ...counters,
      fetches: { ...counters.fetches },
      dropped: { ...counters.dropped },
    },
    httpBps: state.http.bps,
    isHttpMeasured: state.http.isMeasured,
    isEdgeOpen: state.isEdgeOpen,
    mayTake: state.mayTake,
    mayGive: state.mayGive,
    partsKnown: state.parts.size,
    parts: [...state.parts.active].slice(0, schedulerLimits.partFiguresMax).map((part) => ({
      key: part.key,
      state: words(state, part),
      bytesHeld: part.have.total,
      bytes: part.bytes,
    })),
    peers: [...state.peers.values()].map(({ id, rate, rttMs, asks, faults }) => ({
      peer: id,
      bps: rate.bps,
      rttMs,
      asks,
      faults,
    })),
  }
}

function words(state: SchedulerState, part: Part): string {
  if (part.fetch !== undefined) return `HTTP: ${part.fetch.why}`
  const pulls = [...part.pulls.values()]
  if (pulls.length > 0) {
    return pulls.map(({ peer, isPush }) => `${isPush ? 'pushed by' : 'from'} ${peer.id}`).join(', ')
  }
  if (part.answer !== undefined) return `waits for ${part.answer.peers.join(', ')}`
  if (part.edgeAskedMs !== undefined) return 'waits for the edge'
  const parent = state.stripes.placeOf(part)?.parent
  return parent === undefined ? 'waits' : `waits for its parent ${parent}`
}
