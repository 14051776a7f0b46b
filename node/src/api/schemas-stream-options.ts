/** The shapes of a stream's options at the API. */
import { z } from 'zod'
import { streamOptionsSchema } from '../ingest/stream-options.ts'

/** The answer: what is chosen now. */
export const streamOptionsAnswerSchema = z.object({ options: streamOptionsSchema })

const { shape } = streamOptionsSchema

/** The request: a JSON merge patch of the options. */
export const streamOptionsPatchSchema = z.strictObject({
  quality: shape.quality.nullable(),
  record: shape.record.nullable(),
  dvrWindowS: shape.dvrWindowS.nullable(),
  srtPassphrase: shape.srtPassphrase.nullable(),
  restream: shape.restream.nullable(),
  pullUrl: shape.pullUrl.nullable(),
})
