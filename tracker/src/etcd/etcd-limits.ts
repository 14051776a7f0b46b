/** The named limits of coordination over etcd, each with its reason. */

/** Limits of one client. */
export const etcdLimits = {
  /** One attempt of a call that may be asked again: a member that hangs leaves time to ask another. */
  attemptMs: 1_500,
  /** Between two attempts: a member that was just gone is elected over in about this. */
  retryMs: 50,
  /** Watches wait up to this long before they connect again, so that an etcd that comes back is not overrun. */
  watchRetryMsMax: 2_000,
  /** One answer of etcd; a list that is larger is asked for in parts. */
  answerBytesMax: 8 * 1024 * 1024,
  /** Calls under way: beyond it etcd is slower than its callers, and memory would fill. */
  callsMax: 10_000,
  /** Watches at once: each is a stream of one connection. */
  watchesMax: 1_024,
  /** Changes of one revision that a watch gathers: a prefix that was deleted, more than any list has. */
  revisionEventsMax: 1_000_000,
  /** Members in a URL: more than any etcd has. */
  hostsMax: 16,
  /** A silent connection is asked whether it lives, not below what etcd allows its clients (5 s). */
  keepaliveMs: 10_000,
  /** And is given up after this. */
  keepaliveTimeoutMs: 3_000,
} as const
