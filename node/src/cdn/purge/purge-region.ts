/**
 * The purges in the log of this peer's region: carries out what others wrote there, in its order; writes this peer's own; and knows from it
 * who has done what, also of purges that were given to others, and after a restart.
 */
import type { Clock } from '../../clock.ts'
import type { RegionEntry, RegionFollower, WholeLog } from '../../coordination/region-follower.ts'
import type { RegionLog } from '../../coordination/region-log.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import { purgeLimits } from '../../limits/purge.ts'
import type { Logger } from '../../logger.ts'
import type { PurgeJournal } from './purge-journal.ts'
import type { OriginState, PurgeLedger } from './purge-ledger.ts'
import {
  decodePurge,
  isEntryOf,
  originKey,
  type Purge,
  purgeId,
  purgeNamed,
  type SignedPurge,
  verifyPurge,
} from './purge-message.ts'
import type { PurgeMetrics } from './purge-metrics.ts'
import type { PurgePresence } from './purge-presence.ts'
import { PurgeProgress } from './purge-progress.ts'
import type { PurgeTrust } from './purge-trust.ts'
import { PurgeWriter, type Written } from './purge-writer.ts'

/** What it works with. */
export interface PurgeRegionComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: PurgeMetrics
  readonly ledger: PurgeLedger
  readonly journal: PurgeJournal
  readonly trust: PurgeTrust
  readonly presence: PurgePresence
  readonly log: RegionLog
  /** This peer's id. */
  readonly peerId: string
  /** Is told of a peer that has come further. */
  readonly onProgress: (peerId: string) => void
  /** Is told of an own purge whose number another one has in the log. */
  readonly onTaken: (purge: Purge) => void
}

/** Entries whose signatures are checked in one turn. */
const VERIFIED_PER_TURN = 32

/** The region's purges as one peer sees them. */
export class PurgeRegion implements RegionFollower {
  readonly #components: PurgeRegionComponents
  readonly #progress: PurgeProgress
  readonly #writer: PurgeWriter

  constructor(components: PurgeRegionComponents) {
    this.#components = components
    this.#progress = new PurgeProgress(components)
    this.#writer = new PurgeWriter(components)
  }

  /** Begins to follow the log. */
  start(): void {
    this.#components.log.start(this)
  }

  /** Follows no more, and is no follower any more for others. */
  async stop(): Promise<void> {
    this.#writer.stop()
    await this.#components.log.stop()
  }

  /** Has the log read whole again; false when it was not followed until now. */
  askAnew(): boolean {
    const { log } = this.#components
    const wasFollowing = log.isFollowing
    log.relist()
    return wasFollowing
  }

  /** Waits until an own purge that was carried out here is in the log, a while at most. */
  async write(purge: Purge): Promise<Written> {
    return await this.#writer.write(purge)
  }

  /** True when the log of the region has a purge of this peer, or had it. */
  has(purge: Purge): boolean {
    const { journal, log, ledger } = this.#components
    const { ownThrough = 0 } = journal.regionMark ?? {}
    if (purge.epoch === journal.epoch && purge.sequence <= ownThrough) return true
    const entry = log.find(purgeId(purge))
    const known = ledger.find(purge)
    return entry !== undefined && known !== undefined && isEntryOf(known, entry)
  }

