/**
 * What one peer sends to this page: the asks and pushes that are under way, what it says it holds, and the check that each chunk is one that was
 * to come. The two channels overtake each other: chunks may come before the message that names their push, and after the one that ends it.
 */
import { protocolLimits } from '../protocol/limits.ts'
import {
  type Chunk,
  type End,
  firstPushNo,
  type Have,
  type Lost,
  type MeshMessage,
  type Push,
} from '../protocol/mesh-messages.ts'
import type { PartKey } from '../protocol/part-key.ts'
import { ProtocolError } from '../protocol/protocol-error.ts'
import { meshLimits as limits } from './limits.ts'

/** Who is told. */
export interface InboxInit {
  readonly send: (message: MeshMessage) => void
  readonly onHave: (key: PartKey, bytes: number | undefined, isWhole: boolean) => void
  readonly onLost: (key: PartKey) => void
  readonly onPush: (key: PartKey) => void
  readonly onChunk: (key: PartKey, offset: number, bytes: Uint8Array) => void
  readonly onLength: (key: PartKey, bytes: number) => void
  readonly onEnd: (key: PartKey, isCut: boolean) => void
}

/** Something that comes, or of which some may still come. */
interface Incoming {
  readonly no: number
  readonly key: PartKey
  readonly from: number
  /** First byte that may not come: of the ask, the part, or the longest part. */
  to: number
  gotBytes: number
  gotChunks: number
  /** The peer has said that all is sent; the channel has not brought all of it yet. */
  isEnded: boolean
}

/** The receiving side of one connection. All that takes something throws ProtocolError for what a correct page would not send. */
export class Inbox {
  readonly #init: InboxInit
  readonly #incoming = new Map<number, Incoming>()
  /** Ended or cancelled, oldest first; `isWanted` for what the peer cut: what it had sent before is good. */
  readonly #closed = new Map<number, Incoming & { readonly isWanted: boolean }>()
  readonly #early = new Map<number, Chunk[]>()
  #earlyChunks = 0
  #earlyOverflows = 0
  /** Parts of the peer, the oldest news first. */
  readonly #held = new Set<PartKey>()
  #lastNo = -1

  constructor(init: InboxInit) {
    this.#init = init
  }

  /** Asks for a part from a byte on; `to` is the first one that is not wanted. False when too much is under way. */
  ask(key: PartKey, from: number, to?: number): boolean {
    if (this.asks >= limits.asksMax || from >= (to ?? protocolLimits.partBytesMax)) return false
    // One after the other; in a month none of the first is under way any more.
    this.#lastNo = (this.#lastNo + 1) % firstPushNo
    const no = this.#lastNo
    this.#open(no, key, from, to)
    this.#init.send({ kind: 'ask', no, key, from, ...(to !== undefined && { to }) })
    return true
  }

