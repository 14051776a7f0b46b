/** Bounds of restreaming: queues, time-outs and retries of the targets that a stream is also sent to. */

const MiB = 1024 * 1024

/** One target of a stream. */
export const restreamLimits = {
  /** Time to connect to a target and be allowed to publish; slow servers of platforms take some seconds. */
  openTimeoutMs: 10_000,
  /** Time that a target may take nothing, after which its connection is given up. */
  writeTimeoutMs: 10_000,
  /** Media held at a stream's start until both its tracks have shown; after it, what has shown is all there is. */
  startupMs: 1_000,
  /** The same in bytes. */
  startupBytesMax: 8 * MiB,
  /** What may wait for one target: 2 s of 30 Mbit/s. Beyond it pictures are dropped up to a keyframe. */
  queueBytesMax: 8 * MiB,
  /** The same as time: beyond it a target is too slow, and what it would show is too old. */
  queueMsMax: 6_000,
  /** Share of both that must be free again before a target gets more. */
  queueResumeShare: 0.5,
  /** Wait before the second attempt; doubles with each failure in a row. */
  retryMsMin: 1_000,
  /** Longest wait; a platform that blocks us is not hammered, one that comes back is found within half a minute. */
  retryMsMax: 30_000,
  /** Part of a wait that is random, so that many targets of one server do not come back at once. */
  retryJitterShare: 0.3,
  /** Sending for this long makes the next failure a first one. */
  healthyMs: 20_000,
  /** Time for a target to take what is left when the stream ends or the target is removed. */
  finishMsMax: 5_000,
  /** Time between two reports of a child about what was sent. */
  reportMs: 1_000,
  /** Bit rate of sound that is encoded because a target does not take the source's codec. */
  aacBitrateBps: 160_000,
  /** Characters of a failure's reason that are shown. */
  reasonCharsMax: 300,
} as const
