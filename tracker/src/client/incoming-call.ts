/** A request of another peer, as whoever answers it holds it. */
import assert from 'node:assert/strict'
import { TrackerError } from '../errors.ts'
import { callLimits } from './call-limits.ts'

/** What a call needs of the lane; all say whether the peer still takes it. */
export interface CallReplies {
  answer(payload: Uint8Array): void
  refuse(error: TrackerError): void
  item(payload: Uint8Array): void
}

/** One request. It is answered, refused, or given up by its asker; what is said after that goes nowhere. */
export class IncomingCall {
  /** Who asks, as the transport knows it. */
  readonly peerId: string
  /** What is asked; a part of a frame, to be copied by whoever keeps it. */
  readonly payload: Uint8Array
  /** Called when a stream that had no credit has some again. */
  onCredit: (() => void) | undefined
  /** Called once when a request ends that was not answered: the asker lost interest, or is gone. */
  onGone: (() => void) | undefined
  /** Whether items may be sent. */
  readonly isStream: boolean
  readonly #replies: CallReplies
  #credit: number
  #isOver = false

  constructor(peerId: string, payload: Uint8Array, credit: number, replies: CallReplies) {
    this.peerId = peerId
    this.payload = payload
    this.isStream = credit > 0
    this.#credit = credit
    this.#replies = replies
  }

  /** True when nobody waits for an answer any more. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Answers, which ends a stream. @throws TrackerError ERR_OVERLOADED for an answer that no frame has room for */
  answer(payload: Uint8Array): void {
    if (this.#isOver) return
    if (payload.length > callLimits.payloadBytesMax) {
      this.refuse(new TrackerError('ERR_OVERLOADED', 'the answer is larger than a frame'))
      return
    }
    this.#isOver = true
    this.#replies.answer(payload)
  }

  /** Says why there is no answer, which ends a stream. */
  refuse(error: TrackerError): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#replies.refuse(error)
  }

  /**
   * Sends an item of a stream.
   * @returns false when there is no credit for another one: wait for `onCredit`
   */
  item(payload: Uint8Array): boolean {
    if (this.#isOver) return false
    assert(payload.length <= callLimits.payloadBytesMax, 'an item fits a frame')
    this.#credit -= payload.length
    this.#replies.item(payload)
    return this.#credit > 0
  }

  /** The asker takes so many more bytes. */
  credited(bytes: number): void {
    const hadNone = this.#credit <= 0
    this.#credit = Math.min(this.#credit + bytes, callLimits.payloadBytesMax)
    if (hadNone && this.#credit > 0 && !this.#isOver) this.onCredit?.()
  }

  /** Nobody waits for an answer any more. */
  ended(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.onGone?.()
  }
}
