/**
 * The side of a peer: collects what it holds and tells the leader of each shard once a second what has changed, all of it when another
 * member leads, and now and then that it is still there. Knows nothing of lines: a callback brings bytes to whoever leads a shard and returns the answer.
 */

import { strict as assert } from 'node:assert'
import { ByteWriter } from '../bytes/byte-writer.ts'
import type { CancelTimer, Clock } from '../clock.ts'
import { TrackerError } from '../errors.ts'
import { type BatchAnswer, readBatchAnswer } from './batch-answer.ts'
import { type FedEntry, FeederLine, type SentBatch } from './feeder-line.ts'
import { HeldParts } from './held-parts.ts'
import type { PeerLoad } from './holding.ts'
import { decodeReplies, encodeQuestions } from './questions.ts'
import { softFeederLimits, softLimits } from './soft-limits.ts'

/** What a feeder works with. */
export interface SoftFeederComponents {
  readonly clock: Clock
  /** Gives 0 up to 1: spreads the batches of many peers over the second. */
  readonly random: () => number
  /** Brings a message to the leader of a shard; its answer. Rejects with a TrackerError when there is none. */
  readonly send: (shard: number, message: Uint8Array) => Promise<Uint8Array>
}

/** Options. */
export interface SoftFeederInit {
  /** The shard that a stream lies in. */
  readonly shardOf: (stream: string) => number
  /** Other holders of a stream or rendition for which {@link FedSubject.introduce} asked. Must not throw. */
  readonly onIntroduced?: (stream: string, rendition: string, peerIds: readonly string[]) => void
}

/** What happened so far. */
export interface SoftFeederCounters {
  batches: number
  bytes: number
  /** Batches that said all. */
  sendAlls: number
  failures: number
  /** Records that a shard had no room for. */
  refused: number
}

/** A stream (rendition '') or rendition that a peer tells of. Changes go with the next batch. */
export interface FedSubject {
  addPart(segment: number, part: number): void
  addSegments(first: number, count?: number): void
  removeSegments(first: number, count?: number): void
  /** Viewers that this peer serves. */
  setViewers(viewers: number): void
  /** Asks for up to so many other holders with the next batch; `onIntroduced` gets them. */
  introduce(limit: number): void
  /** Nothing of it is held any more. */
  close(): void
}

interface Line {
  readonly line: FeederLine
  isBusy: boolean
  failures: number
  nextAtMs: number
  /** With nothing to tell, a batch goes then: it says that this peer is there, and finds out whether another one leads. */
  quietUntilMs: number
  /** All is sent again then, because the shard refused something; Infinity for never. */
  allAtMs: number
}

/** Tells shards what this peer holds. */
export class SoftFeeder {
  readonly counters: SoftFeederCounters = {
    batches: 0,
    bytes: 0,
    sendAlls: 0,
    failures: 0,
    refused: 0,
  }
  readonly #components: SoftFeederComponents
  readonly #init: SoftFeederInit
  readonly #lines = new Map<number, Line>()
  readonly #writer = new ByteWriter()
  readonly #timers = new Set<CancelTimer>()
  #status: 'new' | 'started' | 'stopped' = 'new'
  #entries = 0
  #load: PeerLoad | undefined
  #loadVersion = 0

  constructor(components: SoftFeederComponents, init: SoftFeederInit) {
    this.#components = components
    this.#init = init
  }

  /** Begins to send. */
  start(): void {
    assert(this.#status === 'new', 'a feeder starts once')
    this.#status = 'started'
    this.#tickIn(this.#components.random() * softLimits.refreshMs)
  }

  /** Says goodbye to every shard that was told something, and waits until that was sent or failed. */
  async stop(): Promise<void> {
    if (this.#status === 'stopped') return
    this.#status = 'stopped'
    for (const cancel of this.#timers) cancel()
    this.#timers.clear()
    const goodbyes = [...this.#lines.values()].map(async ({ line }) => {
      const goodbye = new FeederLine(line.shard, 0).next(new ByteWriter(), undefined, 0)
      const { goodbyeMs } = softFeederLimits
      await this.#sendInTime(line.shard, goodbye.bytes, goodbyeMs).catch(() => {
        // What is not told is forgotten soon anyway.
        this.counters.failures += 1
      })
    })
    this.#lines.clear()
    await Promise.all(goodbyes)
  }

