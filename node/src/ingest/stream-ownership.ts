/**
 * Who owns a stream's ingest, among all peers that hold its key: what ingest asks before it takes a publisher. Whoever answers stands
 * elsewhere; here is only what it must be able to do.
 */
import type { StreamNumbers } from '../content/publication/sequence-store.ts'
import type { FencingToken, StreamId } from '../content/stream.ts'

/** How a stream is to be taken. */
export interface TakeOptions {
  /** The numbers that this peer itself has used of the stream. */
  readonly numbers: StreamNumbers
  /** Gives up: the publisher is gone. Its reason is thrown. */
  readonly signal: AbortSignal
  /** Milliseconds that the publisher can be kept waiting for an owner that may be gone. */
  readonly waitMsMax: number
  /** Called when {@link StreamLease.token} or {@link StreamLease.isConfirmed} has changed. */
  readonly onChange: () => void
}

/** A stream that this peer may publish. */
export interface StreamLease {
  /** False while no region could say that nobody else owns the stream. */
  readonly isConfirmed: boolean
  /** Of the last time that a region said so; larger than that of every owner before. */
  readonly token: FencingToken | undefined
  /** Nobody has used these numbers and those above. */
  readonly numbers: StreamNumbers
  /** Aborted when the publication must end at once; its reason is a KairoError `ERR_PUBLISHER_ACTIVE` that says why. */
  readonly lost: AbortSignal
  /** Numbers below these are used; more are reserved ahead in the background. */
  use(numbers: StreamNumbers): void
  /** Others may own the stream from now on. Never throws. */
  release(): void
}

/** Takes streams for this peer. */
export interface StreamOwnership {
  /**
   * Takes a stream. Where no region decides in time it is taken all the same, unconfirmed.
   * @throws KairoError `ERR_PUBLISHER_ACTIVE` naming the peer that owns it, `ERR_STOPPED`; the signal's reason.
   */
  take(id: StreamId, options: TakeOptions): Promise<StreamLease>
}
