/**
 * Every bound that keeps a peer's memory, sockets and time finite, in one place. Those that an operator may change are
 * settings instead, with their defaults (config/schema.ts).
 */

const KiB = 1024
const MiB = 1024 * KiB

/** RTMP ingest. */
export const rtmpLimits = {
  /** Connections at once, publishing or not; each holds a socket and its reassembly buffers. */
  connectionsMax: 512,
  /** Time from accept to an accepted `publish`; a scanner that connects and waits ends here. */
  handshakeTimeoutMs: 10_000,
  /** Silence from a publisher after which its connection ends. */
  readTimeoutMs: 15_000,
  /** One RTMP message; an 8K keyframe at high quality stays below this. */
  messageBytesMax: 16 * MiB,
  /** Largest chunk size a peer may set (the field allows 2^31-1). */
  chunkBytesMax: 16 * MiB,
  /** Chunk streams one connection may use; encoders use 4 to 6. */
  chunkStreamsMax: 64,
  /** Bytes of incomplete messages over all chunk streams of one connection. */
  reassemblyBytesMax: 24 * MiB,
  /** AMF values nested deeper than this are refused. */
  amfDepthMax: 16,
  /** Values and properties of one AMF message. */
  amfItemsMax: 4_096,
  /** Window acknowledgement size we ask of publishers. */
  windowAckBytes: 2_500_000,
  /** Chunk size we use for what we send. */
  sendChunkBytes: 4_096,
  /** One RTMP message before `publish` is accepted, so that a stranger cannot make the peer reserve memory. */
  commandBytesMax: 64 * KiB,
  /** Message streams one connection may create; encoders create one. */
  messageStreamsMax: 8,
  /** Characters of a stream key, and of the application name. */
  nameCharsMax: 512,
  /** Bytes waiting for a peer that does not read its answers; more ends the connection. */
  sendQueueBytesMax: 1 * MiB,
  /** Access units with broken NAL lengths in a row before the connection ends; fewer are dropped one by one. */
  damagedFramesMax: 64,
  /** Time a closing connection has to take its last status message. */
  closeGraceMs: 1_000,
  /** Time between pings that measure a publisher's round trip. */
  pingIntervalMs: 10_000,
} as const

/** Codec and container headers. */
export const bitstreamLimits = {
  /** Longest side of a picture in pixels. */
  pictureSideMax: 16_384,
  /** Pixels of a picture: a square of 8K. A parameter set of ten bytes may claim more, and no decoder takes it. */
  picturePixelsMax: 8_192 * 8_192,
  /** Samples a second of AAC (ISO/IEC 14496-3 table 1.18); an escaped rate may claim 1 Hz, of which one frame lasts minutes. */
  sampleRateMin: 7_350,
  sampleRateMax: 96_000,
  /** Tracks of one Enhanced RTMP message. */
  flvTracksMax: 16,
  /** Enhanced RTMP modifiers (ModEx) before one message's packet type. */
  flvModifiersMax: 8,
} as const

/** Streams that one peer owns. */
export const streamKeyLimits = {
  /** Stream keys in a home folder. */
  streamsMax: 1_000,
} as const

/** What a peer keeps ready for work that has not come yet. */
export const readinessLimits = {
  /** Media children with FFmpeg loaded and no job; each holds some 60 MB, and saves a transcode half a second. */
  warmChildren: 1,
} as const

/** What owners choose for their streams. */
export const streamOptionsLimits = {
  /** Places that one stream is also sent to; each is a child process. */
  restreamTargetsMax: 16,
} as const

/** Admission and pace of publishers. */
export const publishingLimits = {
  /** A publisher silent for this long may be replaced by a new one. */
  silentPublisherMs: 4_000,
  /** How far media time may run ahead of real time before reading pauses (a file pushed without pacing). */
  leadMsMax: 4_000,
  /** Media time further ahead than this is a jump of the timestamps, not a fast publisher. */
  paceResetMs: 10_000,
  /** Time over which a publisher's bit rate is measured. */
  rateWindowMs: 2_000,
  /** Streams published at one peer at once. */
  publishersMax: 256,
  /** How long a publisher may be kept waiting while other peers are asked; encoders give up after about ten seconds. */
  admissionMsMax: 9_000,
} as const

