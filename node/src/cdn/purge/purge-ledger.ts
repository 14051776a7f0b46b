/**
 * What a peer knows of the purges of the network, in memory and pure: of each issuer's epoch all purges up to a number, some beyond it, and
 * the log of those that may still be told to others. Two peers that know the same purges have the same digest.
 *
 * What an origin's `floor` covers has left the log. Everything known above it is in the log, and an origin's newest purge never leaves,
 * so whoever claims a floor can show a signed purge above it.
 */
import { strict as assert } from 'node:assert'
import { createHash } from 'node:crypto'
import { KairoError } from '../../errors.ts'
import { purgeLimits } from '../../limits/purge.ts'
import { originKey, type Purge, type SignedPurge } from './purge-message.ts'

/** A purge that was carried out here. */
export interface KnownPurge extends SignedPurge {
  /** Counts what was carried out at this peer; the n-th has a higher one than those before. */
  readonly generation: number
  /** Wall milliseconds of it by this peer's clock. */
  readonly atMs: number
}

/** What is known of one issuer's epoch. */
export interface OriginState {
  readonly issuer: string
  readonly epoch: string
  /** All up to here are known. */
  readonly through: number
  /** Known ones above, ascending. */
  readonly beyond: readonly number[]
  /** Those up to here have left the log. */
  readonly floor: number
  /** True when a peer does not believe the issuer and wants to be told none of its purges. */
  readonly ignored?: boolean
}

/** What another peer has missed. */
export interface Missing {
  /** In the order in which they were carried out here. */
  readonly purges: readonly KnownPurge[]
  /** True when there are more than one answer takes. */
  readonly more: boolean
}

interface Origin {
  readonly issuer: string
  readonly epoch: string
  through: number
  floor: number
  /** Highest number that was seen; its purge is in the log. */
  newest: number
  /** Wall milliseconds at which the last one came. */
  lastAtMs: number
  /** Of the log, by sequence. */
  readonly purges: Map<number, KnownPurge>
}

/** The purges that one peer knows. */
export class PurgeLedger {
  readonly #origins = new Map<string, Origin>()
  /** In the order of their generations. */
  readonly #log = new Set<KnownPurge>()
  #digest: Buffer | undefined
  #droppedGeneration = 0

  /** Purges in the log. */
  get size(): number {
    return this.#log.size
  }

  /** Generation of the newest purge that has left the log; 0 when none has. */
  get droppedGeneration(): number {
    return this.#droppedGeneration
  }

  /** Sets {@link PurgeLedger.droppedGeneration} as it was read from disk. */
  restoreDropped(generation: number): void {
    this.#droppedGeneration = Math.max(this.#droppedGeneration, generation)
  }

  /** The log, oldest first. */
  entries(): Iterable<KnownPurge> {
    return this.#log
  }

  /** True when the purge was carried out, or is covered by one of everything that was. */
  has(purge: Pick<Purge, 'issuer' | 'epoch' | 'sequence'>): boolean {
    const origin = this.#origins.get(originKey(purge))
    if (origin === undefined) return false
    return purge.sequence <= origin.through || origin.purges.has(purge.sequence)
  }

  /** The purge as it is in the log. */
  find(purge: Pick<Purge, 'issuer' | 'epoch' | 'sequence'>): KnownPurge | undefined {
    return this.#origins.get(originKey(purge))?.purges.get(purge.sequence)
  }

  /** All up to this number are known of an issuer's epoch. */
  through(origin: Pick<Purge, 'issuer' | 'epoch'>): number {
    return this.#origins.get(originKey(origin))?.through ?? 0
  }

  /** The next purges of an origin after a number, without a gap, that are in the log. */
  next(origin: Pick<Purge, 'issuer' | 'epoch'>, after: number, max: number): KnownPurge[] {
    const { purges, floor = 0, through = 0 } = this.#origins.get(originKey(origin)) ?? {}
    const next: KnownPurge[] = []
    for (let sequence = Math.max(after, floor) + 1; sequence <= through; sequence += 1) {
      const known = purges?.get(sequence)
      if (known === undefined || next.length >= max) break
      next.push(known)
    }
    return next
  }

