/**
 * Runs the leases of a group at its leader. A lease that is renewed has only its deadline moved; it is looked at again when the old one
 * comes. One timer serves all, and none runs while there are no leases or somebody else leads.
 *
 * A lease's time is measured by the monotonic clock only: wall time that jumps would end leases early.
 */
import assert from 'node:assert/strict'
import type { CancelTimer, Clock } from '../clock.ts'
import { TrackerError } from '../errors.ts'
import { DeadlineHeap } from './deadline-heap.ts'
import { encodeCommand } from './encode-command.ts'
import type { Lease, LeaseTable } from './lease-table.ts'
import { leaseLimits } from './state-limits.ts'

/** What a keeper works with. */
interface LeaseKeeperComponents {
  readonly clock: Clock
  /** Proposes a command to the group; it may be lost, then it is proposed again. */
  propose(command: Uint8Array): void
}

/** What became of a renewal: for each lease, in the order asked, whether it goes on. One that does not is lost to its holder. */
export type Renewed = readonly boolean[]

/** The leases of one group while this member leads it. */
export class LeaseKeeper {
  readonly counters = { renewals: 0, renewalsRefused: 0, expiriesProposed: 0, wakes: 0 }
  readonly #components: LeaseKeeperComponents
  readonly #heap = new DeadlineHeap()
  #leases: LeaseTable
  #term: number | undefined = undefined
  #cancelTimer: CancelTimer | undefined = undefined
  #timerMs = Number.POSITIVE_INFINITY
  #lastWakeMs = Number.NEGATIVE_INFINITY

  constructor(components: LeaseKeeperComponents, leases: LeaseTable) {
    this.#components = components
    this.#leases = leases
  }

  /** This member begins to lead in a term, and gives every lease its whole time; or it leads no longer. */
  lead(term: number | undefined): void {
    if (term === this.#term) return
    this.#term = term
    this.#giveWholeTime()
  }

  /** The state was replaced. */
  restart(leases: LeaseTable): void {
    this.#heap.clear()
    this.#leases = leases
    this.#giveWholeTime()
  }

  /** A lease was granted. */
  granted(lease: Lease): void {
    if (this.#term === undefined) return
    this.#begin(lease, this.#components.clock.monotonicMs())
    this.#setTimer()
  }

  /** A lease ended. */
  ended(lease: Lease): void {
    this.#heap.remove(lease)
    if (this.#heap.size === 0) this.#stopTimer()
  }

  /**
   * Begins the time of leases anew, from now. To be called as soon as the request came; the answer may go out when, and only when, the
   * promise is fulfilled.
   * @param confirm fulfilled when a quorum has confirmed, after it was called, that this member leads; called once, here
   * @throws TrackerError ERR_NOT_LEADER, ERR_INVALID_INPUT; what `confirm` throws. Nothing is promised to a holder then
   */
  async renew(leaseIds: readonly string[], confirm: () => Promise<void>): Promise<Renewed> {
    const term = this.#term
    if (term === undefined) throw notLeader()
    if (leaseIds.length > leaseLimits.renewMax)
      throw new TrackerError('ERR_INVALID_INPUT', `${leaseLimits.renewMax} renewals at once`)
    const nowMs = this.#components.clock.monotonicMs()
    // Before anything is confirmed: no end of these leases is proposed meanwhile, and a longer time here harms nobody.
    const leases = leaseIds.map((leaseId) => {
      const lease = this.#leases.get(leaseId)
      if (lease === undefined || lease.isEnding) return undefined
      lease.deadlineMs = Math.max(lease.deadlineMs, nowMs + wholeTimeMs(lease))
      return lease
    })
    await confirm()
    if (this.#term !== term) throw notLeader()
    return leases.map((lease) => {
      const goesOn = lease !== undefined && !lease.isEnding && this.#leases.get(lease.id) === lease
      if (goesOn) this.counters.renewals += 1
      else this.counters.renewalsRefused += 1
      return goesOn
    })
  }

  #giveWholeTime(): void {
    this.#heap.clear()
    this.#stopTimer()
    if (this.#term === undefined) return
    const nowMs = this.#components.clock.monotonicMs()
    for (const lease of this.#leases.values()) this.#begin(lease, nowMs)
    this.#setTimer()
  }

  #begin(lease: Lease, nowMs: number): void {
    lease.isEnding = false
    lease.deadlineMs = nowMs + wholeTimeMs(lease)
    lease.wakeMs = lease.deadlineMs
    this.#heap.add(lease)
  }

  /** Sets the timer to when the first lease is to be looked at. */
  #setTimer(): void {
    const first = this.#heap.first()
    if (first === undefined) {
      this.#stopTimer()
      return
    }
    const wakeMs = Math.max(first.wakeMs, this.#lastWakeMs + leaseLimits.wakeGapMs)
    if (this.#cancelTimer !== undefined && this.#timerMs <= wakeMs) return
    this.#stopTimer()
    this.#timerMs = wakeMs
    const delayMs = Math.max(0, Math.ceil(wakeMs - this.#components.clock.monotonicMs()))
    this.#cancelTimer = this.#components.clock.after(delayMs, () => this.#wake())
  }

  #stopTimer(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#timerMs = Number.POSITIVE_INFINITY
  }

  #wake(): void {
    const term = this.#term
    assert(term !== undefined, 'only a leader has a timer')
    this.#cancelTimer = undefined
    this.#lastWakeMs = this.#components.clock.monotonicMs()
    this.counters.wakes += 1
    const commands: Uint8Array[] = []
    while (commands.length < leaseLimits.expireCommandsMax) {
      const leaseIds = this.#takeDue(this.#lastWakeMs)
      if (leaseIds.length === 0) break
      this.counters.expiriesProposed += leaseIds.length
      commands.push(encodeCommand({ type: 'expire-leases', term, leaseIds }))
    }
    this.#setTimer()
    // Last, for a command may be carried out before `propose` returns.
    for (const command of commands) this.#components.propose(command)
  }

  /** Leases whose time is up, as many as go into one command. From here on they are not renewed. */
  #takeDue(nowMs: number): string[] {
    const leaseIds: string[] = []
    let keys = 0
    while (leaseIds.length < leaseLimits.expireLeasesMax && keys < leaseLimits.expireKeysMax) {
      const lease = this.#heap.first()
      if (lease === undefined || lease.wakeMs > nowMs) break
      if (!lease.isEnding && lease.deadlineMs > nowMs) {
        this.#heap.postpone(lease, lease.deadlineMs)
        continue
      }
      lease.isEnding = true
      this.#heap.postpone(lease, nowMs + leaseLimits.proposeAgainMs)
      leaseIds.push(lease.id)
      keys += lease.size
    }
    return leaseIds
  }
}

/** How long a lease lasts by a clock that may run faster than its holder's. */
function wholeTimeMs(lease: Lease): number {
  return lease.ttlMs * (1 + leaseLimits.driftShare)
}

function notLeader(): TrackerError {
  return new TrackerError('ERR_NOT_LEADER', 'this member does not lead the group')
}
