/**
 * What peers only tell, at the leader of a shard: who holds which parts, viewers, load. Nothing of it is in the log: it is told again each
 * second, forgotten after {@link softLimits}.ttlMs, and dropped when another member leads.
 */

import { strict as assert } from 'node:assert'
import type { ByteWriter } from '../bytes/byte-writer.ts'
import { type BatchReader, batchFlags, recordFields } from './batch.ts'
import { Chooser } from './chooser.ts'
import { EntryIndex } from './entry-index.ts'
import { EntryTable } from './entry-table.ts'
import { PeerTable, peerColumns } from './peer-table.ts'
import type { softLimits } from './soft-limits.ts'
import { holderHandle, holderWords, SubjectTable } from './subject-table.ts'
import { TtlWheel } from './ttl-wheel.ts'
import { runClassFor, WordPool } from './word-pool.ts'

/** The limits, with other numbers where a shard is meant to be smaller or larger. */
export type SoftLimits = { readonly [name in keyof typeof softLimits]: number }

/** Numbers that a peer may use beyond those that its entries need, for the refused among them. */
const IDS_SPARE = 64

/** What happened so far, counted since the start. */
export interface SoftCounters {
  batches: number
  /** Records that were taken, and loads. */
  updates: number
  /** Batches that built on what this leader does not know. */
  sendAlls: number
  /** Peers that were forgotten because they said nothing. */
  expired: number
  /** Records without room, in all: a limit of softLimits was hit. */
  refused: number
  /** Peers without room. */
  peersRefused: number
  /** Batches of peers that send too many. */
  tooOften: number
  /** Messages that could not be read. */
  malformed: number
  questions: number
}

/** What became of a batch. */
export type BatchOutcome = 'taken' | 'send-all' | 'too-often' | 'no-room' | 'goodbye'

/** The tables of one shard in one term. Time is what `advance` says. */
export class SoftState {
  readonly peers: PeerTable
  readonly subjects: SubjectTable
  readonly entries: EntryTable
  readonly #index: EntryIndex
  /** Viewers of all streams, as far as peers say them of streams and not of renditions. */
  viewersTotal = 0
  /** Records of the last batch that found no room. */
  refused = 0
  readonly #limits: SoftLimits
  readonly #counters: SoftCounters
  readonly #pool: WordPool
  readonly #wheel: TtlWheel
  readonly #chooser: Chooser
  readonly #chosen: Uint32Array

