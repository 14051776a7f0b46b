/** One end of the port between the threads: all that is said in a turn goes in one message, bytes of frames handed over instead of copied. */
import type { Lane } from '../transport.ts'
import { type PortMessage, withOwnBytes } from './port-messages.ts'

/** Gathers what a turn has to say. */
export class PortLine {
  readonly #post: (messages: readonly PortMessage[], transfer: ArrayBuffer[]) => void
  #messages: PortMessage[] = []
  #transfer = new Set<ArrayBuffer>()

  /** @param post hands messages to the port */
  constructor(post: (messages: readonly PortMessage[], transfer: ArrayBuffer[]) => void) {
    this.#post = post
  }

  /** Says something, after what was said before in this turn. */
  readonly send = (message: PortMessage): void => {
    this.#messages.push(message)
    if (this.#messages.length === 1) queueMicrotask(this.#flush)
  }

  /** Hands over a frame; its bytes are gone here afterwards. */
  readonly sendFrame = (peerId: string, lane: Lane, frame: Uint8Array): void => {
    let bytes = withOwnBytes(frame)
    // A frame that goes to several peers is one buffer, which can be handed over once.
    if (this.#transfer.has(bytes.buffer as ArrayBuffer)) bytes = new Uint8Array(bytes)
    this.#transfer.add(bytes.buffer as ArrayBuffer)
    this.send({ type: 'frame', peerId, lane, bytes })
  }

  readonly #flush = (): void => {
    const messages = this.#messages
    const transfer = [...this.#transfer]
    this.#messages = []
    this.#transfer = new Set()
    this.#post(messages, transfer)
  }
}
