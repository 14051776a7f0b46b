/**
 * One lane of a direct line: frames both ways over a socket that is authenticated already. Frames of one turn go in one write; those that
 * come while a write waits go in the next one. It is read as fast as its frames are taken, up to a pace that no honest member reaches.
 */
import assert from 'node:assert/strict'
import type { TLSSocket } from 'node:tls'
import type { CancelTimer, Clock } from '../clock.ts'
import { frameBytesMax, type Lane } from '../transport.ts'
import { FrameError, FrameReader } from './frame-reader.ts'
import { nextWrite } from './frame-writer.ts'
import { beat, isOwnWord } from './invitation.ts'
import type { LineCounters } from './line-counters.ts'
import { directLimits, frameLimits } from './line-limits.ts'
import type { QueueBudget } from './queue-budget.ts'

/** What all sockets share. */
export interface LaneSocketComponents {
  readonly clock: Clock
  readonly budget: QueueBudget
  readonly counters: LineCounters
  readonly onFrame: (peerId: string, lane: Lane, frame: Uint8Array) => void
  /** More is held of a frame that is not whole. */
  readonly onHeld: () => void
}

/** What a socket belongs to. */
export interface LaneSocketInit {
  readonly peerId: string
  readonly lane: Lane
  readonly socket: TLSSocket
  /** It broke, or was broken off: what was on its way is lost. */
  readonly onEnd: (reason: string) => void
}

/** First byte that each side says: whether frames of before still come over the host's streams, up to a last one. */
const GOES_ON = 1
const BEGINS = 0

/** The socket. */
export class LaneSocket {
  readonly #components: LaneSocketComponents
  readonly #init: LaneSocketInit
  readonly #reader: FrameReader
  #queue: Uint8Array[] = []
  /** Of the queue and of the write under way. */
  #heldBytes = 0
  #isOpen = false
  #isWriting = false
  #isScheduled = false
  #hasEnded = false
  /** The other side's first byte; then what came behind it, while the gate is shut. */
  #hello: number | undefined
  #behindGate: Uint8Array | undefined
  #isGateOpen = false
  #cancelGate: CancelTimer | undefined
  #cancelPace: CancelTimer | undefined
  #paceSinceMs: number
  #paceFrames = 0
  #paceBytes = 0
  /** Sweeps since anything was heard, since a word was said, and in which a write, or a frame that comes, did not go on. */
  #silentSweeps = 0
  #quietSweeps = 0
  #writeSweeps = 0
  #frameSweeps = 0
  #partialSinceMs: number | undefined

  constructor(components: LaneSocketComponents, init: LaneSocketInit) {
    this.#components = components
    this.#init = init
    const { clock, counters, onFrame } = components
    const { socket, peerId, lane } = init
    this.#paceSinceMs = clock.monotonicMs()
    this.#reader = new FrameReader(frameBytesMax[lane], (frame) => {
      this.#paceFrames += 1
      if (this.#hasEnded || isOwnWord(frame)) return
      counters.framesReceived += 1
      counters.bytesReceived += frame.byteLength
      onFrame(peerId, lane, frame)
    })
    socket.setNoDelay(true)
    socket.on('data', (chunk: Uint8Array) => this.#onData(chunk))
    // Why it broke is nobody's business here: what was on its way is lost, and 'close' follows.
    socket.on('error', () => {})
    socket.once('end', () => this.end('gone'))
    socket.once('close', () => this.end('gone'))
  }

  /** Bytes held of a frame that is not whole. */
  get partialBytes(): number {
    return this.#hasEnded ? 0 : this.#reader.heldBytes
  }

  /** Since when a frame is not whole, monotonic milliseconds; undefined between frames. */
  get partialSinceMs(): number | undefined {
    return this.#partialSinceMs
  }

