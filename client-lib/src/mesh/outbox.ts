/**
 * What one peer gets of this page's parts: what it asks for and what is pushed to it, read from memory as the bytes come in. Asks take turns;
 * pushes get what asks leave, the oldest first, and those that fall too far behind are ended: their bytes would come too late.
 */
import type { Clock } from '../clock.ts'
import type { PartMemory } from '../memory/part-memory.ts'
import { writeChunk } from '../protocol/chunk.ts'
import { protocolLimits } from '../protocol/limits.ts'
import { type Ask, firstPushNo, type MeshMessage } from '../protocol/mesh-messages.ts'
import type { PartKey } from '../protocol/part-key.ts'
import { ProtocolError } from '../protocol/protocol-error.ts'
import { meshLimits as limits } from './limits.ts'
import type { Sender, UploadTurns } from './upload-turns.ts'

/** What it works with. */
export interface OutboxComponents {
  readonly clock: Clock
  readonly memory: PartMemory
  readonly turns: UploadTurns
  /** The unordered channel. */
  readonly chunks: Pick<RTCDataChannel, 'readyState' | 'bufferedAmount' | 'send'>
  /** The ordered one. */
  readonly send: (message: MeshMessage) => void
}

/** Who is told. */
export interface OutboxInit {
  /** Whether this page has said that it has the part, or is about to. */
  readonly isPromised: (key: PartKey) => boolean
  readonly onSent: (bytes: number) => void
}

interface Transfer {
  readonly no: number
  readonly key: PartKey
  next: number
  /** First byte that is not wanted. */
  readonly to: number
  /** Memory has had something of it: if it has nothing then, the part was dropped. */
  isSeen: boolean
  /** Since when there has been something ready for it all the time. */
  behindSinceMs: number | undefined
  unwatch: () => void
}

/** The sending side of one connection. */
export class Outbox implements Sender {
  readonly #components: OutboxComponents
  readonly #init: OutboxInit
  /** By number; whose turn is next stands first. */
  readonly #asks = new Map<number, Transfer>()
  /** The oldest first. */
  readonly #pushes = new Map<number, Transfer>()
  #lastPushNo = firstPushNo - 1

  constructor(components: OutboxComponents, init: OutboxInit) {
    this.#components = components
    this.#init = init
  }

