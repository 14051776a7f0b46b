/**
 * Carries purges out at this peer: first they are on disk, then the cache has forgotten, then they count as known. After a crash at any
 * instant the cache can ask what came after a response was stored ({@link PurgeJournal.since}).
 */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import { isKairoError } from '../../errors.ts'
import { purgeLimits } from '../../limits/purge.ts'
import type { Logger } from '../../logger.ts'
import type { PurgeLogRecord, PurgeRegionMark } from '../../protocol/generated/purge_pb.js'
import type { Purgeable, PurgeMode, PurgeSelector } from '../purge-selector.ts'
import { type LogRecord, PurgeFile } from './purge-file.ts'
import { isHardEverything, type OriginState, type PurgeLedger } from './purge-ledger.ts'
import { purgeId, readPurge, type SignedPurge } from './purge-message.ts'
import type { PurgeMetrics } from './purge-metrics.ts'
import type { PurgeStorage } from './purge-storage.ts'
import { decodeOrigin, encodeOrigin } from './purge-wire.ts'

/** What a journal works with. */
export interface PurgeJournalComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: PurgeMetrics
  readonly ledger: PurgeLedger
  readonly purgeable: Purgeable
}

/** What a cached response has to be judged by. */
export interface PurgesSince {
  /** True when purges have been that are not known any more: the response is to be forgotten. */
  readonly everything: boolean
  /** Oldest first. */
  readonly purges: readonly { readonly selector: PurgeSelector; readonly mode: PurgeMode }[]
}

/** How far this peer is in the log that its region keeps of purges. */
export interface RegionMark {
  /** Tells the logs of regions apart. */
  readonly logId: string
  /** All up to this revision was carried out here. */
  readonly revision: number
  /** Own purges of the epoch up to here are in the log, or were. */
  readonly ownThrough: number
}

const EVERYTHING: PurgeSelector = { by: 'everything' }
const EPOCH_BYTES = 8

/** The purges of one peer, in memory, on disk and in force. */
export class PurgeJournal {
  readonly #components: PurgeJournalComponents
  readonly #ledger: PurgeLedger
  readonly #file: PurgeFile
  readonly #inFlight = new Map<string, Promise<number>>()
  /** What the newest purges took, by their id: whoever tells of one again is told the same. */
  readonly #took = new Map<string, number>()
  /** Of what was carried out, and of what was given a number. */
  #generation = 0
  #allocated = 0
  #gapGeneration = 0
  #inTouchAtMs = 0
  #epoch = newEpoch()
  #regionMark: RegionMark | undefined
  #isMarkNews = false