  /**
   * Says whether a purge may be added.
   * @param aheadMax how far it may run ahead of what is known of its issuer, or will be once `floor` is.
   * @throws KairoError `ERR_LIMIT` when it runs too far ahead of what is known of its issuer, or there are too many issuers.
   */
  expectRoom(
    { purge }: SignedPurge,
    nowMs: number,
    { aheadMax = purgeLimits.aheadMax as number, floor = 0 } = {},
  ): void {
    const origin = this.#origins.get(originKey(purge))
    if (purge.sequence - Math.max(origin?.through ?? 0, floor) > aheadMax) {
      throw new KairoError('ERR_LIMIT', 'the purge runs too far ahead of those before it')
    }
    if (origin === undefined) this.#makeRoom(nowMs)
  }

  /** Notes a purge that was carried out. */
  add(known: KnownPurge): void {
    const { purge } = known
    assert(!this.has(purge), 'a purge is carried out once')
    const origin = this.#originOf(purge)
    origin.lastAtMs = known.atMs
    origin.newest = Math.max(origin.newest, purge.sequence)
    origin.purges.set(purge.sequence, known)
    this.#log.add(known)
    advance(origin)
    this.#digest = undefined
  }

  /**
   * Takes all purges of an origin up to `floor` as known, which the caller has made true by purging everything. Only as far as a purge
   * above it is in the log, so that nobody can talk a peer out of purges that do not exist yet.
   */
  skipTo({ issuer, epoch, floor }: OriginState): void {
    const origin = this.#origins.get(originKey({ issuer, epoch }))
    if (origin === undefined || origin.through >= floor || origin.newest <= floor) return
    this.#raise(origin, floor)
  }

  /** True when {@link PurgeLedger.skipTo} would find something missing once these purges are known too. */
  isGap(state: OriginState, more: readonly SignedPurge[]): boolean {
    const { floor } = state
    if (floor <= this.through(state)) return false
    const key = originKey(state)
    const newest = this.#origins.get(key)?.newest ?? 0
    const isAbove = ({ purge }: SignedPurge): boolean =>
      purge.sequence > floor && originKey(purge) === key
    return newest > floor || more.some(isAbove)
  }

  /** Sets the floor of an origin as it was read from disk. */
  restoreFloor({ issuer, epoch, floor }: OriginState, nowMs: number): void {
    const origin = this.#originOf({ issuer, epoch })
    origin.lastAtMs = nowMs
    this.#raise(origin, floor)
  }

