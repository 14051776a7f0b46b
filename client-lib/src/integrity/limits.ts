/** Bounds of what is known about parts. */
export const integrityLimits = {
  /** Parts whose digest is remembered: more than a page's memory holds; about 200 bytes each. */
  digestsMax: 8_192,
} as const
