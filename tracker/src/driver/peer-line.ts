/**
 * What goes to one peer: messages of all groups gather here during a turn and leave as one frame. What comes from it measures the
 * round trip and tells how patient it is.
 */

import { ByteWriter } from '../bytes/byte-writer.ts'
import type { Message } from '../raft/types.ts'
import type { TrackerTransport } from '../transport.ts'
import { driverLimits } from './driver-limits.ts'
import { type ElectionPace, type HeardPace, unheardPace } from './election-pace.ts'
import { type FrameHead, frameHeadBytes, writeFrameHead } from './frame-codec.ts'
import { writeMessage } from './message-codec.ts'

/** What all lines of a driver share. */
export interface LineContext {
  readonly region: number
  readonly memberId: number
  readonly pace: ElectionPace
  readonly send: TrackerTransport['send']
  readonly counters: { framesSent: number; framesRefused: number; messagesSent: number }
}

/** The line to one peer. */
export class PeerLine {
  readonly peerId: string
  readonly heard: HeardPace = unheardPace()
  readonly #context: LineContext
  readonly #writer = new ByteWriter()
  #to = 0
  /** The stamp of the newest frame, until it was sent back; and when that frame came. */
  #echo: number | undefined
  #echoCameMs = 0
  /** An echo counts once: behind a stall several frames carry the same. */
  #echoSeen: number | undefined

  constructor(context: LineContext, peerId: string) {
    this.#context = context
    this.peerId = peerId
  }

  /** Adds a message; it leaves with {@link PeerLine.flush}, or at once when the frame is full. */
  add(group: number, message: Message, nowMs: number): void {
    if (this.#writer.length > 0 && (this.#to !== message.to || this.#isFull)) this.flush(nowMs)
    if (this.#writer.length === 0) {
      this.#to = message.to
      this.#writer.reserve(frameHeadBytes)
      this.#writer.length = frameHeadBytes
    }
    writeMessage(this.#writer, group, message)
    this.#context.counters.messagesSent += 1
  }

  get #isFull(): boolean {
    return this.#writer.length >= driverLimits.frameBytesHigh
  }

  /**
   * Sends what gathered.
   * @returns false when the transport did not take it: it is lost
   */
  flush(nowMs: number): boolean {
    if (this.#writer.length === 0) return true
    const { region, memberId: from, pace, counters } = this.#context
    const { electionMs } = pace
    writeFrameHead(this.#writer, {
      ...{ region, from, to: this.#to, electionMs },
      stamp: micros(nowMs),
      echo: this.#echo,
      heldMicros: this.#echo === undefined ? 0 : micros(nowMs - this.#echoCameMs),
    })
    this.#echo = undefined
    counters.framesSent += 1
    const frame = this.#writer.take(driverLimits.frameBytesKept)
    const taken = this.#context.send(this.peerId, 'raft', frame)
    if (!taken) counters.framesRefused += 1
    return taken
  }

  /** Takes in the head of a frame that came at `cameMs`. */
  hear(head: FrameHead, cameMs: number): void {
    this.heard.electionMs = Math.min(head.electionMs, driverLimits.electionMsMax)
    this.#echo = head.stamp
    this.#echoCameMs = cameMs
    if (head.echo === undefined || head.echo === this.#echoSeen) return
    this.#echoSeen = head.echo
    const roundTrip = (micros(cameMs) - head.echo - head.heldMicros) | 0
    if (roundTrip >= 0) this.heard.roundTrips.note(roundTrip / 1000, cameMs)
  }
}

/** Microseconds modulo 2^32. */
function micros(ms: number): number {
  return Math.floor(ms * 1000) >>> 0
}
