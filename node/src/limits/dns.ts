/** Bounds of the DNS server: what strangers may make it read, send and hold, and how long answers live. */

/** The DNS server. */
export const dnsLimits = {
  /** Life of an answer in resolvers, seconds: how long clients may still come to a peer that is gone. */
  ttlS: 10,
  /** Life of what does not exist, and of the zone's own records, seconds. */
  negativeTtlS: 10,
  /** Addresses in one answer. */
  addressesMax: 4,
  /** How much worse than the best a peer may be and still be answered beside it, for resolvers shuffle; milliseconds. */
  spreadCostMs: 30,
  /** One query; what is asked of this server fits in far less. */
  queryBytesMax: 1_232,
  /** Records behind the question that are read: EDNS and perhaps a signature. */
  additionalsMax: 2,
  /** One answer by UDP without EDNS (RFC 1035 2.3.4), and with it (DNS flag day 2020: never fragmented). */
  plainAnswerBytesMax: 512,
  ednsAnswerBytesMax: 1_232,
  /** One answer by TCP. */
  tcpAnswerBytesMax: 65_535,
  /** Leading bits of a client's address that an answer is chosen by. */
  ipv4PrefixBits: 24,
  ipv6PrefixBits: 56,
  /** Answers a second of one source network, and how many may come at once; more are dropped or told to use TCP. */
  answersPerSecondMax: 500,
  answerBurstMax: 1_000,
  /** Of the answers beyond that, each how manieth is sent, empty, with TC set: a real resolver comes back by TCP. */
  slip: 2,
  /** Source networks that are counted; the one that was heard of longest ago goes. */
  sourcesMax: 10_000,
  /** TCP connections at once, and of them of one source network. */
  connectionsMax: 256,
  connectionsPerSourceMax: 16,
  /** Silence on a TCP connection before it is closed (RFC 7766 6.2.3). */
  idleTimeoutMs: 10_000,
  /** Bytes of answers that a TCP client does not take before its connection is closed. */
  unsentBytesMax: 65_536,
  /** Attempts at a free port that both UDP and TCP have. */
  portAttemptsMax: 10,
} as const
