/**
 * Whether this peer can have missed purges, from what it has heard of others and when. Pure but for the clock.
 *
 * A peer that starts, was paused, or has had no good answer of a neighbour for a while does not trust its cache until a neighbour that has
 * missed nothing has answered, or until it has waited and there is none. Neither does it while a neighbour that has just come has not
 * been heard: it may come from the other side of a partition. Where a region keeps a log, that is read first too, unless the region does
 * not answer in time.
 */
import type { Clock } from '../../clock.ts'
import { purgeLimits } from '../../limits/purge.ts'
import { TokenBuckets } from '../../token-buckets.ts'

/** Why the cache is not trusted. */
export type LostReason = 'start' | 'pause' | 'silence' | 'alone'

/** What presence needs. */
export interface PurgePresenceComponents {
  readonly clock: Clock
  /** Is told when the answer of {@link PurgePresence.isCaughtUp} changes; with the reason when it becomes false. */
  readonly onChange: (lost: LostReason | undefined) => void
  /** Has the region's log read again. False when it was not followed until now, and so is not to be waited for. */
  readonly askRegion?: () => boolean
  /** The region was waited for in vain. */
  readonly onRegionSilent?: () => void
}

/** Where one peer stands. */
export class PurgePresence {
  readonly #clock: Clock
  readonly #onChange: (lost: LostReason | undefined) => void
  readonly #askRegion: () => boolean
  readonly #onRegionSilent: () => void
  #status: 'catching-up' | 'caught-up' = 'catching-up'
  /** No neighbour was ever expected or seen: there is nobody from whom anything could have been missed. */
  #isLone = false
  #sinceMs: number
  /** The last good answer, and the last time that one was waited for in vain. */
  #touchedMs = Number.NEGATIVE_INFINITY
  #foundMs = Number.NEGATIVE_INFINITY
  #tickedMs: number
  #tickedWallMs: number
  /** A neighbour has answered since {@link PurgePresence.#sinceMs}, though it is catching up itself. */
  #heardEqual = false
  /** Neighbours to be heard first, and when that began. */
  readonly #unheard = new Map<string, number>()
  readonly #hearOuts: TokenBuckets
  /** Since when the region's log is to be read again; undefined when it was, or is not waited for. */
  #regionSinceMs: number | undefined

  constructor(components: PurgePresenceComponents) {
    const { askRegion = () => false, onRegionSilent = () => {} } = components
    this.#clock = components.clock
    this.#onChange = components.onChange
    this.#askRegion = askRegion
    this.#onRegionSilent = onRegionSilent
    this.#sinceMs = this.#tickedMs = components.clock.monotonicMs()
    this.#tickedWallMs = components.clock.now()
    const { hearOutsBurst: burst, hearOutsPerSecond: perSecond } = purgeLimits
    this.#hearOuts = new TokenBuckets(components, { burst, perSecond, bucketsMax: 1 })
  }