/** Packaging. */
export const packagingLimits = {
  /** A segment is cut without a keyframe at this length, so that a publisher without keyframes stays bounded. */
  segmentMsMax: 20_000,
  /** Bytes of one segment; cut likewise. */
  segmentBytesMax: 64 * MiB,
  /** Parts of one segment, in either rendition; cut likewise, far below `contentLimits.segmentPartsMax`. */
  segmentPartsMax: 500,
  /** A segment is not cut for its parts before this; keyframes that come faster are dropped, or audio could not follow. */
  crowdedSegmentMsMin: 250,
  /** Access units waiting for the other track's configuration at the start. */
  startupUnitsMax: 600,
  /** Time to wait at the start for an announced track that does not come, in media time. */
  startupWaitMs: 1_500,
  /** A step between timestamps larger than this, either way, is a discontinuity. */
  timestampJumpMsMax: 10_000,
  /** A step back of a track's decoding times up to this is squeezed out; a larger one is a discontinuity. */
  timestampBackMsMax: 500,
  /** Presentation this far from decoding, either way, is a mistake: more would tear the renditions' cuts apart. */
  compositionMsMax: 10_000,
  /** One part is closed before its target at this size, so that it stays below `contentLimits.objectBytesMax`. */
  partBytesMax: 12 * MiB,
  /** Audio may stray this far from its sample count before frames are inserted or dropped; jitter stays below it. */
  audioDriftMsMax: 45,
  /** Audio this far behind video is filled with silence, so that its segments close in step with the video's. */
  audioLagMs: 500,
  /** The lag allowed grows up to this for a publisher whose audio always comes late. */
  audioLagMsMax: 5_000,
  /** Silent frames put in at one go, which covers a step of `timestampJumpMsMax` and the lag; the rest waits for the next unit. */
  audioFillFramesMax: 1_500,
} as const

/** The content plane. */
export const contentLimits = {
  /** One object (part, init segment). */
  objectBytesMax: 32 * MiB,
  /** Encoded header of a feed frame without its payload; a window of 1,000 entries takes about 110 KiB. */
  frameHeaderBytesMax: 256 * KiB,
  /** Entries of one index window. */
  windowEntriesMax: 2_000,
  /** An encoded stream record. */
  recordBytesMax: 16 * KiB,
  /** Renditions of one stream. */
  renditionsMax: 32,
  /** Records of others' streams that the directory keeps; then new streams wait until one expires. Own ones come on top. */
  recordsMax: 10_000,
  /** Feeds one peer serves at once. */
  feedsServedMax: 1_024,
  /** Bytes queued for one slow feed subscriber before it is dropped. */
  feedQueueBytesMax: 32 * MiB,
  /** Replicated streams at once. */
  replicasMax: 512,
  /** Waits for parts to come, over all viewers of one rendition. */
  waitersMax: 20_000,
  /** Disk writes in flight; beyond it objects stay in RAM only. */
  diskWritesMax: 64,
  /** Files written or removed at the same time. */
  diskLanes: 4,
  /** After a failed write the disk is left alone for this long before it is tried again. */
  diskRetryMs: 2_000,
  /** The same when outages recur, at most. */
  diskRetryMsMax: 60_000,
  /** Time that a stop gives to writes still queued. */
  diskFlushMsMax: 3_000,
  /** Parts of one segment. */
  segmentPartsMax: 1_000,
  /** Duration of one part; a packager cuts far below. */
  partUsMax: 60_000_000,
  /** Numbers of segments and discontinuities reserved on disk ahead of use. */
  sequenceBlock: 64,
  /** Feeds one other peer may hold here. */
  feedsPerPeerMax: 64,
  /** Frames queued for one feed subscriber, whatever their size. */
  feedQueueFramesMax: 4_096,
  /** Time for one frame to be taken by a feed's subscriber. */
  feedWriteMsMax: 20_000,
  /** Time to open a feed and receive its window, and for a served peer to send its request. */
  feedOpenMsMax: 5_000,
  /** Time for a feed's sender to find the bytes of an object; then its subscriber must fetch them. Less than the silence allowed. */
  feedObjectMsMax: 1_500,
  /** Time that a feed's sender may be without a way to the publisher before its subscribers look for another. */
  feedDetachedMsMax: 5_000,
  /** A feed's sender shows a sign of life this often. */
  feedHeartbeatMs: 1_000,
  /** Silence after which a feed counts as broken. */
  feedSilenceMsMax: 3_500,
  /** Part targets without a new part after which another provider is tried, although the sender lives. */
  feedIdlePartsMax: 60,
  /** Objects of one feed that may fail verification before its sender is dropped. */
  feedMismatchesMax: 3,
  /** Peers between the publisher's and the last follower. */
  feedHopsMax: 16,
  /** Distance behind the live edge at which a new follower's backlog begins, in target durations. */
  feedBacklogTargets: 3,
  /** Encoded request of the feed protocol. */
  requestBytesMax: 1 * KiB,
  /** Objects fetched from other peers at once. */
  fetchesMax: 1_024,
  /** Time that an object which a feed is to bring is waited for before it is fetched. */
  expectedMsMax: 5_000,
  /** Providers of one stream that are kept in mind. */
  providersMax: 20,
  /** Time to look for another provider of an object that did not come as it should. */
  providersLookupMsMax: 1_000,
  /** Pause between rounds over all providers: from, doubling, up to; each drawn at random between half and whole. */
  providersBackoffMsMin: 250,
  providersBackoffMsMax: 5_000,
  /** Time without a provider after which a rendition counts as lost and its waiting viewers are told. */
  replicaLostMs: 10_000,
} as const

