/** How far the making of a video is: media worked off, against the clock. */
import type { Clock } from '../clock.ts'
import { TICKS_PER_SECOND } from '../media/access-unit.ts'
import type { VodPlan } from './plan.ts'
import type { VodProgress } from './vod-status.ts'

/** Encoding takes this many times as long as copying the same stretch. */
const ENCODE_WEIGHT = 20

/** Adds up what tasks say. */
export class MakingProgress {
  readonly #clock: Clock
  readonly #startedMs: number
  readonly #total: number
  readonly #report: (progress: VodProgress) => void
  /** Ticks done of each task. */
  readonly #done = new Map<string, number>()

  constructor(clock: Clock, plan: VodPlan, report: (progress: VodProgress) => void) {
    this.#clock = clock
    this.#startedMs = clock.monotonicMs()
    this.#report = report
    const chunks = plan.chunks.reduce((sum, { from, to }) => sum + to - from, 0)
    const copies = plan.copyVideo || plan.sound.some(({ rung }) => rung === undefined)
    const length = plan.boundaries.at(-1) ?? 0
    this.#total = Math.max(1, chunks * ENCODE_WEIGHT + (copies ? length : 0))
  }

  /** A task is so many ticks into its stretch, or done with it. */
  note(task: string, ticks: number): void {
    this.#done.set(task, Math.max(0, ticks))
    const work = [...this.#done].reduce((sum, [name, done]) => sum + weigh(name, done), 0)
    const share = Math.min(0.99, work / this.#total)
    const elapsedMs = this.#clock.monotonicMs() - this.#startedMs
    const media = [...this.#done].reduce(
      (sum, [name, done]) => sum + (name === 'copy' ? 0 : done),
      0,
    )
    const isKnown = elapsedMs > 1_000 && share > 0.01
    this.#report({
      share,
      speed: isKnown && media > 0 ? media / TICKS_PER_SECOND / (elapsedMs / 1_000) : undefined,
      etaMs: isKnown ? Math.round((elapsedMs / share) * (1 - share)) : undefined,
    })
  }
}

function weigh(task: string, ticks: number): number {
  return task === 'copy' ? ticks : ticks * ENCODE_WEIGHT
}
