/** The shapes of answers about the library of videos: the routes declare them, the command line checks against them. */
import { z } from 'zod'

const rendition = z.object({
  name: z.string(),
  kind: z.enum(['video', 'audio', 'captions']),
  codecs: z.string(),
  bandwidthBps: z.number(),
  width: z.number(),
  height: z.number(),
  frameRate: z.number(),
  channels: z.number(),
  language: z.string().optional(),
  label: z.string().optional(),
})

/** One video. */
export const vodSchema = z.object({
  id: z.string(),
  title: z.string(),
  state: z.enum(['queued', 'probing', 'transcoding', 'ready', 'failed']),
  origin: z.enum(['upload', 'recording']),
  originPeer: z.string().describe('Id of the peer that has made it, and may change it.'),
  status: z
    .enum(['origin', 'copied', 'known', 'away'])
    .describe(
      'Made here; played here, so copies are here; at another peer; at a peer that cannot be reached now.',
    ),
  createdAt: z.iso.datetime(),
  durationS: z.number().describe('0 until it is known.'),
  progress: z.number().describe('Share of the work that is done, 0 to 1.'),
  speed: z.number().nullable().describe('Media seconds made a second; null until it is known.'),
  etaS: z.number().nullable().describe('Seconds that are left, as far as one can tell.'),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  bytes: z.number(),
  renditions: z.array(rendition).describe('Empty until it is ready.'),
  captions: z.array(z.object({ name: z.string(), language: z.string(), label: z.string() })),
  storyboard: z
    .object({
      intervalMs: z.number(),
      width: z.number(),
      height: z.number(),
      columns: z.number(),
      rows: z.number(),
      count: z.number(),
    })
    .nullable(),
  urls: z
    .object({
      hls: z.string(),
      dash: z.string(),
      download: z.string(),
      storyboard: z.string().nullable().describe('WebVTT with sprites; null when there is none.'),
      sound: z.string().nullable().describe('Sound alone; null when there is none.'),
    })
    .nullable()
    .describe('Paths at this peer; null until it is ready.'),
})

/** One video as the API tells it. */
export type VodView = z.output<typeof vodSchema>

/** GET /api/vods. */
export const vodsSchema = z.object({
  videos: z.array(vodSchema),
  networkVideos: z.number().describe('Videos of other peers in all; the newest 500 are listed.'),
  usage: z.object({ bytes: z.number(), bytesMax: z.number(), bytesFree: z.number() }),
  uploads: z
    .object({
      access: z
        .enum(['local', 'operator', 'off'])
        .describe('Who may upload: those at this machine and the operator, the operator, nobody.'),
      fileBytesMax: z.number(),
    })
    .describe('Whether a page shows a way to upload.'),
})

/** PATCH /api/vods/:id: the request. */
export const vodChangeSchema = z.strictObject({ title: z.string().min(1).max(1_000) })
