/**
 * A lease as its holder holds it: renewed until it is let go, and over for the holder before it can be over for anybody else. The time of
 * each renewal counts from when it was asked for, less a margin for clocks that differ; what passes is the larger of monotonic and wall
 * time, since the first stands still while a machine sleeps.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import type { Keyspace } from '../coordination.ts'
import { TrackerError } from '../errors.ts'
import { ownershipLimits } from './ownership-limits.ts'

/** A moment by both clocks. */
interface Moment {
  readonly monotonicMs: number
  readonly wallMs: number
}

/** What a held lease works with. */
export interface HeldLeaseComponents {
  readonly keyspace: Keyspace
  readonly clock: Clock
}

/** A lease that is renewed. */
export class HeldLease {
  readonly id: string
  readonly ttlMs: number
  readonly #components: HeldLeaseComponents
  readonly #lost = new AbortController()
  #asked: Moment
  #cancelRenewal: CancelTimer | undefined
  #cancelEnd: CancelTimer | undefined

  private constructor(
    components: HeldLeaseComponents,
    lease: { readonly id: string; readonly ttlMs: number; readonly asked: Moment },
  ) {
    this.#components = components
    this.id = lease.id
    this.ttlMs = lease.ttlMs
    this.#asked = lease.asked
    this.#watchEnd()
    this.#renewLater(ownershipLimits.renewShare)
  }

  /** Grants a lease and holds it. @throws as `Keyspace.grantLease` */
  static async grant(
    components: HeldLeaseComponents,
    ttlMs: number,
    options: { readonly signal?: AbortSignal },
  ): Promise<HeldLease> {
    const asked = momentOf(components.clock)
    const id = await components.keyspace.grantLease(ttlMs, options)
    return new HeldLease(components, { id, ttlMs, asked })
  }

  /** Aborted the moment the lease may be over; its reason is a TrackerError ERR_LEASE_NOT_FOUND. */
  get signal(): AbortSignal {
    // A process that was held up learns of the time only now.
    if (this.leftMs <= 0) this.lose('its time is over')
    return this.#lost.signal
  }

  /** The lease is not the holder's any more. */
  lose(why: string): void {
    if (this.#lost.signal.aborted) return
    this.#stopTimers()
    const message = `the lease is lost: ${why}`
    this.#lost.abort(new TrackerError('ERR_LEASE_NOT_FOUND', message))
  }

  /**
   * Lets the lease go, with all keys that are put with it.
   * @throws as `Keyspace.revokeLease`; it ends by itself then
   */
  async release(): Promise<void> {
    const wasOver = this.#lost.signal.aborted
    this.lose('it was let go')
    if (!wasOver) await this.#components.keyspace.revokeLease(this.id)
  }

  /** What is left of the holder's time unless it is renewed; 0 or less once it is over. */
  get leftMs(): number {
    const now = momentOf(this.#components.clock)
    const passedMs = Math.max(
      now.monotonicMs - this.#asked.monotonicMs,
      now.wallMs - this.#asked.wallMs,
    )
    return this.ttlMs * (1 - ownershipLimits.driftShare) - passedMs
  }

  #watchEnd(): void {
    this.#cancelEnd?.()
    this.#cancelEnd = this.#components.clock.after(Math.max(0, this.leftMs), () => {
      if (this.leftMs <= 0) this.lose('it was not renewed in time')
      else this.#watchEnd()
    })
  }

  #renewLater(share: number): void {
    this.#cancelRenewal = this.#components.clock.after(this.ttlMs * share, () => {
      this.#renew().catch((error: unknown) => this.lose(String(error)))
    })
  }

  async #renew(): Promise<void> {
    const { keyspace, clock } = this.#components
    const leftMs = this.leftMs
    if (leftMs <= 0) {
      this.lose('its time is over')
      return
    }
    const asked = momentOf(clock)
    try {
      await keyspace.renewLease(this.id, { timeoutMs: leftMs, signal: this.#lost.signal })
    } catch (error) {
      if (this.#lost.signal.aborted) return
      const code = error instanceof TrackerError ? error.code : undefined
      if (code === 'ERR_LEASE_NOT_FOUND' || code === 'ERR_STOPPED' || code === undefined) {
        this.lose(String(error))
        return
      }
      // Until its time is over there may be a leader again.
      this.#renewLater(ownershipLimits.retryShare)
      return
    }
    // An answer that came too late gives nothing back: somebody may have been told already.
    if (this.signal.aborted) return
    this.#asked = asked
    this.#watchEnd()
    this.#renewLater(ownershipLimits.renewShare)
  }

  #stopTimers(): void {
    this.#cancelRenewal?.()
    this.#cancelEnd?.()
  }
}

function momentOf(clock: Clock): Moment {
  return { monotonicMs: clock.monotonicMs(), wallMs: clock.now() }
}