  constructor(components: PurgeJournalComponents, init: { readonly storage: PurgeStorage }) {
    this.#components = components
    this.#ledger = components.ledger
    this.#file = new PurgeFile({
      storage: init.storage,
      snapshot: () => this.#snapshot(),
    })
  }

  /** The epoch under which this peer issues. */
  get epoch(): string {
    return this.#epoch
  }

  /** How far this peer was in its region's log when it read it last; undefined when it never did. */
  get regionMark(): RegionMark | undefined {
    return this.#regionMark
  }

  /** Counts what was carried out here; a response carries the one at which it was asked for. */
  get generation(): number {
    return this.#generation
  }

  /**
   * Reads the log. A peer that has none, or a damaged one, or that was away for longer than others keep theirs, forgets all that it has cached.
   * @throws KairoError `ERR_STORAGE` when there is a log that cannot be read.
   */
  async start(): Promise<void> {
    const { records, isWhole } = await this.#file.read()
    const isRead = this.#load(records) && isWhole
    const nowMs = this.#components.clock.now()
    const awayMs = nowMs - this.#inTouchAtMs
    this.#file.requestRewrite()
    if (isRead && awayMs >= 0 && awayMs <= purgeLimits.logAgeMsMax) return
    // Numbers that were given out before and lost are not used again: neither ours towards others, nor those of responses.
    if (!isRead) {
      this.#epoch = newEpoch()
      this.#regionMark = undefined
    }
    this.#allocated = Math.max(this.#allocated, Math.floor(nowMs))
    this.#inTouchAtMs = nowMs
    await this.forgetAll(isRead ? 'away' : 'log')
  }

  /** Closes the log; nothing is carried out any more. */
  async stop(): Promise<void> {
    await this.#file.close()
  }

  /** Begins anew after the log has turned out to be an older copy: under another epoch, and with an empty cache. */
  async startOver(): Promise<void> {
    this.#epoch = newEpoch()
    if (this.#regionMark !== undefined) this.#regionMark = { ...this.#regionMark, ownThrough: 0 }
    this.#file.requestRewrite()
    await this.forgetAll('log')
  }

  /**
   * Carries a purge out; one that was carried out before, or came by another way meanwhile, changes nothing.
   * @param own true refuses a purge that the disk does not keep, so that its number is never used twice; else it is carried out all the
   * same before the error is thrown.
   * @returns responses that it took here; 0 when that is not remembered.
   * @throws KairoError `ERR_STORAGE` when the disk refuses it.
   */
  async carryOut(signed: SignedPurge, { own = false } = {}): Promise<number> {
    const id = purgeId(signed.purge)
    if (this.#ledger.has(signed.purge)) return this.#took.get(id) ?? 0
    const known = this.#inFlight.get(id)
    if (known !== undefined) return await known
    const work = this.#carryOut(signed, own)
    this.#inFlight.set(id, work)
    try {
      return await work
    } finally {
      this.#inFlight.delete(id)
      this.#compact()
    }
  }

  /**
   * Carries out what was missed, all in one turn: a few one by one, many, or with one of everything among them, as one of everything.
   * @param floors origins as another peer knows them: those whose missing purges have left its log count as everything too.
   * @throws KairoError `ERR_STORAGE` when the disk refuses them; they are carried out all the same.
   */
  async carryOutMissed(
    purges: readonly SignedPurge[],
    floors: readonly OriginState[],
  ): Promise<void> {
    const gaps = floors.filter((origin) => this.#ledger.isGap(origin, purges))
    if (purges.length === 0 && gaps.length === 0) return
    const numbered = purges.map((signed) => ({ ...signed, generation: this.#number() }))
    const generation = this.#number()
    const commit = (): void => {
      const news = numbered.filter(({ purge }) => !this.#ledger.has(purge))
      const atMs = this.#components.clock.now()
      for (const known of news) this.#ledger.add({ ...known, atMs })
      for (const origin of gaps) this.#ledger.skipTo(origin)
      this.#generation = Math.max(this.#generation, generation)
      if (gaps.length > 0) this.#gap('floor', generation)
      else this.#purgeMissed(news)
    }
    const records: LogRecord[] = numbered.map((known) => this.#recordOf(known))
    if (gaps.length > 0) {
      records.push({ gap: true, generation: wire(generation), floors: gaps.map(floorRecord) })
    }
    await this.#append(records, commit)
    this.#compact()
  }

  /** What was carried out here after a response was asked for, by the generation that it carries. */
  since(generation: number): PurgesSince {
    const oldest = Math.max(this.#gapGeneration, this.#ledger.droppedGeneration)
    if (generation < oldest || generation > this.#generation)
      return { everything: true, purges: [] }
    const purges = [...this.#ledger.entries()]
      .filter((entry) => entry.generation > generation)
      .map(({ purge: { selector, mode } }) => ({ selector, mode }))
    return { everything: false, purges }
  }

  /**
   * Notes how far this peer is in its region's log. The disk hears of it with the next record, since what is read twice does no harm.
   * @param isUrgent at once, since it hangs on it what is done after a crash.
   */
  markRegion(mark: RegionMark, { isUrgent = false } = {}): void {
    this.#regionMark = mark
    this.#isMarkNews = true
    if (isUrgent) this.#writeSoon([])
  }

  /** Notes that nothing has been missed until now; the disk hears of it in the background. */
  note(): void {
    this.#inTouchAtMs = this.#components.clock.now()
    this.#writeSoon([{ atMs: wire(this.#inTouchAtMs) }])
  }

  #writeSoon(records: readonly LogRecord[]): void {
    this.#file
      .append([...records, ...this.#markRecords()], () => {})
      .catch((error: Error) => {
        this.#components.logger.warn(
          { err: error },
          'the log of purges is not kept; after a restart the cache is empty',
        )
      })
  }

  async #carryOut(signed: SignedPurge, own: boolean): Promise<number> {
    const known = { ...signed, generation: this.#number() }
    const commit = (): void => {
      if (this.#ledger.has(signed.purge)) return
      this.#purgeOne(signed)
      this.#ledger.add({ ...known, atMs: this.#components.clock.now() })
      this.#generation = Math.max(this.#generation, known.generation)
    }
    await this.#append([this.#recordOf(known)], commit, own)
    return this.#took.get(purgeId(signed.purge)) ?? 0
  }

  async #append(records: readonly LogRecord[], commit: () => void, own = false): Promise<void> {
    try {
      await this.#file.append([...records, ...this.#markRecords()], commit)
    } catch (error) {
      if (!own && isKairoError(error, 'ERR_STORAGE')) commit()
      throw error
    }
  }

  /** Forgets all that is cached: purges were missed that nobody can tell any more. */
  async forgetAll(reason: 'away' | 'log' | 'region'): Promise<void> {
    const generation = this.#number()
    const commit = (): void => {
      this.#generation = Math.max(this.#generation, generation)
      this.#gap(reason, generation)
    }
    try {
      await this.#append([{ gap: true, generation: wire(generation) }], commit)
    } catch (error) {
      this.#components.logger.warn({ err: error }, 'the log of purges is not kept')
    }
  }

  /** What the file does not say yet; a write that fails is followed by one of everything. */
  #markRecords(): LogRecord[] {
    if (!this.#isMarkNews || this.#regionMark === undefined) return []
    this.#isMarkNews = false
    return [{ region: markRecord(this.#regionMark) }]
  }

  #gap(reason: 'away' | 'log' | 'floor' | 'region', generation: number): void {
    const { metrics, logger } = this.#components
    this.#gapGeneration = generation
    metrics.gaps.inc({ reason })
    const purged = this.#purge(EVERYTHING, 'hard')
    logger.info({ reason, purged }, 'forgot all cached responses: purges may have been missed')
  }

  #purgeMissed(purges: readonly SignedPurge[]): void {
    const covers = purges.some(({ purge }) => isHardEverything(purge))
    if (covers || purges.length > purgeLimits.oneByOneMax) {
      if (!covers) this.#components.metrics.limits.inc({ limit: 'oneByOneMax' })
      this.#purge(EVERYTHING, 'hard')
      return
    }
    for (const signed of purges) this.#purgeOne(signed)
  }

  #purgeOne({ purge }: SignedPurge): void {
    this.#took.set(purgeId(purge), this.#purge(purge.selector, purge.mode))
    for (const oldest of this.#took.keys()) {
      if (this.#took.size <= purgeLimits.tookMax) break
      this.#took.delete(oldest)
    }
  }

  #purge(selector: PurgeSelector, mode: PurgeMode): number {
    const purged = this.#components.purgeable.purge(selector, mode)
    this.#components.metrics.purgedResponses.inc(purged)
    return purged
  }

  #number(): number {
    this.#allocated = Math.max(this.#allocated, this.#generation) + 1
    return this.#allocated
  }

  #compact(): void {
    if (this.#ledger.size <= purgeLimits.logPurgesMax) return
    if (this.#ledger.compact(this.#components.clock.now())) {
      this.#components.metrics.limits.inc({ limit: 'logPurgesMax' })
      this.#file.requestRewrite()
    }
  }

  #recordOf({ wire: purge, generation }: SignedPurge & { readonly generation: number }): LogRecord {
    return { purge, generation: wire(generation), atMs: wire(this.#components.clock.now()) }
  }

  #snapshot(): LogRecord[] {
    this.#ledger.compact(this.#components.clock.now())
    const head: LogRecord = {
      epoch: this.#epoch,
      generation: wire(this.#generation),
      droppedGeneration: wire(this.#ledger.droppedGeneration),
      atMs: wire(this.#inTouchAtMs),
      floors: this.#ledger.state().map(floorRecord),
      ...(this.#regionMark !== undefined && { region: markRecord(this.#regionMark) }),
    }
    const gap = { gap: true, generation: wire(this.#gapGeneration) }
    const purges = [...this.#ledger.entries()].map(({ wire: purge, generation, atMs }) => ({
      ...{ purge, generation: wire(generation), atMs: wire(atMs) },
    }))
    return [head, gap, ...purges]
  }

  /** Takes over what was read; false when a record makes no sense. */
  #load(records: readonly PurgeLogRecord[]): boolean {
    const nowMs = this.#components.clock.now()
    try {
      for (const record of records) this.#loadRecord(record, nowMs)
    } catch (error) {
      if (!isKairoError(error)) throw error
      this.#components.logger.warn({ err: error }, 'the log of purges is damaged')
      return false
    }
    this.#allocated = this.#generation
    return records.length > 0
  }

  #loadRecord(record: PurgeLogRecord, nowMs: number): void {
    const generation = Number(record.generation)
    const atMs = Number(record.atMs)
    this.#generation = Math.max(this.#generation, generation)
    if (record.epoch !== '') this.#epoch = record.epoch
    this.#ledger.restoreDropped(Number(record.droppedGeneration))
    if (record.gap) this.#gapGeneration = generation
    if (record.region !== undefined) this.#regionMark = readMark(record.region)
    if (record.purge === undefined) this.#inTouchAtMs = Math.max(this.#inTouchAtMs, atMs)
    for (const floor of record.floors) this.#ledger.restoreFloor(decodeOrigin(floor), nowMs)
    if (record.purge === undefined) return
    const signed = readPurge(record.purge)
    if (!this.#ledger.has(signed.purge)) this.#ledger.add({ ...signed, generation, atMs })
  }
}

function newEpoch(): string {
  return randomBytes(EPOCH_BYTES).toString('hex')
}

function wire(value: number): bigint {
  return BigInt(Math.floor(value))
}

function floorRecord({ issuer, epoch, floor }: OriginState): ReturnType<typeof encodeOrigin> {
  return encodeOrigin({ issuer, epoch, floor, through: floor, beyond: [] })
}

function markRecord({ logId, revision, ownThrough }: RegionMark): NonNullable<LogRecord['region']> {
  return { logId, revision: wire(revision), ownThrough: wire(ownThrough) }
}

function readMark({ logId, revision, ownThrough }: PurgeRegionMark): RegionMark {
  return { logId, revision: Number(revision), ownThrough: Number(ownThrough) }
}
