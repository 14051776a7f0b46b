/** What a driver counts, for whoever makes metrics of it. */

/** Counters since the start. */
export interface DriverCounters {
  turns: number
  proposals: number
  /** Proposals turned away because too many wait. */
  refusedProposals: number
  /** Proposals that were in the log when this member's leadership ended, and are kept until it is clear what became of them. */
  keptProposals: number
  /** Those of which that did not become clear. */
  unknownProposals: number
  /** Entries applied. */
  applied: number
  framesSent: number
  /** Frames that the transport did not take. */
  framesRefused: number
  messagesSent: number
  messagesReceived: number
  /** Frames that nobody of this version can have written. */
  framesMalformed: number
  /** Frames of another region, or for another member. */
  framesForeign: number
  /** Frames that came faster than they were looked at. */
  framesDropped: number
  /** Messages for groups that are not here, and from members whom the group does not know. */
  unknownGroups: number
  unknownMembers: number
  /** Messages that the core refused. */
  refusedMessages: number
  snapshotsTaken: number
  snapshotsSent: number
  snapshotsNotSent: number
  snapshotsReceived: number
  /** Snapshots that were not taken in, or not to the end. */
  snapshotsRefused: number
  /** Groups that stopped because a rule was broken. */
  groupsFailed: number
  /** Times that the disk became full. */
  diskFull: number
  /** Times that this thread stood still for more than two election timeouts. */
  longStops: number
}

/** All at zero. */
export function newCounters(): DriverCounters {
  return {
    ...{ turns: 0, proposals: 0, refusedProposals: 0, keptProposals: 0, unknownProposals: 0 },
    applied: 0,
    ...{ framesSent: 0, framesRefused: 0, messagesSent: 0, messagesReceived: 0 },
    ...{ framesMalformed: 0, framesForeign: 0, framesDropped: 0 },
    ...{ unknownGroups: 0, unknownMembers: 0, refusedMessages: 0 },
    ...{ snapshotsTaken: 0, snapshotsSent: 0, snapshotsNotSent: 0 },
    ...{ snapshotsReceived: 0, snapshotsRefused: 0 },
    ...{ groupsFailed: 0, diskFull: 0, longStops: 0 },
  }
}
