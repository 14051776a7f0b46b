/** Notices what was sent to other pages, by looking once in a while at how much it is: uploads have no events of their own. */
import type { CancelTimer, Clock } from '../clock.ts'
import { hlsLimits as limits } from './limits.ts'

/** What was sent to a page since its connection began. */
export interface Sent {
  readonly peer: string
  readonly sentBytes: number
}

/** The watch over the uploads of one page. */
export class UploadWatch {
  readonly #clock: Clock
  readonly #onSent: (bytes: number, peer: string) => void
  #seen = new Map<string, number>()
  #read: () => readonly Sent[] = () => []
  #cancel: CancelTimer = () => {}

  constructor(clock: Clock, onSent: (bytes: number, peer: string) => void) {
    this.#clock = clock
    this.#onSent = onSent
  }

  /** Looks at other figures from now on. */
  start(read: () => readonly Sent[]): void {
    this.stop()
    this.#read = read
    this.#wait()
  }

  stop(): void {
    this.#cancel()
    this.#seen.clear()
    this.#read = () => []
  }

  /** Looks now. A page that is gone is forgotten; one that came back begins anew. */
  look(): void {
    const seen = new Map<string, number>()
    for (const { peer, sentBytes } of this.#read()) {
      seen.set(peer, sentBytes)
      const before = this.#seen.get(peer) ?? 0
      const bytes = sentBytes < before ? sentBytes : sentBytes - before
      if (bytes > 0) this.#onSent(bytes, peer)
    }
    this.#seen = seen
  }

  #wait(): void {
    this.#cancel = this.#clock.after(limits.lookMs, () => {
      this.look()
      this.#wait()
    })
  }
}
