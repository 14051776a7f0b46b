/**
 * Catching up: asks other peers for the purges that this one has missed, each new neighbour at once and somebody every few seconds, so
 * that a message that was lost is found; keeps {@link PurgePresence} told.
 */
import type { CancelTimer, Clock } from '../../clock.ts'
import { type Deadline, deadline } from '../../deadline.ts'
import { type ErrorCode, isKairoError, KairoError } from '../../errors.ts'
import { purgeLimits } from '../../limits/purge.ts'
import type { Logger } from '../../logger.ts'
import type { PurgeAnswer } from '../../protocol/generated/purge_pb.js'
import type { PurgeChannels } from './purge-channels.ts'
import type { PurgeJournal } from './purge-journal.ts'
import type { OriginState, PurgeLedger } from './purge-ledger.ts'
import { originKey, readPurge, type SignedPurge, verifyPurge } from './purge-message.ts'
import type { PurgeMetrics } from './purge-metrics.ts'
import type { PurgePresence } from './purge-presence.ts'
import type { PurgeTrust } from './purge-trust.ts'
import { decodeState, encodeState } from './purge-wire.ts'

/** What catching up works with. */
export interface PurgeSyncComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: PurgeMetrics
  readonly channels: PurgeChannels
  readonly ledger: PurgeLedger
  readonly journal: PurgeJournal
  readonly trust: PurgeTrust
  readonly presence: PurgePresence
  /** Peers known alive. */
  readonly members: () => readonly string[]
  /** Peers to be asked before others, such as those that have not acknowledged a purge. */
  readonly wanted: () => readonly string[]
  /** Is told what a peer knows: its state, or that it is the same as here. */
  readonly onState: (peerId: string, state: readonly OriginState[] | 'same') => void
  /** Called every few seconds, after {@link PurgePresence} has been told the time. */
  readonly onRound: () => void
  /** A number in [0, 1). */
  readonly random: () => number
}

/** Purges whose signatures are checked in one turn. */
const VERIFIED_PER_TURN = 32

/** Asks others. */
export class PurgeSync {
  readonly #components: PurgeSyncComponents
  readonly #waiting = new Set<string>()
  readonly #asking = new Map<string, Promise<void>>()
  #stopping = new AbortController()
  #cancelTick: CancelTimer | undefined
  #roundMs = Number.NEGATIVE_INFINITY

  constructor(components: PurgeSyncComponents) {
    this.#components = components
  }

  /** Begins to ask. */
  start(): void {
    this.#stopping = new AbortController()
    this.#tick()
  }

