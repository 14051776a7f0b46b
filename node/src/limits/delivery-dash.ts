/** Bounds and paces of DASH manifests. */

/** Live manifests. */
export const dashLimits = {
  /** Whole segments of the same length after which the open one is expected to get it too. */
  cadenceSegments: 3,
  /** By how much they may differ: a picture at 20 frames a second, or two frames of AAC. */
  cadenceJitterUs: 50_000,
  /** What is added to the expected length of an open segment; less than any segment lasts. */
  openSegmentMarginUs: 60_000,
  /** Players ask for a new manifest no more often than this. */
  updatePeriodUsMin: 500_000,
  /** And no less often, so that a segment that has begun is found in time. */
  updatePeriodUsMax: 2_000_000,
  /** What the target latency holds for the network and the decoder, beside parts and updates. */
  latencyReserveMs: 1_500,
} as const