  /** What this peer knows, one entry an origin. */
  state(): OriginState[] {
    return [...this.#origins.values()].map((origin) => ({
      issuer: origin.issuer,
      epoch: origin.epoch,
      through: origin.through,
      beyond: beyondOf(origin),
      floor: origin.floor,
    }))
  }

  /** SHA-256 over what is known; floors, which differ between peers that know the same, are left out. */
  digest(): Buffer {
    if (this.#digest !== undefined) return this.#digest
    const hash = createHash('sha256')
    for (const [key, origin] of [...this.#origins].sort(([a], [b]) => (a < b ? -1 : 1))) {
      hash.update(`${key} ${origin.through} ${beyondOf(origin).join(',')}\n`)
    }
    this.#digest = hash.digest()
    return this.#digest
  }

  /** The logged purges that a peer of this state has missed, oldest first, as many as one answer takes. */
  missing(theirs: readonly OriginState[]): Missing {
    const known = new Map(theirs.map((origin) => [originKey(origin), knownBy(origin)]))
    const purges: KnownPurge[] = []
    let bytes = 0
    for (const entry of this.#log) {
      if (known.get(originKey(entry.purge))?.(entry.purge.sequence) === true) continue
      bytes += entry.wire.purge.byteLength
      const isFull = purges.length >= purgeLimits.pagePurgesMax || bytes > purgeLimits.pageBytesMax
      if (isFull && purges.length > 0) return { purges, more: true }
      purges.push(entry)
    }
    return { purges, more: false }
  }

  /** True when a peer of this state knows a purge that this one does not. */
  lacks(theirs: readonly OriginState[]): boolean {
    return theirs.some(({ issuer, epoch, through, beyond, ignored }) => {
      if (ignored === true) return false
      if (this.through({ issuer, epoch }) < through) return true
      return beyond.some((sequence) => !this.has({ issuer, epoch, sequence }))
    })
  }

  /**
   * Cuts the log to its bounds: purges too old, then, when there are too many, those before the newest hard purge of everything, which
   * covers them, or else the oldest.
   * @returns true when something went.
   */
  compact(nowMs: number): boolean {
    const entries = [...this.#log]
    let cut = 0
    if (entries.length > purgeLimits.logPurgesMax) {
      const kept = Math.floor(purgeLimits.logPurgesMax * purgeLimits.logKeepShare)
      const covering = entries.findLastIndex(({ purge }) => isHardEverything(purge))
      cut = Math.max(covering, entries.length - kept)
    }
    const floors = new Map<Origin, number>()
    for (const [index, { purge, atMs }] of entries.entries()) {
      if (index >= cut && atMs + purgeLimits.logAgeMsMax >= nowMs) continue
      const origin = this.#originOf(purge)
      // Above a gap the floor would claim purges that nobody here has seen; the newest stays to vouch for the floor.
      const floor = Math.min(purge.sequence, origin.through, origin.newest - 1)
      floors.set(origin, Math.max(floors.get(origin) ?? 0, floor))
    }
    for (const [origin, floor] of floors) if (floor > origin.floor) this.#raise(origin, floor)
    return this.#log.size < entries.length
  }

  #raise(origin: Origin, floor: number): void {
    origin.floor = Math.max(origin.floor, floor)
    origin.through = Math.max(origin.through, floor)
    for (const [sequence, entry] of [...origin.purges]) {
      if (sequence > floor) continue
      origin.purges.delete(sequence)
      this.#log.delete(entry)
      this.#droppedGeneration = Math.max(this.#droppedGeneration, entry.generation)
    }
    advance(origin)
    this.#digest = undefined
  }

  #originOf({ issuer, epoch }: Pick<Purge, 'issuer' | 'epoch'>): Origin {
    const key = originKey({ issuer, epoch })
    const known = this.#origins.get(key)
    if (known !== undefined) return known
    const origin: Origin = {
      ...{ issuer, epoch, through: 0, floor: 0, newest: 0, lastAtMs: 0 },
      purges: new Map(),
    }
    this.#origins.set(key, origin)
    return origin
  }

  #makeRoom(nowMs: number): void {
    if (this.#origins.size < purgeLimits.originsMax) return
    for (const [key, origin] of this.#origins) {
      if (origin.lastAtMs + purgeLimits.originAgeMsMax >= nowMs) continue
      for (const entry of origin.purges.values()) {
        this.#log.delete(entry)
        this.#droppedGeneration = Math.max(this.#droppedGeneration, entry.generation)
      }
      this.#origins.delete(key)
      this.#digest = undefined
      return
    }
    throw new KairoError('ERR_LIMIT', `purges of ${purgeLimits.originsMax} issuers are known`)
  }
}

/** True for a purge after which nothing older is left. */
export function isHardEverything({ selector, mode }: Pick<Purge, 'selector' | 'mode'>): boolean {
  return selector.by === 'everything' && mode === 'hard'
}

/** Says of a sequence number whether a peer of this state need not be told it. */
export function knownBy(state: OriginState): (sequence: number) => boolean {
  const { through, ignored } = state
  const beyond = new Set(state.beyond)
  return (sequence) => ignored === true || sequence <= through || beyond.has(sequence)
}

function advance(origin: Origin): void {
  while (origin.purges.has(origin.through + 1)) origin.through += 1
}

function beyondOf(origin: Origin): number[] {
  const inRow = origin.through - origin.floor
  if (origin.purges.size === inRow) return []
  return [...origin.purges.keys()]
    .filter((sequence) => sequence > origin.through)
    .sort((a, b) => a - b)
}
