/**
 * What is known of the peers that shield an origin: how soon each has its heads, whether one that is silent lives, and which are left
 * alone. A shield that waits for a slow origin answers pings and is waited for, so that the origin sees one request; one that
 * hangs does not.
 */
import { CircuitBreaker } from '../../circuit-breaker.ts'
import type { Clock } from '../../clock.ts'
import { LatencyWindow } from '../../content/fetch/latency-window.ts'
import { unlessAborted } from '../../deadline.ts'
import { cdnLimits, shieldBreakerLimits, shieldLatencyLimits } from '../../limits/cdn.ts'
import type { Logger } from '../../logger.ts'

/** What it works with. */
export interface ShieldHealthComponents {
  readonly clock: Clock
  readonly logger: Logger
  /** Asks a peer for a sign of life, beside all requests that wait for it. @throws when none comes. */
  readonly ping: (peerId: string, options: { readonly signal: AbortSignal }) => Promise<unknown>
}

interface KnownShield {
  readonly latencies: LatencyWindow
  readonly breaker: CircuitBreaker
  /** Monotonic milliseconds of its last head. */
  heardMs: number
  /** A look at whether it lives, for all who want to know. */
  probe: Promise<boolean> | undefined
}

/** Shields that were asked. */
export class ShieldHealth {
  readonly #components: ShieldHealthComponents
  readonly #known = new Map<string, KnownShield>()

  constructor(components: ShieldHealthComponents) {
    this.#components = components
  }

  /** True when it may be asked. One that was left alone for long enough is pinged first, behind the scenes: no client waits for that. */
  mayAsk(peerId: string): boolean {
    const shield = this.#of(peerId)
    if (!shield.breaker.isOpen) return true
    const trial = shield.breaker.begin()
    if (trial === undefined) return false
    const { shieldLooks } = cdnLimits
    void this.#probe(peerId, shield, shieldLooks).then((isAlive) =>
      trial.end(isAlive ? 'succeeded' : 'failed'),
    )
    return false
  }

  /** Silence after which it is looked at, milliseconds. */
  usualMs(peerId: string): number {
    return this.#of(peerId).latencies.hedgeMs
  }

  /** The head of an answer came, so long after its request. */
  answered(peerId: string, ms: number): void {
    const shield = this.#of(peerId)
    shield.heardMs = this.#components.clock.monotonicMs()
    shield.latencies.add(ms)
  }

  /** Another was faster: without it its latencies would only show its good days. */
  overtaken(peerId: string, ms: number): void {
    this.#of(peerId).latencies.add(ms)
  }

  /** It hangs, or its answer was none: it is left alone. */
  failed(peerId: string): void {
    const { breaker } = this.#of(peerId)
    // What was under way when that began is no news.
    if (!breaker.isOpen) breaker.begin()?.end('failed')
  }

  /**
   * Whether it gives a sign of life, a while at most.
   * @param options `isBusy`: it was busy before it fell silent, and gets more time.
   * @throws the signal's reason.
   */
  async isAlive(
    peerId: string,
    { isBusy, signal }: { readonly isBusy: boolean; readonly signal: AbortSignal },
  ): Promise<boolean> {
    const looks = isBusy ? cdnLimits.shieldBusyLooks : cdnLimits.shieldLooks
    return await unlessAborted(this.#probe(peerId, this.#of(peerId), looks), signal)
  }

  /** One at a time, whoever wants to know. */
  #probe(peerId: string, shield: KnownShield, looks: number): Promise<boolean> {
    shield.probe ??= this.#look(peerId, shield, looks).finally(() => {
      shield.probe = undefined
    })
    return shield.probe
  }

  /** In turns: what came while this very process was held up is read before the next turn is over. */
  async #look(peerId: string, shield: KnownShield, looks: number): Promise<boolean> {
    const { clock, logger } = this.#components
    const startMs = clock.monotonicMs()
    const own = new AbortController()
    let isAlive = false
    let ping: Promise<void> | undefined
    const send = async (): Promise<void> => {
      try {
        await this.#components.ping(peerId, { signal: own.signal })
        isAlive = true
      } catch (error) {
        // It may have been one ping too many at a time; whether it is gone, the request itself tells first.
        if (!own.signal.aborted) logger.debug({ err: error, peerId }, 'a shield was not pinged')
        ping = undefined
      }
    }
    for (let look = 0; look < looks; look += 1) {
      ping ??= send()
      await turn(clock, ping, () => isAlive)
      if (isAlive || shield.heardMs > startMs) break
    }
    own.abort()
    return isAlive || shield.heardMs > startMs
  }

  #of(peerId: string): KnownShield {
    const known = this.#known.get(peerId) ?? {
      latencies: new LatencyWindow(shieldLatencyLimits),
      breaker: new CircuitBreaker(this.#components, {
        ...shieldBreakerLimits,
        onOpened: () => this.#components.logger.info({ peer: peerId }, 'a shield is left alone'),
      }),
      heardMs: Number.NEGATIVE_INFINITY,
      probe: undefined,
    }
    // Newest last, so that the first is the one unused for the longest.
    this.#known.delete(peerId)
    this.#known.set(peerId, known)
    const [oldest] = this.#known.keys()
    if (this.#known.size > cdnLimits.shieldsKnownMax && oldest !== undefined) {
      this.#known.delete(oldest)
    }
    return known
  }
}

/** One turn of waiting, which a good answer ends. */
async function turn(clock: Clock, ping: Promise<void>, isOver: () => boolean): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const cancel = clock.after(cdnLimits.shieldLookMs, resolve)
  void ping.then(() => {
    if (isOver()) resolve()
  })
  await promise
  cancel()
}
