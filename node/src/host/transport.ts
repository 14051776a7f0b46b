/**
 * What the content plane needs of the network: streams of bytes to and from peers named by their id.
 * libp2p implements it in production (`libp2p-host.ts`), a pair of queues in tests and simulations.
 */

/** An ordered, two-way, back-pressured stream of bytes to one peer. */
export interface PeerStream {
  /** libp2p peer id in its base58 form of the other side, authenticated by the connection. */
  readonly remotePeer: string
  /** Chunks as they arrive; ends when the other side closes its half; throws when the stream breaks. */
  readonly incoming: AsyncIterable<Uint8Array>
  /** Sends bytes; resolves when the stream takes more. Rejects when the stream is broken or closed. */
  write(bytes: Uint8Array): Promise<void>
  /** Closes our half and waits until what was written is handed on. */
  close(): Promise<void>
  /** Breaks the stream at once, both ways. */
  abort(reason: Error): void
}

/** Opens and answers streams, each speaking one protocol. */
export interface Transport {
  /** This peer's id, base58. */
  readonly peerId: string
  /**
   * Opens a stream to a peer whose addresses are known or can be found.
   * @throws KairoError `ERR_NO_PROVIDER` when it cannot be reached, `ERR_TIMEOUT` when the signal fires first.
   */
  open(
    peerId: string,
    protocol: string,
    options: { readonly signal: AbortSignal },
  ): Promise<PeerStream>
  /** Answers streams of a protocol; a rejected handler aborts its stream and is logged. */
  handle(protocol: string, handler: (stream: PeerStream) => Promise<void>): Promise<void>
}