  /** True when nothing can have been missed, as far as is known. Notices a pause of the process by itself. */
  isCaughtUp(): boolean {
    if (this.#wasPaused()) this.#lose('pause', this.#clock.monotonicMs())
    return this.#status === 'caught-up' && this.#isHeard()
  }

  /** True when what this peer knows may be relied on by the one that asks. */
  vouchesTo(peerId: string): boolean {
    if (this.#isLone) return true
    const isHeard = [...this.#unheard.keys()].every((unheard) => unheard === peerId)
    return (
      isHeard &&
      this.#regionSinceMs === undefined &&
      !this.#wasPaused() &&
      this.#status === 'caught-up'
    )
  }

  /**
   * Begins anew.
   * @param expectsNeighbours false for a peer that knows of none.
   * @param expectsRegion true for one that has read a region's log before.
   */
  start(expectsNeighbours: boolean, expectsRegion = false): void {
    const nowMs = this.#clock.monotonicMs()
    this.#isLone = !expectsNeighbours
    this.#touchedMs = Number.NEGATIVE_INFINITY
    this.#lose('start', nowMs)
    this.#regionSinceMs = expectsRegion && expectsNeighbours ? nowMs : undefined
    if (this.#isLone) this.#find()
  }

  /** Looks at the time; to be called every `purgeLimits.tickMs`. */
  tick(neighbours: number): void {
    const nowMs = this.#clock.monotonicMs()
    if (this.#wasPaused()) this.#lose('pause', nowMs)
    this.#noteTick()
    for (const [peerId, sinceMs] of this.#unheard) {
      if (nowMs - sinceMs > purgeLimits.hearOutMsMax) this.heard(peerId)
    }
    if (nowMs - (this.#regionSinceMs ?? nowMs) > purgeLimits.regionWaitMs) {
      this.#onRegionSilent()
      this.#passRegion()
    }
    const heardMs = Math.max(this.#touchedMs, this.#foundMs)
    const isSilent = neighbours > 0 && nowMs - heardMs > purgeLimits.inTouchMsMax
    if (isSilent && this.#status === 'caught-up') this.#lose('silence', nowMs)
    if (this.#status === 'catching-up' && this.#hasWaited(nowMs, neighbours)) this.#find()
  }

  /** A neighbour has come: one that was alone until now may have missed what was said elsewhere. */
  meet(): void {
    const nowMs = this.#clock.monotonicMs()
    const isOutOfTouch = nowMs - this.#touchedMs > purgeLimits.inTouchMsMax
    if (this.#status === 'caught-up' && isOutOfTouch) this.#lose('alone', nowMs)
  }

  /**
   * Waits for the answer of this neighbour, a moment at most, before the cache is trusted.
   * @returns false when that was asked too often: whoever only comes and goes must not keep a cache from serving.
   */
  hearOut(peerId: string): boolean {
    if (this.#unheard.has(peerId)) return true
    if (!this.#hearOuts.take('all')) return false
    this.#unheard.set(peerId, this.#clock.monotonicMs())
    return true
  }

  /** The neighbour has answered, or cannot. */
  heard(peerId: string): void {
    const wasWaiting = this.#unheard.delete(peerId)
    if (wasWaiting && this.#isHeard() && this.#status === 'caught-up') this.#onChange(undefined)
  }

  /**
   * The region's log was read, and all in it is known here.
   * @param askedMs monotonic time of the question, as for {@link PurgePresence.touch}.
   * @returns false when purges may have been missed after the question: it is to be read again.
   */
  readRegion(askedMs: number): boolean {
    if (this.#wasPaused()) this.#lose('pause', this.#clock.monotonicMs())
    if (this.#regionSinceMs !== undefined && askedMs >= this.#regionSinceMs) this.#passRegion()
    return this.#regionSinceMs === undefined
  }

  /**
   * A neighbour has answered, and all that it knows is known here.
   * @param vouches as it says of itself.
   * @param askedMs monotonic time of the question: an answer to one from before a pause says nothing of what was said during it.
   */
  touch(vouches: boolean, askedMs: number): void {
    if (this.#wasPaused()) this.#lose('pause', this.#clock.monotonicMs())
    if (askedMs < this.#sinceMs) return
    this.#heardEqual = true
    if (vouches) this.#touchedMs = this.#clock.monotonicMs()
    if (vouches || this.#isLone) this.#find()
    this.#isLone = false
  }

  #isHeard(): boolean {
    return this.#unheard.size === 0 && this.#regionSinceMs === undefined
  }

  #passRegion(): void {
    this.#regionSinceMs = undefined
    if (this.#status === 'caught-up' && this.#isHeard()) this.#onChange(undefined)
  }

  #hasWaited(nowMs: number, neighbours: number): boolean {
    const waitedMs = nowMs - this.#sinceMs
    const isAnswered = neighbours === 0 || this.#heardEqual
    return waitedMs > (isAnswered ? purgeLimits.aloneMs : purgeLimits.unansweredMs)
  }

  #lose(reason: LostReason, nowMs: number): void {
    const wasCaughtUp = this.#status === 'caught-up'
    this.#status = 'catching-up'
    this.#heardEqual = false
    this.#sinceMs = nowMs
    if (this.#askRegion() || this.#regionSinceMs !== undefined) this.#regionSinceMs = nowMs
    this.#noteTick()
    if (wasCaughtUp || reason === 'start') this.#onChange(reason)
  }

  #find(): void {
    this.#foundMs = this.#clock.monotonicMs()
    if (this.#status === 'caught-up') return
    this.#status = 'caught-up'
    this.#onChange(undefined)
  }

  /** A process that was stopped sees it by the monotonic clock, a machine that slept only by the wall clock. */
  #wasPaused(): boolean {
    const elapsedMs = this.#clock.monotonicMs() - this.#tickedMs
    const wallMs = this.#clock.now() - this.#tickedWallMs
    return Math.max(elapsedMs, wallMs) > purgeLimits.pauseMs
  }

  #noteTick(): void {
    this.#tickedMs = this.#clock.monotonicMs()
    this.#tickedWallMs = this.#clock.now()
  }
}
