/**
 * The call lane: requests with answers and streams of items between peers, for several services at once. All that is said to one peer in a
 * turn goes in one frame, also to this peer itself. docs/protocol/tracker.md has the rules.
 */
import assert from 'node:assert/strict'
import type { CancelTimer, Clock } from '../clock.ts'
import { TrackerError } from '../errors.ts'
import type { TrackerTransport } from '../transport.ts'
import {
  type AskMessage,
  readFrame,
  writeAnswer,
  writeAsk,
  writeCancel,
  writeCredit,
  writeItem,
  writeRefusal,
} from './call-frame.ts'
import { callLimits } from './call-limits.ts'
import { CallPeer, type PendingAsk } from './call-peer.ts'
import { IncomingCall } from './incoming-call.ts'

/** Services by their numbers on the wire. */
export const callServices = { coordination: 1, region: 2, soft: 3 } as const

/** What frames a message beside its payload, at most. */
const messageOverheadBytes = 1_024

/** What the lane works with. */
export interface CallLaneComponents {
  readonly transport: Pick<TrackerTransport, 'peerId' | 'send'>
  readonly clock: Clock
  /** A number in [0, 1): requests of two runs of a peer must not be taken for one another. */
  readonly random: () => number
}

/** Answers the requests of one service; called synchronously, must not throw. */
export type CallHandler = (call: IncomingCall) => void

/** One request. */
export interface AskOptions {
  readonly timeoutMs: number
  /** By which {@link CallLane.hasten} and {@link CallLane.spare} find it. */
  readonly tag?: number
  /** What it gets at most from when its tag is hastened. Default: all of its time. */
  readonly hastyMs?: number
}

/** Who reads a stream. */
export interface StreamListener {
  onItem(payload: Uint8Array): void
  /** It ended: undefined when the other peer said all it had to say. */
  onEnd(error: TrackerError | undefined): void
}

/** A stream as its reader holds it. */
export interface CallStream {
  /** So many bytes of items were read: as many more may come. */
  credit(bytes: number): void
  /** Ends it; nothing more is told. */
  close(): void
}

/** All requests of this peer and to it. */
export class CallLane {
  readonly counters = {
    asked: 0,
    served: 0,
    framesMalformed: 0,
    framesLost: 0,
    timeouts: 0,
    refusedBusy: 0,
    linksOverrun: 0,
  }
  readonly #components: CallLaneComponents
  readonly #handlers = new Map<number, CallHandler>()
  readonly #peers = new Map<string, CallPeer>()
  /** Peers with something to send. */
  #gathering = new Set<CallPeer>()
  #gathered = 0
  #isFlushing = false
  #nextId: number
  #cancelSweep: CancelTimer | undefined
  /** The last sweep ended nothing because it came late. */
  #isPutOff = false
  #cancelBeat: CancelTimer | undefined
  #isStopped = false

  constructor(components: CallLaneComponents) {
    this.#components = components
    // Somewhere in the lower half of what a safe integer holds: no run makes so many requests that they meet.
    this.#nextId = Math.floor(components.random() * 2 ** 52) + 1
  }

  /** This peer. */
  get peerId(): string {
    return this.#components.transport.peerId
  }

