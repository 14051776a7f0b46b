/**
 * How many watch: each stream's viewers are the clients that asked for one of its playlists in the last seconds. A client
 * is told apart by its address, so a household counts once; nothing of it is kept longer than the window.
 */
import type { Clock } from '../clock.ts'
import type { StreamId } from '../content/stream.ts'
import { audienceLimits } from '../limits.ts'

/** Counts the viewers of this peer. */
export class Audience {
  readonly #clock: Clock
  /** By stream, the last time each client asked. Maps keep their order, so the oldest come first. */
  readonly #seen = new Map<StreamId, Map<string, number>>()

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock
  }

  /** Notes that a client asked for a playlist. */
  note(stream: StreamId, client: string): void {
    let clients = this.#seen.get(stream)
    if (clients === undefined) {
      if (this.#seen.size >= audienceLimits.streamsMax) return
      clients = new Map()
      this.#seen.set(stream, clients)
    }
    clients.delete(client)
    if (clients.size < audienceLimits.clientsMax) clients.set(client, this.#clock.monotonicMs())
  }

  /** Viewers of a stream at this peer in the last {@link audienceLimits.windowMs}. */
  viewers(stream: StreamId): number {
    const clients = this.#seen.get(stream)
    if (clients === undefined) return 0
    const oldest = this.#clock.monotonicMs() - audienceLimits.windowMs
    for (const [client, atMs] of clients) {
      if (atMs >= oldest) break
      clients.delete(client)
    }
    if (clients.size === 0) this.#seen.delete(stream)
    return clients.size
  }
}
