/**
 * Proposals of one group and what becomes of each. A proposal waits until the turn's batch goes to the core; then it has a place in
 * the log, and what is applied decides: the entry of its index and term, which is its own whoever leads by then, or one of a later term
 * before that, which shows that it is lost. So those in the log outlive the leadership in which they were made, for a while.
 */
import { TrackerError } from '../errors.ts'
import type { ConfChange, Entry } from '../raft/types.ts'
import { driverLimits } from './driver-limits.ts'
import { PlacedProposals } from './placed-proposals.ts'

/** Somebody who waits for an outcome. */
export interface Proposal {
  /** Undefined for a membership change. */
  readonly command: Uint8Array | undefined
  readonly change: ConfChange | undefined
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
  readonly bytes: number
  /** Stops listening to the caller's signal. */
  release: (() => void) | undefined
  isOver: boolean
  /** Its place in the log; 0 until it has one. */
  index: number
  term: number
  /** Until when it is kept, monotonic milliseconds; infinite under the leader that placed it. */
  untilMs: number
}

/** What may be asked for. */
export type Proposed =
  | { readonly command: Uint8Array; readonly change?: undefined }
  | { readonly change: ConfChange; readonly command?: undefined }

/** What the proposals of a group need of it. */
export interface ProposalsInit {
  /** Called when one is turned away because too many wait. */
  readonly onOverload: () => void
  /** What a caller is told whose proposal is not done for certain, because another leader took over. */
  readonly lostError: () => TrackerError
}

/** The proposals of one group. */
export class Proposals {
  #waiting: Proposal[] = []
  readonly #placed = new PlacedProposals()
  /** Membership changes whose joint configuration is not left yet. */
  #joint: Proposal[] = []
  /** Empty but within a call. */
  readonly #lost: Proposal[] = []
  #count = 0
  #bytes = 0
  readonly #init: ProposalsInit

  constructor(init: ProposalsInit) {
    this.#init = init
  }

  /** Proposals that take room. */
  get count(): number {
    return this.#count
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0
  }

