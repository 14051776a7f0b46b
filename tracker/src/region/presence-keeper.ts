/**
 * Keeps a member's presence in the region's keyspace, on a lease of its own: it is there as long as the member is. That
 * the lease could be renewed is also how a member knows that its region decides things.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import type { Keyspace } from '../coordination.ts'
import { TrackerError } from '../errors.ts'
import type { RaftLogger } from '../raft/types.ts'
import {
  encodePresence,
  founderId,
  type PresenceRecord,
  presenceKey,
  rosterKey,
} from './member-record.ts'
import { regionTimes } from './region-limits.ts'
import type { RegionMembers } from './region-members.ts'

/** What a member tells of itself; asked for again and again. */
export interface PeerFacts {
  readonly isReachable: boolean
  /** From 0 to 1. */
  readonly load: number
  readonly roles: readonly string[]
}

/** What the keeper needs. */
export interface PresenceComponents {
  readonly clock: Clock
  readonly keyspace: Keyspace
  readonly members: RegionMembers
  readonly peerFacts: () => PeerFacts
  readonly logger: RaftLogger
  /** A renewal or a write went through: the region decides things. */
  readonly onDecided: () => void
  /** The region does not know this member, or knows a later start of it. Told once. */
  readonly onExpelled: () => void
}

/** Who is present. */
export interface PresenceInit {
  readonly memberId: number
  readonly peerId: string
  readonly incarnation: number
}

/** The keeper. */
export class PresenceKeeper {
  readonly #components: PresenceComponents
  readonly #init: PresenceInit
  readonly #abort = new AbortController()
  #cancel: CancelTimer | undefined
  #isRunning = false
  #isAgain = false
  #isClaimed = false
  #isLeaving = false
  #leaseId: string | undefined
  #sinceMs: number | undefined
  #written: PresenceRecord | undefined
  #writtenAtMs = 0
  /** Leases that ran out under a member that was there. */
  lapses = 0

  constructor(components: PresenceComponents, init: PresenceInit) {
    this.#components = components
    this.#init = init
  }

  start(): void {
    this.#poke()
  }

  /** Says that this member goes for good, so that others take its seats. */
  leave(): void {
    this.#isLeaving = true
    this.#poke()
  }

  /** What it says changed in a way that others should know at once. */
  touch(): void {
    this.#writtenAtMs = Number.NEGATIVE_INFINITY
    this.#poke()
  }

  /** Ends the presence; what the keyspace holds of it goes at once if that can be done in one call. */
  async stop(): Promise<void> {
    this.#cancel?.()
    this.#abort.abort()
    const leaseId = this.#leaseId
    this.#leaseId = undefined
    if (leaseId === undefined) return
    try {
      await this.#components.keyspace.revokeLease(leaseId, { timeoutMs: regionTimes.askAgainMs })
    } catch (error) {
      // It ends by itself soon.
      this.#components.logger.debug?.(`the presence ends by its lease: ${error}`)
    }
  }

  #poke(): void {
    if (this.#abort.signal.aborted) return
    if (this.#isRunning) {
      this.#isAgain = true
      return
    }
    this.#cancel?.()
    this.#isRunning = true
    void this.#round().finally(() => {
      this.#isRunning = false
      if (this.#isAgain) {
        this.#isAgain = false
        this.#poke()
      }
    })
  }

  async #round(): Promise<void> {
    let waitMs = regionTimes.presenceMs / 3
    try {
      await this.#renew()
      this.#components.onDecided()
    } catch (error) {
      if (this.#abort.signal.aborted) return
      waitMs = regionTimes.askAgainMs
      this.#components.logger.debug?.(`the presence is not renewed: ${error}`)
    }
    if (this.#abort.signal.aborted) return
    this.#cancel = this.#components.clock.after(waitMs, () => this.#poke())
  }

  async #renew(): Promise<void> {
    const { keyspace, members } = this.#components
    const { memberId, peerId, incarnation } = this.#init
    const options = { signal: this.#abort.signal, timeoutMs: regionTimes.requestMs }
    if (!this.#isClaimed) {
      // Of a region that was just founded; one that is known stays as it is.
      if (memberId === founderId) await members.found(peerId, options)
      const claim = await members.claim(memberId, peerId, incarnation, options)
      if (claim !== 'confirmed') {
        this.#components.logger.warn?.(`the region says that member ${memberId} is ${claim}`)
        this.#abort.abort()
        this.#components.onExpelled()
        return
      }
      this.#isClaimed = true
    }
    if (this.#leaseId !== undefined) {
      try {
        await keyspace.renewLease(this.#leaseId, options)
      } catch (error) {
        if (!(error instanceof TrackerError) || error.code !== 'ERR_LEASE_NOT_FOUND') throw error
        this.#lapse()
      }
    }
    if (this.#leaseId === undefined) {
      this.#leaseId = await keyspace.grantLease(regionTimes.presenceMs, options)
      this.#written = undefined
    }
    await this.#write(this.#leaseId, options)
  }

  async #write(leaseId: string, options: { readonly signal: AbortSignal }): Promise<void> {
    const { keyspace, members, clock } = this.#components
    const { memberId } = this.#init
    if (this.#sinceMs === undefined) {
      // A restart that was faster than the lease is no lapse.
      const before = await members.presence(memberId, options)
      this.#sinceMs = before?.sinceMs ?? Math.max(0, Math.floor(clock.now()))
    }
    const record = this.#record(this.#sinceMs)
    if (!this.#isWorthWriting(record)) return
    const when = { key: rosterKey(memberId), exists: true } as const
    const put = {
      ...({ type: 'put', key: presenceKey(memberId), leaseId } as const),
      value: encodePresence(record),
    }
    const then = [put]
    const { succeeded } = await keyspace.transact({ when: [when], then }, options)
    if (!succeeded) {
      this.#isClaimed = false
      throw new TrackerError('ERR_NOT_A_MEMBER', 'this member was struck off')
    }
    this.#written = record
    this.#writtenAtMs = clock.monotonicMs()
  }

  #record(sinceMs: number): PresenceRecord {
    const { peerId, incarnation } = this.#init
    const { isReachable, load, roles } = this.#components.peerFacts()
    const isLeaving = this.#isLeaving
    return { peerId, incarnation, sinceMs, isReachable, isLeaving, load, roles }
  }

  /** A load that moves is told now and then; all else at once. */
  #isWorthWriting(record: PresenceRecord): boolean {
    const { clock } = this.#components
    if (this.#written === undefined) return true
    const { load, ...rest } = record
    const { load: oldLoad, ...oldRest } = this.#written
    if (JSON.stringify(rest) !== JSON.stringify(oldRest)) return true
    const age = clock.monotonicMs() - this.#writtenAtMs
    return Math.abs(load - oldLoad) >= 0.1 && age >= regionTimes.presenceChangeMs
  }

  #lapse(): void {
    this.lapses += 1
    this.#leaseId = undefined
    // The time of being there without a lapse begins anew.
    this.#sinceMs = Math.max(0, Math.floor(this.#components.clock.now()))
  }
}
