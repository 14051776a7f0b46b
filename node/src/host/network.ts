/**
 * What the content plane needs of the network besides streams ({@link Transport}): gossip, content routing, and word of
 * new peers. The libp2p host implements all of it; tests may drive the rooms above with a network in memory.
 */
import type { CID } from 'multiformats/cid'

/**
 * What becomes of a gossip message: `accept` passes it on to other peers, `ignore` drops it without blame (old news),
 * `reject` drops it and counts against whoever passed it on (it breaks the protocol).
 */
export type GossipVerdict = 'accept' | 'ignore' | 'reject'

/** Publishes to and hears from every peer that listens to a topic. Own messages are not heard. */
export interface Gossip {
  /** Hears a topic; the handler judges each message before it is passed on. One handler a topic. */
  subscribe(topic: string, handler: (data: Uint8Array, from: string) => GossipVerdict): void
  /** Stops hearing a topic. */
  unsubscribe(topic: string): void
  /**
   * Sends to the topic; resolves with the number of peers it was handed to, which may be 0.
   * @throws KairoError `ERR_LIMIT` when the message is too large.
   */
  publish(topic: string, data: Uint8Array): Promise<number>
}

/** Says who can provide content, through the DHT. */
export interface ContentRouting {
  /** Tells the peers nearest to the content that this peer has it; resolves with how many were told. */
  provide(cid: CID, options: { readonly signal: AbortSignal }): Promise<number>
  /** Forgets that this peer provides it; records at other peers age out. */
  cancel(cid: CID): Promise<void>
  /** Peer ids (base58) of providers as they are heard of; their addresses are remembered for dialling. */
  findProviders(cid: CID, options: { readonly signal: AbortSignal }): AsyncIterable<string>
}

/** Tells of peers as they come. */
export interface PeerWatch {
  /**
   * Calls `listener` with the id of each peer that speaks `protocol`, once for each connection to it, and at once for
   * those already connected. Returns the way to stop.
   */
  watch(protocol: string, listener: (peerId: string) => void): () => void
}
