/** Every protocol name Kairo puts on the wire, with its version (documented in docs/protocol.md). */

/** Kademlia DHT of the Kairo network, apart from the public IPFS one. */
export const KAD_PROTOCOL = '/kairo/kad/1.0.0'
/** The live feed of one rendition: signed index window, then parts as they are made. */
export const FEED_PROTOCOL = '/kairo/feed/1.0.0'
/** One object by its digest. */
export const FETCH_PROTOCOL = '/kairo/fetch/1.0.0'
/** The signed stream records a peer knows. */
export const RECORDS_PROTOCOL = '/kairo/records/1.0.0'
/** Gossip topic on which stream records are announced. */
export const RECORDS_TOPIC = '/kairo/records/1'
