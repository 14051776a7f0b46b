/**
 * What the tracker's thread knows of lines that the other thread holds. A request to a peer whose connection broke a moment ago is not
 * sent: it would wait for its time to run out, while another member could have been asked.
 */
import type { Clock } from '../clock.ts'
import type { Lane } from '../transport.ts'

/** How long a broken connection speaks against a peer; by then the program has tried to make it again. */
const BROKEN_MS = 3_000
/** Broken connections that are remembered; of more the oldest are forgotten. */
const BROKEN_MAX = 1_024

/** Lines by what was told of them. */
export class KnownLinks {
  readonly #clock: Clock
  readonly #brokenAtMs = new Map<string, number>()

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock
  }

  /** The connection to a peer was made, or broke. */
  changed(peerId: string, isUp: boolean): void {
    this.#brokenAtMs.delete(peerId)
    if (isUp) return
    this.#brokenAtMs.set(peerId, this.#clock.monotonicMs())
    if (this.#brokenAtMs.size <= BROKEN_MAX) return
    const [oldest] = this.#brokenAtMs.keys()
    if (oldest !== undefined) this.#brokenAtMs.delete(oldest)
  }

  /** Whether a frame for a peer has a chance: members of groups are always tried, which makes the line again. */
  takes(peerId: string, lane: Lane): boolean {
    if (lane !== 'call') return true
    const brokenAtMs = this.#brokenAtMs.get(peerId)
    return brokenAtMs === undefined || this.#clock.monotonicMs() - brokenAtMs >= BROKEN_MS
  }
}
