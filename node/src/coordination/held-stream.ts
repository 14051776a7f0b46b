/**
 * One stream as this peer holds it: asked for until the region decides, owned with a lease that is renewed, and published unconfirmed
 * where no region answers. Ends by itself when another peer owns the stream.
 */
import type { Coordination, FencingToken, Keyspace, KeyValue } from '@kairo/tracker'
import { type Owned, type Ownership, TrackerError } from '@kairo/tracker/program'
import type { Clock } from '../clock.ts'
import { isKairoError, KairoError } from '../errors.ts'
import { streamLeaseLimits as limits } from '../limits/stream-leases.ts'
import type { Logger } from '../logger.ts'
import {
  encodeValue,
  OWNER_KEY,
  ownerKeyspace,
  type ReservedNumbers,
  readOwner,
  readReserved,
  type StreamOwner,
} from './stream-lease-values.ts'

/** Where a stream's numbering stands. */
export interface Numbers {
  readonly nextMsn: number
  readonly discontinuitySequence: number
}

/** What a held stream works with. */
export interface HeldStreamComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly coordination: Coordination
  readonly ownership: Ownership
  /** Whether this peer has a connection to that one: then it lives. */
  readonly isConnected: (peerId: string) => boolean
  /** The other peer that says that a region made it the owner of a stream, and publishes it; hearsay, for when no region answers. */
  readonly heardOwner: (id: string) => string | undefined
  /** Numbers could not be reserved in the region. */
  readonly onReserveFailure: () => void
  /** The publication must end. */
  readonly onLost: () => void
}

/** How a stream is to be held. */
export interface HeldStreamInit {
  readonly id: string
  /** This peer's id. */
  readonly peerId: string
  /** Tells this hold from those before. */
  readonly hold: string
  readonly numbers: Numbers
  readonly waitMsMax: number
  readonly onChange: () => void
}

const SEQUENCE_KEY = 'sequence'

/** What became of an attempt. */
type Outcome = 'owned' | 'unanswered' | KairoError

/** A stream that this peer wants to publish, or publishes. */
export class HeldStream {
  readonly #components: HeldStreamComponents
  readonly #init: HeldStreamInit
  readonly #logger: Logger
  readonly #keyspace: Keyspace
  readonly #value: Uint8Array
  readonly #admission = Promise.withResolvers<void>()
  /** Aborted by {@link release} and when the stream is lost. */
  readonly #over = new AbortController()
  readonly #lost = new AbortController()
  #isAdmitted = false
  /** The region has answered: what is waited for is another peer's lease. */
  #isWaiting = false
  /** The region's time to answer is over. */
  #isLate = false
  #owned: Owned | undefined
  #token: FencingToken | undefined
  #numbers: Numbers
  #used: Numbers
  #reserved: Numbers | undefined
  #isReserving = false
  #reserveAfterMs = Number.NEGATIVE_INFINITY

  constructor(components: HeldStreamComponents, init: HeldStreamInit) {
    this.#components = components
    this.#init = init
    this.#logger = components.logger.child({ stream: init.id })
    this.#keyspace = components.coordination.keyspace(ownerKeyspace(init.id))
    const { peerId, hold } = init
    const sinceMs = Math.floor(components.clock.now())
    this.#value = encodeValue({ peerId, hold, sinceMs })
    this.#numbers = init.numbers
    this.#used = init.numbers
  }

  get isConfirmed(): boolean {
    return this.#owned !== undefined
  }

  /** The stream. */
  get id(): string {
    return this.#init.id
  }

  /** Milliseconds for which the stream is this peer's unless the lease is renewed; undefined where the region has not said that it is. */
  get leftMs(): number | undefined {
    return this.#owned?.leftMs
  }

  /** True once a publisher was taken. */
  get isAdmitted(): boolean {
    return this.#isAdmitted
  }

  get token(): FencingToken | undefined {
    return this.#token
  }

  get numbers(): Numbers {
    return this.#numbers
  }

  get lost(): AbortSignal {
    return this.#lost.signal
  }

