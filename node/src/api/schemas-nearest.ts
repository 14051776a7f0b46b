/** The shapes of answers about the nearest peers: the routes declare them, the command line checks against them. */
import { z } from 'zod'

/** The best peers for a client, best first. */
export const nearestSchema = z.object({
  client: z.object({ address: z.string().describe('The address that the choice was made for.') }),
  peers: z.array(
    z.object({
      peerId: z.string(),
      url: z.string().describe('Where the client asks; of the stream where one was named.'),
      urls: z.array(z.string()).describe('Every base URL that the client can use.'),
      region: z.string(),
      load: z.number().min(0).max(1),
      freeBitsPerSecond: z.number(),
      score: z.number().describe('Cost in milliseconds; the lower the better.'),
      reasons: z.array(z.string()),
      self: z.boolean().describe('True for the peer that answers.'),
    }),
  ),
})

const describedPeer = z.object({
  peerId: z.string(),
  state: z.enum(['serving', 'draining']),
  region: z.string().describe('The operator’s word for where it stands; empty when not set.'),
  urls: z.array(z.string()).describe('Base URLs at which clients reach it.'),
  httpsAddresses: z
    .array(z.string())
    .describe('`host:port` at which other peers reach it by HTTPS; empty behind a NAT.'),
  load: z.number().describe('Share of what it can do that is used, 0 to 1.'),
  freeBitsPerSecond: z.number(),
  expires: z.iso.datetime().describe('When its word about itself runs out.'),
})

/** GET /api/nearest/peers: every peer that is known, whether clients are sent to it or not. */
export const knownPeersSchema = z.object({
  self: describedPeer,
  peers: z.array(
    describedPeer.extend({
      rttMs: z.number().nullable().describe('Round trip as measured here; null where it was not.'),
      reachable: z.boolean(),
    }),
  ),
})