  /** Takes the requests of a service from now on. */
  serve(service: number, handler: CallHandler): void {
    assert(!this.#handlers.has(service), 'a service has one handler')
    this.#handlers.set(service, handler)
  }

  /** A frame of the lane came. */
  onFrame(peerId: string, frame: Uint8Array): void {
    if (this.#isStopped) return
    const peer = this.#peer(peerId)
    try {
      readFrame(frame, {
        onHead: (session, number) => {
          if (!peer.received(session, number)) this.#onLoss(peer)
        },
        onAsk: (ask) => this.#onAsk(peer, ask),
        onAnswer: (id, payload) => this.#settle(peer, id)?.onAnswer(payload),
        onRefusal: (id, error) => this.#settle(peer, id)?.onError(error),
        onCancel: (id) => this.#onCancel(peer, id),
        onItem: (id, payload) => peer.pending.get(id)?.onItem?.(payload),
        onCredit: (id, bytes) => peer.incoming.get(id)?.credited(bytes),
        onReset: (session) => {
          if (peer.isSession(session)) this.#onLoss(peer)
        },
      })
    } catch (error) {
      if (!(error instanceof TrackerError) || error.code !== 'ERR_MALFORMED') throw error
      this.counters.framesMalformed += 1
      peer.reset()
      this.#onLoss(peer)
    }
  }

  /** The connection to a peer was made, or broke. */
  onLink(peerId: string, isUp: boolean): void {
    if (isUp) return
    const peer = this.#peers.get(peerId)
    if (peer === undefined) return
    this.#peers.delete(peerId)
    this.#gathering.delete(peer)
    peer.broke(new TrackerError('ERR_UNKNOWN_OUTCOME', 'the connection to the member broke'))
  }

  /**
   * Asks a peer, this one included.
   * @throws TrackerError ERR_UNAVAILABLE when it was not sent; ERR_UNKNOWN_OUTCOME when no answer came in time or the connection broke; what
   *   the other peer refuses it with; ERR_STOPPED
   */
  ask(
    peerId: string,
    service: number,
    payload: Uint8Array,
    options: AskOptions,
  ): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++
      this.#send(
        peerId,
        { id, service, credit: 0, payload },
        {
          id,
          tag: options.tag ?? 0,
          hastyMs: options.hastyMs ?? options.timeoutMs,
          ...{ hastenedMs: Number.POSITIVE_INFINITY, isSpared: false },
          deadlineMs: this.#components.clock.monotonicMs() + options.timeoutMs,
          onAnswer: resolve,
          onError: reject,
          onItem: undefined,
        },
      )
    })
  }

  /** Opens a stream. It ends as {@link ask} would throw, but for the time that it may take. */
  open(peerId: string, service: number, payload: Uint8Array, listener: StreamListener): CallStream {
    const id = this.#nextId++
    const credit = callLimits.streamWindowBytes
    this.#send(
      peerId,
      { id, service, credit, payload },
      {
        id,
        tag: 0,
        ...{ hastyMs: Number.POSITIVE_INFINITY, hastenedMs: Number.POSITIVE_INFINITY },
        ...{ isSpared: false, deadlineMs: Number.POSITIVE_INFINITY },
        onAnswer: () => listener.onEnd(undefined),
        onError: (error) => listener.onEnd(error),
        onItem: (item) => listener.onItem(item),
      },
    )
    return {
      credit: (bytes) => {
        const peer = this.#peers.get(peerId)
        if (!peer?.pending.has(id)) return
        writeCredit(peer.rest(messageOverheadBytes), id, bytes)
        this.#gather(peer)
      },
      close: () => {
        const peer = this.#peers.get(peerId)
        if (peer?.pending.delete(id)) this.#sendCancel(peer, id)
      },
    }
  }

  /** Requests with a tag that have not been answered, save by one peer, get what they said at most, unless they are spared. */
  hasten(tag: number, exceptPeerId: string): void {
    const nowMs = this.#components.clock.monotonicMs()
    for (const peer of this.#peers.values()) {
      if (peer.peerId === exceptPeerId) continue
      for (const ask of peer.pending.values()) {
        if (ask.tag === tag) ask.hastenedMs = Math.min(ask.hastenedMs, nowMs + ask.hastyMs)
      }
    }
  }

  /** Requests with a tag that a peer has not answered get all of their time, hastened or not. */
  spare(tag: number, peerId: string): void {
    for (const ask of this.#peers.get(peerId)?.pending.values() ?? [])
      if (ask.tag === tag) ask.isSpared = true
  }

  /** Ends everything. */
  stop(): void {
    this.#isStopped = true
    this.#cancelSweep?.()
    this.#cancelBeat?.()
    const peers = [...this.#peers.values()]
    this.#peers.clear()
    this.#gathering.clear()
    for (const peer of peers) peer.broke(stopped())
  }

  #send(peerId: string, ask: AskMessage, pending: PendingAsk): void {
    if (this.#isStopped) {
      pending.onError(stopped())
      return
    }
    const { payload } = ask
    if (payload.length > callLimits.payloadBytesMax) {
      pending.onError(new TrackerError('ERR_INVALID_INPUT', 'the request is larger than a frame'))
      return
    }
    const peer = this.#peer(peerId)
    if (peer.pending.size >= callLimits.asksMax) {
      this.counters.refusedBusy += 1
      pending.onError(new TrackerError('ERR_OVERLOADED', 'too much waits for the member'))
      return
    }
    this.counters.asked += 1
    writeAsk(peer.asks(ask.id, payload.length + messageOverheadBytes), ask)
    peer.pending.set(ask.id, pending)
    this.#gather(peer)
    this.#cancelSweep ??= this.#sweepLater()
  }

  /** Frames were lost, or the other peer began anew: everything between the two ends, for anything may have been in them. */
  #onLoss(peer: CallPeer): void {
    this.counters.framesLost += 1
    peer.lost(new TrackerError('ERR_UNKNOWN_OUTCOME', 'the line to the member lost something'))
    this.#gather(peer)
  }

  #onAsk(peer: CallPeer, { id, service, credit, payload }: AskMessage): void {
    const finish = (): boolean => peer.incoming.delete(id)
    const call = new IncomingCall(peer.peerId, payload, credit, {
      answer: (bytes) => {
        if (!finish()) return
        writeAnswer(peer.rest(bytes.length + messageOverheadBytes), id, bytes)
        this.#gather(peer)
      },
      refuse: (error) => {
        finish()
        writeRefusal(peer.rest(messageOverheadBytes * 2), id, error)
        this.#gather(peer)
      },
      item: (bytes) => {
        writeItem(peer.rest(bytes.length + messageOverheadBytes), id, bytes)
        this.#gather(peer)
      },
    })
    if (peer.incoming.has(id)) return
    const handler = this.#handlers.get(service)
    if (handler === undefined) {
      call.refuse(new TrackerError('ERR_UNAVAILABLE', 'this peer has no such service now'))
    } else if (peer.incoming.size >= callLimits.asksOfPeerMax) {
      this.counters.refusedBusy += 1
      call.refuse(new TrackerError('ERR_OVERLOADED', 'too many requests of this peer wait'))
    } else {
      this.counters.served += 1
      peer.incoming.set(id, call)
      handler(call)
    }
  }

  #onCancel(peer: CallPeer, id: number): void {
    const call = peer.incoming.get(id)
    peer.incoming.delete(id)
    call?.ended()
  }

  #settle(peer: CallPeer, id: number): PendingAsk | undefined {
    const ask = peer.pending.get(id)
    if (ask !== undefined) peer.pending.delete(id)
    return ask
  }

  #sendCancel(peer: CallPeer, id: number): void {
    writeCancel(peer.rest(messageOverheadBytes), id)
    this.#gather(peer)
  }

  #peer(peerId: string): CallPeer {
    let peer = this.#peers.get(peerId)
    if (peer === undefined) {
      const { transport } = this.#components
      const isSelf = peerId === transport.peerId
      peer = new CallPeer(peerId, isSelf ? this.#loopback : transport, this.#nextId++)
      this.#peers.set(peerId, peer)
      this.#cancelBeat ??= this.#beatLater()
    }
    return peer
  }

  /** What this peer says to itself takes the same way, in the same turn. */
  readonly #loopback: Pick<TrackerTransport, 'send'> = {
    send: (peerId, _lane, frame) => {
      queueMicrotask(() => this.onFrame(peerId, frame))
      return true
    },
  }

  #gather(peer: CallPeer): void {
    this.#gathered += 1
    this.#gathering.add(peer)
    if (peer.isFull) {
      this.#flushPeer(peer)
      this.#gathering.delete(peer)
    }
    if (this.#isFlushing) return
    this.#isFlushing = true
    this.#flushLater(callLimits.gatherRounds, -1)
  }

  /** Waits for further messages of this turn while there are any: callers that were answered together ask again together. */
  #flushLater(rounds: number, gatheredBefore: number): void {
    queueMicrotask(() => {
      if (rounds > 0 && this.#gathered !== gatheredBefore) {
        this.#flushLater(rounds - 1, this.#gathered)
        return
      }
      this.#isFlushing = false
      this.#flush()
    })
  }

  #flush(): void {
    const peers = this.#gathering
    this.#gathering = new Set()
    for (const peer of peers) this.#flushPeer(peer)
  }

  #flushPeer(peer: CallPeer): void {
    const wasHeldUp = peer.isHeldUp
    if (!peer.flush()) {
      this.counters.linksOverrun += 1
      this.onLink(peer.peerId, false)
    } else if (peer.isHeldUp && !wasHeldUp) this.#offerLater(peer)
  }

  #offerLater(peer: CallPeer): void {
    this.#components.clock.after(callLimits.heldRetryMs, () => {
      if (this.#peers.get(peer.peerId) !== peer) return
      peer.flush()
      if (peer.isHeldUp) this.#offerLater(peer)
    })
  }

  /** As long as there are other peers. */
  #beatLater(): CancelTimer {
    return this.#components.clock.after(callLimits.beatMs, () => {
      this.#cancelBeat = undefined
      for (const peer of this.#peers.values()) if (peer.hasStreams()) peer.beat()
      if (this.#peers.size > 0) this.#cancelBeat ??= this.#beatLater()
    })
  }

  #sweepLater(): CancelTimer {
    const { clock } = this.#components
    const dueMs = clock.monotonicMs() + callLimits.sweepMs
    return clock.after(callLimits.sweepMs, () => {
      this.#cancelSweep = undefined
      const nowMs = clock.monotonicMs()
      // This thread stood still, and answers may wait to be read; not every time, for one that is always late has to end calls, too.
      this.#isPutOff = !this.#isPutOff && nowMs - dueMs > callLimits.sweepMs
      let isNeeded = false
      for (const peer of this.#peers.values()) {
        if (!this.#isPutOff) this.#sweepPeer(peer, nowMs)
        isNeeded ||= peer.pending.size > 0
      }
      if (isNeeded && !this.#isStopped) this.#cancelSweep ??= this.#sweepLater()
    })
  }

  #sweepPeer(peer: CallPeer, nowMs: number): void {
    for (const ask of peer.pending.values()) {
      if (ask.deadlineMs > nowMs && (ask.isSpared || ask.hastenedMs > nowMs)) continue
      peer.pending.delete(ask.id)
      this.counters.timeouts += 1
      this.#sendCancel(peer, ask.id)
      ask.onError(new TrackerError('ERR_UNKNOWN_OUTCOME', 'the member did not answer in time'))
    }
  }
}

function stopped(): TrackerError {
  return new TrackerError('ERR_STOPPED', 'the tracker was stopped')
}
