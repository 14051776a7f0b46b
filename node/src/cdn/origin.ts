/** What the cache needs of an origin, whatever kind it is. */
import type { CacheRequest, ResponseHead } from './message.ts'

/** What an origin answers. */
export interface OriginResponse extends ResponseHead {
  /** Chunks as they come; throws when the origin breaks off before the end that it announced. Whoever stops reading aborts the signal. */
  readonly body: AsyncIterable<Uint8Array>
}

/** How an origin is asked. */
export interface OriginRequestOptions {
  readonly signal: AbortSignal
  /** Body of an unsafe request that passes through. */
  readonly body?: AsyncIterable<Uint8Array>
  /** Is told of informational responses (103, RFC 8297) before the response. */
  readonly onInformational?: (head: ResponseHead) => void
}

/** An origin. */
export interface Origin {
  /**
   * Sends a request, already stripped of hop-by-hop fields and with the conditionals and ranges that the cache wants.
   * @throws KairoError `ERR_NO_PROVIDER` when it cannot be reached, `ERR_TIMEOUT`, `ERR_PROTOCOL` for an answer that is none, `ERR_OVERLOADED` when too
   * many requests wait for it, `ERR_LOOP` for one that came back (origins/loop.ts), `ERR_INVALID_INPUT` for one that cannot be passed on.
   */
  fetch(request: CacheRequest, options: OriginRequestOptions): Promise<OriginResponse>
  /** Lets go of connections. */
  close(): void
}
