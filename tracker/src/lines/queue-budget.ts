/** Memory that frames may take which wait to be sent, shared so that peers that read nothing leave room for the others. */
import { frameLimits } from './line-limits.ts'

/** The budget of all lines. */
export class QueueBudget {
  #queuedBytes = 0

  /** Bytes that wait on all lines. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** Whether a line that holds so much may take so much more; if so, it has. */
  take(heldBytes: number, bytes: number): boolean {
    const free = frameLimits.queuedBytesTotalMax - this.#queuedBytes
    const share = Math.max(free * frameLimits.freeShareMax, frameLimits.fairBytesMin)
    // A frame alone may take more than the share: else the largest ones could never go.
    const isFair = heldBytes === 0 || heldBytes + bytes <= share
    if (bytes > free || !isFair) return false
    this.#queuedBytes += bytes
    return true
  }

  /** Gives back what was taken. */
  give(bytes: number): void {
    this.#queuedBytes -= bytes
  }
}
