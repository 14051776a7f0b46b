/** Bounds of webhooks: how many wait, how long one takes, and when an endpoint is given up. */

const KiB = 1024

/** Webhook deliveries. */
export const webhookLimits = {
  /** Addresses that are told. */
  endpointsMax: 16,
  /** Deliveries that wait, over all endpoints; beyond it the oldest is dropped. Each is a small file. */
  pendingMax: 1_000,
  /** Requests under way to one endpoint. */
  inFlightMax: 4,
  /** Time for one whole exchange, from connecting to the end of the answer. */
  timeoutMs: 10_000,
  /** Bytes of an answer that are read before its connection is cut; nothing in it is looked at. */
  answerBytesMax: 16 * KiB,
  /** Bytes of one body; data are short by nature. */
  bodyBytesMax: 64 * KiB,
  /** Wait before the second attempt; doubles with each. */
  retryMsMin: 5_000,
  /** Longest wait between two attempts. */
  retryMsMax: 60 * 60_000,
  /** Attempts before a delivery is dropped: with these waits about four hours. */
  attemptsMax: 14,
  /** Part of a wait that is random, so that a returning endpoint is not met by everything at once. */
  retryJitterShare: 0.2,
  /** Characters of a failure's reason that are shown. */
  reasonCharsMax: 200,
} as const
