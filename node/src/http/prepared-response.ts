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
  /** `Host` as sent, in lower case, with its port. */
  readonly host: string
  /** `If-None-Match` as sent, if it was. */
  readonly ifNoneMatch: string | undefined
  /** `Accept-Encoding` as sent, if it was. */
  readonly acceptEncoding?: string | undefined
  /** True when `Cache-Control`, `Pragma` or a conditional field is there: what a cache has may then not be the answer. */
  readonly asksCache: boolean
  /** For the handler that answers: a connection that repeats a request asks with the same object again. */
  answered?: unknown
  /** Lower-case names of all fields. */
  fieldNames(): readonly string[]
  /** A field by its lower-case name; repeated ones are joined by `, `. */
  header(name: string): string | undefined
}

/** Sends an informational response before the answer, by default a 103 (RFC 8297); the fields are lower case. */
export type EarlyHints = (headers: Readonly<Record<string, string>>, status?: number) => void

/** A whole answer, ready for the socket. `Content-Length`, `Date` and `Connection` are added by the server. */
export interface PreparedResponse {
  readonly status: number
  /**
   * The fields are another server's and go out as they are, `Date` among them: nothing is added but `Connection`, and
   * `Content-Length` where the fields have none and the body is whole. Lines of `set-cookie` are parted by line feeds.
   */
  readonly verbatim?: true
  /** Header lines by lower-case name; values hold no line breaks. */
  readonly headers: Readonly<Record<string, string>>
  /** The body in pieces, written in order without being copied together. Empty for 304 and beside a `stream`. */
  readonly body: readonly Uint8Array[]
  /**
   * A body that is still being made, in place of `body`: sent in chunks (RFC 9112 7.1) unless verbatim fields tell its length, one piece after the other as the client
   * takes them. One that throws ends the connection without the last chunk, so that the client knows that something is
   * missing. An answer with a stream is for one request only; it is not read for HEAD.
   */
  readonly stream?: AsyncIterable<Uint8Array>
}

/**
 * Answers a plain request, now or later (a blocked playlist reload waits for its part). `undefined` means that the path
 * is not the handler's: the server then asks its ordinary routes. The signal fires when the client is gone; `client` is the
 * address at the other end of the connection; `hints` may be called before a promised answer.
 * Rejections are KairoErrors and become problem documents (RFC 9457).
 */
export type PlainHandler = (
  request: PlainRequest,
  signal: AbortSignal,
  client: string,
  hints?: EarlyHints,
) => PreparedResponse | Promise<PreparedResponse> | undefined
