/**
 * Pictures for going back in live streams: a WebVTT track whose cues name a picture each, and the pictures. Every cue's identifier is
 * the program date-time at which it begins, since the track's own time begins with its first cue, which moves on with the window.
 */
import { z } from 'zod'
import type { Digest } from '../content/digest.ts'
import type { StreamId, StreamSource } from '../content/stream.ts'
import { KairoError } from '../errors.ts'
import type { PlainRoute } from '../http/plain-route.ts'
import type { PlainHandler, PreparedResponse } from '../http/prepared-response.ts'
import { serialiseWebVtt, type VttCue } from '../media/captions/webvtt.ts'
import { STREAM_NAME } from './hls-request.ts'
import { conditional, immutableHeaders, textResponse } from './responses.ts'

/** One picture. */
export interface StoryboardPicture {
  /** Program date-time from which it shows the stream, Unix milliseconds. */
  readonly wallMs: number
  readonly jpeg: Buffer
  readonly digest: Digest
}

/** Where the pictures of live streams are. */
export interface StoryboardSource {
  /** Oldest first; empty where there are none. */
  pictures(stream: StreamId): readonly StoryboardPicture[]
}

/** What the handler works with. */
export interface LiveStoryboardComponents {
  readonly streams: Pick<StreamSource, 'get'>
  readonly storyboards: StoryboardSource
}

const PATH = /^\/live\/([a-z0-9][a-z0-9-]{0,95})\/storyboard(?:\.vtt|\/([1-9][0-9]{0,14})\.jpg)$/
/** How long the newest picture stands, as nobody knows when the next one comes. */
const LAST_CUE_MS = 10_000

/** Answers `GET` and `HEAD` of `/live/<stream>/storyboard.vtt` and of the pictures under `/live/<stream>/storyboard/`. */
export function createLiveStoryboardHandler(components: LiveStoryboardComponents): PlainHandler {
  const { streams, storyboards } = components
  return ({ path, ifNoneMatch }) => {
    const [matches, name = '', picture] = PATH.exec(path) ?? []
    if (matches === undefined) return undefined
    const id = streams.get(name)?.record.id
    const pictures = id === undefined ? [] : storyboards.pictures(id)
    if (picture === undefined) return conditional(track(pictures), ifNoneMatch)
    const found = pictures.find(({ wallMs }) => wallMs === Number(picture))
    if (found === undefined) throw new KairoError('ERR_NOT_FOUND', 'no such picture')
    const headers = immutableHeaders('image/jpeg', found.digest)
    return conditional({ status: 200, headers, body: [found.jpeg] }, ifNoneMatch)
  }
}

/** The track; URLs are relative to it. */
function track(pictures: readonly StoryboardPicture[]): PreparedResponse {
  const originMs = pictures[0]?.wallMs ?? 0
  const cues = pictures.map(({ wallMs }, index): VttCue => {
    const endMs = pictures[index + 1]?.wallMs ?? wallMs + LAST_CUE_MS
    return {
      ...{ id: new Date(wallMs).toISOString(), text: `storyboard/${wallMs}.jpg` },
      ...{ startMs: wallMs - originMs, endMs: endMs - originMs },
    }
  })
  return textResponse('text/vtt', serialiseWebVtt(cues).toString())
}

const stream = z.string().regex(STREAM_NAME).describe('Alias or id of a stream.')

/** What the handler answers, declared for the OpenAPI document. */
export const liveStoryboardRoutes: readonly PlainRoute[] = [
  {
    path: '/live/:stream/storyboard.vtt',
    summary: 'Pictures for going back; identifiers of cues are program date-times.',
    access: 'viewer',
    params: z.object({ stream }),
    mediaTypes: ['text/vtt'],
    statuses: [304],
  },
  {
    path: '/live/:stream/storyboard/:time.jpg',
    summary: 'One picture, by its program date-time in Unix milliseconds.',
    access: 'viewer',
    params: z.object({ stream, time: z.coerce.number().int().min(1) }),
    mediaTypes: ['image/jpeg'],
    statuses: [304, 404],
  },
]
