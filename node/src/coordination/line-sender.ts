/**
 * One lane to one peer: a stream that is opened when there is something to say, and stays. Frames of one turn go in one write; those that
 * come while a write waits go in the next one. What cannot be sent soon is dropped, for whoever sent it asks again.
 */
import assert from 'node:assert/strict'
import type { Lane } from '@kairo/tracker'
import { frameLimits, nextWrite, type QueueBudget } from '@kairo/tracker/program'
import { backoffMs } from '../backoff.ts'
import type { Clock } from '../clock.ts'
import { deadline } from '../deadline.ts'
import { KairoError } from '../errors.ts'
import type { PeerStream, Transport } from '../host/transport.ts'
import { lineLimits } from '../limits/coordination.ts'
import { preambleOf, protocolOf } from './lanes.ts'
import type { DropReason, LaneCounts, LineEnd, LineMetrics } from './line-metrics.ts'

/** What lines out share. */
export interface LineSenderComponents {
  readonly clock: Clock
  readonly transport: Transport
  readonly budget: QueueBudget
  readonly metrics: LineMetrics
  readonly random: () => number
  /** Fires when all lines end. */
  readonly stopping: AbortSignal
  /** A line stands. */
  readonly onOpen: (peerId: string) => void
  /** A line that stood broke: what was on its way is lost. */
  readonly onBreak: (peerId: string) => void
}

type State = 'closed' | 'opening' | 'open'

/** The line. */
export class LineSender {
  readonly peerId: string
  readonly lane: Lane
  readonly #components: LineSenderComponents
  readonly #counts: LaneCounts
  #state: State = 'closed'
  #stream: PeerStream | undefined
  #queue: Uint8Array[] = []
  /** Of the queue and of the write under way. */
  #heldBytes = 0
  #openedAtMs = 0
  #failures = 0
  #retryAtMs = Number.NEGATIVE_INFINITY
  #isScheduled = false
  /** When the write under way began. */
  #writingSinceMs: number | undefined

