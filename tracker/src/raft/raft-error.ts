/** The errors that the Raft core throws; what is merely refused is returned, see {@link Refusal} in types.ts. */

/** The stable names of what can go wrong. */
export type RaftErrorCode =
  /**
   * A rule of Raft is broken: storage lost what it had promised, or a member lies. The group must stop here: to go on
   * would spread the damage.
   */
  | 'ERR_RAFT_INVARIANT'
  /** Settings that cannot work together. */
  | 'ERR_RAFT_CONFIG'
  /** A membership change that cannot be applied to the present configuration. */
  | 'ERR_RAFT_CONF_CHANGE'
  /** Bytes that are no membership change. */
  | 'ERR_RAFT_CODEC'
  /** The log before this index is gone already. */
  | 'ERR_RAFT_COMPACTED'
  /** A snapshot older than the one in storage. */
  | 'ERR_RAFT_SNAPSHOT_OUT_OF_DATE'

/** An error of the Raft core. */
export class RaftError extends Error {
  override readonly name = 'RaftError'
  readonly code: RaftErrorCode

  constructor(code: RaftErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/**
 * Stops the group when a rule of Raft is broken. Unlike an assertion this can be the fault of a disk or of another
 * member, so it has a code that the driver handles.
 * @throws RaftError ERR_RAFT_INVARIANT
 */
export function invariant(holds: boolean, message: () => string): asserts holds {
  if (!holds) throw new RaftError('ERR_RAFT_INVARIANT', message())
}