/** The HTTP server. */
export const httpLimits = {
  /** Open connections. */
  connectionsMax: 100_000,
  /** Request line and headers. */
  headerBytesMax: 16 * KiB,
  /** Body of an API request. */
  bodyBytesMax: 1 * MiB,
  /** Time to send one request's headers. */
  headerTimeoutMs: 10_000,
  /** Idle time of a keep-alive connection. */
  keepAliveTimeoutMs: 65_000,
  /** Time a client may take to read one response. */
  responseTimeoutMs: 120_000,
  /** A blocked playlist or part request is answered at the latest after this (RFC 8216bis asks for three target durations). */
  blockTimeoutMs: 12_000,
  /** Time to send one whole request, body included. */
  requestTimeoutMs: 60_000,
  /** How often deadlines of fast-lane connections are looked at; they end up to this much late. */
  sweepMs: 1_000,
  /** Bytes that may wait behind a blocked request of the same connection before reading pauses. */
  pipelineBytesMax: 64 * KiB,
  /** A head up to this length, and its fields, are kept to be known again when they are repeated; an idle connection holds twice as much. */
  knownHeadBytesMax: 2 * KiB,
  /** Bodies up to this size are copied behind their head into one buffer; larger ones are written as they are. */
  copyBytesMax: 16 * KiB,
  /** Answers in flight get this long at a stop, then their connections are cut. */
  stopGraceMs: 3_000,
  /** Rejected credentials from one address within the window before it is refused unheard. */
  authFailuresMax: 20,
  /** The window for rejected credentials. */
  authFailureWindowMs: 60_000,
  /** Addresses whose rejected credentials are remembered; the oldest goes. */
  authFailureAddressesMax: 10_000,
  /** Files of the web pages kept in memory. */
  staticFilesMax: 1_000,
  /** Bytes of the web pages kept in memory, before compression. */
  staticBytesMax: 64 * MiB,
  /** Time one readiness check may take. */
  readyCheckTimeoutMs: 2_000,
} as const

/** The libp2p host: connections, streams, joining. */
export const hostLimits = {
  /** Connections at once; beyond it the least useful are pruned. */
  connectionsMax: 512,
  /** Connections a second from one address; peers of one site or one machine share an address. */
  inboundConnectionsPerSecondMax: 64,
  /** Accepted sockets that have not finished their handshake. */
  handshakesMax: 128,
  /** Dials at once. */
  dialsMax: 64,
  /** One dial with all its addresses, and one look-up of a peer's addresses. */
  dialTimeoutMs: 10_000,
  /** One address of a dial; a host that drops packets must not use up the whole dial. */
  addressDialTimeoutMs: 4_000,
  /** Silence on a connection's ping before it is judged dead. */
  pingTimeoutMs: 10_000,
  /** Pings under way on one connection, each way. */
  pingsMax: 16,
  /** Streams of one protocol on one connection, each way; a viewer-facing peer follows many renditions of one neighbour. */
  streamsPerProtocolMax: 256,
  /** Streams of all protocols on one connection, each way. */
  streamsPerConnectionMax: 1_024,
  /** Yamux receive window; must stay below {@link hostLimits.readBufferBytesMax}, or a paused stream is reset. */
  streamWindowBytesMax: 4 * MiB,
  /** Bytes libp2p may hold for a paused stream before it resets it. */
  readBufferBytesMax: 8 * MiB,
  /** Bytes read from a stream but not consumed, above which reading pauses. */
  readQueueBytesMax: 1 * MiB,
  /** Bytes handed to libp2p in one send; larger writes are split (fewer, larger sends cost less CPU). */
  sendBytesMax: 256 * KiB,
  /** Time for an orderly stop of the network before its connections are cut; twice this is all it gets. */
  stopMsMax: 3_000,
  /** Time for written bytes to leave after `close`, and for the other side to close its half after a handler is done. */
  streamCloseTimeoutMs: 10_000,
  /** One gossip message; a stream record and room to spare. */
  gossipMessageBytesMax: 64 * KiB,
  /** Invalid gossip messages of one neighbour in a short time before it is not heard for a while. */
  gossipInvalidMessagesMax: 20,
  /** Addresses that others see us under, kept for `kairo doctor`. */
  observedAddressesMax: 32,
  /** Join targets one peer keeps connected. */
  joinTargetsMax: 64,
  /** First wait between attempts at a join target; doubles up to the next. */
  joinBackoffMsMin: 500,
  /** Longest wait between attempts at a join target. */
  joinBackoffMsMax: 30_000,
  /** One attempt at a join target, including its HTTP request. */
  joinAttemptTimeoutMs: 15_000,
  /** Body of `GET /api/peer`. */
  peerInfoBytesMax: 64 * KiB,
  /** Addresses taken from one peer description. */
  peerAddressesMax: 64,
} as const

