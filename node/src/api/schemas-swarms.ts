/** The shapes of the API about who holds and who watches what in the region. */
import { z } from 'zod'
import { swarmAskLimits } from '../limits/swarms.ts'
import { pageFields } from './page-query.ts'

const problem = z.string().nullable().describe('Why the region did not say.')

/** Which of the streams are told of. */
export const swarmsQuerySchema = z.object({
  limit: pageFields(swarmAskLimits.streamsMax).limit,
  skip: z.coerce.number().int().min(0).default(0).describe('Leaves out so many at the beginning.'),
})

/** GET /api/swarms: the region as a whole, and a part of the live streams that this peer knows, by name. */
export const swarmsSchema = z.object({
  totals: z.object({
    peers: z.number().int().describe('Peers that tell what they hold, in the shard with the most.'),
    subjects: z.number().int().describe('Streams and renditions that somebody holds.'),
    entries: z.number().int().describe('What all peers hold of them, one for each peer.'),
    viewers: z.number().int(),
    shards: z.number().int(),
    answered: z
      .number()
      .int()
      .describe('Shards whose leader answered; the others are not counted.'),
    complete: z
      .number()
      .int()
      .describe('Shards whose leader has led for long enough to have heard of everybody.'),
  }),
  streams: z.array(
    z.object({
      name: z.string(),
      id: z.string(),
      viewers: z.number().int().describe('At all peers of the region.'),
      holders: z.number().int().describe('Peers that hold something of it.'),
      problem,
    }),
  ),
  total: z.number().int(),
})

/** The stream that is meant. */
export const swarmParamsSchema = z.object({
  stream: z.string().min(1).max(128).describe('Name or id.'),
})

/** GET /api/swarms/{stream}: who holds something of a stream. */
export const swarmSchema = z.object({
  name: z.string(),
  id: z.string(),
  viewers: z.number().int(),
  holders: z.number().int(),
  problem,
  renditions: z.array(
    z.object({
      name: z.string(),
      holders: z.array(
        z.object({
          peerId: z.string(),
          uploadFreeKbps: z.number(),
          load: z.number().describe('0 to 1.'),
        }),
      ),
      problem,
    }),
  ),
})
