/**
 * Says in a region's log that this peer follows it, on a lease: whoever asks later whether all have come so far knows of whom to ask, also
 * after a restart. A peer writes once when it comes, and again when it has come back and caught up; in between its lease is only renewed.
 */
import type { Keyspace } from '@kairo/tracker'
import { TrackerError } from '@kairo/tracker/program'
import type { Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'
import { regionLogLimits as limits } from '../limits/region-log.ts'
import type { Logger } from '../logger.ts'
import { ID_KEY, memberKey } from './region-log-mirror.ts'
import { waitFor } from './wait-for.ts'

/** What a membership works with. */
export interface RegionLogMemberComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly keyspace: Keyspace
  /** This peer's id, base58. */
  readonly peerId: string
}

interface Registration {
  readonly logId: string
  readonly leaseId: string
}

/** This peer among those that follow. */
export class RegionLogMember {
  readonly #components: RegionLogMemberComponents
  readonly #ttlMs: number
  #registration: Registration | undefined
  /** What was said last, perhaps in vain: then it is said again when there is news. */
  #told: number | undefined
  #isNews = false
  #wake: (() => void) | undefined

  constructor(components: RegionLogMemberComponents, init: { readonly ttlMs: number }) {
    this.#components = components
    this.#ttlMs = init.ttlMs
  }

  /** This peer has caught up: how far it is may be news to others. */
  wake(): void {
    this.#isNews = true
    this.#wake?.()
  }

  /**
   * Keeps the registration until the signal is aborted.
   * @param logId the log that is followed now; undefined while none is.
   * @param taken up to which revision this peer has taken all.
   */
  async run(
    logId: () => string | undefined,
    taken: () => number,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, logger } = this.#components
    while (!signal.aborted) {
      const woken = new AbortController()
      this.#wake = () => woken.abort()
      const id = logId()
      let waitMs = this.#ttlMs * limits.renewShare
      try {
        if (id !== undefined) await this.#keep(id, taken(), signal)
      } catch (error) {
        logger.debug({ err: error }, 'the region does not know that this peer follows its log')
        waitMs = limits.retryMs
      }
      await waitFor(clock, waitMs, AbortSignal.any([signal, woken.signal]))
    }
  }

  /** Is no follower any more; what cannot be said now is so when the lease has run out. */
  async leave(): Promise<void> {
    const { keyspace, logger } = this.#components
    const registration = this.#registration
    this.#registration = undefined
    if (registration === undefined) return
    try {
      await keyspace.revokeLease(registration.leaseId, { timeoutMs: limits.releaseMsMax })
    } catch (error) {
      logger.info({ err: error }, 'the region was not told that this peer goes')
    }
  }

  async #keep(logId: string, taken: number, signal: AbortSignal): Promise<void> {
    const { keyspace } = this.#components
    const options = { timeoutMs: limits.callMs, signal }
    try {
      if (this.#registration?.logId === logId) {
        if (this.#isNews && this.#told !== taken)
          await this.#tell(this.#registration, taken, signal)
        else await keyspace.renewLease(this.#registration.leaseId, options)
        return
      }
    } catch (error) {
      if (!(error instanceof TrackerError) || error.code !== 'ERR_LEASE_NOT_FOUND') throw error
    }
    const registration = { logId, leaseId: await keyspace.grantLease(this.#ttlMs, options) }
    await this.#tell(registration, taken, signal)
    this.#registration = registration
  }

  async #tell({ logId, leaseId }: Registration, taken: number, signal: AbortSignal): Promise<void> {
    const { keyspace, peerId } = this.#components
    const value = Buffer.from(String(taken))
    this.#isNews = false
    const { succeeded } = await keyspace.transact(
      {
        // What was taken of one log says nothing in that of another region.
        when: [{ key: ID_KEY, value: Buffer.from(logId) }],
        then: [{ type: 'put', key: memberKey(peerId), value, leaseId }],
      },
      { timeoutMs: limits.callMs, signal },
    )
    if (!succeeded) throw new KairoError('ERR_NO_QUORUM', 'the log is that of another region now')
    this.#told = taken
  }
}
