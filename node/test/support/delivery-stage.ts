/**
 * A stage for real players: two pictures and two sounds that ffmpeg made, published part by part as time passes, behind the
 * handlers and the HTTP server of a peer, with the players' own bundles beside them.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import type { Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import type { RenditionInfo } from '../../src/content/stream.ts'
import { createHlsHandler } from '../../src/delivery/hls-handler.ts'
import { createTimeHandler } from '../../src/delivery/time-handler.ts'
import type { PlainHandler } from '../../src/http/prepared-response.ts'
import { HttpServer } from '../../src/http/server.ts'
import { silentLogger } from '../../src/logger.ts'
import {
  audioInfo,
  captionsInfo,
  type FakeRendition,
  FakeStream,
  videoInfo,
} from './fake-stream.ts'
import { type ClipTrack, makeClip } from './ffmpeg-parts.ts'

/** Renditions of the stage, as their clips are. */
export const stageRenditions: readonly RenditionInfo[] = [
  { ...videoInfo, codecs: 'avc1.42c00d', width: 320, height: 180, bandwidthBps: 400_000 },
  {
    ...videoInfo,
    name: '90p',
    codecs: 'avc1.42c00b',
    width: 160,
    height: 90,
    bandwidthBps: 100_000,
  },
  { ...audioInfo, language: 'en' },
  { ...audioInfo, name: 'audio-2', language: 'de' },
  captionsInfo,
]

const clips = new Map<number, Promise<readonly ClipTrack[]>>()

/** The clips of {@link stageRenditions}, in order; made once for all tests of a process. */
export function stageClips(seconds: number): Promise<readonly ClipTrack[]> {
  const made = clips.get(seconds) ?? makeClips(seconds)
  clips.set(seconds, made)
  return made
}

async function makeClips(seconds: number): Promise<readonly ClipTrack[]> {
  const folder = await mkdtemp(join(tmpdir(), 'kairo-stage-'))
  try {
    const large = await makeClip(folder, seconds)
    const small = await makeClip(folder, seconds, { size: '160x90', hertz: 880 })
    return [large.video, small.video, large.audio, small.audio, captions(seconds)]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A cue for every segment, told on the timeline of the clips. */
function captions(seconds: number): ClipTrack {
  const parts = Array.from({ length: Math.floor(seconds / 2) }, (_, index) => {
    const time = (s: number): string => new Date(s * 1_000).toISOString().slice(11, 23)
    const cue = `${time(index * 2)} --> ${time(index * 2 + 2)}\nthe ${index * 2}th second\n`
    const head = 'WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n'
    return { bytes: Buffer.from(`${head}${cue}`), durationUs: 2_000_000, last: true }
  })
  return { init: Buffer.alloc(0), parts }
}

/** Publishes the tracks of a clip as time passes. */
export class ClipPublisher {
  readonly #tracks: { rendition: FakeRendition; track: ClipTrack; next: number; us: number }[]
  #us = 0
  #timer: NodeJS.Timeout | undefined

  constructor(stream: FakeStream, clips: readonly ClipTrack[]) {
    this.#tracks = clips.map((track, index) => {
      return { rendition: stream.at(index), track, next: 0, us: 0 }
    })
  }

  /** Publishes every part that ends by this media time. */
  advanceTo(us: number): void {
    this.#us = us
    for (const state of this.#tracks) {
      for (;;) {
        const part = state.track.parts[state.next]
        if (part === undefined || state.us + part.durationUs > us) break
        const { bytes, durationUs, last } = part
        state.rendition.push({ bytes, durationUs, last, init: state.track.init })
        state.us += durationUs
        state.next += 1
      }
    }
  }

  start(): void {
    const startedMs = systemClock.monotonicMs() - this.#us / 1_000
    this.#timer = setInterval(() => {
      this.advanceTo((systemClock.monotonicMs() - startedMs) * 1_000)
    }, 20)
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

/** A server on a free port with these handlers, the players' bundles under `/players/`, and a page. */
export async function servePlayers(
  t: Test,
  handlers: readonly PlainHandler[],
  page: string,
): Promise<{ readonly base: string; readonly requests: string[] }> {
  const require = createRequire(import.meta.url)
  const bundles = new Map<string, Buffer>()
  for (const [name, path] of [
    ['hls.js', 'hls.js/dist/hls.min.js'],
    ['shaka.js', 'shaka-player/dist/shaka-player.compiled.js'],
    ['dash.js', 'dashjs/dist/modern/umd/dash.all.min.js'],
  ] as const) {
    bundles.set(`/players/${name}`, await readFile(modulePath(require, path)))
  }
  const requests: string[] = []
  const files: PlainHandler = (request) => {
    requests.push(request.query === '' ? request.path : `${request.path}?${request.query}`)
    const bundle = bundles.get(request.path)
    if (bundle === undefined && request.path !== '/') return undefined
    const type = bundle === undefined ? 'text/html' : 'text/javascript'
    return { status: 200, headers: { 'content-type': type }, body: [bundle ?? Buffer.from(page)] }
  }
  const server = new HttpServer(
    { clock: systemClock, logger: silentLogger, registry: new Registry() },
    { host: '127.0.0.1', port: 0, plainHandlers: [files, ...handlers] },
  )
  await server.start()
  t.teardown(() => server.stop())
  return { base: `http://127.0.0.1:${server.address()?.port}`, requests }
}

/** A live stream `demo` of the stage's clips, at `fromUs` and going on. */
export async function liveStage(
  t: Test,
  page: string,
  init: { readonly seconds: number; readonly fromUs: number },
): Promise<{
  readonly stream: FakeStream
  readonly publisher: ClipPublisher
  readonly base: string
  readonly requests: string[]
}> {
  const tracks = await stageClips(init.seconds)
  const head = { partTargetUs: 215_000, targetDurationS: 2 }
  const stream = new FakeStream('demo', stageRenditions, head)
  const startedAtMs = Date.now() - init.fromUs / 1_000
  stream.record = { ...stream.record, startedAtMs: Math.floor(startedAtMs) }
  for (const rendition of stream.renditions) rendition.clockMs = startedAtMs
  const publisher = new ClipPublisher(stream, tracks)
  publisher.advanceTo(init.fromUs)
  publisher.start()
  t.teardown(() => publisher.stop())
  const registry = new Registry()
  const components = { clock: systemClock, logger: silentLogger, registry, streams: stream }
  const handlers = [createHlsHandler(components), createTimeHandler({ clock: systemClock })]
  return { stream, publisher, ...(await servePlayers(t, handlers, page)) }
}

/** The path of a file of a package, whatever the package exports. */
function modulePath(require: NodeJS.Require, path: string): string {
  const [name = ''] = path.split('/')
  const folders = require.resolve.paths(name) ?? []
  const found = folders.map((folder) => join(folder, path)).find((file) => existsSync(file))
  if (found === undefined) throw new Error(`${path} is not installed`)
  return found
}
