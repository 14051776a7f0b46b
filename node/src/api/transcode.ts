/** GET /api/transcoding and /api/presets: what is made of live streams, and what may be asked for; fronts `transcode/service`. */
import type { z } from 'zod'
import { defineRoute, type Route } from '../http/route.ts'
import type { PresetStore } from '../media/ladder/preset-store.ts'
import type { TranscodeService, TranscodingStatus } from '../transcode/service.ts'
import { presetsSchema, transcodingSchema } from './schemas-transcode.ts'

/** The rooms behind the routes. */
export interface TranscodeRouteComponents {
  readonly transcoding: TranscodeService
  readonly presets: PresetStore
}

/** Routes about transcoding. */
export function transcodeRoutes({ transcoding, presets }: TranscodeRouteComponents): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/transcoding',
      summary: 'Tells of each live stream which rungs are made, and why the others are not.',
      access: 'operator',
      response: { 200: transcodingSchema },
      handler: () => ({ status: 200, body: transcodingView(transcoding.status()) }),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/presets',
      summary: 'Lists the presets that a stream may ask for; a height such as 720p is one too.',
      access: 'public',
      response: { 200: presetsSchema },
      handler: () => ({
        status: 200,
        body: {
          presets: presets
            .list()
            .map(({ name, builtIn, preset }) => ({ name, builtIn, ...preset })),
        },
      }),
    }),
  ]
}

function transcodingView(status: TranscodingStatus): z.input<typeof transcodingSchema> {
  return {
    ...status,
    streams: status.streams.map(({ source, rungs, dropped, ...stream }) => ({
      ...stream,
      source: source === undefined ? null : sourceView(source),
      rungs: [...rungs],
      dropped: [...dropped],
      pid: stream.pid ?? null,
      cores: stream.cores ?? null,
      speed: stream.speed ?? null,
      problem: stream.problem ?? null,
    })),
  }
}

function sourceView({
  video,
  audio,
}: NonNullable<TranscodingStatus['streams'][number]['source']>): z.input<
  typeof transcodingSchema
>['streams'][number]['source'] {
  return {
    video:
      video === undefined
        ? null
        : {
            ...video,
            frameRate: video.frameRate ?? null,
            bitrateBps: video.bitrateBps ?? null,
          },
    audio: audio ?? null,
  }
}