  /**
   * Takes a proposal in.
   * @returns its outcome; rejects with TrackerError ERR_OVERLOADED, and with what it is rejected with later
   */
  add(proposed: Proposed, signal: AbortSignal | undefined): Promise<unknown> {
    const bytes = proposed.command?.length ?? 0
    if (signal?.aborted) return Promise.reject(givenUp(signal, 'ERR_UNAVAILABLE'))
    if (
      this.#count >= driverLimits.proposalsMax ||
      (this.#bytes > 0 && this.#bytes + bytes > driverLimits.proposalBytesMax)
    ) {
      this.#init.onOverload()
      return Promise.reject(new TrackerError('ERR_OVERLOADED', 'too many proposals wait'))
    }
    this.#count += 1
    this.#bytes += bytes
    return new Promise((resolve, reject) => {
      const { command, change } = proposed
      const proposal: Proposal = {
        ...{ command, change, resolve, reject, bytes },
        ...{ release: undefined, isOver: false, index: 0, term: 0, untilMs: Infinity },
      }
      this.#waiting.push(proposal)
      if (signal === undefined) return
      const onAbort = () => this.#abort(proposal, signal)
      signal.addEventListener('abort', onAbort, { once: true })
      proposal.release = () => signal.removeEventListener('abort', onAbort)
    })
  }

  /** The batch of this turn: at most so many that still want an outcome. */
  takeBatch(): Proposal[] {
    const most = driverLimits.proposalsAtOnce
    const taken = this.#waiting.length <= most ? this.#waiting : this.#waiting.slice(0, most)
    this.#waiting = taken === this.#waiting ? [] : this.#waiting.slice(most)
    if (!taken.some(({ isOver }) => isOver)) return taken
    for (const proposal of taken) if (proposal.isOver) this.#forget(proposal)
    return taken.filter(({ isOver }) => !isOver)
  }

  /** A batch was appended: `entries` ends with it, one entry for each proposal, in order. */
  place(batch: readonly Proposal[], entries: readonly Entry[]): void {
    const from = entries.length - batch.length
    for (let at = 0; at < batch.length; at++) {
      const { index, term } = entries[from + at] as Entry
      const proposal = batch[at] as Proposal
      proposal.index = index
      proposal.term = term
      this.#placed.push(proposal)
    }
  }

  /** Nothing was done, nor will be: a batch was not appended, or what was is lost. */
  refuse(batch: readonly Proposal[], error: TrackerError): void {
    for (const proposal of batch) this.#fail(proposal, error)
  }

  /** An entry was applied. `isJoint` for a change of membership that must still leave its joint configuration. */
  applied({ index, term, type, data }: Entry, result: unknown, isJoint: boolean): void {
    if (type !== 'EntryNormal' && !isJoint) this.#leaveJoint(result)
    const owner = this.#placed.take(index, term, this.#lost)
    if (this.#lost.length > 0) this.refuse(this.#lost.splice(0), this.#init.lostError())
    if (owner === undefined) return
    if (owner.change !== undefined && type === 'EntryNormal' && data.length === 0) {
      const message = 'the change does not fit the configuration, or another one is under way'
      this.#fail(owner, new TrackerError('ERR_UNAVAILABLE', message))
    } else if (isJoint && owner.change !== undefined) {
      this.#joint.push(owner)
    } else {
      this.#end(owner)?.resolve(result)
      this.#forget(owner)
    }
  }

  /**
   * Leadership went. What is not in the log is not done, and ends with `error`; the rest is kept until a time.
   * @returns how many are kept
   */
  keep(untilMs: number, error: TrackerError): number {
    this.#failWaiting(error)
    let kept = 0
    for (const proposal of [...this.#placed.all(), ...this.#joint]) {
      if (proposal.untilMs !== Infinity) continue
      proposal.untilMs = untilMs
      kept += 1
    }
    return kept
  }

  /** Time has passed. @returns how many were kept until now, and end without a known outcome */
  expire(nowMs: number): number {
    const isOver = (proposal: Proposal | undefined) =>
      proposal !== undefined && proposal.untilMs <= nowMs
    if (!isOver(this.#placed.first) && !isOver(this.#joint[0])) return 0
    return this.#giveUp(isOver, 'the leader changed, and nothing was heard of it since')
  }

  /**
   * The state was replaced by one that has all entries up to `index`.
   * @returns how many may be among them, and end without a known outcome
   */
  passed(index: number): number {
    const why = 'the leader changed, and the state came as a whole'
    return this.#giveUp((proposal) => proposal.index <= index, why)
  }

  /** Ends all: those that are not in the log with `error`, those that are without a known outcome. */
  stop(error: TrackerError): void {
    this.#failWaiting(error)
    this.#giveUp(() => true, 'the group stopped', error)
  }

  #leaveJoint(result: unknown): void {
    for (const proposal of this.#joint) {
      this.#forget(proposal)
      this.#end(proposal)?.resolve(result)
    }
    this.#joint = []
  }

  #failWaiting(error: TrackerError): void {
    const waiting = this.#waiting
    this.#waiting = []
    this.refuse(waiting, error)
  }

  /** Ends those in the log of which `is` holds. @returns how many that were */
  #giveUp(is: (proposal: Proposal) => boolean, why: string, cause?: TrackerError): number {
    const over = [...this.#placed.remove(is), ...this.#joint.filter(is)]
    if (over.length === 0) return 0
    this.#joint = this.#joint.filter((proposal) => !is(proposal))
    const message = `it may or may not be done: ${why}`
    const options = cause === undefined ? {} : { cause }
    const error = new TrackerError('ERR_UNKNOWN_OUTCOME', message, options)
    for (const proposal of over) this.#fail(proposal, error)
    return over.length
  }

  #fail(proposal: Proposal, error: TrackerError): void {
    this.#forget(proposal)
    this.#end(proposal)?.reject(error)
  }

  #abort(proposal: Proposal, signal: AbortSignal): void {
    const isAppended = proposal.term > 0
    this.#end(proposal)?.reject(
      givenUp(signal, isAppended ? 'ERR_UNKNOWN_OUTCOME' : 'ERR_UNAVAILABLE'),
    )
  }

  /** Whom to tell; undefined when the caller was told something already. */
  #end(proposal: Proposal): Proposal | undefined {
    if (proposal.isOver) return undefined
    proposal.isOver = true
    proposal.release?.()
    return proposal
  }

  /** It takes no more room. What a caller gave up does until it is clear what became of it. */
  #forget(proposal: Proposal): void {
    this.#count -= 1
    this.#bytes -= proposal.bytes
  }
}

function givenUp(signal: AbortSignal, code: 'ERR_UNKNOWN_OUTCOME' | 'ERR_UNAVAILABLE') {
  const message = code === 'ERR_UNAVAILABLE' ? 'given up before it was done' : 'given up meanwhile'
  return new TrackerError(code, message, { cause: signal.reason })
}
