/** What a peer tells of itself, and who keeps what others told: where it is reached, how it is loaded, where in the network it stands. */

/** A point of the network's coordinate system: the distance of two estimates their round trip, milliseconds (Vivaldi with heights). */
export interface NetworkCoordinate {
  readonly position: readonly number[]
  readonly height: number
  /** Relative error of the estimate; 1 knows nothing. */
  readonly error: number
}

/** One peer as it describes itself; signed by its libp2p key. */
export interface PeerAdvert {
  /** Base58. */
  readonly peerId: string
  /** Unix milliseconds of the signing; of two adverts the later one counts. */
  readonly sequence: number
  readonly expiresAtMs: number
  /** A draining peer finishes what it has and takes nothing new. */
  readonly state: 'serving' | 'draining'
  /** Base URLs at which clients reach it. */
  readonly clientUrls: readonly string[]
  /** `host:port` at which other peers reach it by HTTPS; empty behind a NAT. */
  readonly httpsAddresses: readonly string[]
  /** Hex SHA-256 of its certificate (DER); empty without HTTPS. */
  readonly certificateDigest: string
  /** The operator's word for where it stands; empty when not set. */
  readonly region: string
  readonly coordinate: NetworkCoordinate
  /** Share of what it can do that is used, 0 to 1. */
  readonly load: number
  readonly freeBitsPerSecond: number
  /** Degrees, where the operator says so. */
  readonly latitude: number | undefined
  readonly longitude: number | undefined
}

/** A peer as this one sees it. */
export interface KnownPeer extends PeerAdvert {
  /** Round trip as measured here, milliseconds; undefined where it was not. */
  readonly rttMs: number | undefined
  /** False from the moment a connection to it broke and could not be made again. */
  readonly reachable: boolean
}

/** The peers of the network that are known here, this one not among them. */
export interface PeerCatalog {
  get(peerId: string): KnownPeer | undefined
  /** All that are alive, in no order. */
  list(): readonly KnownPeer[]
  /** Calls `listener` when a peer comes, goes or changes its state. Returns the way to stop. */
  onChange(listener: (peerId: string) => void): () => void
}
