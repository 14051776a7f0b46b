/** /api/keys: the streams that may be published at this peer; fronts `ingest/stream-keys` and `ingest/publishing`. */
import { z } from 'zod'
import { KairoError } from '../errors.ts'
import { defineRoute, type Route } from '../http/route.ts'
import type { PublishingService } from '../ingest/publishing.ts'
import { exportedStreamSchema, type OwnedStream, type StreamKeys } from '../ingest/stream-keys.ts'
import { doneSchema, keySchema, keysSchema, newKeySchema } from './schemas.ts'

/** The rooms behind the routes. */
export interface KeyRouteComponents {
  readonly keys: StreamKeys
  readonly publishing: PublishingService
  /** Makes a new stream ready to be published; rejects when its numbering cannot be opened. */
  readonly prepare: (stream: OwnedStream) => Promise<void>
  /** Lets go of a stream whose key was removed. */
  readonly forget: (stream: OwnedStream) => Promise<void>
  /** Base of the push addresses, `rtmp://host:port/live`; null when RTMP is off. */
  readonly rtmpUrl: () => string | null
  /** `srt://host:port`; null when SRT is off. */
  readonly srtUrl: () => string | null
}

const nameParams = z.object({ name: z.string().min(1).max(64) })

type KeyView = z.input<typeof keySchema>

/** Routes that only the operator may call. */
export function keyRoutes(components: KeyRouteComponents): Route[] {
  const { keys, publishing } = components
  const view = (stream: OwnedStream): KeyView => {
    const url = components.rtmpUrl()
    const srt = components.srtUrl()
    return {
      name: stream.name,
      id: stream.key.id,
      title: stream.title,
      builtIn: stream.builtIn,
      pushUrl: url === null ? null : `${url}/${stream.streamKey}`,
      srtUrl: srt === null ? null : `${srt}?streamid=publish:${stream.streamKey}`,
      streamKey: stream.streamKey,
    }
  }
  return [
    defineRoute({
      method: 'GET',
      path: '/api/keys',
      summary: 'Lists the stream keys of this peer.',
      access: 'operator',
      response: { 200: keysSchema },
      handler: () => ({ status: 200, body: { keys: keys.list().map(view) } }),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/keys',
      summary: 'Makes a stream with a new stream key and a new signing key.',
      access: 'operator',
      body: newKeySchema,
      response: { 201: keySchema },
      handler: async ({ body }) => {
        const stream = keys.create({
          ...(body.name === undefined ? {} : { name: body.name }),
          ...(body.title === undefined ? {} : { title: body.title }),
        })
        await components.prepare(stream)
        return { status: 201, body: view(stream) }
      },
    }),
    ...transferRoutes(components, view),
    defineRoute({
      method: 'DELETE',
      path: '/api/keys/:name',
      summary: 'Ends a stream and forgets its keys for good.',
      access: 'operator',
      params: nameParams,
      response: { 200: doneSchema },
      handler: async ({ params }) => {
        const stream = keys.get(params.name)
        if (stream === undefined) {
          throw new KairoError('ERR_NOT_FOUND', `no stream named ${params.name} here`)
        }
        if (stream.builtIn) {
          throw new KairoError(
            'ERR_FORBIDDEN',
            'the test stream is turned off with --no-test-stream',
          )
        }
        publishing.remove(stream.name)
        keys.remove(stream.name)
        await components.forget(stream)
        return { status: 200, body: { done: true as const } }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/keys/:name/disconnect',
      summary: "Ends the connection of a stream's publisher.",
      access: 'operator',
      params: nameParams,
      response: { 200: doneSchema },
      handler: ({ params }) => {
        publishing.disconnect(params.name, 'operator')
        return { status: 200, body: { done: true as const } }
      },
    }),
  ]
}

/** A stream goes to a second peer, which can take over when the first one is gone. */
function transferRoutes(
  { keys, prepare }: KeyRouteComponents,
  view: (stream: OwnedStream) => KeyView,
): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/api/keys/import',
      summary:
        'Takes a stream with its keys from another peer, so that this one can take over when that one is gone.',
      access: 'operator',
      body: exportedStreamSchema,
      response: { 201: keySchema },
      handler: async ({ body }) => {
        const stream = keys.import(body)
        await prepare(stream)
        return { status: 201, body: view(stream) }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/keys/:name/export',
      summary: 'A stream with its stream key and its signing key: whoever has them may publish it.',
      access: 'operator',
      params: nameParams,
      response: { 200: exportedStreamSchema },
      handler: ({ params }) => ({
        status: 200,
        body: keys.export(params.name),
        headers: { 'cache-control': 'no-store' },
      }),
    }),
  ]
}
