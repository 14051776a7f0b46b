/** /api/keys/:name/options: what the owner of a stream chose for it; fronts `ingest/stream-options`. */
import { z } from 'zod'
import { KairoError } from '../errors.ts'
import { defineRoute, type Route } from '../http/route.ts'
import type { StreamKeys } from '../ingest/stream-keys.ts'
import {
  type StreamOptions,
  type StreamOptionsStore,
  streamOptionsSchema,
} from '../ingest/stream-options.ts'
import type { PresetStore } from '../media/ladder/preset-store.ts'
import { streamOptionsAnswerSchema, streamOptionsPatchSchema } from './schemas-stream-options.ts'

/** The rooms behind the routes. */
export interface StreamOptionsRouteComponents {
  readonly keys: StreamKeys
  readonly streamOptions: StreamOptionsStore
  readonly presets: PresetStore
}

const nameParams = z.object({ name: z.string().min(1).max(64) })

/** Routes that only the operator may call: options hold the keys of restream targets. */
export function streamOptionsRoutes(components: StreamOptionsRouteComponents): Route[] {
  const { keys, streamOptions } = components
  const optionsOf = (name: string): StreamOptions => {
    if (keys.get(name) === undefined) {
      throw new KairoError('ERR_NOT_FOUND', `no stream named ${name} here`)
    }
    return streamOptions.get(name)
  }
  return [
    defineRoute({
      method: 'GET',
      path: '/api/keys/:name/options',
      summary: 'Tells what was chosen for a stream; what is absent follows the settings.',
      access: 'operator',
      params: nameParams,
      response: { 200: streamOptionsAnswerSchema },
      handler: ({ params }) => ({ status: 200, body: { options: optionsOf(params.name) } }),
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/keys/:name/options',
      summary: 'Changes what is chosen for a stream (RFC 7396: null takes a choice back).',
      access: 'operator',
      params: nameParams,
      body: streamOptionsPatchSchema,
      response: { 200: streamOptionsAnswerSchema },
      handler: ({ params, body }) => {
        const merged = Object.entries({ ...optionsOf(params.name), ...body })
        const chosen = Object.fromEntries(
          merged.filter(([, value]) => value !== null && value !== undefined),
        )
        const options = streamOptionsSchema.parse(chosen)
        // Refuses a quality that there is not, with those that there are.
        if (options.quality !== undefined) components.presets.get(options.quality)
        streamOptions.set(params.name, options)
        return { status: 200, body: { options } }
      },
    }),
  ]
}
