/**
 * Decides which pictures of the source a rung encodes: none that lie before it is to go on, and, at a lower frame rate, every
 * second or third so that they stay evenly spaced. Pure.
 */
import { TICKS_PER_SECOND } from '../../access-unit.ts'

/** How a {@link PictureSelector} is built. */
export interface PictureSelectorInit {
  /** Pictures a second of the output; undefined keeps every picture. */
  readonly frameRate: number | undefined
  /** Where the output goes on, 1/90000 s; undefined begins with the first picture. */
  readonly resumeAt: number | undefined
}

/** What to do with a picture. `keyframe`: it is the first of all. */
export type Selection = 'skip' | 'drop' | 'take' | 'begin'

/** How much of an output interval a picture may come before its turn: sources jitter, and their rates are no exact multiples. */
const EARLY_SHARE = 0.25
/** The distance of pictures is not known before the second one; what is nearer than this to `resumeAt` lies at it. */
const RESUME_TOLERANCE = TICKS_PER_SECOND / 240

/** Selects pictures of one rung, in the order of their presentation. */
export class PictureSelector {
  readonly #interval: number | undefined
  readonly #resumeAt: number | undefined
  #dueAt: number | undefined

  constructor(init: PictureSelectorInit) {
    this.#interval = init.frameRate && TICKS_PER_SECOND / init.frameRate
    this.#resumeAt = init.resumeAt
  }

  /**
   * Judges a picture by its presentation time and whether it must begin a group. `skip`: before the output goes on; `drop`: not
   * needed at the lower rate.
   */
  select(pts: number, keyframe: boolean): Selection {
    const interval = this.#interval ?? 0
    if (this.#dueAt === undefined) {
      if (pts < (this.#resumeAt ?? Number.NEGATIVE_INFINITY) - RESUME_TOLERANCE) return 'skip'
      this.#dueAt = pts + interval
      return 'begin'
    }
    const early = this.#dueAt - pts
    // Beyond an interval the source has jumped back, or its clock was set: the row begins anew.
    const outOfStep = early > 2 * interval || early < -2 * interval
    if (keyframe || outOfStep) {
      this.#dueAt = pts + interval
      return 'take'
    }
    if (early > interval * EARLY_SHARE) return 'drop'
    this.#dueAt += interval
    return 'take'
  }
}