  constructor(components: LineSenderComponents, peerId: string, lane: Lane) {
    this.#components = components
    this.peerId = peerId
    this.lane = lane
    this.#counts = components.metrics.of(lane, 'out')
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Nothing waits and nothing is open. */
  get isIdle(): boolean {
    return this.#state === 'closed'
  }

  /** Queues a frame. @returns false when it was dropped. */
  send(frame: Uint8Array): boolean {
    assert(frame.byteLength > 0, 'a frame has bytes')
    const { budget, clock } = this.#components
    if (this.#state === 'closed' && clock.monotonicMs() < this.#retryAtMs) {
      return this.#drop('unreachable')
    }
    const bytes = frame.byteLength
    const isFull =
      this.#heldBytes + bytes > frameLimits.queuedBytesMax[this.lane] ||
      this.#queue.length >= frameLimits.queuedFramesMax
    if (isFull) return this.#drop('full')
    if (!budget.take(this.#heldBytes, bytes)) return this.#drop('crowded')
    this.#heldBytes += bytes
    this.#queue.push(frame)
    if (this.#state === 'closed') void this.#open()
    else this.#schedule()
    return true
  }

  /** A new connection to the peer stands: the next frame tries at once. */
  encourage(): void {
    this.#failures = 0
    this.#retryAtMs = Number.NEGATIVE_INFINITY
  }

  /** Breaks the line off if the other side takes nothing any more. */
  sweep(nowMs: number): void {
    const since = this.#writingSinceMs
    if (since === undefined || nowMs - since < frameLimits.stallMsMax) return
    this.#break('stalled', new KairoError('ERR_TIMEOUT', 'a peer takes no frames'))
  }

  /** Ends the line. */
  stop(): void {
    if (this.#state === 'open') this.#break('stopped', new KairoError('ERR_STOPPED', 'stopped'))
    else this.#clear('stopped')
  }

  async #open(): Promise<void> {
    const { clock, transport, stopping, onOpen } = this.#components
    this.#state = 'opening'
    const limit = deadline(clock, lineLimits.openMsMax, stopping)
    try {
      const protocol = protocolOf(this.lane)
      const stream = await transport.open(this.peerId, protocol, { signal: limit.signal })
      if (stopping.aborted) {
        stream.abort(new KairoError('ERR_STOPPED', 'stopped'))
        throw new KairoError('ERR_STOPPED', 'stopped')
      }
      this.#state = 'open'
      this.#openedAtMs = clock.monotonicMs()
      this.#stream = stream
      void this.#hear(stream)
    } catch {
      // The host counts it by its reason; whoever sends notices by silence.
      this.#state = 'closed'
      this.#retreat()
      this.#clear(stopping.aborted ? 'stopped' : 'unreachable')
      return
    } finally {
      limit.clear()
    }
    onOpen(this.peerId)
    void this.#drain(preambleOf(this.lane))
  }

  /** At the end of this turn, with all that it brings. */
  #schedule(): void {
    if (this.#isScheduled || this.#writingSinceMs !== undefined || this.#state !== 'open') return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      if (this.#writingSinceMs === undefined) void this.#drain()
    })
  }

  async #drain(preamble: Uint8Array = new Uint8Array(0)): Promise<void> {
    const { budget, clock } = this.#components
    const stream = this.#stream
    if (stream === undefined) return
    let first = preamble
    try {
      while (this.#queue.length > 0 && this.#stream === stream) {
        const { frames, bytes, pieces } = nextWrite(this.#queue, first)
        this.#queue = this.#queue.slice(frames)
        first = new Uint8Array(0)
        for (const piece of pieces) {
          this.#writingSinceMs = clock.monotonicMs()
          await stream.write(piece)
        }
        if (this.#stream !== stream) return
        this.#heldBytes -= bytes
        budget.give(bytes)
        this.#counts.frames(frames, bytes)
      }
      if (this.#stream === stream) this.#writingSinceMs = undefined
    } catch (error) {
      if (this.#stream === stream) this.#break('gone', error)
    }
  }

  /** Nothing is said on this half: the stream's end is all that there is to hear. */
  async #hear(stream: PeerStream): Promise<void> {
    let end: LineEnd = 'gone'
    let reason: unknown
    try {
      const { done } = await stream.incoming[Symbol.asyncIterator]().next()
      if (done !== true) end = 'protocol'
    } catch (error) {
      reason = error
    }
    if (this.#stream === stream) this.#break(end, reason)
  }

  #break(end: LineEnd, cause: unknown): void {
    const { clock, metrics, onBreak } = this.#components
    const reason = new KairoError('ERR_NO_PROVIDER', 'a line between trackers ended', { cause })
    this.#stream?.abort(reason)
    this.#stream = undefined
    this.#state = 'closed'
    this.#writingSinceMs = undefined
    const ageMs = clock.monotonicMs() - this.#openedAtMs
    // One that ends at once, again and again, is no better than one that does not open.
    if (ageMs >= lineLimits.steadyMs) this.#failures = 0
    metrics.ended.inc({ direction: 'out', reason: end })
    this.#retreat()
    this.#clear(end === 'stopped' ? 'stopped' : 'broken')
    onBreak(this.peerId)
  }

  #retreat(): void {
    const { clock, random } = this.#components
    this.#retryAtMs = clock.monotonicMs() + backoffMs(lineLimits, this.#failures, random)
    this.#failures += 1
  }

  #clear(reason: DropReason): void {
    const { budget, metrics } = this.#components
    if (this.#queue.length > 0) {
      metrics.dropped.inc({ lane: this.lane, reason }, this.#queue.length)
    }
    this.#queue = []
    budget.give(this.#heldBytes)
    this.#heldBytes = 0
  }

  #drop(reason: DropReason): false {
    this.#components.metrics.dropped.inc({ lane: this.lane, reason })
    return false
  }
}
