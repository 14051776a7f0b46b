/** /api/uploads: files come in by the tus protocol; fronts `vod/upload`. */
import { z } from 'zod'
import { errorStatus } from '../errors.ts'
import { createProblem, pathOf } from '../http/problem.ts'
import { problemAnswer } from '../http/problem-answer.ts'
import {
  defineStreamRoute,
  type StreamAnswer,
  type StreamMethod,
  type StreamRequest,
  type StreamRoute,
} from '../http/stream-route.ts'
import { uploadLimits } from '../limits/upload.ts'
import { tusRequestHeaders, type UploadServer } from '../vod/upload/upload-server.ts'

/** Path under which uploads are made. */
export const UPLOADS_PATH = '/api/uploads'

/** What the routes front. */
export interface UploadRouteComponents {
  readonly uploads: Pick<UploadServer, 'handle' | 'optionsHeaders'>
}

/** Who may upload: the operator and programs and pages of this machine, the operator only, or nobody. */
export interface UploadRouteInit {
  readonly access: 'local' | 'operator' | 'off'
}

/** The routes of the tus protocol; none when uploads are off. */
export function uploadRoutes(
  components: UploadRouteComponents,
  init: UploadRouteInit,
): StreamRoute[] {
  if (init.access === 'off') return []
  const shared = {
    access: 'operator',
    localAccess: init.access === 'local' ? 'public' : 'operator',
    requestType: 'application/offset+octet-stream',
    requestsMax: uploadLimits.requestsMax,
    requestsPerAddressMax: uploadLimits.requestsPerAddressMax,
    requestHeaders: tusRequestHeaders,
    everyHeaders: { 'tus-resumable': '1.0.0' },
    optionsHeaders: () => components.uploads.optionsHeaders(),
  } as const
  return [
    defineStreamRoute({
      ...shared,
      methods: ['POST'],
      path: UPLOADS_PATH,
      summary:
        'Begins an upload (tus 1.0): Upload-Length, and Upload-Metadata with title and filename.',
      statuses: [201],
      handler: (request) => answer(components, request),
    }),
    defineStreamRoute({
      ...shared,
      methods: ['HEAD', 'PATCH', 'DELETE'],
      path: `${UPLOADS_PATH}/:id`,
      summary:
        'Tells how far an upload is, goes on with it, or ends it (tus 1.0); Kairo-Video names the video it became.',
      params: z.object({ id: z.string().regex(/^[0-9a-f]{32}$/) }),
      statuses: [200, 204],
      handler: (request) => answer(components, request),
    }),
  ]
}

async function answer(
  { uploads }: UploadRouteComponents,
  request: Pick<StreamRequest<undefined, undefined>, 'url' | 'headers' | 'body' | 'caller'> & {
    readonly method: StreamMethod
  },
): Promise<StreamAnswer> {
  const { method, url, headers, body, caller } = request
  const result = await uploads.handle({ method, url, headers, body, address: caller.address })
  if (result.refusal === undefined) return { status: result.status, headers: result.headers }
  const { code, detail } = result.refusal
  const status = result.status === 500 ? errorStatus[code] : result.status
  const problem = createProblem(status, code, { detail, instance: pathOf(url) })
  return problemAnswer(problem, result.headers)
}
