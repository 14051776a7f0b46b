/** Bounds of requests between peers, over HTTPS and over libp2p streams. */

const KiB = 1024
const MiB = 1024 * KiB

/** Requests between peers. */
export const peerHttpLimits = {
  /** Body of one request; what is large goes the other way, as an answer. */
  requestBytesMax: 1 * MiB,
  /** Method, path and fields of a request, or status and fields of an answer. */
  headBytesMax: 16 * KiB,
  /** The same as a protobuf message, whose lengths and tags come on top. */
  frameHeaderBytesMax: 18 * KiB,
  /** Fields of one request or answer. */
  fieldsMax: 64,
  /** Requests under way to one peer by HTTPS; each is a socket. More wait. */
  requestsPerPeerMax: 32,
  /** Requests under way to one peer over libp2p streams; they share one connection, where more would only slow each other. */
  streamsPerPeerMax: 8,
  /** Requests that wait for a turn at one peer; more are refused. */
  waitingPerPeerMax: 2_048,
  /** Peers with requests under way or waiting. */
  askedPeersMax: 4_096,
  /** Requests of others answered at once, and of them of one peer. */
  servedMax: 1_024,
  servedPerPeerMax: 64,
  /** Connections accepted at once; idle ones count. */
  connectionsMax: 2_048,
  /** Connections of one peer; more are closed as soon as they say who they are. */
  connectionsPerPeerMax: 64,
  /** TCP and TLS, shared by the addresses that are tried; a host that drops packets must not use up a request's time. */
  connectMsMax: 2_000,
  /** Addresses of a peer that are tried, one after the other. */
  addressesMax: 4,
  /** Time for a TLS handshake with the server. */
  handshakeMsMax: 5_000,
  /** Time to send the head of a request. */
  requestHeadMsMax: 10_000,
  /** Time to send a whole request. */
  requestMsMax: 30_000,
  /** Time from a request to the head of its answer, whatever its asker's patience. */
  answerMsMax: 60_000,
  /** Silence in the middle of a body, and time for a reader to take one piece, before the exchange is cut. */
  stallMsMax: 10_000,
  /** Idle time after which the asking side closes a socket; less than the other's, so that it rarely meets a closed one. */
  idleMsMax: 30_000,
  /** Idle time after which the answering side closes a socket. */
  keepAliveMsMax: 65_000,
  /** Idle sockets kept for one peer, and for all. */
  idleSocketsPerPeerMax: 16,
  idleSocketsMax: 256,
  /** How long a peer that HTTPS did not reach is asked over libp2p only, unless it tells of other addresses. */
  unreachableMs: 60_000,
  /** Peers of which that is remembered; the oldest is forgotten. */
  unreachablePeersMax: 4_096,
  /** One piece of a body that is handed to a TLS connection, and that a reader has `stallMsMax` for. */
  writeBytesMax: 1 * MiB,
  /** One piece of a body on a libp2p stream. */
  chunkBytesMax: 256 * KiB,
  /** Bytes of an answer that wait here for its reader before the socket is paused. */
  readQueueBytesMax: 1 * MiB,
  /** A certificate (DER); RSA keys of 4,096 bits need half of it. */
  certificateBytesMax: 4 * KiB,
  /** Answers in flight get this long at a stop. */
  stopGraceMs: 1_000,
} as const
