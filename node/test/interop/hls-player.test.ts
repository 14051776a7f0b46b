/**
 * Real players on the HLS handler: hls.js in Chromium with low latency on, and ffmpeg, which knows only plain HLS. The media is
 * a clip cut by ffmpeg, published part by part as time passes.
 */

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { chromium } from 'playwright-core'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { createHlsHandler } from '../../src/delivery/hls-handler.ts'
import type { PlainHandler } from '../../src/http/prepared-response.ts'
import { problemOf, problemResponse } from '../../src/http/problem.ts'
import { silentLogger } from '../../src/logger.ts'
import { audioInfo, type FakeRendition, FakeStream, videoInfo } from '../support/fake-stream.ts'
import { type ClipTrack, makeClip } from '../support/ffmpeg-parts.ts'
import { HlsChecker } from '../support/hls-checker.ts'
import { needs, partnerPath } from '../support/needs.ts'
import { plainRequest } from '../support/plain-request.ts'
import { renderMediaPlaylist } from '../support/playlist-text.ts'

const PAGE = `<!doctype html><video id="video" muted playsinline></video><script src="/hls.js"></script><script>
const state = { errors: [], parts: 0, playlists: 0, latency: 0, partList: 0, frames: 0, live: true }
const video = document.getElementById('video')
const hls = new Hls({ lowLatencyMode: true })
hls.on(Hls.Events.ERROR, (_name, data) => state.errors.push({ details: data.details, fatal: data.fatal, reason: String(data.error) }))
hls.on(Hls.Events.FRAG_LOADED, (_name, data) => { if (data.part) state.parts += 1 })
hls.on(Hls.Events.LEVEL_LOADED, (_name, data) => {
  state.playlists += 1
  state.live = data.details.live
  state.partList = data.details.partList?.length ?? 0
})
const onFrame = () => { state.frames += 1; state.latency = hls.latency; video.requestVideoFrameCallback(onFrame) }
video.requestVideoFrameCallback(onFrame)
hls.loadSource('/live/demo/master.m3u8')
hls.attachMedia(video)
video.play()
</script>`

/** What the page reports. */
interface PageState {
  readonly errors: readonly { details: string; fatal: boolean; reason: string }[]
  readonly parts: number
  readonly playlists: number
  readonly latency: number
  readonly partList: number
  readonly frames: number
  readonly live: boolean
}

/** A busy machine may make a player wait for its decoder; that is not the server's doing. */
const TOLERATED = new Set(['bufferStalledError', 'bufferNudgeOnStall', 'bufferSeekOverHole'])

test('hls.js plays with low latency, ffmpeg plays the same playlist as plain HLS', {
  skip: needs('ffmpeg', 'chromium'),
  timeout: 120_000,
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'kairo-hls-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const clip = await makeClip(folder, 60)
  const head = { partTargetUs: 215_000, targetDurationS: 2 }
  const stream = new FakeStream('demo', [{ ...videoInfo, codecs: 'avc1.42c00d' }, audioInfo], head)
  const registry = new Registry()
  const components = { clock: systemClock, logger: silentLogger, registry, streams: stream }
  const requests: string[] = []
  const server = await serve(createHlsHandler(components), requests)
  t.teardown(() => server.close())
  const checker = new HlsChecker()
  const publisher = new Publisher(stream, clip, () =>
    checker.load(renderMediaPlaylist(stream.at(0))),
  )
  publisher.advanceTo(24_000_000)
  publisher.start()
  t.teardown(() => publisher.stop())
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const browser = await chromium.launch({
    executablePath: partnerPath('chromium') ?? 'chromium',
    args: ['--no-sandbox', '--autoplay-policy=no-user-gesture-required'],
  })
  t.teardown(() => browser.close())
  const page = await browser.newPage()
  await page.goto(base)
  await page.waitForFunction(
    'state.frames > 90 && state.parts > 15 && state.playlists > 10',
    null,
    {
      timeout: 60_000,
    },
  )
  const state = (await page.evaluate('state')) as PageState
  t.same(
    state.errors.filter(({ details, fatal }) => fatal || !TOLERATED.has(details)),
    [],
  )
  t.ok(state.partList > 10, 'hls.js sees the parts')
  t.ok(state.latency > 0, 'and knows how far behind it is')
  t.comment(`hls.latency ${state.latency.toFixed(2)} s after ${state.frames} frames`)
  const asked = (pattern: RegExp): number => requests.filter((url) => pattern.test(url)).length
  t.ok(asked(/media\.m3u8\?_HLS_msn=\d+&_HLS_part=\d+/) > 10, 'it blocks on its reloads')
  t.ok(asked(/_HLS_skip=YES/) > 10, 'with delta updates')
  t.ok(asked(/source\/\d+\.\d+\.m4s/) > 15, 'and loads parts')

  publisher.stop()
  publisher.advanceTo(30_000_000)
  for (const rendition of stream.renditions) rendition.end()
  await page.waitForFunction('!state.live', null, { timeout: 20_000 })
  t.pass('hls.js hears of the end')
  t.same(checker.load(renderMediaPlaylist(stream.at(0))).findings, [])

  const run = promisify(execFile)
  const options = ['-v', 'error', '-i', `${base}/live/demo/master.m3u8`, '-f', 'null', '-']
  const plain = await run(partnerPath('ffmpeg') ?? 'ffmpeg', options)
  t.equal(plain.stderr, '', 'ffmpeg has nothing to complain of')
})

/** Publishes both tracks of a clip as time passes. */
class Publisher {
  readonly #tracks: { rendition: FakeRendition; track: ClipTrack; next: number; us: number }[]
  readonly #onPart: () => void
  #us = 0
  #timer: NodeJS.Timeout | undefined

  constructor(
    stream: FakeStream,
    clip: { readonly video: ClipTrack; readonly audio: ClipTrack },
    onPart: () => void,
  ) {
    this.#onPart = onPart
    this.#tracks = [clip.video, clip.audio].map((track, index) => {
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
        this.#onPart()
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

/** The handler behind node:http, as the peer's server puts it there, and the page. */
async function serve(handler: PlainHandler, requests: string[]): Promise<Server> {
  const bundle = createRequire(import.meta.url).resolve('hls.js/dist/hls.min.js')
  const script = await readFile(bundle)
  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = request.url ?? '/'
    requests.push(url)
    if (url === '/hls.js') {
      response.setHeader('content-type', 'text/javascript').end(script)
      return
    }
    const [path = '', query = ''] = url.split('?')
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const ifNoneMatch = request.headers['if-none-match']
    const plain = plainRequest(path, { query, ifNoneMatch })
    const answer = await Promise.resolve(handler(plain, gone.signal, '127.0.0.1')).catch(
      (error: unknown) => problemResponse(problemOf(error)),
    )
    if (answer === undefined) {
      response.setHeader('content-type', 'text/html').end(PAGE)
      return
    }
    response.writeHead(answer.status, answer.headers)
    for (const piece of answer.body) response.write(piece)
    response.end()
  }
  const server = createServer((request, response) => void respond(request, response))
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return server
}
