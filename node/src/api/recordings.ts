/** GET /api/recordings and POST /api/keys/:name/recording: what is recorded now; fronts `recording/stream-archives`. */
import { z } from 'zod'
import { KairoError } from '../errors.ts'
import { defineRoute, type Route } from '../http/route.ts'
import type { StreamKeys } from '../ingest/stream-keys.ts'
import type { StreamArchives } from '../recording/stream-archives.ts'
import { doneSchema } from './schemas.ts'
import { recordingActionSchema, recordingsSchema } from './schemas-recordings.ts'

/** The rooms behind the routes. */
export interface RecordingRouteComponents {
  readonly keys: Pick<StreamKeys, 'get'>
  readonly archives: Pick<StreamArchives, 'recordings' | 'want'>
}

/** Routes that only the operator may call. */
export function recordingRoutes({ keys, archives }: RecordingRouteComponents): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/recordings',
      summary: 'Lists the recordings under way; finished ones are videos of the library.',
      access: 'operator',
      response: { 200: recordingsSchema },
      handler: () => ({
        status: 200,
        body: {
          recordings: archives.recordings().map(({ durationUs, ...one }) => ({
            ...one,
            durationS: durationUs / 1_000_000,
          })),
        },
      }),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/keys/:name/recording',
      summary: 'Starts or stops the recording of a live stream.',
      access: 'operator',
      params: z.object({ name: z.string().min(1).max(64) }),
      body: recordingActionSchema,
      response: { 200: doneSchema },
      handler: ({ params, body }) => {
        if (keys.get(params.name) === undefined) {
          throw new KairoError('ERR_NOT_FOUND', `no stream named ${params.name} here`)
        }
        archives.want(params.name, body.action === 'start')
        return { status: 200, body: { done: true as const } }
      },
    }),
  ]
}
