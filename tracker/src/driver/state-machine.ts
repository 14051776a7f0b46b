/** What a Raft group is a replica of, as the driver sees it. */

/** A committed command. */
export interface Committed {
  readonly index: number
  readonly term: number
  readonly command: Uint8Array
}

/**
 * The state of one group. Every call is synchronous and deterministic: the same commands give the same state and the same snapshot bytes at
 * every member. It never throws for a command that it cannot understand: that is a result like any other.
 */
export interface StateMachine {
  /** Carries out a command; what it returns is the answer to whoever proposed it here. */
  apply(committed: Committed): unknown
  /** The whole state. Not used again by the state machine. */
  snapshot(): Uint8Array
  /**
   * Replaces the state by one that a snapshot holds.
   * @throws TrackerError ERR_MALFORMED for bytes that no snapshot can be: the group stops
   */
  restore(snapshot: Uint8Array): void
  /** This member began to lead the group in a term (its state has everything that was committed before), or leads it no longer. */
  lead(term: number | undefined): void
}
