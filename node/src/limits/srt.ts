/**
 * The bounds of the SRT ingest: what a stranger may make this peer hold, compute or send, and how long it waits.
 */

const KiB = 1024
const MiB = 1024 * KiB

/** SRT ingest. */
export const srtLimits = {
  /**
   * A caller is answered after this although other peers are still asked whose its stream is: the usual one gives up after three seconds,
   * most of them know within one, and only in the answer can it be told why it is refused.
   */
  acceptAfterMs: 1_500,
  /** Connections at once; each publishes, so not more than publishers are admitted. */
  connectionsMax: 256,
  /** Connections at once from one address: a studio behind one router, and no more. */
  connectionsPerAddressMax: 64,
  /** Handshakes whose passphrase is being checked; each costs a thread of the pool a millisecond. */
  handshakesMax: 64,
  /** Handshakes with a wrong key or passphrase from one address within the window before it is refused unheard. */
  failuresPerAddressMax: 20,
  /** The window for refused handshakes. */
  failureWindowMs: 60_000,
  /** Addresses whose refused handshakes are remembered; the oldest goes. */
  failureAddressesMax: 10_000,
  /** Life of a handshake cookie at least, and at most twice that. */
  cookieMs: 30_000,
  /** One handshake packet; a stream id of 512 characters, key material and room to spare. */
  handshakeBytesMax: 1_456,
  /** Extensions in one handshake; callers send at most six. */
  extensionsMax: 16,
  /** Characters of a stream id (SRT allows 512). */
  streamIdCharsMax: 512,
  /** Time given to repairs that this peer asks for where the caller does not ask for more. */
  latencyMsMin: 120,
  /** Longest time given to repairs, whatever a caller asks: beyond it a live stream is no longer live. */
  latencyMsMax: 8_000,
  /** Packets that one connection may hold behind a hole: 100 Mbit/s for about a second. */
  bufferPacketsMax: 8_192,
  /** Bytes that all connections together may hold behind holes. */
  bufferBytesMax: 128 * MiB,
  /** Time between two looks at every connection: acknowledgements, reports of loss, deadlines (the protocol's 10 ms). */
  tickMs: 10,
  /** Packets after which a short acknowledgement is sent between two ticks (the protocol's 64). */
  lightAckPackets: 64,
  /** Least time between two reports of the same loss (the protocol's 20 ms). */
  nakIntervalMsMin: 20,
  /** Words in one report of loss: what fits a packet; the rest waits for the next. */
  nakWordsMax: 360,
  /** Acknowledgements whose answer is awaited; older ones no longer measure a round trip. */
  acksAwaitedMax: 256,
  /** Silence of this side after which a sign of life is sent (the protocol's 1 s). */
  keepAliveMs: 1_000,
  /** Silence of the caller after which it counts as gone (the protocol's 5 s). */
  peerIdleMs: 5_000,
  /** A caller that shows signs of life and sends no media for this long is ended. */
  mediaSilenceMs: 15_000,
  /** Access units waiting for the stream to take them, while the publisher is ahead of real time. */
  queueUnitsMax: 2_000,
  /** Bytes of such access units; more are dropped, for SRT cannot ask a live source to wait. */
  queueBytesMax: 16 * MiB,
  /** Kernel's receive buffer that is asked for; it grants less where it is set up so. */
  socketBufferBytes: 4 * MiB,
} as const
