/** Judges once a second whether a child keeps pace with its source, and what it costs at that pace. */
import type { Clock } from '../clock.ts'
import { transcodeLimits as limits } from '../limits/transcode.ts'
import { TICKS_PER_MS } from '../media/access-unit.ts'
import type { TranscodeRun } from './transcode-run.ts'

/** What a look at a child gave. */
export interface Judgement {
  /** True when it has been behind for long enough, and is not catching up. */
  readonly behind: boolean
  /** Cores that it takes at the source's pace; undefined while it catches up, or was not looked at. */
  readonly cores: number | undefined
}

const judgeMs = 1_000
const nothing: Judgement = { behind: false, cores: undefined }

/** The pace of one stream's children. */
export class LagJudge {
  readonly #clock: Clock
  #speed: number | undefined
  #last: { readonly atMs: number; readonly position: number | undefined } | undefined
  #lastLagMs = 0
  #strikes = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Media time made in a second of real time, smoothed; undefined before it is known. */
  get speed(): number | undefined {
    return this.#speed
  }

  /** A new child begins. */
  begin(): void {
    this.#last = undefined
    this.#lastLagMs = 0
    this.#strikes = 0
  }

  /** Looks at the child; does nothing more often than once a second. */
  judge(run: TranscodeRun): Judgement {
    const nowMs = this.#clock.monotonicMs()
    const last = this.#last
    if (last !== undefined && nowMs - last.atMs < judgeMs) return nothing
    const states = run.states()
    const positions = states.flatMap(({ output, live }) =>
      live ? [output.rendition.position ?? 0] : [],
    )
    const position = positions.length === 0 ? undefined : Math.min(...positions)
    this.#last = { atMs: nowMs, position }
    if (last?.position !== undefined && position !== undefined) {
      const mediaMs = (position - last.position) / TICKS_PER_MS
      const speed = mediaMs / (nowMs - last.atMs)
      this.#speed = this.#speed === undefined ? speed : this.#speed * 0.7 + speed * 0.3
    }
    return this.#judgeLag(run, Math.max(...states.map(({ lagMs }) => lagMs)), nowMs)
  }

  #judgeLag(run: TranscodeRun, lagMs: number, nowMs: number): Judgement {
    const catchingUp = lagMs < this.#lastLagMs - limits.lagShrinkMs
    const isLate = lagMs > limits.lagMsMax && nowMs - run.startedMs > limits.lagGraceMs
    this.#lastLagMs = lagMs
    this.#strikes = isLate && !catchingUp ? this.#strikes + 1 : 0
    const behind = this.#strikes >= limits.lagStrikesMax
    const steady = lagMs < limits.lagMsMax / 2 && nowMs - run.startedMs > limits.healthyMs
    return { behind, cores: steady ? run.cores : undefined }
  }
}