  /** Wants no more of a part, asked for or pushed. */
  cancel(key: PartKey): void {
    for (const incoming of [...this.#incoming.values()]) {
      if (incoming.key === key) this.#cancel(incoming)
    }
  }

  /** Asks under way. */
  get asks(): number {
    let asks = 0
    for (const no of this.#incoming.keys()) if (no < firstPushNo) asks += 1
    return asks
  }

  takeHave({ parts }: Have): void {
    for (const { key, bytes, isWhole } of parts) {
      this.#held.delete(key)
      this.#held.add(key)
      this.#init.onHave(key, bytes, isWhole)
      const [oldest] = this.#held
      if (this.#held.size > limits.heldMax) this.#lose(oldest as PartKey)
    }
  }

  takeLost({ keys }: Lost): void {
    for (const key of keys) this.#lose(key)
  }

  takePush({ no, key }: Push): void {
    if (this.#incoming.has(no)) throw new ProtocolError('number in use')
    // Cancelled when too many of its chunks had come before it.
    if (this.#closed.has(no)) return
    const early = this.#early.get(no) ?? []
    this.#early.delete(no)
    this.#earlyChunks -= early.length
    const incoming = this.#open(no, key, 0)
    const [oldest] = this.#pushes(true)
    if (oldest !== undefined && this.#pushes(true).length > limits.pushesMax) {
      this.#finish(oldest, true)
    }
    if (this.#pushes(false).length > limits.pushesMax) {
      this.#cancel(incoming)
    } else {
      this.#init.onPush(key)
      for (const chunk of early) this.takeChunk(chunk)
    }
  }

  takeEnd({ no, bytes, isCut }: End): void {
    const incoming = this.#incoming.get(no)
    if (incoming === undefined) {
      if (this.#closed.has(no)) return
      throw new ProtocolError('end of nothing')
    }
    if (incoming.isEnded) throw new ProtocolError('second end')
    const { key, from, gotBytes } = incoming
    if (bytes !== undefined) {
      incoming.to = Math.min(incoming.to, Math.max(bytes, from))
      if (gotBytes > incoming.to - from) throw new ProtocolError('more than the part')
      this.#init.onLength(key, bytes)
      // The length may have been refused, and this cancelled.
      if (this.#incoming.get(no) !== incoming) return
    } else if (!isCut && incoming.to === protocolLimits.partBytesMax) {
      throw new ProtocolError('end without a length')
    }
    incoming.isEnded = true
    if (isCut) this.#finish(incoming, true)
    else this.#finishIfAll(incoming)
  }

  takeChunk(chunk: Chunk): void {
    const { no, offset, bytes } = chunk
    const closed = this.#closed.get(no)
    const incoming = this.#incoming.get(no) ?? closed
    if (incoming === undefined) {
      this.#keepEarly(chunk)
      return
    }
    incoming.gotBytes += bytes.length
    incoming.gotChunks += 1
    const { from, to, gotBytes, gotChunks, key } = incoming
    if (offset < from || offset + bytes.length > to) throw new ProtocolError('bytes not asked for')
    if (gotBytes > to - from) throw new ProtocolError('bytes sent twice')
    if (gotChunks > limits.smallChunksMax + gotBytes / limits.chunkBytesMean) {
      throw new ProtocolError('chunks too small')
    }
    if (closed?.isWanted !== false) this.#init.onChunk(key, offset, bytes)
    this.#finishIfAll(incoming)
  }

  /** Those that go on, or those that are ended and of which chunks are still to come; the oldest first. */
  #pushes(areEnded: boolean): readonly Incoming[] {
    return [...this.#incoming.values()].filter(
      ({ no, isEnded }) => no >= firstPushNo && isEnded === areEnded,
    )
  }

  #open(
    no: number,
    key: PartKey,
    from: number,
    to: number = protocolLimits.partBytesMax,
  ): Incoming {
    const incoming: Incoming = {
      ...{ no, key, from, to, gotBytes: 0, gotChunks: 0, isEnded: false },
    }
    this.#incoming.set(no, incoming)
    return incoming
  }

  /** A chunk that nothing is known of: of a push that is about to be named, or a lie. */
  #keepEarly(chunk: Chunk): void {
    const { no } = chunk
    if (no < firstPushNo) throw new ProtocolError('chunk of nothing')
    const chunks = this.#early.get(no) ?? []
    this.#early.set(no, chunks)
    chunks.push(chunk)
    this.#earlyChunks += 1
    if (this.#earlyChunks <= limits.earlyChunksMax) return
    this.#earlyOverflows += 1
    if (this.#earlyOverflows > limits.earlyOverflowsMax)
      throw new ProtocolError('chunks of no push')
    this.#early.delete(no)
    this.#earlyChunks -= chunks.length
    this.#cancel(this.#open(no, '', 0))
  }

  /** All that was to come has come. */
  #finishIfAll(incoming: Incoming): void {
    const { no, from, to, gotBytes, isEnded } = incoming
    if (!isEnded || gotBytes < to - from) return
    // It may be one that was closed before.
    if (this.#incoming.get(no) === incoming) this.#finish(incoming, false)
  }

  #finish(incoming: Incoming, isCut: boolean): void {
    this.#close(incoming, true)
    this.#init.onEnd(incoming.key, isCut)
  }

  #cancel(incoming: Incoming): void {
    this.#close(incoming, false)
    this.#init.send({ kind: 'cancel', no: incoming.no })
  }

  #close(incoming: Incoming, isWanted: boolean): void {
    this.#incoming.delete(incoming.no)
    this.#closed.set(incoming.no, { ...incoming, isWanted })
    const [oldest] = this.#closed.keys()
    if (this.#closed.size > limits.closedMax) this.#closed.delete(oldest as number)
  }

  #lose(key: PartKey): void {
    if (this.#held.delete(key)) this.#init.onLost(key)
  }
}
