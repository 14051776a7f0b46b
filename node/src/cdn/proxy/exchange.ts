/** One request of a client on its way through the proxy. */
import type { EarlyHints } from '../../http/prepared-response.ts'
import type { CacheRequest } from '../message.ts'

/** A request, and who sent it. */
export interface Exchange {
  readonly request: CacheRequest
  /** IP address of the client. */
  readonly clientAddress: string
  /** The client is a proxy of the operator, and what it says of those before it is believed. */
  readonly trusted: boolean
  /** Fires when the client is gone. */
  readonly signal: AbortSignal
  /** Body of the request, for what passes through. */
  readonly body?: AsyncIterable<Uint8Array>
  /** Takes informational responses of the origin (103). */
  readonly hints?: EarlyHints | undefined
  /** Another peer asks: it is answered from here or from the origin, never from a third one. */
  readonly fromPeer: boolean
  /** Of another peer's request: what it has purged is purged here too, or the origin is asked anew. */
  readonly mustFetch?: boolean
}