  /** This peer's free upload, load and place; goes to every shard with its next batch, unless it hardly moved. */
  setLoad(load: PeerLoad): void {
    assert(load.busyPermille >= 0 && load.busyPermille <= 1_000, 'thousandths')
    if (this.#load !== undefined && !isLoadNews(this.#load, load)) return
    this.#load = load
    this.#loadVersion += 1
  }

  /** Whether the leader of a shard, when it answered last, had heard of everybody; undefined when nothing is told to it. */
  isComplete(shard: number): boolean | undefined {
    return this.#lines.get(shard)?.line.isComplete
  }

  /**
   * Begins to tell of a stream or rendition; a peer that opens a stream (rendition '') is in its swarm.
   * @param partsPerSegment the most parts that a segment has; whoever holds whole segments only leaves it at 1
   * @throws TrackerError ERR_OVERLOADED with as many as may be, ERR_STOPPED
   */
  open(stream: string, rendition = '', partsPerSegment = 1): FedSubject {
    if (this.#status === 'stopped') throw new TrackerError('ERR_STOPPED', 'the feeder was stopped')
    assertName(stream, 1, softLimits.streamBytesMax)
    assertName(rendition, 0, softLimits.renditionBytesMax)
    if (this.#entries >= softFeederLimits.entriesMax) {
      throw new TrackerError('ERR_OVERLOADED', 'too many streams are told of already')
    }
    const parts = new HeldParts(partsPerSegment)
    const { line } = this.#lineFor(this.#init.shardOf(stream))
    const entry = { stream, rendition, parts, id: 0, isNamed: false, wants: 0, isOpen: true }
    line.add(entry)
    this.#entries += 1
    return this.#subject(line, entry)
  }

  #subject(line: FeederLine, entry: FedEntry): FedSubject {
    const { parts } = entry
    const note = (isNews: boolean): void => {
      if (isNews) line.change(entry)
    }
    return {
      addPart: (segment, part) => note(parts.addPart(segment, part)),
      addSegments: (first, count) => note(parts.addSegments(first, count)),
      removeSegments: (first, count) => note(parts.remove(first, count)),
      setViewers: (viewers) => {
        const told = Math.min(viewers, softLimits.viewersPerEntryMax)
        note(told !== parts.viewers)
        parts.viewers = told
      },
      introduce: (limit) => {
        entry.wants = Math.min(limit, softLimits.introductionsMax)
        note(limit > 0)
      },
      close: () => {
        if (!entry.isOpen) return
        entry.isOpen = false
        this.#entries -= 1
        line.remove(entry)
      },
    }
  }

  /** The client learned of a new leader of a shard: it is told everything within half a refresh. */
  leaderChanged(shard: number): void {
    const line = this.#lines.get(shard)
    if (line === undefined || this.#status !== 'started') return
    line.failures = 0
    line.nextAtMs = 0
    line.quietUntilMs = 0
    this.#later((this.#components.random() * softLimits.refreshMs) / 2, () => this.#flush(line))
  }

  #lineFor(shard: number): Line {
    const known = this.#lines.get(shard)
    if (known !== undefined) return known
    const session = Math.floor(this.#components.random() * 0xffff_ffff)
    const line: Line = {
      line: new FeederLine(shard, session),
      isBusy: false,
      failures: 0,
      nextAtMs: 0,
      quietUntilMs: 0,
      allAtMs: Number.POSITIVE_INFINITY,
    }
    this.#lines.set(shard, line)
    return line
  }

  #tickIn(delayMs: number): void {
    this.#later(delayMs, () => {
      this.#tickIn(softLimits.refreshMs)
      for (const line of this.#lines.values()) this.#flush(line)
    })
  }

