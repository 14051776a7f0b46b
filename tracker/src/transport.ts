/**
 * The lines between the trackers of a region as the tracker sees them. The program brings libp2p streams, tests and simulations bring
 * memory. A line carries frames in order and at most once; what breaks it loses what was on its way.
 */

/**
 * What a frame belongs to; each lane is a stream of its own, so that a snapshot never stands before a heartbeat.
 * `raft`: messages between members of groups; `bulk`: snapshots; `call`: requests of clients and their answers.
 */
export type Lane = 'raft' | 'bulk' | 'call'

/** Who hears what comes. All are called synchronously and must not throw. */
export interface TransportHandlers {
  /** A frame came. The sender is authenticated by the transport; the bytes are the receiver's. */
  onFrame(peerId: string, lane: Lane, frame: Uint8Array): void
  /** The connection to a peer was made, or broke: what was sent and not answered may be lost. */
  onLink(peerId: string, isUp: boolean): void
}

/** Lines to other peers, by libp2p peer id. */
export interface TrackerTransport {
  /** This peer. */
  readonly peerId: string
  /**
   * Queues a frame for another peer; opens a line when there is none. The bytes are the transport's from now on.
   * @returns false when it was dropped because so much waits for that peer already, or no address of it is known
   */
  send(peerId: string, lane: Lane, frame: Uint8Array): boolean
  /** Called once, before anything is sent. */
  start(handlers: TransportHandlers): void
}

/** The largest frame of each lane, bytes; a larger one is a broken sender, whose line is closed. */
export const frameBytesMax: Readonly<Record<Lane, number>> = {
  // An append of 1 MiB of entries to each of many groups.
  raft: 8 * 1024 * 1024,
  // Snapshots are sent in pieces.
  bulk: 2 * 1024 * 1024,
  // A list of keys, or one batch of what a peer holds.
  call: 4 * 1024 * 1024,
}
