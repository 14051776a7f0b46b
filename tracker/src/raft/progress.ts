/**
 * How far one member is, as the leader sees it, and how the leader may send to it. Three states: probe (where do our
 * logs part? one message at a time), replicate (a window of messages), snapshot (nothing until it is restored).
 */
import { type InflightLimits, Inflights } from './inflights.ts'

/** How a leader treats a follower. */
export type ProgressState = 'StateProbe' | 'StateReplicate' | 'StateSnapshot'

/** What a new {@link Progress} starts from. */
export interface ProgressInit {
  readonly match: number
  readonly next: number
  readonly recentActive: boolean
  readonly limits: InflightLimits
}

/** The progress of one member. `match < next` always. */
export class Progress {
  state: ProgressState = 'StateProbe'
  /** Highest index known to be on the member. */
  match: number
  /** Index of the next entry to send; those between `match` and it are on their way. */
  next: number
  /** Whether it was heard since the last quorum check. */
  recentActive: boolean
  /** No more appends until something is heard: a probe is out, or the window is full. */
  flowPaused = false
  /** Index of the snapshot that is on its way; 0 for none. */
  pendingSnapshot = 0
  readonly inflights: Inflights
  /** Highest commit index on its way. */
  #sentCommit = 0

  constructor(init: ProgressInit) {
    this.match = init.match
    this.next = init.next
    this.recentActive = init.recentActive
    this.inflights = new Inflights(init.limits)
  }

  #enter(state: ProgressState): void {
    this.flowPaused = false
    this.pendingSnapshot = 0
    this.state = state
    this.inflights.reset()
  }

  becomeProbe(): void {
    // A snapshot that is known to have arrived is a better guess than the last acknowledgement.
    const pending = this.state === 'StateSnapshot' ? this.pendingSnapshot : 0
    this.#enter('StateProbe')
    this.next = Math.max(this.match, pending) + 1
    this.#limitSentCommit()
  }

  becomeReplicate(): void {
    this.#enter('StateReplicate')
    this.next = this.match + 1
  }

  becomeSnapshot(index: number): void {
    this.#enter('StateSnapshot')
    this.pendingSnapshot = index
    this.next = index + 1
    this.#sentCommit = index
  }

  /** A message with that many entries and bytes of commands was sent. */
  sentEntries(count: number, bytes: number): void {
    if (this.state === 'StateProbe') {
      if (count > 0) this.flowPaused = true
      return
    }
    if (count > 0) {
      this.next += count
      this.inflights.add(this.next - 1, bytes)
    }
    this.flowPaused = this.inflights.full
  }

  /** A commit index was sent. */
  sentCommit(index: number): void {
    this.#sentCommit = index
  }

  /** Whether sending this commit index can move the member's. */
  canBumpCommit(index: number): boolean {
    return index > this.#sentCommit && this.#sentCommit < this.next - 1
  }

  /** What was sent since may be lost, so a commit index is only counted as sent with the entries it covers. */
  #limitSentCommit(): void {
    this.#sentCommit = Math.min(this.#sentCommit, this.next - 1)
  }

  /** An append up to an index is acknowledged; false when that was known. */
  acknowledge(index: number): boolean {
    if (index <= this.match) return false
    this.match = index
    this.next = Math.max(this.next, index + 1)
    this.flowPaused = false
    return true
  }

  /**
   * An append behind `rejected` was refused; `hint` is where the logs may still agree.
   * @returns false when the refusal is stale.
   */
  decrease(rejected: number, hint: number): boolean {
    if (this.state === 'StateReplicate') {
      if (rejected <= this.match) return false
      this.next = this.match + 1
      this.#limitSentCommit()
      return true
    }
    // Probes go out one by one, so an answer to anything but the last one is old.
    if (this.next - 1 !== rejected) return false
    this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1)
    this.#limitSentCommit()
    this.flowPaused = false
    return true
  }

  /** Whether appends must wait. */
  get paused(): boolean {
    return this.state === 'StateSnapshot' || this.flowPaused
  }

  /** The progress in one line, for logs and status pages. */
  describe(isLearner: boolean): string {
    const { inflights } = this
    return [
      `${this.state} match=${this.match} next=${this.next}`,
      isLearner ? ' learner' : '',
      this.paused ? ' paused' : '',
      this.pendingSnapshot > 0 ? ` pendingSnap=${this.pendingSnapshot}` : '',
      this.recentActive ? '' : ' inactive',
      inflights.count > 0 ? ` inflight=${inflights.count}${inflights.full ? '[full]' : ''}` : '',
    ].join('')
  }
}
