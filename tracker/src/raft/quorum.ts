/**
 * Majorities, alone and joint. While a membership change is under way every decision needs a majority of the old voters
 * and one of the new (section 6 of the paper). A missing half decides nothing, so it agrees with everything.
 */
import { noLimit } from './entry-size.ts'

/** How a vote stands. */
export type VoteResult = 'VotePending' | 'VoteLost' | 'VoteWon'

/** Voters that decide by majority. */
export type Majority = ReadonlySet<number>

/** Both halves of a configuration; `outgoing` is empty unless it is joint. */
export interface JointVoters {
  readonly incoming: Majority
  readonly outgoing: Majority
}

/** The highest index that a majority has acknowledged; {@link noLimit} for no voters. */
export function majorityCommitted(
  voters: Majority,
  acknowledged: (id: number) => number | undefined,
): number {
  if (voters.size === 0) return noLimit
  const sorted: number[] = []
  for (const id of voters) {
    // A handful of voters: sorting while inserting beats a call to sort.
    const index = acknowledged(id) ?? 0
    let at = sorted.length
    while (at > 0 && (sorted[at - 1] as number) < index) {
      sorted[at] = sorted[at - 1] as number
      at -= 1
    }
    sorted[at] = index
  }
  return sorted[Math.floor(voters.size / 2)] as number
}

/** How a vote stands among voters; won for no voters. */
export function majorityVote(voters: Majority, votes: ReadonlyMap<number, boolean>): VoteResult {
  if (voters.size === 0) return 'VoteWon'
  let granted = 0
  let missing = 0
  for (const id of voters) {
    const vote = votes.get(id)
    if (vote === undefined) missing += 1
    else if (vote) granted += 1
  }
  const needed = Math.floor(voters.size / 2) + 1
  if (granted >= needed) return 'VoteWon'
  return granted + missing >= needed ? 'VotePending' : 'VoteLost'
}

/** The highest index that both halves have acknowledged by majority. */
export function jointCommitted(
  voters: JointVoters,
  acknowledged: (id: number) => number | undefined,
): number {
  const incoming = majorityCommitted(voters.incoming, acknowledged)
  return voters.outgoing.size === 0
    ? incoming
    : Math.min(incoming, majorityCommitted(voters.outgoing, acknowledged))
}

/** How a vote stands in both halves: one lost half loses, both must win. */
export function jointVote(voters: JointVoters, votes: ReadonlyMap<number, boolean>): VoteResult {
  const incoming = majorityVote(voters.incoming, votes)
  const outgoing = majorityVote(voters.outgoing, votes)
  if (incoming === outgoing) return incoming
  return incoming === 'VoteLost' || outgoing === 'VoteLost' ? 'VoteLost' : 'VotePending'
}

/** Everyone who votes in either half, in ascending order. */
export function jointIds(voters: JointVoters): number[] {
  return ascending(new Set([...voters.incoming, ...voters.outgoing]))
}

/** Ids in ascending order. */
export function ascending(ids: Iterable<number>): number[] {
  return [...ids].sort((a, b) => a - b)
}