  /** @param random gives 0 up to 1 */
  constructor(limits: SoftLimits, counters: SoftCounters, random: () => number) {
    this.#limits = limits
    this.#counters = counters
    this.#chooser = new Chooser(random)
    this.#pool = new WordPool(limits.wordsMax)
    this.peers = new PeerTable(limits.peersMax)
    this.subjects = new SubjectTable(this.#pool, limits.subjectsMax, limits.holdersPerSubjectMax)
    this.entries = new EntryTable(this.#pool, limits.entriesMax)
    this.#index = new EntryIndex(this.entries)
    this.#wheel = new TtlWheel(this.peers, Math.ceil(limits.ttlMs / limits.tickMs), 0)
    this.#chosen = new Uint32Array(limits.introductionsMax)
  }

  /** Bytes of all tables; the names of peers and subjects are the engine's and not in it. */
  get bytes(): number {
    const { peers, subjects, entries } = this
    const tables = peers.bytes + subjects.bytes + entries.rows.bytes
    return tables + this.#index.bytes + this.#pool.bytes
  }

  /** Words in use in the pool that bits, ranges and lists share. */
  get words(): number {
    return this.#pool.used
  }

  /** Goes on to a tick, and forgets who said nothing for too long. */
  advance(tick: number): void {
    if (tick <= this.#wheel.tick) return
    this.#wheel.advance(tick, (peer) => {
      this.#counters.expired += 1
      this.#removePeer(peer)
    })
  }

  /** Forgets a peer at once: its connection broke. */
  remove(peerId: string): void {
    const peer = this.peers.find(peerId)
    if (peer !== -1) this.#removePeer(peer)
  }

  /**
   * Takes a batch, at the leader of `term`. The peers that it wants to be introduced to are written to `introductions` (number, count, handles) for each record that
   * wants some.
   */
  take(peerId: string, batch: BatchReader, term: number, introductions: ByteWriter): BatchOutcome {
    this.#counters.batches += 1
    this.refused = 0
    let peer = this.peers.find(peerId)
    if ((batch.flags & batchFlags.goodbye) !== 0) {
      if (peer !== -1) this.#removePeer(peer)
      return 'goodbye'
    }
    const isAll = (batch.flags & batchFlags.all) !== 0
    if (peer === -1) {
      if (!isAll) return this.#sendAll()
      peer = this.peers.add(peerId)
      if (peer === -1) {
        this.#counters.peersRefused += 1
        return 'no-room'
      }
      this.#wheel.add(peer)
    }
    const row = this.peers.rows.chunk(peer)
    const at = this.peers.rows.offset(peer)
    if (!this.#mayGoOn(row, at)) return 'too-often'
    if (isAll) this.#clear(peer)
    else if (batch.term !== term || !buildsOn(batch, row, at)) return this.#sendAll()
    row[at + peerColumns.session] = batch.session
    row[at + peerColumns.sequence] = batch.sequence
    if ((batch.flags & batchFlags.load) !== 0) this.#takeLoad(batch, row, at)
    this.#takeRecords(peer, batch, introductions)
    return 'taken'
  }

  #sendAll(): BatchOutcome {
    this.#counters.sendAlls += 1
    return 'send-all'
  }

  /** Notes that a peer was heard; false when it was too often. */
  #mayGoOn(row: Uint32Array, at: number): boolean {
    const { tick } = this.#wheel
    if (row[at + peerColumns.seenTick] !== tick) {
      row[at + peerColumns.seenTick] = tick
      row[at + peerColumns.batches] = 0
    }
    const batches = (row[at + peerColumns.batches] as number) + 1
    if (batches > this.#limits.batchesPerTickMax) {
      this.#counters.tooOften += 1
      return false
    }
    row[at + peerColumns.batches] = batches
    return true
  }

