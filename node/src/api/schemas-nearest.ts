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
