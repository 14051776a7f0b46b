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
  /** Undefined where there are no direct lines. */
  readonly introducer?: LineIntroducer | undefined
}

/** Where a peer listens. */
export interface ListenAddress {
  readonly host: string
  /** 0: a free one. */
  readonly port: number
}

/** What lets a peer call another one directly, once and soon. */
export interface LineInvitation {
  readonly port: number
  /** 22 letters of base64url by which the line is known; not secret. */
  readonly name: string
  /** 32 bytes that only the two have. */
  readonly secret: Uint8Array
}

/** An invitation, and where the peer that gave it was reached before. */
export interface LineAddress extends LineInvitation {
  readonly host: string
}

/** Brings peers together that can reach each other without the transport in between. */
export interface LineIntroducer {
  /** Where this peer's direct lines listen; undefined where nobody reaches it. */
  readonly listen: ListenAddress | undefined
  /** Asks a peer, over a line that is authenticated and encrypted, to be invited; undefined when there is no direct way to it, or it does not. */
  ask(peerId: string): Promise<LineAddress | undefined>
  /** Says how this peer answers those who ask. */
  answer(invite: (peerId: string) => Promise<LineInvitation | undefined>): void
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
