/** Lines between trackers of one process that run in threads of their own: real time, nothing lost until a peer is cut off. Introduces them, too. */
import type {
  Lane,
  LineIntroducer,
  TrackerTransport,
  TransportHandlers,
} from '../../src/transport.ts'

/** Connects transports by peer id. */
export class ThreadLines {
  readonly #peers = new Map<string, TransportHandlers>()
  readonly #answers = new Map<string, Parameters<LineIntroducer['answer']>[0]>()

  /** The lines of one peer; it meets those that are there when it starts. */
  transport(peerId: string): TrackerTransport {
    return {
      peerId,
      introducer: this.#introducer(peerId),
      send: (to, lane, frame) => this.#carry(peerId, to, lane, frame),
      start: (handlers) => {
        this.#peers.set(peerId, handlers)
        for (const [other, theirs] of this.#peers) {
          if (other === peerId) continue
          setImmediate(() => {
            handlers.onLink(other, true)
            theirs.onLink(peerId, true)
          })
        }
      },
    }
  }

  /** Breaks all lines of a peer. */
  cut(peerId: string): void {
    this.#peers.delete(peerId)
    for (const theirs of this.#peers.values()) theirs.onLink(peerId, false)
  }

  #introducer(peerId: string): LineIntroducer {
    return {
      listen: { host: '127.0.0.1', port: 0 },
      ask: async (to) => {
        if (!this.#peers.has(to)) return undefined
        const invitation = await this.#answers.get(to)?.(peerId)
        return invitation && { host: '127.0.0.1', ...invitation }
      },
      answer: (invite) => {
        this.#answers.set(peerId, invite)
      },
    }
  }

  #carry(from: string, to: string, lane: Lane, frame: Uint8Array): boolean {
    const handlers = this.#peers.get(to)
    if (handlers === undefined || !this.#peers.has(from)) return false
    setImmediate(() => handlers.onFrame(from, lane, frame))
    return true
  }
}
