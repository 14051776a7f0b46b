/** What the scheduler decided, counted: for `diagnose` and the overlay. */

/**
 * Why HTTP: nothing to play yet; this page has the lease, or is the root; no time left; a peer was silent; there is no edge to ask; nobody has it;
 * wrong bytes came; manners.
 */
export type Reason =
  | 'urgent'
  | 'lease'
  | 'root'
  | 'deadline'
  | 'silent'
  | 'no-edge'
  | 'no-holder'
  | 'refused'
  | 'manners'

/** Counters since the start. */
export interface Counters {
  /** Fetches by reason. */
  readonly fetches: Record<Reason, number>
  asks: number
  pushes: number
  handOvers: number
  /** Peers that sent nothing in time. */
  silences: number
  /** Parts that were whole only after their deadline, or not at all. */
  deadlineMisses: number
  refused: number
  givenUp: number
  dropped: Record<'bytes' | 'silent' | 'slow', number>
  /** Things that were forgotten or refused because a limit was reached. */
  limited: number
}

/** All at 0. */
export function newCounters(): Counters {
  return {
    fetches: {
      urgent: 0,
      lease: 0,
      root: 0,
      deadline: 0,
      silent: 0,
      'no-edge': 0,
      'no-holder': 0,
      refused: 0,
      manners: 0,
    },
    asks: 0,
    pushes: 0,
    handOvers: 0,
    silences: 0,
    deadlineMisses: 0,
    refused: 0,
    givenUp: 0,
    dropped: { bytes: 0, silent: 0, slow: 0 },
    limited: 0,
  }
}
