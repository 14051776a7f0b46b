/**
 * The door between ingest and the rest of the peer: a protocol server asks to publish with a stream key and,
 * when admitted, writes access units. It knows nothing of what happens to them.
 */
import type { AccessUnit, TrackConfig } from './access-unit.ts'

/** How a publisher's media come in: pushed to this peer, or pulled by it from an address. */
export type PublishProtocol = 'rtmp' | 'srt' | 'pull'

/** Who wants to publish. */
export interface PublishRequest {
  /** The stream key as the publisher gave it: a secret, never logged. */
  readonly streamKey: string
  readonly protocol: PublishProtocol
  /** Address and port of the publisher, for logs. */
  readonly remote: string
  /** Ends the publisher's connection; called when an operator or a takeover removes it, or another peer owns the stream. */
  readonly disconnect: (reason: string) => void
  /** Aborted with a KairoError when the publisher is gone before it was admitted. */
  readonly signal?: AbortSignal
}

/** One admitted publisher. Calls after {@link PublicationSink.end} are programmer errors. */
export interface PublicationSink {
  /** The stream's readable name, for logs. */
  readonly streamName: string
  /** Declares which kinds of track will come, as far as the publisher says so in advance. */
  expect(kinds: { readonly video?: boolean; readonly audio?: boolean }): void
  /** Sets a track's configuration; a changed one starts a discontinuity at its next keyframe. */
  configure(config: TrackConfig): void
  /**
   * Takes one access unit. The bytes are the receiver's from then on: the caller must not reuse the buffer.
   * Returns a promise when the publisher runs too far ahead of real time; the caller stops reading until it settles.
   */
  write(unit: AccessUnit): Promise<void> | undefined
  /** The publisher is gone; `reason` is a short word for logs (`closed`, `timeout`, `replaced`, `error`). */
  end(reason: string): void
}

/** Admits publishers. */
export interface Publishing {
  /**
   * Admits a publisher; a promise where other peers must be asked first.
   * @throws KairoError `ERR_STREAM_KEY` for an unknown key, `ERR_PUBLISHER_ACTIVE` when a live publisher holds the stream, here or at
   * another peer, `ERR_LIMIT` when the peer takes no more streams, `ERR_STOPPED` while shutting down; the request's signal's reason.
   */
  publish(request: PublishRequest): PublicationSink | Promise<PublicationSink>
}
