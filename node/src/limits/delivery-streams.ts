/** Bounds of answers that are sent while they are made. */

/** Answers with a streamed body. */
export const streamedAnswerLimits = {
  /**
   * Time without a step forward, be it that the next piece does not come or that the client does not read. More than a blocked
   * request may wait, so that whoever makes the body ends it in order where it can.
   */
  stallMsMax: 15_000,
} as const
