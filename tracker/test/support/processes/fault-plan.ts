/** What happens to members during one history, drawn from a seed: a seed always gives the same plan. */
import { drawFrom } from '../log-stage.ts'

/** What is done: `silence` loses all that a member says, `deafen` all that it is told, `isolate` both. */
export const faultKinds = ['kill', 'pause', 'isolate', 'silence', 'deafen'] as const
export type FaultKind = (typeof faultKinds)[number]

/** Whom it strikes, by what each is when it comes: the leader of the keyspace that clients use, one of the others, or two at once. */
export type FaultTarget = 'leader' | 'follower' | 'two'

/** One fault. */
export interface PlannedFault {
  readonly kind: FaultKind
  readonly target: FaultTarget
  /** Before it, since the one before it began: faults may overlap. */
  readonly afterMs: number
  /** Until it is over. */
  readonly lastsMs: number
}

const FAULTS_MAX = 6

/** The faults of a history. */
export function planFaults(seed: number): readonly PlannedFault[] {
  const draw = drawFrom(seed)
  return Array.from({ length: 3 + draw(FAULTS_MAX - 2) }, () => {
    const kind = faultKinds[draw(faultKinds.length)] ?? 'kill'
    const whom = draw(10)
    const target = whom < 6 ? 'leader' : whom < 8 ? 'follower' : 'two'
    return { kind, target, afterMs: 100 + draw(1_000), lastsMs: 200 + draw(1_000) } as const
  })
}
