/** The mesh's figures; times in milliseconds. */
export const meshLimits = {
  /** Pages connected, or about to be. A connection costs a browser some 300 kB; an edge plans with fewer. */
  linksMax: 32,
  /** A connection that carries nothing by then will not: its addresses do not reach each other. */
  upMsMax: 8_000,
  /** Offers that may come at once, and a second: each makes a connection, which is a few milliseconds of work. */
  offersBurst: 64,
  offersPerSecond: 4,
  /** Between two offers of one page; a page that was reloaded takes longer to come back. */
  offerAgainMs: 1_000,
  /** Candidates of the other side that are kept or taken; a machine has a few addresses, each for UDP and TCP. */
  candidatesMax: 64,
  /** Between two measurements of the round trip; shortened by up to a tenth, so that those of many peers do not fall together. */
  pingEveryMs: 2_000,
  /** Pings in a row without any message from the other side, then it is gone. */
  pingsUnansweredMax: 3,
  /** Weight of the newest round trip. */
  rttWeight: 0.3,
  /** Time constant of rates. */
  rateMs: 2_000,
  /** What waits in a channel at the most, and when more is put in: some 0.2 s at 10 Mbit/s, so that a cancelled ask wastes little. */
  highBytes: 262_144,
  lowBytes: 65_536,
  /** Control messages that wait for a peer which takes nothing; beyond it is given up. */
  controlBytesMax: 1_048_576,
  /** Control messages of a peer at once, and a second; a long one counts for more, one for each so many characters. */
  messagesBurst: 512,
  messagesPerSecond: 128,
  messageChars: 1_024,
  /** Asks of one peer under way. */
  asksMax: 32,
  /** Pushes of one peer under way: stripes times the parts that overlap; as many may have ended before their chunks came. */
  pushesMax: 32,
  /** Asks and pushes that ended, of which bytes may still be on their way. */
  closedMax: 256,
  /** Chunks of pushes that overtook the message which names them. */
  earlyChunksMax: 64,
  /** How often there may be more of them: that happens when packets are lost, and the push is cancelled; a peer that goes on with it lies. */
  earlyOverflowsMax: 8,
  /** Chunks of an ask that may be small, and then their mean length: parts are passed on as bytes come in, but not byte by byte. */
  smallChunksMax: 1_024,
  chunkBytesMean: 256,
  /** A push is ended that has been behind for so long, or when so much of newer ones is ready: it would come too late. */
  lagMsMax: 8_000,
  lagBytesMax: 4_194_304,
  /** Parts of a peer that are remembered, and of this page that are told to new neighbours. */
  heldMax: 1_024,
  /** Parts in one message; less than the protocol's, since it bounds the characters, too. */
  partsPerMessage: 128,
  /** What may be sent after a pause, as time at the permitted rate: hidden pages have timers once a second. */
  burstMs: 1_000,
  /** The longest wait for a turn, however low the cap: browsers take a longer timer than 24 days for none. */
  turnMsMax: 60_000,
} as const
