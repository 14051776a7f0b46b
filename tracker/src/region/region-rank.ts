/** Which of two regions of one name gives way. */

/** What counts of a region. */
export interface RegionRank {
  readonly regionId: string
  readonly memberCount: number
  /** Wall time of the founding, milliseconds. */
  readonly foundedAtMs: number
}

/**
 * Whether `a` gives way to `b`: the one with fewer members, then the later founded, then the larger id. Both sides come
 * to the same answer from the same figures, so never do both give way, nor neither.
 */
export function givesWay(a: RegionRank, b: RegionRank): boolean {
  if (a.memberCount !== b.memberCount) return a.memberCount < b.memberCount
  if (a.foundedAtMs !== b.foundedAtMs) return a.foundedAtMs > b.foundedAtMs
  return a.regionId > b.regionId
}
