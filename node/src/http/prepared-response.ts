/**
 * What a handler of the fast lane is asked and what it answers. The same handlers stand behind the ordinary server,
 * so a request that the lane hands over gets the same bytes.
 */

/** A plain GET or HEAD, already validated: a decoded-free path of unreserved characters and an optional query. */
export interface PlainRequest {
  readonly method: 'GET' | 'HEAD'
  /** Path without query, starting with `/`, exactly as sent (no percent-encoding reaches a handler). */
  readonly path: string
  /** Query without `?`; empty when there is none. */
  readonly query: string
  /** `If-None-Match` as sent, if it was. */
  readonly ifNoneMatch: string | undefined
  /** `Accept-Encoding` as sent, if it was. */
  readonly acceptEncoding?: string | undefined
}

/** A whole answer, ready for the socket. `Content-Length`, `Date` and `Connection` are added by the server. */
export interface PreparedResponse {
  readonly status: number
  /** Header lines by lower-case name; values hold no line breaks. */
  readonly headers: Readonly<Record<string, string>>
  /** The body in pieces, written in order without being copied together. Empty for 304 and beside a `stream`. */
  readonly body: readonly Uint8Array[]
  /**
   * A body that is still being made, in place of `body`: sent in chunks (RFC 9112 7.1), one piece after the other as the client
   * takes them. One that throws ends the connection without the last chunk, so that the client knows that something is
   * missing. An answer with a stream is for one request only; it is not read for HEAD.
   */
  readonly stream?: AsyncIterable<Uint8Array>
}

/**
 * Answers a plain request, now or later (a blocked playlist reload waits for its part). `undefined` means that the path
 * is not the handler's: the server then asks its ordinary routes. The signal fires when the client is gone; `client` is the
 * address at the other end of the connection.
 * Rejections are KairoErrors and become problem documents (RFC 9457).
 */
export type PlainHandler = (
  request: PlainRequest,
  signal: AbortSignal,
  client: string,
) => PreparedResponse | Promise<PreparedResponse> | undefined
