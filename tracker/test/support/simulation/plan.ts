/** What a seed decides about a run before it begins: how many members, how fast their clocks are, and which faults there are. */
import type { Draw } from '../simulated-folder.ts'

/** Kinds of faults. Each run has some of them: with all at once the rarer ways into trouble are never found. */
export const faultKinds = [
  'lossy-network',
  'slow-network',
  'reordering',
  'doubling',
  'partitions',
  'one-way-cuts',
  'broken-links',
  'pauses',
  'kills',
  'power-cuts',
  'blackouts',
  'full-disks',
  'failing-disks',
  'slow-disks',
  'damaged-disks',
  'wall-jumps',
  'transfers',
  'churn',
] as const

/** One kind of faults. */
export type FaultKind = (typeof faultKinds)[number]

/** A plan. */
export interface Plan {
  readonly seed: number
  readonly members: number
  readonly readMode: 'safe' | 'lease'
  readonly faults: ReadonlySet<FaultKind>
  /** Mean time between two faults. */
  readonly faultGapMs: number
  /** Speeds of the members' clocks. */
  readonly rate: () => number
  /** How long a sync of a healthy disk takes: power may go while one is under way. */
  readonly syncMs: number
  readonly snapshotEntries: number
  readonly tailEntries: number
}

/** Draws a plan. */
export function drawPlan(seed: number, draw: Draw): Plan {
  const share = 2 + draw(5)
  const faults = new Set(faultKinds.filter(() => draw(10) < share))
  // Whoever is damaged is replaced, and nothing else changes then, or a quorum could be lost for good.
  if (faults.has('damaged-disks')) faults.delete('churn')
  const drifts = draw(3) > 0
  return {
    seed,
    members: [3, 3, 3, 3, 3, 4, 4, 5][draw(8)] as number,
    readMode: draw(3) === 0 ? 'safe' : 'lease',
    faults,
    faultGapMs: 150 + draw(800),
    rate: () => (drifts ? 0.9 + draw(201) / 1000 : 1),
    syncMs: [0, 1, 4][draw(3)] as number,
    snapshotEntries: 20 + draw(200),
    tailEntries: 5 + draw(60),
  }
}
