/** Turns what happens to publishers into webhooks. */
import type { PublishedSession, SessionObserver } from '../media/published-session.ts'
import type { EmitWebhook } from './events.ts'

/** Tells of streams that start and end, and of publishers that are lost in between. */
export class StreamEvents implements SessionObserver {
  readonly #emit: EmitWebhook
  /** Streams that have started and not ended. */
  readonly #live = new Set<string>()

  constructor(emit: EmitWebhook) {
    this.#emit = emit
  }

  sessionStarted(session: PublishedSession): void {
    const { streamName: stream, streamId, protocol } = session
    if (!this.#live.has(stream)) {
      this.#live.add(stream)
      this.#emit('stream.started', { stream, streamId, protocol })
    }
    session.listen({
      ended: (reason) => {
        // A peer that stops does not lose its publishers, it leaves them.
        if (reason !== 'stopping') this.#emit('stream.publisher_lost', { stream, reason })
      },
    })
  }

  streamEnded(stream: string): void {
    if (this.#live.delete(stream)) this.#emit('stream.ended', { stream })
  }
}
