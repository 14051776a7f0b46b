/**
 * One lane from one peer. It is read as fast as its frames are taken, up to a pace that no honest member reaches; a peer that brings more
 * waits in its own stream, and slows nobody else.
 */
import type { Lane } from '@kairo/tracker'
import { FrameError, FrameReader, frameBytesMax, frameLimits } from '@kairo/tracker/program'
import type { Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'
import type { PeerStream } from '../host/transport.ts'
import type { LineEnd, LineMetrics } from './line-metrics.ts'

/** What lines in share. */
export interface LineReceiverComponents {
  readonly clock: Clock
  readonly metrics: LineMetrics
  readonly onFrame: (peerId: string, lane: Lane, frame: Uint8Array) => void
}

/** Ends that are the other side's fault. */
const badEnds: ReadonlySet<LineEnd> = new Set(['protocol', 'too-large', 'stalled', 'memory'])

/** The line. */
export class LineReceiver {
  readonly peerId: string
  readonly lane: Lane
  readonly #components: LineReceiverComponents
  readonly #stream: PeerStream
  readonly #reader: FrameReader
  readonly #onHeld: () => void
  #end: LineEnd | undefined
  #partialSinceMs: number | undefined
  #lastBytesMs = 0
  #paceSinceMs = 0
  #paceFrames = 0
  #paceBytes = 0

  /** @param onHeld hears that more is held of a frame that is not whole */
  constructor(
    components: LineReceiverComponents,
    stream: PeerStream,
    lane: Lane,
    onHeld: () => void,
  ) {
    this.#components = components
    this.#onHeld = onHeld
    this.#stream = stream
    this.peerId = stream.remotePeer
    this.lane = lane
    const { metrics, onFrame } = components
    const counts = metrics.of(lane, 'in')
    this.#reader = new FrameReader(frameBytesMax[lane], (frame) => {
      this.#paceFrames += 1
      counts.frames(1, frame.byteLength)
      if (this.#end === undefined) onFrame(this.peerId, lane, frame)
    })
  }

  /** Bytes held of a frame that is not whole. */
  get heldBytes(): number {
    return this.#end === undefined ? this.#reader.heldBytes : 0
  }

  /** Since when a frame is not whole, monotonic milliseconds; undefined between frames. */
  get partialSinceMs(): number | undefined {
    return this.#partialSinceMs
  }

  /** Ends the line if a frame has begun of which no more comes. */
  sweep(nowMs: number): void {
    if (this.#partialSinceMs === undefined) return
    if (nowMs - this.#lastBytesMs >= frameLimits.stallMsMax) this.end('stalled')
  }

  /** Reads until the line ends. @throws KairoError why it was ended from here. */
  async read(first: Uint8Array): Promise<void> {
    const { clock, metrics } = this.#components
    this.#paceSinceMs = clock.monotonicMs()
    try {
      this.#take(first)
      for await (const chunk of this.#stream.incoming) {
        this.#take(chunk)
        if (this.#isTooFast()) await this.#pause()
      }
    } catch (error) {
      this.#end ??= error instanceof FrameError ? error.reason : 'gone'
      if (badEnds.has(this.#end)) throw error
    } finally {
      metrics.ended.inc({ direction: 'in', reason: this.#end ?? 'gone' })
      this.#end ??= 'gone'
    }
  }

  /** Ends the line at once; no further frame of it is handed on. */
  end(reason: LineEnd): void {
    if (this.#end !== undefined) return
    this.#end = reason
    this.#stream.abort(
      new KairoError('ERR_STOPPED', `a line between trackers was ended: ${reason}`),
    )
  }

  #take(chunk: Uint8Array): void {
    this.#paceBytes += chunk.byteLength
    const frames = this.#paceFrames
    const { heldBytes } = this.#reader
    this.#reader.push(chunk)
    if (this.#reader.heldBytes > heldBytes) this.#onHeld()
    if (this.#reader.isBetweenFrames) {
      this.#partialSinceMs = undefined
      return
    }
    this.#lastBytesMs = this.#components.clock.monotonicMs()
    const isNew = this.#partialSinceMs === undefined || this.#paceFrames !== frames
    if (isNew) this.#partialSinceMs = this.#lastBytesMs
  }

  #isTooFast(): boolean {
    const isMuch =
      this.#paceFrames >= frameLimits.framesPerPaceMax ||
      this.#paceBytes >= frameLimits.bytesPerPaceMax
    if (!isMuch) return false
    const isOver = this.#components.clock.monotonicMs() - this.#paceSinceMs >= frameLimits.paceMs
    if (isOver) this.#beginPace()
    return !isOver
  }

  async #pause(): Promise<void> {
    const { clock, metrics } = this.#components
    metrics.paced.inc({ lane: this.lane })
    const restMs = this.#paceSinceMs + frameLimits.paceMs - clock.monotonicMs()
    await new Promise<void>((resolve) => clock.after(Math.max(1, restMs), resolve))
    this.#beginPace()
  }

  #beginPace(): void {
    this.#paceSinceMs = this.#components.clock.monotonicMs()
    this.#paceFrames = 0
    this.#paceBytes = 0
  }
}
