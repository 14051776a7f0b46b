/** The shapes of the API about purges. */
import { z } from 'zod'
import { purgeSelectorSchema } from '../cdn/purge-selector.ts'

const mode = z.enum(['hard', 'soft'])

/** POST /api/cdn/purge. */
export const newPurgeSchema = z.strictObject({
  selector: purgeSelectorSchema,
  mode: mode
    .default('hard')
    .describe('`hard` forgets; `soft` makes stale, to be served while it is asked for anew.'),
})

const peerOutcome = z.object({
  peerId: z.string(),
  status: z
    .enum(['done', 'failed', 'unreachable', 'away', 'waiting'])
    .describe(
      'A peer that is not done carries it out before it answers from its cache again. `away`: lost some minutes before the purge at most.',
    ),
  purged: z
    .number()
    .int()
    .describe('Responses that it took there; 0 for an answer that came late.'),
  ms: z.number().describe('From the beginning to the answer.'),
  code: z.string().nullable().describe('Why it failed.'),
})

/** What has become of a purge. */
export const purgeReportSchema = z.object({
  id: z.string(),
  issuer: z.string().describe('The peer that it was given to.'),
  issued: z.iso.datetime(),
  selector: purgeSelectorSchema,
  mode,
  complete: z
    .boolean()
    .describe(
      'Every peer has done it that was alive, or was within a quarter of an hour and had not said goodbye.',
    ),
  degraded: z
    .boolean()
    .describe(
      'The log of the region does not have it, for the region decides nothing now or was slow: it is written there later, and peers that are away hear of it from others until then.',
    ),
  peers: z.array(peerOutcome),
})

/** GET /api/cdn/purges. */
export const purgesSchema = z.object({
  caughtUp: z
    .boolean()
    .describe(
      'False while purges may have been missed and the origin is asked instead of the cache.',
    ),
  purges: z
    .array(purgeReportSchema)
    .describe('Those in the log of the region and those given to this peer, newest first.'),
})
