/** What the VOD handler answers, declared for the OpenAPI document. */
import { z } from 'zod'
import { RENDITION_NAME } from '../../content/stream.ts'
import type { PlainRoute } from '../../http/plain-route.ts'
import { INIT_PREFIX } from '../segment-lines.ts'
import { PRESENTATION_ID } from './vod-request.ts'

const id = z.string().regex(PRESENTATION_ID).describe('Id of a video or a recording.')
const rendition = z.string().regex(RENDITION_NAME).describe('Name of a rendition or of captions.')
const number = z.coerce.number().int().min(0)
const playlist = ['application/vnd.apple.mpegurl']
const statuses = [206, 304, 400, 404, 416, 502, 503, 504, 507]

function route(
  path: string,
  summary: string,
  params: z.ZodObject,
  mediaTypes: readonly string[],
): PlainRoute {
  return { path, summary, access: 'viewer', params, mediaTypes, statuses }
}

/** Everything under `/vod/`. Anyone may watch. */
export const vodRoutes: readonly PlainRoute[] = [
  route('/vod/:id/master.m3u8', "A video's multivariant playlist.", z.object({ id }), playlist),
  route('/vod/:id/manifest.mpd', "A video's DASH manifest.", z.object({ id }), [
    'application/dash+xml',
  ]),
  route('/vod/:id/storyboard.vtt', 'Pictures for scrubbing, as WebVTT.', z.object({ id }), [
    'text/vtt',
  ]),
  route(
    '/vod/:id/storyboard/images.m3u8',
    'Pictures for scrubbing, as an image media playlist.',
    z.object({ id }),
    playlist,
  ),
  route('/vod/:id/storyboard/:number.jpg', 'One sprite of pictures.', z.object({ id, number }), [
    'image/jpeg',
  ]),
  route(
    '/vod/:id/:rendition/media.m3u8',
    'A media playlist; it grows while a recording runs.',
    z.object({ id, rendition }),
    playlist,
  ),
  route('/vod/:id/:rendition/:msn.m4s', 'A segment.', z.object({ id, rendition, msn: number }), [
    'video/mp4',
    'audio/mp4',
  ]),
  route(
    '/vod/:id/:rendition/:msn.vtt',
    'The captions of a segment.',
    z.object({ id, rendition, msn: number }),
    ['text/vtt'],
  ),
  route('/vod/:id/:rendition/captions.vtt', 'A caption file.', z.object({ id, rendition }), [
    'text/vtt',
  ]),
  route(
    '/vod/:id/:rendition/init-:prefix.mp4',
    'An init segment, by the first 16 hex digits of its SHA-256.',
    z.object({ id, rendition, prefix: z.string().regex(INIT_PREFIX) }),
    ['video/mp4', 'audio/mp4'],
  ),
]
