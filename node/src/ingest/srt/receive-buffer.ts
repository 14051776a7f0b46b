/**
 * Puts the packets of one SRT caller back in order (draft-sharabayko-srt-01 section 4.5 and 4.6), without a clock or a socket.
 *
 * Packets that come in order are handed on at once. Behind a hole they are held until the hole is filled, or until the latency
 * that was agreed on has passed since the first packet behind it came: then the hole is given up. A player would hold every
 * packet for the latency, to show pictures at an even pace; here the pace is in the media's own timestamps, so holding would
 * add delay and nothing else, and neither the caller's clock nor its drift matters.
 */
import assert from 'node:assert/strict'
import type { SequenceRange } from './packet.ts'
import { addSequence, SEQUENCE_MODULUS, sequenceDistance } from './sequence.ts'

/** A packet as it waits. */
export interface HeldPacket {
  readonly sequence: number
  /** As in its header: 0 clear, 1 even key, 2 odd key. */
  readonly key: number
  readonly payload: Buffer
}

/** What became of a packet: `late` ones were given up or handed on before, `overflow` lie beyond what may be held. */
export type InsertResult = 'held' | 'duplicate' | 'late' | 'overflow'

/** Settings of a receive buffer. */
export interface ReceiveBufferInit {
  /** Number of the first packet. */
  readonly initialSequence: number
  readonly packetsMax: number
  /** How long a hole is waited for. */
  readonly latencyMs: number
}

interface Slot extends HeldPacket {
  /** When it or a packet behind it came first: the hole before it has been waited for since then. */
  readonly sinceMs: number
}

/** Packets of one caller between the first that is missing and the last that came. */
export class ReceiveBuffer {
  readonly #slots: (Slot | undefined)[]
  readonly #latencyMs: number
  /** The packet that is handed on next. */
  #next: number
  /** Numbers from `#next` to behind the last packet that came. */
  #span = 0
  #held = 0
  #heldBytes = 0
  /** Since when nothing but packets beyond the buffer has come. */
  #beyondSinceMs: number | undefined

  constructor(init: ReceiveBufferInit) {
    // So that a slot's place does not jump where sequence numbers wrap.
    assert(init.packetsMax > 1 && SEQUENCE_MODULUS % init.packetsMax === 0)
    this.#slots = new Array<Slot | undefined>(init.packetsMax).fill(undefined)
    this.#latencyMs = init.latencyMs
    this.#next = init.initialSequence
  }

  /** The first packet that has not come, or is not handed on yet. */
  get nextSequence(): number {
    return this.#next
  }

  /** The number behind the last packet that came. */
  get endSequence(): number {
    return addSequence(this.#next, this.#span)
  }

  /** Bytes held behind holes. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Packets that may come after the ones seen. */
  get freePackets(): number {
    return this.#slots.length - this.#span
  }

  /** Packets missing before the last that came. */
  get missingCount(): number {
    return this.#span - this.#held
  }

  /** Takes a packet. Its payload is kept as it is. */
  insert(packet: HeldPacket, nowMs: number): InsertResult {
    const offset = sequenceDistance(packet.sequence, this.#next)
    if (offset < 0) return 'late'
    if (offset >= this.#slots.length) return 'overflow'
    const index = this.#index(packet.sequence)
    if (this.#slots[index] !== undefined) return 'duplicate'
    const { sequence, key, payload } = packet
    this.#slots[index] = { sequence, key, payload, sinceMs: this.#sinceMs(offset, nowMs) }
    this.#held += 1
    this.#heldBytes += packet.payload.byteLength
    this.#span = Math.max(this.#span, offset + 1)
    this.#beyondSinceMs = undefined
    return 'held'
  }

  /**
   * Gives up a hole that is wider than the buffer, so that a caller who went on without us for seconds is heard again; how many
   * packets are lost. Call it for each packet that is `overflow`. It waits for as long as for any other hole, and a packet that
   * fits starts the wait anew: a single wild sequence number throws nothing away.
   */
  skipTo(sequence: number, nowMs: number): number {
    if (this.#held > 0) return 0
    this.#beyondSinceMs ??= nowMs
    if (nowMs - this.#beyondSinceMs < this.#latencyMs) return 0
    this.#beyondSinceMs = undefined
    const lost = sequenceDistance(sequence, this.#next)
    this.#advance(lost)
    return lost
  }

  /** The next packet in order; undefined when it has not come. */
  take(): HeldPacket | undefined {
    const index = this.#index(this.#next)
    const slot = this.#slots[index]
    if (slot === undefined) return undefined
    this.#slots[index] = undefined
    this.#held -= 1
    this.#heldBytes -= slot.payload.byteLength
    this.#advance(1)
    return slot
  }

  /** Gives up the hole in front when its time is over; how many packets are lost with it. Call it until it gives 0. */
  giveUp(nowMs: number): number {
    if (this.#held === 0) return 0
    const behind = this.#firstHeld()
    if (behind.offset === 0 || nowMs - behind.sinceMs < this.#latencyMs) return 0
    this.#advance(behind.offset)
    return behind.offset
  }

  /** Gives up what the caller says it will not send again; how many packets are lost. */
  drop(range: SequenceRange): number {
    const first = sequenceDistance(range.first, this.#next)
    const end = sequenceDistance(range.last, this.#next) + 1
    // Only a hole in front can be given up without leaving a gap that would be waited for again; a later one waits its time.
    if (first > 0 || end <= 0 || this.#slots[this.#index(this.#next)] !== undefined) return 0
    const hole = this.#held === 0 ? this.#slots.length : this.#firstHeld().offset
    const lost = Math.min(end, hole)
    this.#advance(lost)
    return lost
  }

  /** The holes, in order. */
  *missing(): Generator<SequenceRange> {
    let found = 0
    let start: number | undefined
    for (let offset = 0; offset < this.#span && found < this.missingCount; offset += 1) {
      const sequence = addSequence(this.#next, offset)
      if (this.#slots[this.#index(sequence)] === undefined) {
        start ??= sequence
        continue
      }
      if (start === undefined) continue
      const last = addSequence(sequence, -1)
      found += sequenceDistance(last, start) + 1
      yield { first: start, last }
      start = undefined
    }
    assert(start === undefined, 'the last number of the span is held')
  }

  #firstHeld(): { readonly offset: number; readonly sinceMs: number } {
    const found = this.#heldFrom(0)
    assert(found !== undefined, 'a packet that is counted is there')
    return found
  }

  /** The first held packet at `from` or behind it. */
  #heldFrom(from: number): { readonly offset: number; readonly sinceMs: number } | undefined {
    for (let offset = from; offset < this.#span; offset += 1) {
      const slot = this.#slots[this.#index(addSequence(this.#next, offset))]
      if (slot !== undefined) return { offset, sinceMs: slot.sinceMs }
    }
    return undefined
  }

  /** A packet that fills a hole late must not give what is missing before it new time. */
  #sinceMs(offset: number, nowMs: number): number {
    return this.#heldFrom(offset + 1)?.sinceMs ?? nowMs
  }

  #advance(count: number): void {
    this.#next = addSequence(this.#next, count)
    this.#span = Math.max(0, this.#span - count)
  }

  #index(sequence: number): number {
    return sequence % this.#slots.length
  }
}
