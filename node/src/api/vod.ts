/** /api/vods and downloads: videos of this peer and of others; fronts `vod/library`, `vod/download` and `content/videos`. */
import { z } from 'zod'
import { RENDITION_NAME } from '../content/stream.ts'
import type { NetworkVideos } from '../content/videos/network-videos.ts'
import { KairoError } from '../errors.ts'
import { attachment } from '../http/content-disposition.ts'
import { rangedAnswer } from '../http/ranged-answer.ts'
import { readBody } from '../http/read-body.ts'
import { defineRoute, type Route } from '../http/route.ts'
import {
  defineStreamRoute,
  type StreamAnswer,
  type StreamRequest,
  type StreamRoute,
} from '../http/stream-route.ts'
import { captionUploadLimits, downloadLimits, uploadLimits } from '../limits/upload.ts'
import { vodListLimits } from '../limits/videos.ts'
import type { DownloadChoice } from '../vod/download/download-plan.ts'
import type { Downloads } from '../vod/download/downloads.ts'
import type { VodLibrary } from '../vod/library.ts'
import { doneSchema } from './schemas.ts'
import { type VodView, vodChangeSchema, vodSchema, vodsSchema } from './schemas-vod.ts'
import { networkVodView, vodView } from './vod-view.ts'

/** The rooms behind the routes. */
export interface VodRouteComponents {
  readonly library: Pick<
    VodLibrary,
    'status' | 'statuses' | 'get' | 'usage' | 'rename' | 'remove' | 'retry' | 'addCaptions'
  >
  readonly downloads: Pick<Downloads, 'open'>
  readonly networkVideos: Pick<NetworkVideos, 'count' | 'known' | 'newest' | 'status'>
  /** This peer. */
  readonly host: { readonly peerId: string }
}

/** Who may change the library, as the setting `uploads` says; `off` leaves it to the operator. */
export interface VodRouteInit {
  readonly access: 'local' | 'operator' | 'off'
}

const idParams = z.object({ id: z.string().regex(/^[a-z0-9-]{1,64}$/) })
const renditionName = z.string().regex(RENDITION_NAME)

/** Routes that take and answer JSON. */
export function vodRoutes(components: VodRouteComponents, init: VodRouteInit): Route[] {
  const { library, networkVideos: network } = components
  const { peerId } = components.host
  const view = (id: string): VodView => {
    const status = library.status(id)
    if (status !== undefined) return vodView(status, library.get(id), peerId)
    const known = network.known(id)
    if (known === undefined) throw new KairoError('ERR_NOT_FOUND', `no video ${id} here`)
    return networkVodView(known, network.status(id))
  }
  return [
    defineRoute({
      method: 'GET',
      path: '/api/vods',
      summary:
        'Lists the videos of this peer, those being made too, and the newest ones of others, newest first.',
      access: 'public',
      response: { 200: vodsSchema },
      handler: () => ({
        status: 200,
        body: {
          videos: [
            ...library.statuses().map((one) => vodView(one, library.get(one.id), peerId)),
            ...network
              .newest(vodListLimits.networkVideosMax)
              .map((known) => networkVodView(known, network.status(known.video.id))),
          ].sort((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt)),
          networkVideos: network.count,
          usage: library.usage(),
          uploads: { access: init.access, fileBytesMax: uploadLimits.fileBytesMax },
        },
        headers: { 'cache-control': 'no-store' },
      }),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/vods/:id',
      summary: 'Tells of one video, and how far its making is.',
      access: 'public',
      params: idParams,
      response: { 200: vodSchema },
      handler: ({ params }) => ({
        status: 200,
        body: view(params.id),
        headers: { 'cache-control': 'no-store' },
      }),
    }),
    ...changingRoutes(components, init, view),
  ]
}

function changingRoutes(
  components: VodRouteComponents,
  init: VodRouteInit,
  view: (id: string) => VodView,
): Route[] {
  const { library } = components
  const rule = {
    access: 'operator',
    localAccess: init.access === 'local' ? 'public' : 'operator',
    params: idParams,
  } as const
  return [
    defineRoute({
      ...rule,
      method: 'PATCH',
      path: '/api/vods/:id',
      summary: 'Gives a video another title.',
      body: vodChangeSchema,
      response: { 200: vodSchema },
      handler: async ({ params, body }) => {
        expectOwn(components, params.id)
        await library.rename(params.id, body.title)
        return { status: 200, body: view(params.id) }
      },
    }),
    defineRoute({
      ...rule,
      method: 'DELETE',
      path: '/api/vods/:id',
      summary: 'Removes a video for good; one that is being made is stopped.',
      response: { 200: doneSchema },
      handler: async ({ params }) => {
        expectOwn(components, params.id)
        await library.remove(params.id)
        return { status: 200, body: { done: true as const } }
      },
    }),
    defineRoute({
      ...rule,
      method: 'POST',
      path: '/api/vods/:id/retry',
      summary: 'Puts a failed video in the queue again.',
      response: { 200: vodSchema },
      handler: async ({ params }) => {
        expectOwn(components, params.id)
        await library.retry(params.id)
        return { status: 200, body: view(params.id) }
      },
    }),
  ]
}

