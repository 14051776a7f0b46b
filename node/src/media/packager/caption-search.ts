/**
 * Finds out whether pictures carry closed captions, so that players can be told (RFC 8216bis 4.4.6.1). Encoders that send them
 * send them with every picture, so a few groups of pictures settle it.
 */
import { sessionLimits } from '../../limits/packaging.ts'
import type { AccessUnit, VideoConfig } from '../access-unit.ts'
import { hasClosedCaptions } from '../codecs/captions.ts'

/** The search in one video track. */
export class CaptionSearch {
  #groups = 0
  #settled = false

  /** Looks at the next picture; true for the first one that carries captions. */
  finds(unit: AccessUnit, config: VideoConfig): boolean {
    if (this.#settled) return false
    if (unit.keyframe) this.#groups += 1
    if (this.#groups > sessionLimits.captionGroupsMax) {
      this.#settled = true
      return false
    }
    this.#settled = hasClosedCaptions(config.codec, unit.data)
    return this.#settled
  }
}
