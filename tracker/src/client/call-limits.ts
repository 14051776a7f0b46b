/** The named limits of the call lane and of the region's client, each with its reason. */
import { frameBytesMax } from '../transport.ts'

const KIB = 1024

/** Limits of the lane, for whichever service. */
export const callLimits = {
  /** One request, answer or item: a frame has room for it and for what frames it. */
  payloadBytesMax: frameBytesMax.call - 64 * KIB,
  /** A frame that grew to this is sent within a turn, too. */
  frameBytesHigh: 256 * KIB,
  /** A frame's buffer that grew beyond this is given back. */
  frameBytesKept: 512 * KIB,
  /** Rounds of promises that a frame waits for what else is asked in the same turn. */
  gatherRounds: 8,
  /** Requests of this peer to another one that wait: beyond it the other is slower than its callers. */
  asksMax: 16_384,
  /** Requests of one other peer that are worked on here, streams among them. */
  asksOfPeerMax: 16_384,
  /** Answers that a line did not take and that are offered again, for each peer. */
  heldBytesMax: 16 * 1024 * KIB,
  /** When they are offered again. */
  heldRetryMs: 20,
  /** How exact the deadlines of requests are: one timer looks at all. */
  sweepMs: 20,
  /** Bytes of a stream that are on their way or not yet read; a single larger item may go beyond. */
  streamWindowBytes: 256 * KIB,
  /** A peer with streams that has said nothing for so long says that it is there, which shows what was lost before. */
  beatMs: 2_000,
  /** The text of a refusal: it is for people. */
  messageBytesMax: 512,
  /** A libp2p peer id as text. */
  peerIdBytesMax: 256,
} as const

/** Limits of the client of a region. */
export const regionClientLimits = {
  /** One attempt of what may be asked again: a member that hangs leaves time to ask another. */
  attemptMs: 1_000,
  /** Without any news of a leader another member is asked after this long. */
  retryMs: 30,
  /** Refusals that point to another member, one after the other, before it waits: two that are behind may point at each other. */
  redirectsMax: 3,
  /**
   * What a former leader may still answer of what may be asked again, once another one leads: it refuses that at once, unless it hangs,
   * and asking twice costs a message.
   */
  formerLeaderAgainMs: 20,
  /**
   * What it may still answer of what must be asked only once. It says that it leads no more before it has a successor, and is waited for
   * then; one that says nothing for so long is taken to hang. What ends a leadership that nobody hands over is a thread that stood still,
   * on a machine with more callers than it can serve often for 150 to 450 ms; its callers would have to find out by themselves what it
   * answers a moment later. Those of one that hangs for good wait this long.
   */
  formerLeaderOnceMs: 500,
  /** Members that tell this peer who leads: enough that some of them are there. */
  informantsMax: 8,
  /** One that does not tell any more is asked again after this long. */
  informantRetryMs: 500,
  /** Watches of one client. */
  watchesMax: 10_000,
  /** Calls under way of one client. */
  callsMax: 16_384,
} as const

/** Limits of a member that answers. */
export const callServerLimits = {
  /** A watch that hears nothing is told this often where it stands, so that it can go on elsewhere. */
  progressMs: 1_000,
  /** And only if its group has gone on by so many revisions. */
  progressRevisions: 4_096,
  /** Peers that are told who leads. */
  followersMax: 100_000,
} as const
