/** The scheduler's figures; times in milliseconds. */
export const schedulerLimits = {
  /** Parts that are known about at once; the oldest that nobody wants are forgotten. */
  partsMax: 4_096,
  /** Peers of a part that are remembered. */
  holdersMax: 32,
  /** Parts that one peer may be remembered for, so that one that names many does not push out what others have. */
  partsPerPeerMax: 1_024,
  /** Asks under way at one peer. */
  asksPerPeerMax: 8,
  /** Pushes under way from one peer; more are refused. */
  pushesPerPeerMax: 16,
  /** Pages that one part is pushed to, over all trees that there were meanwhile. */
  pushedToMax: 64,
  /** Pieces of one part in memory; a peer that makes more holes than chunks can lie between is dropped. */
  piecesMax: 4_096,
  /** How long a wish waits for the edge's answer before HTTP takes it. */
  edgeWaitMs: 250,
  /** How long a wish with time waits for an edge that is being called: for a connection, and as many round trips again. */
  edgeOpenMs: 1_000,
  /** Questions to the edge about one wish. */
  edgeAsksMax: 4,
  /** How long a peer may send nothing of an ask, beyond four round trips, until another source is tried. */
  silentMs: 400,
  /** The same for a push of a part that nobody has asked this page for yet: its origin may be slow. */
  pushIdleMs: 10_000,
  /** So much before the deadline, beyond what the bytes will take, HTTP takes over what is missing. */
  marginMs: 150,
  /** The margin is never more than this share of the time that there was: the deadlines of live parts are short. */
  marginShare: 0.25,
  /** Bytes of a part of unknown length, for the estimate of what HTTP will take. */
  partBytesFirst: 262_144,
  /** For a part of unknown length HTTP is thought to take this share of the time that there was, at most. */
  unknownShare: 0.5,
  /** A live part waits for its parent alone for this share of the time that there is; then for anybody. */
  pushWaitShare: 0.5,
  /** A fetch that somebody else has the lease of goes on when so little of it is left. */
  finishMs: 250,
  /** A fetch is not judged before it has run so long. */
  measureMs: 100,
  /** Peers that bring a part that is late are not judged before they have sent for so long: the first bytes come in bursts. */
  judgeMs: 500,
  /** Silences and refusals after which a peer is dropped. */
  faultsMax: 3,
  /** What the silence of a peer counts that has the part coming in itself: its origin may be slow. */
  comingFault: 0.25,
  /** Ids of peers that sent wrong bytes, or nothing; they are not waited for again. */
  bannedMax: 64,
  /** What is assumed of HTTP until it was measured, bits a second. */
  httpBpsFirst: 8_000_000,
  /** What is assumed of a peer until it was measured, bits a second. */
  peerBpsFirst: 8_000_000,
  /** Of a rate: what was measured so long ago (while bytes flowed) counts half. */
  rateHalfMs: 2_000,
  /** What is assumed of a rate counts as much as a measurement of so long. */
  rateFirstMs: 50,
  /** A rate counts as measured from so many bytes on. */
  rateBytesMin: 16_384,
  /** The wait for a first byte counts as so much at most: an edge may hold a request until the part is there. */
  firstByteMsMax: 100,
  /** A part is split over several peers from so many missing bytes on: below, one round trip more costs more than it brings. */
  splitBytesMin: 262_144,
  /** Peers that bring ranges of one part at a time. */
  splitMax: 3,
  /** A slow peer's range is asked of another one when so much of it is left. */
  replanBytesMin: 65_536,
  /** A peer is not judged slow before it has had so long. */
  replanAfterMs: 200,
  /** Plans that are made anew for one wish. */
  replansMax: 8,
  /** Failed fetches of one wish, when somebody else was tried in between. */
  fetchFailuresMax: 2,
  /** Live parts of a rendition that a root fetches and a new child is still given. */
  recentPartsMax: 8,
  /** Of the first list of live parts, which is the whole window: those that count as just published. */
  recentFirst: 2,
  /** Live renditions whose trees are known. */
  renditionsMax: 4,
  /** Parts of one picture for `diagnose`. */
  partFiguresMax: 32,
} as const
