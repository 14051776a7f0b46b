/** Bounds of playlists that reach back beyond the live window. */

/** Archived segments in playlists. */
export const deliveryArchiveLimits = {
  /** Segments rendered and kept together: the oldest and the newest block are made anew as segments go and come. */
  blockSegments: 128,
} as const
