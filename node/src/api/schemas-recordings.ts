/** The shapes of the API's requests and answers about recordings. */
import { z } from 'zod'

/** POST /api/keys/:name/recording. */
export const recordingActionSchema = z.strictObject({
  action: z
    .enum(['start', 'stop'])
    .describe('Holds until the stream ends, whatever its option `record` says.'),
})

/** GET /api/recordings. */
export const recordingsSchema = z.object({
  recordings: z.array(
    z.object({
      id: z.string().describe('Name of the video that it becomes; it plays under it already.'),
      stream: z.string(),
      title: z.string(),
      createdAtMs: z.number(),
      durationS: z.number(),
      bytes: z.number(),
    }),
  ),
})