  /** Frames may go out from now on. @param goesOn some went over the host's streams, where a last one says so */
  open(goesOn: boolean): void {
    assert(!this.#isOpen, 'a socket is opened once')
    this.#isOpen = true
    this.#init.socket.write(Uint8Array.of(goesOn ? GOES_ON : BEGINS))
  }

  /** The last frame of the host's streams came. */
  openGate(): void {
    this.#isGateOpen = true
    const behind = this.#behindGate
    if (behind === undefined || this.#hasEnded) return
    this.#cancelGate?.()
    this.#behindGate = undefined
    this.#read(behind)
    if (this.#cancelPace === undefined) this.#init.socket.resume()
  }

  /** Queues a frame. @returns false when it was dropped, for so much waits already */
  send(frame: Uint8Array): boolean {
    assert(frame.byteLength > 0, 'a frame has bytes')
    const { budget, counters } = this.#components
    const bytes = frame.byteLength
    const { queuedBytesMax, queuedFramesMax } = frameLimits
    const isFull =
      this.#heldBytes + bytes > queuedBytesMax[this.#init.lane] ||
      this.#queue.length >= queuedFramesMax
    if (this.#hasEnded || isFull || !budget.take(this.#heldBytes, bytes)) {
      counters.framesDropped += 1
      return false
    }
    this.#heldBytes += bytes
    this.#queue.push(frame)
    if (!this.#isScheduled && !this.#isWriting) {
      this.#isScheduled = true
      queueMicrotask(this.#flush)
    }
    return true
  }

  /** A look at whether it still works; called every {@link frameLimits}.sweepMs. */
  sweep(): void {
    this.#writeSweeps = this.#isWriting ? this.#writeSweeps + 1 : 0
    this.#frameSweeps = this.#partialSinceMs === undefined ? 0 : this.#frameSweeps + 1
    const stuckSweeps = Math.max(this.#writeSweeps, this.#frameSweeps)
    if (stuckSweeps * frameLimits.sweepMs >= frameLimits.stallMsMax) {
      this.end('stalled')
      return
    }
    const isRead = this.#behindGate === undefined && this.#cancelPace === undefined
    this.#silentSweeps = isRead ? this.#silentSweeps + 1 : 0
    if (this.#silentSweeps >= directLimits.silentSweepsMax) {
      this.end('silent')
      return
    }
    this.#quietSweeps += 1
    if (this.#isOpen && this.#quietSweeps >= directLimits.beatSweeps) this.send(beat)
  }

  /** Breaks it off. */
  end(reason: string): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    const { budget, counters } = this.#components
    counters.framesDropped += this.#queue.length
    this.#queue = []
    budget.give(this.#heldBytes)
    this.#heldBytes = 0
    this.#behindGate = undefined
    this.#cancelGate?.()
    this.#cancelPace?.()
    this.#init.socket.destroy()
    this.#init.onEnd(reason)
  }

  readonly #flush = (): void => {
    this.#isScheduled = false
    if (this.#hasEnded || this.#queue.length === 0) return
    const { socket } = this.#init
    const { counters } = this.#components
    const { frames, bytes, pieces } = nextWrite(this.#queue)
    this.#queue.splice(0, frames)
    this.#isWriting = true
    this.#quietSweeps = 0
    counters.framesSent += frames
    counters.bytesSent += bytes
    counters.writes += 1
    const last = pieces.length - 1
    for (const [index, piece] of pieces.entries()) {
      socket.write(piece, index === last ? () => this.#onWritten(bytes) : this.#onProgress)
    }
  }

  readonly #onProgress = (): void => {
    this.#writeSweeps = 0
  }

  #onWritten(bytes: number): void {
    if (this.#hasEnded) return
    this.#isWriting = false
    this.#writeSweeps = 0
    this.#heldBytes -= bytes
    this.#components.budget.give(bytes)
    this.#flush()
  }

  #onData(chunk: Uint8Array): void {
    if (this.#hasEnded) return
    this.#silentSweeps = 0
    this.#frameSweeps = 0
    if (this.#hello !== undefined) {
      this.#read(chunk)
      return
    }
    this.#hello = chunk[0] as number
    const rest = chunk.subarray(1)
    if (this.#hello === GOES_ON && !this.#isGateOpen) this.#waitAtGate(rest)
    else if (this.#hello > GOES_ON) this.end('protocol')
    else this.#read(rest)
  }

  /** Nothing more is read until then, so what waits is what one reading brought. */
  #waitAtGate(rest: Uint8Array): void {
    const { clock, counters } = this.#components
    this.#behindGate = rest
    this.#init.socket.pause()
    this.#cancelGate = clock.after(directLimits.gateMs, () => {
      // It was lost on the way. Whoever hears the frames knows what one that is missing means.
      counters.gatesForced += 1
      this.openGate()
    })
  }

  #read(chunk: Uint8Array): void {
    const frames = this.#paceFrames
    const { heldBytes } = this.#reader
    this.#paceBytes += chunk.byteLength
    try {
      this.#reader.push(chunk)
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
      this.end(error.reason)
      return
    }
    if (this.#reader.isBetweenFrames) this.#partialSinceMs = undefined
    else if (this.#partialSinceMs === undefined || this.#paceFrames !== frames) {
      this.#partialSinceMs = this.#components.clock.monotonicMs()
    }
    if (this.#reader.heldBytes > heldBytes) this.#components.onHeld()
    if (!this.#hasEnded) this.#keepPace()
  }

  #keepPace(): void {
    const { clock, counters } = this.#components
    const { framesPerPaceMax, bytesPerPaceMax, paceMs } = frameLimits
    if (this.#paceFrames < framesPerPaceMax && this.#paceBytes < bytesPerPaceMax) return
    const restMs = this.#paceSinceMs + paceMs - clock.monotonicMs()
    if (restMs <= 0) {
      this.#beginPace()
      return
    }
    counters.paced += 1
    this.#init.socket.pause()
    this.#cancelPace = clock.after(Math.max(1, restMs), () => {
      this.#cancelPace = undefined
      this.#beginPace()
      if (this.#behindGate === undefined) this.#init.socket.resume()
    })
  }

  #beginPace(): void {
    this.#paceSinceMs = this.#components.clock.monotonicMs()
    this.#paceFrames = 0
    this.#paceBytes = 0
  }
}
