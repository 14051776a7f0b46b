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
/** The signed heads of the lists of videos that a peer knows. */
export const VIDEOS_PROTOCOL = '/kairo/videos/1.0.0'
/** Gossip topic on which peers tell that their list of videos has changed. */
export const VIDEOS_TOPIC = '/kairo/videos/1'
/** Purges of cached responses: one carried out and acknowledged, or those that a peer has missed. */
export const PURGE_PROTOCOL = '/kairo/purge/1.0.0'
/** Frames between members of Raft groups: the first byte of a stream names its lane. */
export const RAFT_PROTOCOL = '/kairo/raft/1'
/** Calls to the tracker of a region, and their answers. */
export const TRACKER_PROTOCOL = '/kairo/tracker/1'
/** Invitations to sockets between trackers that carry the frames of both in place of streams. */
export const LINE_PROTOCOL = '/kairo/raft-line/1'

/** Every gossip topic; messages on any other are neither heard nor passed on. */
export const GOSSIP_TOPICS: readonly string[] = [RECORDS_TOPIC, PEERS_TOPIC, VIDEOS_TOPIC]

/**
 * Small exchanges that keep the network together: they may run over a relayed connection. Everything else waits for a
 * direct one, media above all. Gossip and the DHT need none of it: whoever is reached through a relay is connected
 * directly with that relay, and hears and asks there.
 */
const CONTROL_PROTOCOLS: ReadonlySet<string> = new Set([
  RECORDS_PROTOCOL,
  PEERS_PROTOCOL,
  VIDEOS_PROTOCOL,
  PURGE_PROTOCOL,
  RAFT_PROTOCOL,
  TRACKER_PROTOCOL,
])

/** Whether streams of the protocol may pass a relay. */
export function mayPassRelay(protocol: string): boolean {
  return CONTROL_PROTOCOLS.has(protocol)
}
