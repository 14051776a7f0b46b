/**
 * One other peer on the call lane: what is asked of it, what it asks here, and what waits to be sent. Requests that the line does not take
 * have not been made; everything else is offered again, since somebody waits for it.
 */
import { ByteWriter } from '../bytes/byte-writer.ts'
import { TrackerError } from '../errors.ts'
import type { TrackerTransport } from '../transport.ts'
import { beginFrame, numberFrame, writeReset } from './call-frame.ts'
import { callLimits } from './call-limits.ts'
import type { IncomingCall } from './incoming-call.ts'

/** A request that waits for its answer. */
export interface PendingAsk {
  readonly id: number
  /** What the asker sorts its requests by. */
  readonly tag: number
  /** Monotonic milliseconds; infinite for streams. */
  readonly deadlineMs: number
  /** What it gets at most from when its tag is hastened. */
  readonly hastyMs: number
  /** When it ends unless the peer has shown by then that it lives; infinite until that is asked. */
  hastenedMs: number
  /** The peer has shown that: it answers what it was asked before. */
  isSpared: boolean
  readonly onAnswer: (payload: Uint8Array) => void
  readonly onError: (error: TrackerError) => void
  readonly onItem: ((payload: Uint8Array) => void) | undefined
}

/** One other peer, or this one. */
export class CallPeer {
  readonly peerId: string
  /** Requests made to it. */
  readonly pending = new Map<number, PendingAsk>()
  /** Requests made by it. */
  readonly incoming = new Map<number, IncomingCall>()
  readonly #transport: Pick<TrackerTransport, 'send'>
  /** Names this object: the other peer takes no two lives of this one for the same. */
  readonly #session: number
  /** Frames that were sent. */
  #sent = 0
  #sentAtBeat = 0
  /** The other peer's session, and the number of the frame that comes next in it. */
  #theirSession: number | undefined
  #theirNext = 0
  readonly #asks = new ByteWriter()
  readonly #rest = new ByteWriter()
  /** Requests in the frame that is being gathered. */
  #askIds: number[] = []
  /** Frames that the line did not take. */
  #held: Uint8Array[] = []
  #heldBytes = 0

  constructor(peerId: string, transport: Pick<TrackerTransport, 'send'>, session: number) {
    this.peerId = peerId
    this.#transport = transport
    this.#session = session
  }

  /** True while frames wait that the line did not take. */
  get isHeldUp(): boolean {
    return this.#held.length > 0
  }

  /** True when so much is gathered that it should be sent now. */
  get isFull(): boolean {
    const { frameBytesHigh } = callLimits
    return this.#asks.length >= frameBytesHigh || this.#rest.length >= frameBytesHigh
  }

  /** Where a request is written. */
  asks(id: number, bytes: number): ByteWriter {
    this.#makeRoom(this.#asks, bytes)
    if (this.#asks.length === 0) beginFrame(this.#asks, this.#session)
    this.#askIds.push(id)
    return this.#asks
  }

  /** Where everything else is written. */
  rest(bytes: number): ByteWriter {
    this.#makeRoom(this.#rest, bytes)
    if (this.#rest.length === 0) beginFrame(this.#rest, this.#session)
    return this.#rest
  }

  /** Sends what was gathered: requests first, so that what follows one finds it. Returns false when the peer takes too little. */
  flush(): boolean {
    if (this.#asks.length > 0) this.#sendAsks()
    if (this.#rest.length > 0) this.#hold(this.#rest.take(callLimits.frameBytesKept))
    while (this.#held.length > 0) {
      const frame = this.#held[0] as Uint8Array
      if (!this.#take(frame)) break
      this.#held.shift()
      this.#heldBytes -= frame.length
    }
    return this.#heldBytes <= callLimits.heldBytesMax
  }

  /**
   * A frame came.
   * @returns false when one before it was lost, or the other peer began anew: what was on its way is lost
   */
  received(session: number, number: number): boolean {
    const isFirst = this.#theirSession === undefined
    const isAnew = !isFirst && session !== this.#theirSession
    const isNext = number === (isFirst || isAnew ? 0 : this.#theirNext)
    this.#theirSession = session
    this.#theirNext = (number + 1) >>> 0
    if (isNext) return !isAnew
    this.reset()
    return false
  }

  /** Says that something of the other peer's was lost, which it does not know. */
  reset(): void {
    if (this.#theirSession !== undefined) writeReset(this.rest(0), this.#theirSession)
  }

  /** Whether there are streams between the two, which a lost frame would leave waiting for ever. */
  hasStreams(): boolean {
    for (const ask of this.pending.values()) if (ask.onItem !== undefined) return true
    for (const call of this.incoming.values()) if (call.isStream) return true
    return false
  }

  /** Sends a frame that says nothing, if none was sent since the last one: what was lost before it shows. */
  beat(): void {
    if (this.#sent === this.#sentAtBeat && !this.isHeldUp) {
      this.rest(0)
      this.flush()
    }
    this.#sentAtBeat = this.#sent
  }

  /** Whether a session that lost frames is this one's. */
  isSession(session: number): boolean {
    return session === this.#session
  }

  /** Everything that was asked, either way, ends. What is gathered goes out all the same. */
  lost(error: TrackerError): void {
    const pending = [...this.pending.values()]
    this.pending.clear()
    const incoming = [...this.incoming.values()]
    this.incoming.clear()
    for (const ask of pending) ask.onError(error)
    for (const call of incoming) call.ended()
  }

  /** The line broke: what was on its way is lost. */
  broke(error: TrackerError): void {
    this.#asks.take(0)
    this.#rest.take(0)
    this.#askIds = []
    this.#held = []
    this.#heldBytes = 0
    this.lost(error)
  }

  #take(frame: Uint8Array): boolean {
    numberFrame(frame, this.#sent)
    if (!this.#transport.send(this.peerId, 'call', frame)) return false
    this.#sent = (this.#sent + 1) >>> 0
    return true
  }

  #sendAsks(): void {
    const ids = this.#askIds
    this.#askIds = []
    const frame = this.#asks.take(callLimits.frameBytesKept)
    if (this.#take(frame)) return
    const error = new TrackerError('ERR_UNAVAILABLE', 'the line to the member takes nothing')
    for (const id of ids) {
      const ask = this.pending.get(id)
      this.pending.delete(id)
      ask?.onError(error)
    }
  }

  #hold(frame: Uint8Array): void {
    this.#held.push(frame)
    this.#heldBytes += frame.length
  }

  /** A frame has room for one message of any size behind what it has already, up to where it would be sent. */
  #makeRoom(writer: ByteWriter, bytes: number): void {
    if (writer.length > 0 && writer.length + bytes > callLimits.payloadBytesMax) this.flush()
  }
}
