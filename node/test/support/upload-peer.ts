// A real HTTP server with the tus routes on it, for tests of uploads.
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { uploadRoutes } from '../../src/api/uploads.ts'
import type { PlainHandler } from '../../src/http/prepared-response.ts'
import type { Route } from '../../src/http/route.ts'
import { HttpServer } from '../../src/http/server.ts'
import type { StreamRoute } from '../../src/http/stream-route.ts'
import { createRegistry } from '../../src/metrics/registry.ts'
import { UploadServer } from '../../src/vod/upload/upload-server.ts'
import { keepingLogger, type Line } from './http-exchange.ts'
import { ManualClock } from './manual-clock.ts'

/** A file that the library was given. */
export interface TakenFile {
  readonly path: string
  readonly title: string
}

/** The parts of a test around uploads. */
export interface UploadPeer {
  readonly url: string
  readonly port: number
  readonly server: HttpServer
  readonly uploads: UploadServer
  readonly clock: ManualClock
  readonly registry: ReturnType<typeof createRegistry>
  readonly lines: Line[]
  /** Files in the order in which the library took them; they lie under `<directory>-taken`. */
  readonly taken: TakenFile[]
  stop(): Promise<void>
}

/** What differs between tests. */
export interface UploadPeerInit {
  readonly directory: string
  readonly port?: number
  readonly access?: 'local' | 'operator' | 'off'
  readonly roomFor?: (bytes: number) => boolean
  /** Called before the library takes a file; a rejection is the library's. */
  readonly beforeTake?: () => Promise<void>
  readonly plainHandlers?: readonly PlainHandler[]
  /** Routes beside those of uploads. */
  readonly routes?: readonly Route[]
  readonly streamRoutes?: readonly StreamRoute[]
}

/** Starts uploads and the server before them. */
export async function startUploadPeer(init: UploadPeerInit): Promise<UploadPeer> {
  // Files carry real times, which the clock is compared with.
  const clock = new ManualClock(Date.now())
  const registry = createRegistry()
  const lines: Line[] = []
  const logger = keepingLogger(lines)
  const taken: TakenFile[] = []
  const uploads = new UploadServer(
    {
      clock,
      logger,
      registry,
      roomFor: init.roomFor ?? (() => true),
      library: {
        addFile: async ({ path, title }) => {
          await init.beforeTake?.()
          const to = join(`${init.directory}-taken-${Date.now()}-${taken.length}`)
          await rename(path, to)
          taken.push({ path: to, title })
          return { id: `video-${taken.length}` }
        },
      },
    },
    { directory: init.directory, basePath: '/api/uploads' },
  )
  await uploads.start()
  const server = new HttpServer(
    { clock, logger, registry },
    {
      host: '127.0.0.1',
      port: init.port ?? 0,
      corsOrigins: ['http://friend.example'],
      plainHandlers: init.plainHandlers ?? [],
      routes: init.routes ?? [],
      streamRoutes: [
        ...uploadRoutes({ uploads }, { access: init.access ?? 'local' }),
        ...(init.streamRoutes ?? []),
      ],
      authenticators: { operator: ({ bearer }) => bearer === 'right' },
    },
  )
  await server.start()
  const port = server.address()?.port ?? 0
  return {
    url: `http://127.0.0.1:${port}`,
    ...{ port, server, uploads, clock, registry, lines, taken },
    stop: async () => {
      const stopped = server.stop()
      clock.advance(60_000)
      await stopped
      await uploads.stop()
    },
  }
}
