/** Every protocol name Kairo puts on the wire, with its version (documented in docs/protocol.md). */

/** Kademlia DHT of the Kairo network, apart from the public IPFS one. */
export const KAD_PROTOCOL = '/kairo/kad/1.0.0'
/** The live feed of one rendition: signed index window, then parts as they are made. */
export const FEED_PROTOCOL = '/kairo/feed/1.0.0'
/** Requests between peers where HTTPS does not reach. */
export const HTTP_PROTOCOL = '/kairo/http/1.0.0'
/** The signed stream records a peer knows. */
export const RECORDS_PROTOCOL = '/kairo/records/1.0.0'
/** Gossip topic on which stream records are announced. */
export const RECORDS_TOPIC = '/kairo/records/1'
/** The signed adverts of the peers that a peer knows. */
export const PEERS_PROTOCOL = '/kairo/peers/1.0.0'
/** Gossip topic on which peers tell of themselves. */
export const PEERS_TOPIC = '/kairo/peers/1'
/** Purges of cached responses: one carried out and acknowledged, or those that a peer has missed. */
export const PURGE_PROTOCOL = '/kairo/purge/1.0.0'
/** Gossip topic on which purges are told to peers that the issuer does not know. */
export const PURGES_TOPIC = '/kairo/purges/1'

/** Every gossip topic; messages on any other are neither heard nor passed on. */
export const GOSSIP_TOPICS: readonly string[] = [RECORDS_TOPIC, PEERS_TOPIC, PURGES_TOPIC]
