/** What a feed needs of a stream, beyond what viewers need: changes as they come and the way they took. */
import type { WindowedRendition } from './index/live-rendition.ts'
import type { LiveStream } from './stream.ts'

/** A stream that this peer can pass on to other peers. */
export interface ServedStream extends LiveStream {
  rendition(name: string, options: { readonly signal: AbortSignal }): Promise<WindowedRendition>
  followed(): readonly WindowedRendition[]
  /**
   * Peers from this one to the publisher's, this one first; empty while this peer has no way to the publisher. A peer on it
   * must not be served, or a circle could form.
   */
  route(rendition: string): readonly string[]
  /** Notes that somebody uses the stream. */
  touch(): void
}

/** Finds streams for feeds. */
export interface ServedStreams {
  /** The stream if this peer publishes or follows it. */
  served(id: string): ServedStream | undefined
}