/** Stream records: their directory and their providers. */
export const recordLimits = {
  /** Characters of a title. */
  titleLengthMax: 200,
  /** Characters of an RFC 6381 codec list. */
  codecsLengthMax: 200,
  /** Characters of a rendition's name for people. */
  labelLengthMax: 64,
  /** Width and height of a rendition, pixels. */
  dimensionMax: 65_536,
  /** Pictures a second of a rendition. */
  frameRateMax: 1_000,
  /** Channels of an audio rendition. */
  channelsMax: 255,
  /** Time between announcements of an own record. */
  announceIntervalMs: 5_000,
  /** Life of an own record from its signing: three announcements may be lost. */
  recordTtlMs: 20_000,
  /** Longest life a record may claim. */
  recordTtlMsMax: 10 * 60_000,
  /** How far another peer's clock may be off ours. */
  clockSkewMsMax: 5 * 60_000,
  /** Streams published at this peer that the directory announces; not fewer than may be published. */
  ownRecordsMax: publishingLimits.publishersMax,
  /** The whole answer on the records protocol. */
  recordListBytesMax: 8 * MiB,
  /** Time for one answer on the records protocol. */
  recordListTimeoutMs: 10_000,
  /** Answers on the records protocol at once, and of them for one other peer; each may be a whole list in memory. */
  recordAnswersMax: 32,
  recordAnswersPerPeerMax: 2,
  /** Peers asked for their records at once. */
  recordQueriesMax: 16,
  /** Streams this peer provides in the DHT. */
  providedMax: 1_024,
  /** Time between provides of a held stream. */
  provideIntervalMs: 2 * 60_000,
  /** Time after a provide that reached no other peer. */
  provideRetryMs: 5_000,
  /** Wait after a new DHT peer before providing again, so that a burst of peers causes one round. */
  provideDebounceMs: 250,
  /** Least time between two rounds caused by new DHT peers. */
  provideRoundMsMin: 5_000,
  /** Provides at once. */
  providesInFlightMax: 4,
  /** One provide. */
  provideTimeoutMs: 10_000,
  /** Providers one look-up yields. */
  providersMax: 16,
  /** One look-up of providers. */
  findTimeoutMs: 5_000,
  /** Wait for the DHT before the record's origin is offered as a provider too. */
  originFallbackMs: 500,
} as const

/** The built-in test stream and its child process. */
export const testStreamLimits = {
  /** Time from one progress message of the child to the next. */
  progressMs: 1_000,
  /** Silence from the child after which it is killed: longer than any pause of a busy machine that viewers would forgive. */
  silenceMsMax: 6_000,
  /** Time from fork to the first packet; loading FFmpeg from a cold disk is most of it. */
  startMsMax: 20_000,
  /** Wait before the first restart; doubles with each failure in a row. */
  restartMsMin: 500,
  /** Longest wait before a restart. */
  restartMsMax: 15_000,
  /** Time for the child to end in order before it is killed. */
  stopMsMax: 1_500,
  /** The loop goes on at the present when a frame is later than this, instead of sending the past in a burst. */
  lateMsMax: 500,
  /** Last bytes of the child's error output that are kept for the log. */
  stderrBytesMax: 2 * KiB,
} as const

/** The probe of encoders. */
export const encoderProbeLimits = {
  /** All encoders together; a driver that hangs is killed with its child. */
  timeoutMs: 15_000,
} as const

/** HLS delivery. */
export const deliveryLimits = {
  /** Blocked playlist and part requests over all streams; each is an open connection, so not more than those. */
  blockedRequestsMax: 100_000,
  /** Rendered still pictures kept, one for each stream that is looked at. */
  stillsMax: 64,
  /** Seconds that a player is asked to wait when what it waits for did not come in time. */
  retryAfterS: 1,
} as const

/** Shutdown. */
export const lifecycleLimits = {
  /** All of an orderly stop; what is not done by then is cut off. */
  stopMsMax: 8_000,
  /** What every room gets at least, however long the others took. */
  stopStepMsMin: 200,
  /** Starts in all when others take the ports between the look and the bind, as peers that start together do. */
  portTriesMax: 4,
} as const

/** Counting viewers. */
export const audienceLimits = {
  /** A client that asked for a playlist within this time is watching. */
  windowMs: 10_000,
  /** Clients counted of one stream. */
  clientsMax: 100_000,
  /** Streams counted. */
  streamsMax: 1_000,
} as const
