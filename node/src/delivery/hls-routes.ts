/** What the HLS handler answers, declared for the OpenAPI document (docs/protocol/hls.md tells the rest). */
import { z } from 'zod'
import { RENDITION_NAME } from '../content/stream.ts'
import type { PlainRoute } from '../http/plain-route.ts'
import { STREAM_NAME } from './hls-request.ts'
import { INIT_PREFIX } from './segment-lines.ts'

const stream = z.string().regex(STREAM_NAME).describe('Alias or id of a stream.')
const rendition = z.string().regex(RENDITION_NAME).describe('Name of a rendition.')
const number = z.coerce.number().int().min(0)
const msn = number.describe('Media sequence number.')

const playlist = ['application/vnd.apple.mpegurl']
const media = ['video/mp4', 'audio/mp4']
const unavailable = [206, 304, 400, 404, 416, 503]

/** Everything under `/live/`. Anyone may watch. */
export const hlsRoutes: readonly PlainRoute[] = [
  {
    path: '/live/:stream/master.m3u8',
    summary: "A stream's multivariant playlist.",
    access: 'viewer',
    params: z.object({ stream }),
    mediaTypes: playlist,
    statuses: unavailable,
  },
  {
    path: '/live/:stream/:rendition/media.m3u8',
    summary: 'A media playlist, held until it reaches the position that the directives name.',
    access: 'viewer',
    params: z.object({ stream, rendition }),
    query: z.object({
      _HLS_msn: msn.optional(),
      _HLS_part: number.optional(),
      _HLS_skip: z.enum(['YES', 'v2']).optional(),
    }),
    mediaTypes: playlist,
    statuses: unavailable,
  },
  {
    path: '/live/:stream/:rendition/:msn.:part.m4s',
    summary: 'One part; held until it is there when the playlist hints at it.',
    access: 'viewer',
    params: z.object({ stream, rendition, msn, part: number }),
    mediaTypes: media,
    statuses: unavailable,
  },
  {
    path: '/live/:stream/:rendition/:msn.m4s',
    summary: 'A segment: whole, or part by part as it is made.',
    access: 'viewer',
    params: z.object({ stream, rendition, msn }),
    mediaTypes: media,
    statuses: unavailable,
  },
  {
    path: '/live/:stream/:rendition/:msn.vtt',
    summary: 'The captions of a segment.',
    access: 'viewer',
    params: z.object({ stream, rendition, msn }),
    mediaTypes: ['text/vtt'],
    statuses: unavailable,
  },
  {
    path: '/live/:stream/manifest.mpd',
    summary: "A stream's DASH manifest.",
    access: 'viewer',
    params: z.object({ stream }),
    mediaTypes: ['application/dash+xml'],
    statuses: unavailable,
  },
  {
    path: '/live/:stream/:rendition/init-at-:msn.mp4',
    summary: 'The init segment that a segment needs.',
    access: 'viewer',
    params: z.object({ stream, rendition, msn }),
    mediaTypes: media,
    statuses: unavailable,
  },
  {
    path: '/live/:stream/:rendition/init-:prefix.mp4',
    summary: 'An init segment, by the first 16 hex digits of its SHA-256.',
    access: 'viewer',
    params: z.object({ stream, rendition, prefix: z.string().regex(INIT_PREFIX) }),
    mediaTypes: media,
    statuses: unavailable,
  },
  {
    path: '/live/:stream/still.mp4',
    summary: 'The newest picture that can be decoded alone, as a file of one picture.',
    access: 'viewer',
    params: z.object({ stream }),
    mediaTypes: ['video/mp4'],
    statuses: unavailable,
  },
]
