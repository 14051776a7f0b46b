/**
 * Proposals of one group and what becomes of each. A proposal waits until the turn's batch goes to the core; then it has a place in
 * the log, and what is applied at that place decides: its own entry, or another's, which took its place.
 */
import { TrackerError } from '../errors.ts'
import type { ConfChange, Entry } from '../raft/types.ts'
import { driverLimits } from './driver-limits.ts'

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
  term: number
}

/** What may be asked for. */
export type Proposed =
  | { readonly command: Uint8Array; readonly change?: undefined }
  | { readonly change: ConfChange; readonly command?: undefined }

/** The proposals of one group. */
export class Proposals {
  #waiting: Proposal[] = []
  /** By index; in ascending order, as they were appended. */
  readonly #placed = new Map<number, Proposal>()
  /** Membership changes whose joint configuration is not left yet. */
  #joint: Proposal[] = []
  #count = 0
  #bytes = 0
  readonly #onOverload: () => void

  /** @param onOverload called when one is turned away because too many wait */
  constructor(onOverload: () => void) {
    this.#onOverload = onOverload
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
      this.#onOverload()
      return Promise.reject(new TrackerError('ERR_OVERLOADED', 'too many proposals wait'))
    }
    this.#count += 1
    this.#bytes += bytes
    return new Promise((resolve, reject) => {
      const { command, change } = proposed
      const [release, isOver, term] = [undefined, false, 0]
      const proposal: Proposal = { command, change, resolve, reject, bytes, release, isOver, term }
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
      proposal.term = term
      this.#placed.set(index, proposal)
    }
  }

  /** A batch was not appended: nothing was done. */
  refuse(batch: readonly Proposal[], error: TrackerError): void {
    for (const proposal of batch) {
      this.#forget(proposal)
      this.#end(proposal)?.reject(error)
    }
  }

  /** An entry was applied. `isJoint` for a change of membership that must still leave its joint configuration. */
  applied({ index, term, type, data }: Entry, result: unknown, isJoint: boolean): void {
    if (type !== 'EntryNormal' && !isJoint) this.#leaveJoint(result)
    const proposal = this.#placed.get(index)
    if (proposal === undefined) return
    this.#placed.delete(index)
    if (proposal.term !== term) {
      // Another leader's entry stands here, so this one is lost for certain.
      this.#end(proposal)?.reject(new TrackerError('ERR_UNAVAILABLE', 'another leader took over'))
    } else if (proposal.change !== undefined && type === 'EntryNormal' && data.length === 0) {
      const message = 'the change does not fit the configuration, or another one is under way'
      this.#end(proposal)?.reject(new TrackerError('ERR_UNAVAILABLE', message))
    } else if (isJoint && proposal.change !== undefined) {
      this.#joint.push(proposal)
      return
    } else {
      this.#end(proposal)?.resolve(result)
    }
    this.#forget(proposal)
  }

  /** Ends all: those that are in the log with one error, those that are not with another. */
  rejectAll(placed: TrackerError, waiting: TrackerError): void {
    for (const proposal of this.#placed.values()) this.#end(proposal)?.reject(placed)
    for (const proposal of this.#joint) this.#end(proposal)?.reject(placed)
    for (const proposal of this.#waiting) this.#end(proposal)?.reject(waiting)
    this.#placed.clear()
    this.#joint = []
    this.#waiting = []
    this.#count = 0
    this.#bytes = 0
  }

  #leaveJoint(result: unknown): void {
    for (const proposal of this.#joint) {
      this.#forget(proposal)
      this.#end(proposal)?.resolve(result)
    }
    this.#joint = []
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
