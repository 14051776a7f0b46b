/**
 * Finds the network again from memory. A peer with few connections dials whom it remembers, so a network heals whose
 * bootstrap peers are all gone; one with enough still tries those that it lost, so the halves of a network that was cut
 * find each other when it mends. Pauses grow and are partly random; trying goes on for days.
 */
import { Counter, type Registry } from 'prom-client'
import { backoffMs } from '../backoff.ts'
import type { CancelTimer, Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'
import { rememberedLimits } from '../limits/reach.ts'
import type { Logger } from '../logger.ts'
import type { Libp2pHost } from './libp2p-host.ts'
import type { RememberedPeer } from './peer-memory.ts'

/** What redialling needs. */
export interface RedialComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly host: Pick<Libp2pHost, 'dial' | 'peers' | 'rememberedPeers' | 'onDisconnect'>
  /** A number in [0, 1), for jitter. */
  readonly random: () => number
}

/** The rounds of dialling remembered peers. */
export class Redial {
  readonly #components: RedialComponents
  readonly #logger: Logger
  readonly #dials: Counter<'outcome'>
  /** Peers whose connection went while this peer ran, and when, newest last. */
  readonly #lost = new Map<string, number>()
  /** The round in which each peer was last tried. */
  readonly #triedIn = new Map<string, number>()
  #stopping = new AbortController()
  #cancelDisconnect: (() => void) | undefined
  #cancelTimer: CancelTimer | undefined
  #round: Promise<void> = Promise.resolve()
  #rounds = 0
  /** Rounds in a row that reached nobody. */
  #failures = 0

  constructor(components: RedialComponents) {
    this.#components = components
    this.#logger = components.logger
    this.#dials = new Counter({
      name: 'kairo_join_redials_total',
      help: 'Remembered peers that were dialled, by outcome.',
      labelNames: ['outcome'],
      registers: [components.registry],
    })
  }

  /** Dials at once, and again as it is needed; the host must be running. */
  start(): void {
    this.#stopping = new AbortController()
    this.#cancelDisconnect = this.#components.host.onDisconnect((peerId) => this.#onLost(peerId))
    this.#schedule(0)
  }

  /** Gives up dials under way. */
  async stop(): Promise<void> {
    this.#cancelDisconnect?.()
    this.#cancelTimer?.()
    this.#stopping.abort(new KairoError('ERR_STOPPED', 'the peer is shutting down'))
    await this.#round
  }

  #isLonely(): boolean {
    return this.#components.host.peers().length < rememberedLimits.lonelyConnectionsMax
  }

  #onLost(peerId: string): void {
    this.#lost.delete(peerId)
    this.#lost.set(peerId, this.#components.clock.monotonicMs())
    for (const oldest of this.#lost.keys()) {
      if (this.#lost.size <= rememberedLimits.lostMax) break
      this.#lost.delete(oldest)
    }
    this.#failures = 0
    this.#scheduleNext()
  }

  #scheduleNext(): void {
    const { random } = this.#components
    const { lostRetryMsMin, lostRetryMsMax, retryJitterShare } = rememberedLimits
    if (this.#isLonely()) {
      this.#schedule(backoffMs(rememberedLimits, this.#failures, random))
    } else if (this.#lost.size > 0) {
      const bounds = { retryMsMin: lostRetryMsMin, retryMsMax: lostRetryMsMax, retryJitterShare }
      this.#schedule(backoffMs(bounds, this.#failures, random))
    }
  }

  #schedule(delayMs: number): void {
    if (this.#stopping.signal.aborted) return
    this.#cancelTimer?.()
    this.#cancelTimer = this.#components.clock.after(delayMs, () => {
      this.#round = this.#round.then(() => this.#dialRound())
    })
  }

  async #dialRound(): Promise<void> {
    const { signal } = this.#stopping
    if (signal.aborted) return
    this.#rounds++
    try {
      const peers = await this.#candidates()
      const reached = await Promise.all(peers.map((peer) => this.#dial(peer)))
      const count = reached.filter(Boolean).length
      this.#failures = count > 0 ? 0 : this.#failures + 1
      if (peers.length > 0) {
        this.#logger.debug({ tried: peers.length, reached: count }, 'dialled remembered peers')
      }
    } catch (error) {
      if (!signal.aborted) this.#logger.warn({ err: error }, 'cannot read the remembered peers')
      this.#failures++
    }
    this.#scheduleNext()
  }

  /** Whom to dial this round: those not tried for the longest, and of these the ones seen last. */
  async #candidates(): Promise<RememberedPeer[]> {
    const { clock, host } = this.#components
    const connected = new Set(host.peers())
    const oldestMs = clock.monotonicMs() - rememberedLimits.lostMsMax
    for (const [peerId, sinceMs] of this.#lost) {
      if (connected.has(peerId) || sinceMs < oldestMs) this.#lost.delete(peerId)
    }
    const isLonely = this.#isLonely()
    if (!isLonely && this.#lost.size === 0) return []
    const remembered = await host.rememberedPeers(rememberedLimits.candidatesMax)
    const chosen = remembered
      .filter(({ peerId }) => isLonely || this.#lost.has(peerId))
      .sort((a, b) => this.#lastTried(a) - this.#lastTried(b))
      .slice(0, rememberedLimits.dialsPerRoundMax)
    for (const { peerId } of chosen) {
      this.#triedIn.delete(peerId)
      this.#triedIn.set(peerId, this.#rounds)
    }
    for (const oldest of this.#triedIn.keys()) {
      if (this.#triedIn.size <= rememberedLimits.candidatesMax) break
      this.#triedIn.delete(oldest)
    }
    return chosen
  }

  #lastTried({ peerId }: RememberedPeer): number {
    return this.#triedIn.get(peerId) ?? 0
  }

  async #dial({ peerId, addresses }: RememberedPeer): Promise<boolean> {
    const targets = addresses.map((address) =>
      address.endsWith(`/p2p/${peerId}`) ? address : `${address}/p2p/${peerId}`,
    )
    try {
      const { signal } = this.#stopping
      await this.#components.host.dial(targets, { signal, isHearsay: true })
      this.#lost.delete(peerId)
      this.#dials.inc({ outcome: 'ok' })
      return true
    } catch (error) {
      this.#dials.inc({ outcome: 'failed' })
      this.#logger.debug({ err: error, peer: peerId }, 'a remembered peer is not reached')
      return false
    }
  }
}