  /**
   * Resolves when a publisher may be taken: the stream is owned, or the region does not say whose it is.
   * @throws KairoError `ERR_PUBLISHER_ACTIVE` when another peer owns it.
   */
  async admit(): Promise<void> {
    const cancel = this.#components.clock.after(limits.answerMsMax, () => {
      this.#isLate = true
      if (!this.#isWaiting) this.#decideAlone()
    })
    this.#run().catch((error: unknown) => {
      this.#logger.error({ err: error }, 'the lease of a stream is not asked for any more')
      this.#decideAlone()
    })
    try {
      await this.#admission.promise
    } finally {
      cancel()
    }
  }

  /** Gives a wait for admission up. */
  abort(reason: unknown): void {
    this.#admission.reject(reason)
  }

  use(numbers: Numbers): void {
    this.#used = larger(this.#used, numbers)
    const owned = this.#owned
    if (owned === undefined || this.#isReserving || !this.#isShort()) return
    if (this.#components.clock.monotonicMs() < this.#reserveAfterMs) return
    this.#isReserving = true
    this.#reserve(owned, ahead(this.#used))
      .catch((error: unknown) => {
        this.#reserveAfterMs = this.#components.clock.monotonicMs() + limits.retryMs
        this.#components.onReserveFailure()
        this.#logger.warn({ err: error }, 'could not reserve numbers of a stream in the region')
      })
      .finally(() => {
        this.#isReserving = false
      })
  }

  /** Others may own it from now on; numbers that were not used are given back. @throws what the engine throws */
  async release(): Promise<void> {
    if (this.#over.signal.aborted) return
    this.#over.abort(new KairoError('ERR_STOPPED', 'the stream was let go'))
    const owned = this.#owned
    this.#owned = undefined
    if (owned === undefined) return
    try {
      await this.#reserve(owned, this.#used)
    } finally {
      await owned.release()
    }
  }

  /** Asks until the stream is owned, and again when its lease is gone, until it is let go or lost. */
  async #run(): Promise<void> {
    const { signal } = this.#over
    while (!signal.aborted) {
      const outcome = await this.#attempt()
      if (signal.aborted) return
      if (outcome === 'owned') await this.#whileOwned()
      else if (outcome === 'unanswered') await this.#unanswered()
      else {
        this.#refuse(outcome)
        return
      }
    }
  }

  async #attempt(): Promise<Outcome> {
    const { signal } = this.#over
    try {
      return await this.#ask(signal)
    } catch (error) {
      if (signal.aborted) return 'unanswered'
      if (!(error instanceof TrackerError) && !isKairoError(error)) throw error
      this.#logger.debug({ code: error.code }, 'the region did not say whose a stream is')
      return 'unanswered'
    }
  }

  async #ask(signal: AbortSignal): Promise<Outcome> {
    const { ownership, isConnected } = this.#components
    const options = { ttlMs: limits.ttlMs, value: this.#value, signal }
    let owner: StreamOwner | undefined
    for (let takeovers = 0; takeovers < limits.takeoversMax; takeovers++) {
      const owned = await ownership.tryAcquire(this.#keyspaceName, OWNER_KEY, options)
      if (owned !== undefined) return await this.#begin(owned)
      const item = await this.#keyspace.get(OWNER_KEY, { signal })
      if (item === undefined) continue
      owner = readOwner(item.value)
      if (owner?.peerId === this.#init.peerId) {
        await this.#removeOwn(item, signal)
        continue
      }
      if (this.#isAdmitted || (owner !== undefined && isConnected(owner.peerId))) break
      const inherited = await this.#inherit(signal)
      return inherited === undefined ? refusal(owner) : await this.#begin(inherited)
    }
    return refusal(owner)
  }

  get #keyspaceName(): string {
    return ownerKeyspace(this.#init.id)
  }

  /** What this peer held before a restart, or is letting go just now: nobody publishes with it. */
  async #removeOwn({ modRevision }: KeyValue, signal: AbortSignal): Promise<void> {
    const when = [{ key: OWNER_KEY, modRevision }]
    await this.#keyspace.transact({ when, then: [{ type: 'delete', key: OWNER_KEY }] }, { signal })
  }

  /** The owner cannot be reached, so its lease may be about to run out. */
  async #inherit(signal: AbortSignal): Promise<Owned | undefined> {
    const { clock, ownership } = this.#components
    this.#isWaiting = true
    const wait = new AbortController()
    const waitMs = Math.min(limits.waitMsMax, this.#init.waitMsMax)
    const cancel = clock.after(waitMs, () => wait.abort())
    try {
      return await ownership.acquire(this.#keyspaceName, OWNER_KEY, {
        ttlMs: limits.ttlMs,
        value: this.#value,
        signal: AbortSignal.any([signal, wait.signal]),
      })
    } catch (error) {
      if (wait.signal.aborted && !signal.aborted) return undefined
      throw error
    } finally {
      cancel()
    }
  }

  /** The stream is this peer's; its numbers go on above all that were ever reserved. */
  async #begin(owned: Owned): Promise<Outcome> {
    try {
      const item = await this.#keyspace.get(SEQUENCE_KEY, { signal: owned.signal })
      const reserved = item === undefined ? undefined : this.#readReserved(item)
      const isClash =
        this.#isAdmitted &&
        reserved !== undefined &&
        reserved.peerId !== this.#init.peerId &&
        reserved.nextMsn > this.#numbers.nextMsn
      if (isClash) {
        await owned.release()
        return clash(reserved.peerId)
      }
      const floor = larger(this.#used, reserved ?? this.#used)
      if (!this.#isAdmitted) {
        this.#numbers = floor
        this.#used = floor
      }
      await this.#reserve(owned, larger(floor, ahead(this.#used)))
      this.#over.signal.throwIfAborted()
    } catch (error) {
      // What went wrong is told; a lease that cannot be let go runs out.
      await owned.release().catch(() => undefined)
      throw error
    }
    this.#owned = owned
    this.#token = owned.token
    const wasAdmitted = this.#isAdmitted
    this.#accept()
    if (wasAdmitted) {
      this.#logger.info(owned.token, 'the region confirms that this peer owns a stream')
      this.#init.onChange()
    }
    return 'owned'
  }

  #readReserved(item: KeyValue): ReservedNumbers | undefined {
    const reserved = readReserved(item.value)
    if (reserved === undefined) {
      this.#logger.warn({}, 'the numbers of a stream in the region cannot be read')
    }
    return reserved
  }

  /** Only by the owner: one that is none any more changes nothing. */
  async #reserve(owned: Owned, numbers: Numbers): Promise<void> {
    const { nextMsn, discontinuitySequence } = numbers
    const { peerId } = this.#init
    const value = encodeValue({ peerId, nextMsn, discontinuitySequence })
    const { succeeded } = await this.#keyspace.transact({
      when: [{ key: OWNER_KEY, value: this.#value }],
      then: [{ type: 'put', key: SEQUENCE_KEY, value }],
    })
    if (succeeded) this.#reserved = numbers
    // Finds the same, and the lease is lost.
    else await owned.update(this.#value)
  }

  async #whileOwned(): Promise<void> {
    const { signal } = this.#owned ?? this.#over
    await aborted(AbortSignal.any([signal, this.#over.signal]))
    if (this.#over.signal.aborted) return
    this.#owned = undefined
    this.#logger.warn({ err: signal.reason }, 'the lease of a published stream is lost')
    this.#init.onChange()
  }

  async #unanswered(): Promise<void> {
    if (this.#isLate) this.#decideAlone()
    const { clock } = this.#components
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = clock.after(this.#isAdmitted ? limits.retryMs : limits.askAgainMs, resolve)
    await Promise.race([promise, aborted(this.#over.signal)])
    cancel()
  }

  /** No region says whose the stream is: the publisher is taken, unless an owner that a region made can be heard and reached. */
  #decideAlone(): void {
    if (this.#isAdmitted || this.#over.signal.aborted) return
    const { heardOwner, isConnected } = this.#components
    const peerId = heardOwner(this.#init.id)
    if (peerId !== undefined && isConnected(peerId)) {
      this.#refuse(refusal({ peerId }))
      return
    }
    this.#logger.warn({}, 'a publisher is taken unconfirmed: no region says whose its stream is')
    this.#accept()
  }

  #accept(): void {
    this.#isAdmitted = true
    this.#admission.resolve()
  }

  #refuse(reason: KairoError): void {
    this.#admission.reject(reason)
    this.#over.abort(reason)
    if (!this.#isAdmitted) return
    this.#lost.abort(reason)
    this.#components.onLost()
  }

  /** Half a block is left in time for the next to be reserved. */
  #isShort(): boolean {
    const margin = limits.sequenceBlock / 2
    const left = this.#reserved ?? this.#used
    return (
      left.nextMsn - this.#used.nextMsn < margin ||
      left.discontinuitySequence - this.#used.discontinuitySequence < margin
    )
  }
}

function refusal(owner: Pick<StreamOwner, 'peerId'> | undefined): KairoError {
  const who = owner === undefined ? 'another peer' : `the peer ${owner.peerId}`
  return new KairoError('ERR_PUBLISHER_ACTIVE', `${who} publishes this stream`)
}

function clash(peerId: string): KairoError {
  const message = `the peer ${peerId} published this stream meanwhile; publish again to go on after it`
  return new KairoError('ERR_PUBLISHER_ACTIVE', message)
}

function larger(a: Numbers, b: Numbers): Numbers {
  return {
    nextMsn: Math.max(a.nextMsn, b.nextMsn),
    discontinuitySequence: Math.max(a.discontinuitySequence, b.discontinuitySequence),
  }
}

function ahead({ nextMsn, discontinuitySequence }: Numbers): Numbers {
  const block = limits.sequenceBlock
  return { nextMsn: nextMsn + block, discontinuitySequence: discontinuitySequence + block }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  const { promise, resolve } = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => resolve(), { once: true })
  return promise
}
