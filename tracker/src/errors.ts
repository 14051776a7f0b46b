/** What can go wrong between a caller and the tracker. Errors of the Raft core and of the log have classes of their own. */

/** Why a call failed. */
export type TrackerErrorCode =
  /** There is no leader with a quorum now, or it did not answer in time. Nothing was done; ask again later. */
  | 'ERR_UNAVAILABLE'
  /** The call was on its way when its leader went: it may or may not have been done. Read, then decide. */
  | 'ERR_UNKNOWN_OUTCOME'
  /** This member does not lead the group; `leader` says who does, as far as it knows. Clients follow it, callers never see it. */
  | 'ERR_NOT_LEADER'
  /** More waits already than is good; nothing was done. */
  | 'ERR_OVERLOADED'
  /** The revision that a watch wants to go on from is forgotten: read all, then watch from there. */
  | 'ERR_COMPACTED'
  /** The lease is not there: it ran out, was revoked, or never was. */
  | 'ERR_LEASE_NOT_FOUND'
  /** The input cannot be right, whoever asks. */
  | 'ERR_INVALID_INPUT'
  /** An answer or a stored state that nobody of this version can have written. */
  | 'ERR_MALFORMED'
  /** Another member of the region does not know this peer, or does not let it in. */
  | 'ERR_NOT_A_MEMBER'
  /** The disk failed or is full, so that nothing can be promised. */
  | 'ERR_STORAGE'
  /** The tracker was stopped. */
  | 'ERR_STOPPED'

/** An error of the tracker. */
export class TrackerError extends Error {
  override readonly name = 'TrackerError'
  readonly code: TrackerErrorCode
  /** With `ERR_NOT_LEADER`: the libp2p peer id of the leader, when it is known. */
  readonly leader: string | undefined

  constructor(
    code: TrackerErrorCode,
    message: string,
    options: ErrorOptions & { readonly leader?: string | undefined } = {},
  ) {
    super(message, options)
    this.code = code
    this.leader = options.leader
  }
}
