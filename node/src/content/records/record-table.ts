/**
 * The table of known records: bounded, indexed by alias, each forgotten when its life is over. A record lives on this
 * peer's clock for as long as its publisher gave it between signing and expiry, so that clocks that differ do no harm.
 */
import type { CancelTimer, Clock } from '../../clock.ts'
import { contentLimits } from '../../limits.ts'
import type { StreamId, StreamRecord } from '../stream.ts'

/** A record with the bytes that were signed. */
export interface KnownRecord {
  readonly record: StreamRecord
  /** The encoded SignedRecord, for others who ask. */
  readonly bytes: Uint8Array
}

interface Row extends KnownRecord {
  /** Monotonic milliseconds at which it is forgotten. */
  readonly endsAtMs: number
}

/** Records by id and by alias. */
export class RecordTable {
  readonly #clock: Clock
  readonly #onRemoved: (record: StreamRecord) => void
  readonly #rows = new Map<StreamId, Row>()
  readonly #aliases = new Map<string, Set<StreamId>>()
  #cancelSweep: CancelTimer | undefined
  #sweepAtMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock, onRemoved: (record: StreamRecord) => void) {
    this.#clock = clock
    this.#onRemoved = onRemoved
  }

  get size(): number {
    return this.#rows.size
  }

  get(id: StreamId): KnownRecord | undefined {
    return this.#rows.get(id)
  }

  entries(): KnownRecord[] {
    return [...this.#rows.values()]
  }

  /** Records of an alias, the one first heard of first. */
  byAlias(alias: string): StreamRecord[] {
    const found: StreamRecord[] = []
    for (const id of this.#aliases.get(alias) ?? []) {
      const row = this.#rows.get(id)
      if (row !== undefined) found.push(row.record)
    }
    return found
  }

  /**
   * True when no more streams of others are taken. Those that are there stay: were the record that ends first to go, a
   * neighbour that invents streams of a long life would push out all that are real.
   */
  get isFull(): boolean {
    return this.#rows.size >= contentLimits.recordsMax
  }

  /** Adds a record, or replaces the one of this id. */
  put(known: KnownRecord): void {
    const { record } = known
    const lifeMs = record.expiresAtMs - record.sequence
    const row = { ...known, endsAtMs: this.#clock.monotonicMs() + lifeMs }
    // A refresh keeps its place: maps and sets remember the order in which streams were first heard of.
    if (this.#rows.get(record.id)?.record.alias !== record.alias) this.#drop(record.id)
    this.#rows.set(record.id, row)
    const ids = this.#aliases.get(record.alias)
    if (ids === undefined) this.#aliases.set(record.alias, new Set([record.id]))
    else ids.add(record.id)
    this.#scheduleSweep(row.endsAtMs)
  }

  /** Forgets a record; nobody is told. */
  remove(id: StreamId): void {
    this.#drop(id)
  }

  /** Stops forgetting. */
  stop(): void {
    this.#cancelSweep?.()
    this.#sweepAtMs = Number.POSITIVE_INFINITY
  }

  #drop(id: StreamId): Row | undefined {
    const row = this.#rows.get(id)
    if (row === undefined) return undefined
    this.#rows.delete(id)
    const ids = this.#aliases.get(row.record.alias)
    ids?.delete(id)
    if (ids?.size === 0) this.#aliases.delete(row.record.alias)
    return row
  }

  #scheduleSweep(atMs: number): void {
    if (atMs >= this.#sweepAtMs) return
    this.#cancelSweep?.()
    this.#sweepAtMs = atMs
    const delayMs = Math.max(0, atMs - this.#clock.monotonicMs())
    this.#cancelSweep = this.#clock.after(delayMs, () => this.#sweep())
  }

  #sweep(): void {
    this.#sweepAtMs = Number.POSITIVE_INFINITY
    const now = this.#clock.monotonicMs()
    let nextMs = Number.POSITIVE_INFINITY
    for (const row of [...this.#rows.values()]) {
      if (row.endsAtMs > now) {
        nextMs = Math.min(nextMs, row.endsAtMs)
        continue
      }
      this.#drop(row.record.id)
      this.#onRemoved(row.record)
    }
    if (nextMs !== Number.POSITIVE_INFINITY) this.#scheduleSweep(nextMs)
  }
}
