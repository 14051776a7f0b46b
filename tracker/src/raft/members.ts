/** The members of a group as one of them sees them: who they are, how far each is, how each voted. */

import type { Membership } from './conf-change.ts'
import { type Configuration, describeConfiguration, emptyConfiguration } from './configuration.ts'
import type { Progress } from './progress.ts'
import { ascending, jointCommitted, jointVote, type VoteResult } from './quorum.ts'

/** How an election stands. */
export interface Tally {
  readonly granted: number
  readonly rejected: number
  readonly result: VoteResult
}

/** The members of a group. */
export class Members implements Membership {
  configuration: Configuration = emptyConfiguration
  progress: ReadonlyMap<number, Progress> = new Map()
  /** Everyone with a progress, in ascending order: messages go out in this order. */
  ids: readonly number[] = []
  readonly #votes = new Map<number, boolean>()

  replace({ configuration, progress }: Membership): void {
    this.configuration = configuration
    this.progress = progress
    this.ids = ascending(progress.keys())
  }

  /** Same members, new progress for each. */
  resetProgress(create: (id: number) => Progress): void {
    this.progress = new Map(this.ids.map((id) => [id, create(id)]))
  }

  isVoter(id: number): boolean {
    return this.configuration.incoming.has(id) || this.configuration.outgoing.has(id)
  }

  isLearner(id: number): boolean {
    return this.configuration.learners.has(id)
  }

  /** Whether this member alone decides everything. */
  isSingleton(): boolean {
    return this.configuration.incoming.size === 1 && this.configuration.outgoing.size === 0
  }

  /** Highest index that the voters have acknowledged. */
  committed(): number {
    return jointCommitted(this.configuration, (id) => this.progress.get(id)?.match)
  }

  /** Whether a quorum was heard since the last check. */
  quorumActive(): boolean {
    const heard = new Map<number, boolean>()
    for (const [id, { recentActive }] of this.progress) heard.set(id, recentActive)
    return jointVote(this.configuration, heard) === 'VoteWon'
  }

  resetVotes(): void {
    this.#votes.clear()
  }

  /** The first answer of a member counts. */
  recordVote(id: number, granted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, granted)
  }

  tally(): Tally {
    let granted = 0
    let rejected = 0
    for (const id of this.ids) {
      const vote = this.#votes.get(id)
      // Someone who left the configuration since has no say.
      if (vote === undefined || this.isLearner(id)) continue
      if (vote) granted += 1
      else rejected += 1
    }
    return { granted, rejected, result: jointVote(this.configuration, this.#votes) }
  }

  /** One line per member, for logs and status pages. */
  describe(id: number): string {
    return this.progress.get(id)?.describe(this.isLearner(id)) ?? 'unknown'
  }

  toString(): string {
    return describeConfiguration(this.configuration)
  }
}