/** Routes whose bodies are files. */
export function vodStreamRoutes(components: VodRouteComponents, init: VodRouteInit): StreamRoute[] {
  const { library, host } = components
  const { requestsMax, requestsPerAddressMax } = downloadLimits
  const download = {
    access: 'public',
    statuses: [200, 206, 304],
    requestsMax,
    requestsPerAddressMax,
  } as const
  return [
    defineStreamRoute({
      ...download,
      methods: ['GET', 'HEAD'],
      path: '/vod/:id/download.mp4',
      summary:
        'A video as one MP4 file, in ranges too; the best rendition and the first sound unless named.',
      params: idParams,
      query: z.object({ rendition: renditionName.optional(), audio: renditionName.optional() }),
      responseType: 'video/mp4',
      handler: (request) =>
        downloadAnswer(components, request, { ...choiceOf(request.query), audioOnly: false }),
    }),
    defineStreamRoute({
      ...download,
      methods: ['GET', 'HEAD'],
      path: '/vod/:id/audio.m4a',
      summary: 'The sound of a video as one MP4 file, in ranges too.',
      params: idParams,
      query: z.object({ audio: renditionName.optional() }),
      responseType: 'audio/mp4',
      handler: (request) =>
        downloadAnswer(components, request, { ...choiceOf(request.query), audioOnly: true }),
    }),
    defineStreamRoute({
      methods: ['POST'],
      path: '/api/vods/:id/captions',
      summary:
        'Adds a WebVTT file to a ready video, in place of one of the same language and label.',
      access: 'operator',
      localAccess: init.access === 'local' ? 'public' : 'operator',
      params: idParams,
      query: z.object({
        language: z.string().min(1).max(35).default('und'),
        label: z.string().max(64).default(''),
      }),
      requestType: 'text/vtt',
      statuses: [200],
      responseType: 'application/json',
      requestsMax: captionUploadLimits.requestsMax,
      requestsPerAddressMax: captionUploadLimits.requestsPerAddressMax,
      handler: async ({ params, query, body }) => {
        expectOwn(components, params.id)
        const file = await readBody(body, captionUploadLimits.bytesMax)
        await library.addCaptions(params.id, query.language, query.label, file)
        const status = library.status(params.id)
        if (status === undefined) throw new KairoError('ERR_NOT_FOUND', 'the video is gone')
        const answer = vodSchema.parse(vodView(status, library.get(params.id), host.peerId))
        return {
          status: 200,
          headers: { 'content-type': 'application/json; charset=utf-8' },
          body: Buffer.from(JSON.stringify(answer)),
        }
      },
    }),
  ]
}

/** What another peer has made is that peer's to change. */
function expectOwn(
  { library, networkVideos }: Pick<VodRouteComponents, 'library' | 'networkVideos'>,
  id: string,
): void {
  const owner = library.status(id) === undefined ? networkVideos.known(id)?.owner : undefined
  if (owner === undefined) return
  throw new KairoError('ERR_FORBIDDEN', `peer ${owner} has this video: it can be changed there`)
}

function choiceOf(query: {
  readonly rendition?: string | undefined
  readonly audio?: string | undefined
}): Pick<DownloadChoice, 'rendition' | 'audio'> {
  return { rendition: query.rendition, audio: query.audio }
}

async function downloadAnswer(
  { downloads }: VodRouteComponents,
  request: Pick<StreamRequest<typeof idParams, undefined>, 'params' | 'headers' | 'url' | 'signal'>,
  choice: DownloadChoice,
): Promise<StreamAnswer> {
  const { signal } = request
  const file = await downloads.open(request.params.id, choice, { signal })
  const suffix = choice.rendition === undefined ? '' : ` (${choice.rendition})`
  return rangedAnswer(request, {
    length: file.length,
    etag: `"${file.key}"`,
    headers: {
      'content-type': choice.audioOnly ? 'audio/mp4' : 'video/mp4',
      'content-disposition': attachment(
        `${file.title}${suffix}${choice.audioOnly ? '.m4a' : '.mp4'}`,
      ),
      'cache-control': 'no-cache',
    },
    read: (first, last) => file.read(first, last, { signal }),
  })
}
