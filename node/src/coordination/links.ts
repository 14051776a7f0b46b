/**
 * Which peers are linked, as the tracker is told: by their connections, and by their lines. A line that breaks while the connection stands
 * means that the tracker over there is gone, or that something was lost: the link counts as broken for a moment, or until a line stands again.
 */
import { frameLimits } from '@kairo/tracker/program'
import type { CancelTimer, Clock } from '../clock.ts'

/** What links need. */
export interface LinksComponents {
  readonly clock: Clock
  readonly onLink: (peerId: string, isUp: boolean) => void
}

/** A peer that is connected; `mend` is there while its link counts as broken. */
interface Link {
  mend: CancelTimer | undefined
}

/** The links of this peer; bounded by the host's connections. */
export class Links {
  readonly #components: LinksComponents
  readonly #links = new Map<string, Link>()

  constructor(components: LinksComponents) {
    this.#components = components
  }

  /** A connection to a peer that has a tracker stands. */
  connected(peerId: string): void {
    if (this.#links.has(peerId)) {
      this.alive(peerId)
      return
    }
    this.#links.set(peerId, { mend: undefined })
    this.#components.onLink(peerId, true)
  }

  /** The last connection to a peer closed. */
  disconnected(peerId: string): void {
    const link = this.#links.get(peerId)
    if (link === undefined) return
    this.#links.delete(peerId)
    if (link.mend === undefined) this.#components.onLink(peerId, false)
    else link.mend()
  }

  /** A line to or from the peer stands. */
  alive(peerId: string): void {
    const link = this.#links.get(peerId)
    if (link?.mend === undefined) return
    link.mend()
    link.mend = undefined
    this.#components.onLink(peerId, true)
  }

  /** A line to or from the peer broke. */
  broke(peerId: string): void {
    const link = this.#links.get(peerId)
    if (link === undefined || link.mend !== undefined) return
    link.mend = this.#components.clock.after(frameLimits.blipMs, () => this.alive(peerId))
    this.#components.onLink(peerId, false)
  }

  /** Tells nothing any more. */
  stop(): void {
    for (const { mend } of this.#links.values()) mend?.()
    this.#links.clear()
  }
}
