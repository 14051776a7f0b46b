/** POST /api/streams/:name/captions: WebVTT for a live stream; fronts `ingest/live-captions`. */
import { z } from 'zod'
import { LANGUAGE_TAG } from '../content/stream.ts'
import { KairoError } from '../errors.ts'
import { readBody } from '../http/read-body.ts'
import { defineStreamRoute, type StreamRoute } from '../http/stream-route.ts'
import type { LiveCaptions } from '../ingest/live-captions.ts'
import type { StreamKeys } from '../ingest/stream-keys.ts'
import { captionUploadLimits } from '../limits/upload.ts'

/** The rooms behind the route. */
export interface CaptionRouteComponents {
  readonly captions: LiveCaptions
  readonly keys: StreamKeys
  /** True for the operator's token. */
  readonly isOperator: (bearer: string | undefined) => boolean
}

/** The route; a captioner needs the stream's own key and nothing else. */
export function captionRoutes(components: CaptionRouteComponents): StreamRoute[] {
  const { captions, keys, isOperator } = components
  return [
    defineStreamRoute({
      methods: ['POST'],
      path: '/api/streams/:name/captions',
      summary:
        'Adds WebVTT cues to a live stream, with its stream key as bearer token. Cue times count from `from`, else from now.',
      access: 'publisher',
      params: z.object({ name: z.string().min(1).max(64) }),
      query: z.object({
        language: z.string().regex(LANGUAGE_TAG, 'expected a BCP 47 tag such as en').default('en'),
        label: z.string().max(64).default(''),
        from: z.iso
          .datetime({ offset: true })
          .optional()
          .describe('Wall time at which the cue time 00:00:00.000 is, ISO 8601.'),
      }),
      requestType: 'text/vtt',
      statuses: [204],
      requestsMax: captionUploadLimits.requestsMax,
      requestsPerAddressMax: captionUploadLimits.requestsPerAddressMax,
      handler: async ({ params, query, body, caller }) => {
        const stream = keys.get(params.name)
        const opens = stream !== undefined && keys.bySecret(caller.bearer ?? '') === stream
        if (!opens && !isOperator(caller.bearer)) {
          throw new KairoError('ERR_FORBIDDEN', `this token does not open ${params.name}`)
        }
        captions.add(params.name, {
          file: await readBody(body, captionUploadLimits.bytesMax),
          language: query.language,
          label: query.label,
          fromMs: query.from === undefined ? undefined : Date.parse(query.from),
        })
        return { status: 204, headers: {} }
      },
    }),
  ]
}
