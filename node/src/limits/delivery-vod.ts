/** Bounds of answering for videos on demand. */

/** Delivery of presentations. */
export const vodDeliveryLimits = {
  /** Presentations whose playlists are kept rendered; the one used longest ago goes first. */
  presentationsMax: 256,
  /** Time to find the bytes of an object. */
  readMsMax: 12_000,
} as const