  /**
   * The peer asks for a part. What is not here, or is too much, is ended at once.
   * @throws ProtocolError for a number that is in use
   */
  takeAsk({ no, key, from, to = Number.POSITIVE_INFINITY }: Ask): void {
    if (this.#asks.has(no)) throw new ProtocolError('number in use')
    const { memory, turns } = this.#components
    const mayHave = turns.bps > 0 && (!isAbsent(memory, key) || this.#init.isPromised(key))
    if (mayHave && this.#asks.size < limits.asksMax && from < (memory.bytesOf(key) ?? to)) {
      this.#begin(this.#asks, no, key, from, to)
    } else {
      this.#end(no, key, true)
    }
  }

  /** Passes a part on from its first byte. Nothing happens when it is on its way already, or too many are. */
  push(key: PartKey): void {
    if (this.#components.turns.bps === 0 || this.#pushes.size >= limits.pushesMax) return
    for (const transfer of this.#pushes.values()) if (transfer.key === key) return
    const no = this.#lastPushNo === 0xffff_ffff ? firstPushNo : this.#lastPushNo + 1
    this.#lastPushNo = no
    this.#components.send({ kind: 'push', no, key })
    this.#begin(this.#pushes, no, key, 0, Number.POSITIVE_INFINITY)
  }

  /** The peer wants no more of an ask or push; that may have ended meanwhile. */
  takeCancel(no: number): void {
    const transfer = this.#asks.get(no) ?? this.#pushes.get(no)
    if (transfer !== undefined) this.#forget(transfer)
  }

  /** What was promised of a part does not come, or nothing may be sent any more; `key` undefined: of all parts. */
  cut(key?: PartKey): void {
    for (const transfer of this.#all()) {
      if (key === undefined || transfer.key === key) this.#cut(transfer)
    }
  }

  /** The channel has room again, or time has passed. */
  resume(): void {
    this.#cutLate()
    if (this.#asks.size + this.#pushes.size > 0) this.#components.turns.want(this)
  }

  sendNext(): number {
    const { chunks } = this.#components
    this.#cutLate()
    if (chunks.readyState !== 'open' || chunks.bufferedAmount >= limits.highBytes) return 0
    for (const transfer of this.#asks.values()) {
      const bytes = this.#sendChunk(transfer)
      if (bytes === 0) continue
      if (this.#asks.delete(transfer.no)) this.#asks.set(transfer.no, transfer)
      return bytes
    }
    for (const transfer of this.#pushes.values()) {
      const bytes = this.#sendChunk(transfer)
      if (bytes > 0) return bytes
    }
    return 0
  }

  /** Asks and pushes under way. */
  get size(): number {
    return this.#asks.size + this.#pushes.size
  }

  /** The connection is gone: nobody is told. */
  close(): void {
    for (const transfer of this.#all()) this.#forget(transfer)
    this.#components.turns.leave(this)
  }

  #all(): readonly Transfer[] {
    return [...this.#asks.values(), ...this.#pushes.values()]
  }

  #begin(list: Map<number, Transfer>, no: number, key: PartKey, next: number, to: number): void {
    const transfer: Transfer = {
      ...{ no, key, next, to, isSeen: false, behindSinceMs: undefined },
      unwatch: () => {},
    }
    try {
      transfer.unwatch = this.#components.memory.watch(key, () => this.#look(transfer))
    } catch {
      // Memory has no room for one more that listens.
      this.#end(no, key, true)
      return
    }
    list.set(no, transfer)
    this.#look(transfer)
  }

  /** Something of the part has changed. */
  #look(transfer: Transfer): void {
    const { memory, turns } = this.#components
    const isGone = isAbsent(memory, transfer.key)
    if (isGone && transfer.isSeen) {
      this.#cut(transfer)
    } else {
      transfer.isSeen = !isGone
      if (!this.#endIfDone(transfer)) turns.want(this)
    }
  }

  /** @returns its bytes; 0 when none are there. */
  #sendChunk(transfer: Transfer): number {
    const { memory, chunks } = this.#components
    const { no, key, next, to } = transfer
    const bytes = memory.read(key, next, Math.min(protocolLimits.chunkBytesMax, to - next))
    if (bytes.length === 0) return 0
    // It throws only where the browser has less room than it says; the connection is watched by its heartbeat.
    try {
      chunks.send(writeChunk({ no, offset: next, bytes }))
    } catch {
      return 0
    }
    transfer.next += bytes.length
    this.#init.onSent(bytes.length)
    this.#endIfDone(transfer)
    return bytes.length
  }

  #endIfDone(transfer: Transfer): boolean {
    const { no, key, next, to } = transfer
    if (next < Math.min(to, this.#components.memory.bytesOf(key) ?? to)) return false
    this.#forget(transfer)
    this.#end(no, key, false)
    return true
  }

  /** Ends the pushes that are too far behind. */
  #cutLate(): void {
    const { clock, memory } = this.#components
    const nowMs = clock.nowMs()
    let newerBytes = 0
    for (const transfer of [...this.#pushes.values()].reverse()) {
      const bytes = memory.available(transfer.key, transfer.next)
      transfer.behindSinceMs = bytes === 0 ? undefined : (transfer.behindSinceMs ?? nowMs)
      const behindMs = nowMs - (transfer.behindSinceMs ?? nowMs)
      if (behindMs > limits.lagMsMax || newerBytes > limits.lagBytesMax) this.#cut(transfer)
      newerBytes += bytes
    }
  }

  #cut(transfer: Transfer): void {
    this.#forget(transfer)
    this.#end(transfer.no, transfer.key, true)
  }

  #end(no: number, key: PartKey, isCut: boolean): void {
    const bytes = this.#components.memory.bytesOf(key)
    this.#components.send({ kind: 'end', no, ...(bytes !== undefined && { bytes }), isCut })
  }

  #forget(transfer: Transfer): void {
    transfer.unwatch()
    this.#asks.delete(transfer.no)
    this.#pushes.delete(transfer.no)
  }
}

/** Memory has nothing of a part, not even its length. */
function isAbsent(memory: PartMemory, key: PartKey): boolean {
  if (memory.bytesOf(key) !== undefined) return false
  const [first, ...more] = memory.missing(key)
  return more.length === 0 && first?.from === 0 && first.to === Number.POSITIVE_INFINITY
}