  #later(delayMs: number, callback: () => void): void {
    const cancel = this.#components.clock.after(delayMs, () => {
      this.#timers.delete(cancel)
      callback()
    })
    this.#timers.add(cancel)
  }

  #flush(line: Line): void {
    const nowMs = this.#components.clock.monotonicMs()
    if (line.isBusy || nowMs < line.nextAtMs) return
    if (nowMs >= line.allAtMs) {
      line.allAtMs = Number.POSITIVE_INFINITY
      line.line.sendAll()
    }
    if (nowMs < line.quietUntilMs && !line.line.hasNews(this.#loadVersion)) return
    line.quietUntilMs = nowMs + softLimits.quietMs
    line.isBusy = true
    void this.#sendBatches(line).finally(() => {
      line.isBusy = false
    })
  }

  async #sendBatches(line: Line): Promise<void> {
    for (let sent = 0; sent < softFeederLimits.batchesInRowMax; sent++) {
      const batch = line.line.next(this.#writer, this.#load, this.#loadVersion)
      this.counters.batches += 1
      if (batch.isAll) this.counters.sendAlls += 1
      let answer: BatchAnswer
      try {
        answer = readBatchAnswer(await this.#sendInTime(line.line.shard, batch.bytes))
      } catch (error) {
        this.#failed(line, batch, error)
        return
      }
      if (this.#status === 'stopped') return
      line.failures = 0
      this.#noteRefused(line, answer)
      line.line.answered(batch, answer)
      if (batch.isGoodbye && line.line.size === 0) {
        this.#lines.delete(line.line.shard)
        return
      }
      if (answer.introductions.length > 0) await this.#introduce(line.line, batch, answer)
      // Who was not introduced, because the answer had no room, asks again.
      for (const entry of batch.entries) if (entry.wants > 0) line.line.change(entry)
      if (answer.isTaken && !batch.hasMore) return
    }
  }

  #noteRefused(line: Line, { refused }: BatchAnswer): void {
    if (refused === 0) return
    this.counters.refused += refused
    const retryMs = this.#components.clock.monotonicMs() + softFeederLimits.refusedRetryMs
    line.allAtMs = Math.min(line.allAtMs, retryMs)
  }

  #failed(line: Line, batch: SentBatch, error: unknown): void {
    this.counters.failures += 1
    line.line.failed(batch)
    line.quietUntilMs = 0
    // A shard that could not read a batch has forgotten this peer.
    if (error instanceof TrackerError && error.code === 'ERR_INVALID_INPUT') line.line.sendAll()
    const pauseMs = Math.min(
      softFeederLimits.backoffMsMax,
      softLimits.refreshMs * 2 ** Math.min(line.failures, 16),
    )
    line.failures += 1
    // Half of it by chance: a shard without a leader has as many peers that try again as it has peers.
    const waitMs = pauseMs * (0.5 + this.#components.random() / 2)
    line.nextAtMs = this.#components.clock.monotonicMs() + waitMs
  }

  /** Finds the ids behind the handles of an answer, and tells who asked. */
  async #introduce(line: FeederLine, batch: SentBatch, answer: BatchAnswer): Promise<void> {
    const entries = new Map(batch.entries.map((entry) => [entry.id, entry]))
    const handles = answer.introductions.flatMap((introduction) => [...introduction.handles])
    try {
      await this.#learnNames(line, handles)
    } catch {
      // Asked for again with the next batch.
      this.counters.failures += 1
      return
    }
    for (const { id, handles } of answer.introductions) {
      const entry = entries.get(id)
      if (entry?.isOpen !== true) continue
      entry.wants = 0
      const peerIds = Array.from(handles, (handle) => line.names.get(handle))
      const known = peerIds.filter((peerId) => peerId !== undefined)
      this.#init.onIntroduced?.(entry.stream, entry.rendition, known)
    }
  }

  async #learnNames(line: FeederLine, handles: readonly number[]): Promise<void> {
    const unknown = [...new Set(handles)].filter((handle) => !line.names.has(handle))
    if (line.names.size + unknown.length > softFeederLimits.namesMax) {
      line.names.clear()
      unknown.splice(0, unknown.length, ...new Set(handles))
    }
    for (let from = 0; from < unknown.length; from += softLimits.namesMax) {
      const asked = unknown.slice(from, from + softLimits.namesMax)
      const question = encodeQuestions([{ type: 'names', handles: asked }])
      const { term, replies } = decodeReplies(await this.#sendInTime(line.shard, question))
      const [reply] = replies
      // Handles mean something in the term that gave them, nowhere else.
      if (term !== line.term || reply?.type !== 'names') return
      asked.forEach((handle, index) => {
        const peerId = reply.peerIds[index]
        if (peerId !== undefined) line.names.set(handle, peerId)
      })
    }
  }

  async #sendInTime(
    shard: number,
    message: Uint8Array,
    timeoutMs: number = softFeederLimits.answerMs,
  ): Promise<Uint8Array> {
    this.counters.bytes += message.length
    const { clock, send } = this.#components
    let cancel: CancelTimer = () => {}
    const late = new Promise<never>((_, reject) => {
      cancel = clock.after(timeoutMs, () => {
        reject(new TrackerError('ERR_UNAVAILABLE', 'the leader of the shard did not answer'))
      })
    })
    try {
      return await Promise.race([send(shard, message), late])
    } finally {
      cancel()
    }
  }
}

/** Whether a load is so different from the one that was told that it should be told, too. */
function isLoadNews(told: PeerLoad, now: PeerLoad): boolean {
  const { busyStepPermille, uploadStepShare, coordinateStepMs } = softFeederLimits
  if (Math.abs(now.busyPermille - told.busyPermille) >= busyStepPermille) return true
  const step = Math.max(1, told.uploadFreeKbps * uploadStepShare)
  if (Math.abs(now.uploadFreeKbps - told.uploadFreeKbps) >= step) return true
  const [before, after] = [told.coordinate, now.coordinate]
  if (before === undefined || after === undefined) return before !== after
  return (['x', 'y', 'z', 'height'] as const).some(
    (axis) => Math.abs(after[axis] - before[axis]) >= coordinateStepMs,
  )
}

function assertName(name: string, bytesMin: number, bytesMax: number): void {
  const bytes = Buffer.byteLength(name)
  assert(bytes >= bytesMin && bytes <= bytesMax, 'a name of a length that the shard takes')
}
