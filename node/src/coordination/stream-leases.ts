/**
 * Who owns the streams that this peer publishes, by the tracker of its region: one owner a stream among all peers that hold its key. What
 * ingest asks before it takes a publisher.
 */
import { randomBytes } from 'node:crypto'
import type { Coordination } from '@kairo/tracker'
import { Ownership } from '@kairo/tracker/program'
import { Counter, Gauge, type Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import { isKairoError, KairoError } from '../errors.ts'
import { streamLeaseLimits as limits } from '../limits/stream-leases.ts'
import type { Logger } from '../logger.ts'
import { HeldStream, type Numbers } from './held-stream.ts'

/** What stream leases need. */
export interface StreamLeasesComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly coordination: Coordination
  /** This peer's id, base58. */
  readonly peerId: string
  /** Whether this peer has a connection to that one: its lease is not waited for then. */
  readonly isConnected: (peerId: string) => boolean
  /** The other peer that says, with a token, that it owns and publishes a stream: who is believed where no region answers. */
  readonly heardOwner: (id: string) => string | undefined
}

/** How a stream is to be taken; see `ingest/stream-ownership.ts`, which says what is asked of this. */
export interface LeaseOptions {
  readonly numbers: Numbers
  readonly signal: AbortSignal
  readonly waitMsMax: number
  readonly onChange: () => void
}

/** A stream that was taken. */
export interface TakenStream {
  readonly isConfirmed: boolean
  readonly token: { readonly term: number; readonly index: number } | undefined
  readonly numbers: Numbers
  readonly lost: AbortSignal
  use(numbers: Numbers): void
  release(): void
}

/** Takes streams for this peer. */
export class StreamLeases {
  readonly #components: StreamLeasesComponents
  readonly #logger: Logger
  readonly #ownership: Ownership
  /** Those asked for and those taken; bounded by the publishers that ingest takes. */
  readonly #held = new Set<HeldStream>()
  readonly #releases = new Set<Promise<void>>()
  readonly #refused: Counter
  readonly #lost: Counter
  readonly #reserveFailures: Counter
  #isStopped = false

  constructor(components: StreamLeasesComponents) {
    this.#components = components
    this.#logger = components.logger.child({ name: 'kairo:stream-leases' })
    const { coordination, clock } = components
    this.#ownership = new Ownership({ coordination, clock })
    const registers = [components.registry]
    const held = this.#held
    new Gauge({
      name: 'kairo_stream_leases',
      help: 'Streams published here by what the region says: confirmed, or unconfirmed where it has not decided',
      labelNames: ['state'],
      registers,
      collect() {
        const taken = [...held].filter(({ isAdmitted }) => isAdmitted)
        const confirmed = taken.filter(({ isConfirmed }) => isConfirmed).length
        this.set({ state: 'confirmed' }, confirmed)
        this.set({ state: 'unconfirmed' }, taken.length - confirmed)
      },
    })
    this.#refused = new Counter({
      name: 'kairo_stream_leases_refused_total',
      help: 'Publishers refused because another peer owns the stream',
      registers,
    })
    this.#lost = new Counter({
      name: 'kairo_stream_leases_lost_total',
      help: 'Publications ended because another peer owns the stream',
      registers,
    })
    this.#reserveFailures = new Counter({
      name: 'kairo_stream_leases_reserve_failures_total',
      help: 'Reservations of segment numbers that the region did not take',
      registers,
    })
  }

  /**
   * Takes a stream. Where the region does not decide within `streamLeaseLimits.answerMsMax` it is taken unconfirmed, unless a reachable
   * peer says that it owns it.
   * @throws KairoError `ERR_PUBLISHER_ACTIVE` naming the peer that owns it, `ERR_STOPPED`; the signal's reason
   */
  async take(id: string, options: LeaseOptions): Promise<TakenStream> {
    if (this.#isStopped) throw new KairoError('ERR_STOPPED', 'the peer is shutting down')
    const { signal, ...init } = options
    signal.throwIfAborted()
    const held = this.#hold(id, init)
    this.#held.add(held)
    const onAbort = (): void => held.abort(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await held.admit()
      signal.throwIfAborted()
    } catch (error) {
      if (isKairoError(error, 'ERR_PUBLISHER_ACTIVE')) this.#refused.inc()
      this.#release(held)
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
    return this.#taken(held)
  }

  /** Milliseconds for which a stream is this peer's unless its lease is renewed; undefined for one that the region has not given it. */
  leftMsOf(id: string): number | undefined {
    return [...this.#held].find((held) => held.id === id)?.leftMs
  }

  /** Lets go of all streams; call it before the tracker stops. */
  async stop(): Promise<void> {
    this.#isStopped = true
    for (const held of this.#held) this.#release(held)
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = this.#components.clock.after(limits.releaseMsMax, resolve)
    await Promise.race([promise, Promise.all(this.#releases)])
    cancel()
  }

  #hold(id: string, init: Omit<LeaseOptions, 'signal'>): HeldStream {
    const { peerId } = this.#components
    const held: HeldStream = new HeldStream(
      {
        ...this.#components,
        logger: this.#logger,
        ownership: this.#ownership,
        onReserveFailure: () => this.#reserveFailures.inc(),
        onLost: () => {
          this.#lost.inc()
          this.#held.delete(held)
        },
      },
      { ...init, id, peerId, hold: randomBytes(9).toString('base64url') },
    )
    return held
  }

  #taken(held: HeldStream): TakenStream {
    return {
      get isConfirmed() {
        return held.isConfirmed
      },
      get token() {
        return held.token
      },
      get numbers() {
        return held.numbers
      },
      get lost() {
        return held.lost
      },
      use: (numbers) => held.use(numbers),
      release: () => this.#release(held),
    }
  }

  #release(held: HeldStream): void {
    this.#held.delete(held)
    const release = held.release().catch((error: unknown) => {
      this.#logger.info({ err: error }, 'a stream could not be let go; its lease runs out')
    })
    this.#releases.add(release)
    void release.then(() => this.#releases.delete(release))
  }
}