  /** Gives up what is being asked and waits for it to end. */
  async stop(): Promise<void> {
    this.#cancelTick?.()
    this.#stopping.abort(new KairoError('ERR_STOPPED', 'the peer is shutting down'))
    this.#waiting.clear()
    await Promise.all(this.#asking.values())
  }

  /** Asks a peer soon; failures are counted and found again by a later round. */
  ask(peerId: string): void {
    if (this.#stopping.signal.aborted) return
    this.#waiting.add(peerId)
    this.#next()
  }

  /** Asks peers and waits for their answers, until the signal is aborted at most. */
  async askAll(peerIds: readonly string[], signal: AbortSignal): Promise<void> {
    const over = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
    for (const peerId of peerIds) this.ask(peerId)
    const isOpen = (peerId: string): boolean =>
      this.#waiting.has(peerId) || this.#asking.has(peerId)
    while (!signal.aborted && peerIds.some(isOpen)) {
      await Promise.race([over, ...this.#asking.values()])
    }
  }

  #tick(): void {
    const { clock, members, presence } = this.#components
    const neighbours = members()
    presence.tick(neighbours.length)
    const nowMs = clock.monotonicMs()
    // Whoever does not trust its cache asks at each tick, others now and then.
    if (!presence.isCaughtUp() || nowMs - this.#roundMs >= purgeLimits.syncIntervalMs) {
      this.#roundMs = nowMs
      this.#round(neighbours)
    }
    this.#cancelTick = clock.after(purgeLimits.tickMs, () => this.#tick())
  }

  #round(neighbours: readonly string[]): void {
    const { random, wanted, onRound } = this.#components
    onRound()
    const known = new Set(neighbours)
    for (const peerId of wanted()) if (known.has(peerId)) this.ask(peerId)
    const idle = neighbours.filter((peerId) => !this.#asking.has(peerId))
    const one = idle[Math.floor(random() * idle.length)]
    if (one !== undefined && this.#asking.size < purgeLimits.syncsMax) this.ask(one)
  }

  #next(): void {
    for (const peerId of this.#waiting) {
      if (this.#asking.size >= purgeLimits.syncsMax) return
      if (this.#asking.has(peerId)) continue
      this.#waiting.delete(peerId)
      const done = this.#sync(peerId).then((outcome) => {
        this.#components.metrics.syncs.inc({ outcome })
        this.#asking.delete(peerId)
        if (!this.#waiting.has(peerId)) this.#components.presence.heard(peerId)
        if (!this.#stopping.signal.aborted) this.#next()
      })
      this.#asking.set(peerId, done)
    }
  }

  async #sync(peerId: string): Promise<'same' | 'news' | 'nothing' | ErrorCode> {
    const { clock, logger, presence } = this.#components
    const askedMs = clock.monotonicMs()
    const limit = deadline(clock, purgeLimits.exchangeTimeoutMs, this.#stopping.signal)
    try {
      const { outcome, vouches } = await this.#catchUp(peerId, limit)
      presence.touch(vouches, askedMs)
      return outcome
    } catch (error) {
      logger.debug({ err: error, peer: peerId }, 'could not ask a peer for missed purges')
      return isKairoError(error) ? error.code : 'ERR_NO_PROVIDER'
    } finally {
      limit.clear()
    }
  }

  /** Asks until nothing is missing; the last question tells the other side that this one knows it all. */
  async #catchUp(
    peerId: string,
    { signal }: Deadline,
  ): Promise<{ outcome: 'same' | 'news' | 'nothing'; vouches: boolean }> {
    const { ledger, trust, channels, onState } = this.#components
    let hasNews = false
    for (let page = 0; page < purgeLimits.pagesMax; page += 1) {
      const short = await channels.call(peerId, { digest: ledger.digest() }, signal)
      if (short.same) {
        onState(peerId, 'same')
        return { outcome: hasNews ? 'news' : 'same', vouches: short.caughtUp }
      }
      const state = encodeState([...ledger.state(), ...trust.ignored()])
      const answer = await channels.call(peerId, { state }, signal)
      const theirs = decodeState(answer.state)
      onState(peerId, theirs)
      const isNews = await this.#take(answer, theirs)
      if (!isNews) {
        if (answer.more)
          throw new KairoError('ERR_PROTOCOL', 'a peer tells nothing but known purges')
        return { outcome: hasNews ? 'news' : 'nothing', vouches: answer.caughtUp }
      }
      hasNews = true
    }
    throw new KairoError(
      'ERR_LIMIT',
      `more purges are missing than ${purgeLimits.pagesMax} answers`,
    )
  }

  /** Carries out what an answer brings; false when it brings nothing new. */
  async #take(answer: PurgeAnswer, theirs: readonly OriginState[]): Promise<boolean> {
    const { ledger, journal, trust, clock, metrics } = this.#components
    if (answer.purges.length > purgeLimits.pagePurgesMax) {
      throw new KairoError('ERR_LIMIT', `an answer of ${answer.purges.length} purges is too long`)
    }
    const floors = new Map(theirs.map((origin) => [originKey(origin), origin.floor]))
    const news: SignedPurge[] = []
    let isNews = false
    for (const [index, wire] of answer.purges.entries()) {
      const signed = readPurge(wire)
      if (!trust.believes(signed.purge.issuer)) {
        isNews = trust.ignore(signed.purge) || isNews
        continue
      }
      if (ledger.has(signed.purge)) continue
      ledger.expectRoom(signed, clock.now(), {
        aheadMax: purgeLimits.beyondMax - purgeLimits.pagePurgesMax,
        floor: floors.get(originKey(signed.purge)) ?? 0,
      })
      verifyPurge(signed)
      news.push(signed)
      if (index % VERIFIED_PER_TURN === VERIFIED_PER_TURN - 1) await nextTurn()
    }
    const believed = theirs.filter(({ issuer }) => trust.believes(issuer))
    const hasGap = believed.some((origin) => ledger.isGap(origin, news))
    if (news.length === 0 && !hasGap) return isNews
    await journal.carryOutMissed(news, believed)
    metrics.carriedOut.inc({ source: 'missed', outcome: 'done' }, news.length)
    return true
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