  #takeLoad(batch: BatchReader, row: Uint32Array, at: number): void {
    this.#counters.updates += 1
    row[at + peerColumns.uploadFreeKbps] = batch.uploadFreeKbps
    row[at + peerColumns.busyPermille] = batch.busyPermille
    const hasCoordinate = (batch.flags & batchFlags.coordinate) !== 0
    row[at + peerColumns.hasCoordinate] = hasCoordinate ? 1 : 0
    row[at + peerColumns.coordinateXy] = hasCoordinate ? batch.coordinateXy : 0
    row[at + peerColumns.coordinateZh] = hasCoordinate ? batch.coordinateZh : 0
  }

  #takeRecords(peer: number, batch: BatchReader, introductions: ByteWriter): void {
    const { count, ids, fields } = batch
    let name = 0
    let wantedMax = this.#limits.introductionsPerBatchMax
    for (let record = 0; record < count; record++) {
      const id = ids[record] as number
      const what = fields[record] as number
      let entry = this.#entryOf(peer, id)
      if ((what & recordFields.name) !== 0) {
        const stream = batch.names[name] as string
        const rendition = batch.names[name + 1] as string
        name += 2
        entry = this.#nameEntry(peer, id, entry, stream, rendition, count)
      }
      if (entry === -1) {
        // Also what comes for an entry that found no room before.
        if (what !== recordFields.gone) this.#refuse()
        continue
      }
      if (what === recordFields.gone) this.#removeEntry(peer, entry)
      else if ((what & recordFields.state) !== 0) this.#takeState(entry, batch, record)
      this.#counters.updates += 1
      const wants = Math.min(batch.wants[record] as number, wantedMax)
      if (wants > 0) wantedMax -= this.#introduce(entry, id, wants, introductions)
    }
  }

  #takeState(entry: number, batch: BatchReader, record: number): void {
    const viewers = batch.viewers[record] as number
    const change = viewers - this.entries.viewers(entry)
    if (change !== 0) {
      this.entries.setViewers(entry, viewers)
      this.#addViewers(this.entries.subject(entry), change)
    }
    if (!this.entries.setHolding(entry, batch, record)) this.#refuse()
  }

  #addViewers(subject: number, change: number): void {
    this.subjects.addViewers(subject, change)
    if (this.subjects.isStream(subject)) this.viewersTotal += change
  }

  #refuse(): void {
    this.refused += 1
    this.#counters.refused += 1
  }

  /** The entry for a number that a record gives a name to; -1 when there is no room. */
  #nameEntry(
    peer: number,
    id: number,
    known: number,
    stream: string,
    rendition: string,
    records: number,
  ): number {
    if (known !== -1) {
      if (this.subjects.isNamed(this.entries.subject(known), stream, rendition)) return known
      this.#removeEntry(peer, known)
    }
    // Under another number until now: the newest holds, and a peer is among the holders once.
    const subjectKnown = this.subjects.find(stream, rendition)
    const elsewhere =
      subjectKnown === -1 ? -1 : this.#index.find(this.peers.handleOf(peer), subjectKnown)
    if (elsewhere !== -1) this.#removeEntry(peer, elsewhere)
    const row = this.peers.rows.chunk(peer)
    const at = this.peers.rows.offset(peer)
    const entries = row[at + peerColumns.entries] as number
    if (entries >= this.#limits.entriesPerPeerMax) return -1
    if (id >= IDS_SPARE + 2 * (entries + records)) return -1
    if (!this.#reserveId(row, at, id)) return -1
    const subject = this.subjects.findOrAdd(stream, rendition)
    if (subject === -1) return -1
    const entry = this.#addEntry(peer, subject, id)
    if (entry === -1) {
      this.subjects.removeIfUnused(subject)
      return -1
    }
    const ids = row[at + peerColumns.idsAt] as number
    this.#pool.chunk(ids)[this.#pool.offset(ids) + id] = entry + 1
    row[at + peerColumns.entries] = entries + 1
    return entry
  }

  #addEntry(peer: number, subject: number, id: number): number {
    const entry = this.entries.add(this.peers.handleOf(peer), subject, id)
    if (entry === -1) return -1
    const place = this.subjects.addHolder(subject, entry, this.entries.handle(entry))
    if (place === -1) {
      this.entries.remove(entry)
      return -1
    }
    this.entries.setPlace(entry, place)
    this.#index.add(entry)
    return entry
  }

  /** Makes the run of a peer's numbers long enough for one. */
  #reserveId(row: Uint32Array, at: number, id: number): boolean {
    const oldAt = row[at + peerColumns.idsAt] as number
    const oldClass = row[at + peerColumns.idsClass] as number
    if (oldAt !== 0 && id < 1 << oldClass) return true
    const runClass = runClassFor(id + 1)
    const run = this.#pool.allocate(runClass)
    if (run === 0) return false
    const words = this.#pool.chunk(run)
    const from = this.#pool.offset(run)
    words.fill(0, from, from + (1 << runClass))
    if (oldAt !== 0) {
      const oldFrom = this.#pool.offset(oldAt)
      words.set(this.#pool.chunk(oldAt).subarray(oldFrom, oldFrom + (1 << oldClass)), from)
      this.#pool.release(oldAt, oldClass)
    }
    row[at + peerColumns.idsAt] = run
    row[at + peerColumns.idsClass] = runClass
    return true
  }

  #entryOf(peer: number, id: number): number {
    const row = this.peers.rows.chunk(peer)
    const at = this.peers.rows.offset(peer)
    const run = row[at + peerColumns.idsAt] as number
    if (run === 0 || id >= 1 << (row[at + peerColumns.idsClass] as number)) return -1
    return (this.#pool.chunk(run)[this.#pool.offset(run) + id] as number) - 1
  }

  #removeEntry(peer: number, entry: number): void {
    const row = this.peers.rows.chunk(peer)
    const at = this.peers.rows.offset(peer)
    const run = row[at + peerColumns.idsAt] as number
    this.#pool.chunk(run)[this.#pool.offset(run) + this.entries.id(entry)] = 0
    row[at + peerColumns.entries] = (row[at + peerColumns.entries] as number) - 1
    this.#dropEntry(entry)
  }

  #dropEntry(entry: number): void {
    const subject = this.entries.subject(entry)
    const place = this.entries.place(entry)
    const viewers = this.entries.viewers(entry)
    if (viewers > 0) this.#addViewers(subject, -viewers)
    this.#index.remove(entry)
    const moved = this.subjects.removeHolder(subject, place)
    if (moved !== -1) this.entries.setPlace(moved, place)
    this.entries.remove(entry)
    this.subjects.removeIfUnused(subject)
  }

  /** Forgets all entries of a peer. */
  #clear(peer: number): void {
    const row = this.peers.rows.chunk(peer)
    const at = this.peers.rows.offset(peer)
    const run = row[at + peerColumns.idsAt] as number
    if (run === 0) return
    const runClass = row[at + peerColumns.idsClass] as number
    const words = this.#pool.chunk(run)
    const from = this.#pool.offset(run)
    for (let id = 0; id < 1 << runClass; id++) {
      const entry = words[from + id] as number
      if (entry !== 0) this.#dropEntry(entry - 1)
    }
    this.#pool.release(run, runClass)
    row[at + peerColumns.idsAt] = 0
    row[at + peerColumns.idsClass] = 0
    row[at + peerColumns.entries] = 0
  }

  #removePeer(peer: number): void {
    this.#clear(peer)
    this.#wheel.remove(peer)
    this.peers.remove(peer)
  }

  /** Writes some other holders of an entry's subject. @returns how many */
  #introduce(entry: number, id: number, wants: number, writer: ByteWriter): number {
    const { entries } = this
    const subject = entries.subject(entry)
    const count = this.#choose(subject, entries.place(entry), wants, this.#chosen)
    writer.varint(id)
    writer.varint(count)
    writer.u32s(this.#chosen, count)
    return count
  }

  /**
   * Draws holders of a subject, each set of them as likely as any other.
   * @param asker is not among them; -1 for somebody who is no peer
   * @param into where their handles go, at least `wants` long
   * @returns how many there are
   */
  chooseHolders(subject: number, asker: number, wants: number, into: Uint32Array): number {
    const own = asker === -1 ? -1 : this.#index.find(this.peers.handleOf(asker), subject)
    return this.#choose(subject, own === -1 ? -1 : this.entries.place(own), wants, into)
  }

  #choose(subject: number, except: number, wants: number, into: Uint32Array): number {
    const count = this.#chooser.some(this.subjects.holders(subject), wants, except, into)
    const run = this.subjects.holdersAt(subject)
    if (run === 0) return 0
    const words = this.#pool.chunk(run)
    const from = this.#pool.offset(run)
    for (let at = 0; at < count; at++) {
      into[at] = words[from + (into[at] as number) * holderWords + holderHandle] as number
    }
    return count
  }

  /** Calls `visit` with the entries of up to `most` holders of a subject, in a row from a place drawn at random. */
  scanHolders(subject: number, most: number, visit: (entry: number) => void): void {
    const count = this.subjects.holders(subject)
    assert(count > 0, 'a subject has holders')
    const run = this.subjects.holdersAt(subject)
    const words = this.#pool.chunk(run)
    const from = this.#pool.offset(run)
    let place = count > most ? this.#chooser.draw(count) : 0
    for (let looked = Math.min(count, most); looked > 0; looked--) {
      visit(words[from + place * holderWords] as number)
      place = place + 1 === count ? 0 : place + 1
    }
  }

  /** The entries of a peer, by the numbers that it gave them from `fromId` on, at most `most`. */
  entriesOf(peer: number, fromId: number, most: number): number[] {
    const row = this.peers.rows.chunk(peer)
    const at = this.peers.rows.offset(peer)
    const found: number[] = []
    if (row[at + peerColumns.idsAt] === 0) return found
    const end = 1 << (row[at + peerColumns.idsClass] as number)
    for (let id = fromId; id < end && found.length < most; id++) {
      const entry = this.#entryOf(peer, id)
      if (entry !== -1) found.push(entry)
    }
    return found
  }
}

/** Whether what a batch builds on is here: this session's batch `after`, or a later one whose answer was lost, but not this one. */
function buildsOn(batch: BatchReader, row: Uint32Array, at: number): boolean {
  const known = row[at + peerColumns.sequence] as number
  return (
    row[at + peerColumns.session] === batch.session &&
    batch.after <= known &&
    known < batch.sequence
  )
}
