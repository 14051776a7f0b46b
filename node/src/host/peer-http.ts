/**
 * Requests between peers, in the terms of HTTP: what the content plane, the cache and purges ask of one another. Bytes go over HTTPS where
 * the other peer can be reached so, its certificate bound to its libp2p identity, and over a libp2p stream where it cannot; who asks and
 * who answers need not know which.
 */

/** A request to another peer. */
export interface PeerHttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST'
  /** Path with query, `/objects/<digest>`. */
  readonly path: string
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>
  /** At most `peerHttpLimits.requestBytesMax`. */
  readonly body?: Uint8Array
}

/** What another peer answered; whoever does not read the body to its end must abort the request's signal. */
export interface PeerHttpResponse {
  readonly status: number
  /** Lower-case names; repeated fields are joined by `, `. */
  readonly headers: Readonly<Record<string, string>>
  /** Chunks as they arrive, under backpressure; throws when the other side breaks off before the end. */
  readonly body: AsyncIterable<Uint8Array>
}

/** A request of another peer, which the connection has authenticated. */
export interface IncomingPeerRequest extends Required<Omit<PeerHttpRequest, 'body'>> {
  /** libp2p peer id, base58. */
  readonly peerId: string
  readonly body: Uint8Array
}

/** What a peer is answered. */
export interface PeerHttpAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** Bytes, in pieces that are not copied together, or a body still being made. */
  readonly body?: readonly Uint8Array[] | AsyncIterable<Uint8Array>
}

/** Answers a peer; a KairoError becomes its status and code. The signal fires when the other peer is gone. */
export type PeerHttpHandler = (
  request: IncomingPeerRequest,
  signal: AbortSignal,
) => Promise<PeerHttpAnswer>

/** Asks and answers peers. */
export interface PeerHttp {
  /** Answers requests whose path begins with `prefix` (`/objects/`); one handler a prefix. */
  handle(prefix: string, handler: PeerHttpHandler): void
  /**
   * Asks a peer; resolves with the head of its answer.
   * @throws KairoError `ERR_NO_PROVIDER` when it cannot be reached, `ERR_VERIFICATION` when who answers is not that peer, `ERR_TIMEOUT` when the
   * signal fires, `ERR_LIMIT` when too many requests are under way.
   */
  request(
    peerId: string,
    request: PeerHttpRequest,
    options: { readonly signal: AbortSignal },
  ): Promise<PeerHttpResponse>
}