  /** Peers that follow the log, or did until some minutes ago without a goodbye. */
  members(): string[] {
    return [...this.#components.log.members.keys()]
  }

  /** Those of them that are not known to have done the newest in the log. */
  behind(): string[] {
    const newest = this.newest(purgeLimits.reportsMax).at(-1)
    if (newest === undefined) return []
    return this.members().filter((peerId) => !this.hasDone(peerId, newest))
  }

  /** True when a peer is known to have carried out a purge that is in the log. */
  hasDone(peerId: string, purge: Purge): boolean {
    const entry = this.#components.log.find(purgeId(purge))
    return entry !== undefined && this.#progress.hasDone(peerId, entry)
  }

  /** The newest purges in the log, oldest first. */
  newest(countMax: number): Purge[] {
    const newest = [...this.#components.log.entries()].slice(-countMax)
    return newest.flatMap((entry) => this.#readEntry(entry)?.purge ?? [])
  }

  /** A peer says what it knows. */
  note(peerId: string, state: readonly OriginState[] | 'same'): void {
    this.#progress.note(peerId, state, this.#revision)
  }

  async onWhole({ id, horizon, revision, askedMs }: WholeLog): Promise<void> {
    const { journal, log, presence } = this.#components
    const mark = journal.regionMark?.logId === id ? journal.regionMark : undefined
    if (mark === undefined) this.#progress.clear()
    // Purges that this peer has not read were trimmed: they may have come by another way, or not.
    const isGap = horizon > (mark?.revision ?? 0)
    if (isGap) await journal.forgetAll('region')
    await this.#take([...log.entries()])
    const ownThrough = mark?.ownThrough ?? 0
    // A crash must find this peer waiting for its region, and not forgetting everything again.
    const isUrgent = isGap || mark === undefined
    journal.markRegion({ logId: id, ownThrough, revision }, { isUrgent })
    if (!presence.readRegion(askedMs)) log.relist()
  }

  async onNews(entries: readonly RegionEntry[], revision: number): Promise<void> {
    await this.#take(entries)
    const { journal } = this.#components
    if (journal.regionMark !== undefined) journal.markRegion({ ...journal.regionMark, revision })
  }

  onFollowing(): void {
    this.#writer.wake()
  }

  onMember(peerId: string): void {
    this.#components.onProgress(peerId)
  }

  /** A peer that leaves purges out says nothing: another one would take its word for all of them. */
  taken(): number {
    return this.#progress.ignored().size > 0 ? 0 : this.#revision
  }

  ageMs({ name, seenMs }: RegionEntry): number {
    const { clock, ledger } = this.#components
    const purge = purgeNamed(name)
    const known = purge && ledger.find(purge)
    return known === undefined ? clock.monotonicMs() - seenMs : clock.now() - known.atMs
  }

  get #revision(): number {
    return this.#components.journal.regionMark?.revision ?? 0
  }

  /** Carries out what is not known here. Entries that are no purges are passed over: anybody in the region may write any. */
  async #take(entries: readonly RegionEntry[]): Promise<void> {
    const { journal, ledger, metrics, log, logger } = this.#components
    const { news, floors, isTooMuch } = await this.#read(entries)
    const isMuch = news.length > purgeLimits.oneByOneMax
    if (isMuch || floors.length > 0) await journal.carryOutMissed(news, floors)
    else await Promise.all(news.map((signed) => journal.carryOut(signed)))
    metrics.carriedOut.inc({ source: 'region', outcome: 'done' }, news.length)
    if (!isTooMuch) return
    // What cannot be remembered is carried out all the same.
    logger.warn({ origins: ledger.state().length, log: log.isFollowing }, 'too many purges to know')
    await journal.forgetAll('region')
  }

  async #read(
    entries: readonly RegionEntry[],
  ): Promise<{ news: SignedPurge[]; floors: OriginState[]; isTooMuch: boolean }> {
    const { ledger, trust } = this.#components
    const news: SignedPurge[] = []
    const floors = new Map<string, OriginState>()
    let isTooMuch = false
    for (const [index, entry] of entries.entries()) {
      const named = purgeNamed(entry.name)
      if (named === undefined || ledger.has(named) || !trust.believes(named.issuer)) continue
      if (index % VERIFIED_PER_TURN === VERIFIED_PER_TURN - 1) await nextTurn()
      const signed = this.#readEntry(entry, { verify: true })
      if (signed === undefined) continue
      const floor = this.#floorOf(signed.purge)
      if (this.#hasRoom(signed, floor?.floor ?? 0)) {
        news.push(signed)
        if (floor !== undefined) floors.set(originKey(floor), floor)
      } else isTooMuch = true
    }
    return { news, floors: [...floors.values()], isTooMuch }
  }

  /** Undefined for an entry that is no purge, or not the one that its name says, or not its issuer's. */
  #readEntry({ name, value }: RegionEntry, { verify = false } = {}): SignedPurge | undefined {
    const { metrics, logger } = this.#components
    try {
      const signed = decodePurge(value)
      if (purgeId(signed.purge) !== name) {
        throw new KairoError('ERR_PROTOCOL', 'a purge under the name of another')
      }
      if (verify) verifyPurge(signed)
      return signed
    } catch (error) {
      if (!isKairoError(error)) throw error
      // Told when it came.
      if (!verify) return undefined
      metrics.carriedOut.inc({ source: 'region', outcome: error.code })
      logger.debug({ err: error, entry: name }, 'passed over an entry of the region')
      return undefined
    }
  }

  #hasRoom(signed: SignedPurge, floor: number): boolean {
    const { ledger, clock } = this.#components
    try {
      ledger.expectRoom(signed, clock.now(), { floor })
      return true
    } catch (error) {
      if (!isKairoError(error, 'ERR_LIMIT')) throw error
      return false
    }
  }

  /** Where the log begins to tell of an origin; undefined unless what is known here ends far before that. */
  #floorOf(purge: Purge): OriginState | undefined {
    const { ledger, log } = this.#components
    const { issuer, epoch } = purge
    if (purge.sequence - ledger.through(purge) <= purgeLimits.aheadMax) return undefined
    let first = purge.sequence
    for (const { name } of log.entries()) {
      const other = purgeNamed(name)
      if (other !== undefined && originKey(other) === originKey(purge)) {
        first = Math.min(first, other.sequence)
      }
    }
    const floor = first - 1
    return { issuer, epoch, floor, through: floor, beyond: [] }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
