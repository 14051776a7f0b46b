/**
 * p2p-media-loader 2.3.1 itself, as it comes from npm, with this peer as its tracker: two pages of Chromium with hls.js find one another
 * through it and exchange segments.
 */
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Browser, Page } from 'playwright-core'
import { test } from 'tap'
import type { PlainHandler } from '../../src/http/prepared-response.ts'
import { launchBrowser, peerConnectionArgs } from '../support/browser.ts'
import { plainAnswer } from '../support/http-exchange.ts'
import { needs, partnerPath } from '../support/needs.ts'
import { startSignalling } from '../support/signalling-stage.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { until } from '../support/until.ts'

/** The one thing that a page of p2p-media-loader says to use a peer as its tracker is `announceTrackers`; the rest is for the test. */
const PAGE = `<!doctype html><video id="video" muted playsinline></video>
<script src="/hls.js"></script>
<script type="importmap">{ "imports": { "p2p-media-loader-core": "/core.js", "p2p-media-loader-hlsjs": "/engine.js" } }</script>
<script type="module">
import { HlsJsP2PEngine } from 'p2p-media-loader-hlsjs'
const state = { http: 0, p2p: 0, sent: 0, peers: 0, errors: [] }
window.state = state
const HlsWithP2P = HlsJsP2PEngine.injectMixin(Hls)
const hls = new HlsWithP2P({
  p2p: {
    core: {
      announceTrackers: [location.origin.replace('http', 'ws') + '/announce'],
      rtcConfig: { iceServers: [] },
      highDemandTimeWindow: 4,
    },
    onHlsJsCreated({ p2pEngine }) {
      p2pEngine.addEventListener('onSegmentLoaded', ({ downloadSource }) => { state[downloadSource] += 1 })
      p2pEngine.addEventListener('onChunkUploaded', () => { state.sent += 1 })
      p2pEngine.addEventListener('onPeerConnect', () => { state.peers += 1 })
      p2pEngine.addEventListener('onTrackerError', ({ error }) => state.errors.push('tracker: ' + error.message))
      p2pEngine.addEventListener('onTrackerWarning', ({ warning }) => state.errors.push('tracker: ' + warning.message))
    },
  },
})
hls.on(Hls.Events.ERROR, (_name, { fatal, details }) => { if (fatal) state.errors.push(details) })
hls.loadSource('/media/stream.m3u8')
const video = document.getElementById('video')
hls.attachMedia(video)
video.play()
</script>`

/** What a page reports. */
interface PageState {
  /** Segments by where they came from. */
  readonly http: number
  readonly p2p: number
  /** Pieces given to others. */
  readonly sent: number
  readonly peers: number
  readonly errors: readonly string[]
  readonly frames: number
}

test('two pages of p2p-media-loader exchange segments', {
  skip: needs('ffmpeg', 'chromium'),
  timeout: 120_000,
}, async (t) => {
  const files = await makeFiles(temporaryFolder(t))
  const asked: string[] = []
  const handler: PlainHandler = ({ path }) => {
    if (path.endsWith('.ts')) asked.push(path)
    const body = files.get(path)
    return body && plainAnswer([body], { 'content-type': mediaTypeOf(path) })
  }
  const { http, count } = await startSignalling(t, { http: { plainHandlers: [handler] } })
  const browser = await launchBrowser(t, peerConnectionArgs)
  const url = `http://127.0.0.1:${http.port}/`
  const first = await openPage(browser, url)
  await reaches(first, ({ http, frames }) => http >= 4 && frames > 5)
  const second = await openPage(browser, url)
  const state = await reaches(second, ({ p2p, frames }) => p2p >= 3 && frames > 5)
  t.strictSame(state.errors, [])
  t.comment(`${state.p2p} segments of the other page, ${state.http} of the origin`)
  t.ok(state.peers >= 1, 'it found the other')
  const other = await stateOf(first)
  t.strictSame(other.errors, [])
  t.ok(other.sent > 0, 'which gave it what it had')
  t.ok(asked.length < 2 * new Set(asked).size, 'so the origin was asked for less than two copies')
  t.ok((await count('relayed_total', { kind: 'offer' })) >= 1)
  t.ok((await count('relayed_total', { kind: 'answer' })) >= 1)
  t.equal(await count('messages_total', { kind: 'invalid' }), 0)
  t.equal(await count('connections'), 2)
})

/** The page, the libraries as npm has them, and a minute of media in segments of two seconds. */
async function makeFiles(folder: string): Promise<Map<string, Buffer>> {
  const input = ['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=10:duration=60']
  const codec = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '20', '-pix_fmt', 'yuv420p']
  const output = ['-f', 'hls', '-hls_time', '2', '-hls_playlist_type', 'vod', 'stream.m3u8']
  await promisify(execFile)(
    partnerPath('ffmpeg') ?? 'ffmpeg',
    ['-v', 'error', ...input, ...codec, ...output],
    { cwd: folder },
  )
  const media = await Promise.all(
    (await readdir(folder)).map(
      async (name) => [`/media/${name}`, await readFile(join(folder, name))] as const,
    ),
  )
  const hls = createRequire(import.meta.url).resolve('hls.js/dist/hls.min.js')
  return new Map([
    ['/', Buffer.from(PAGE)],
    ['/hls.js', await readFile(hls)],
    ['/core.js', await libraryOf('p2p-media-loader-core')],
    ['/engine.js', await libraryOf('p2p-media-loader-hlsjs')],
    ...media,
  ])
}

/** The build for browsers that a package carries. */
async function libraryOf(name: string): Promise<Buffer> {
  const folder = dirname(new URL(import.meta.resolve(name)).pathname)
  return await readFile(join(folder, '../dist', `${name}.es.min.js`))
}

function mediaTypeOf(path: string): string {
  if (path.endsWith('.js')) return 'text/javascript'
  return path === '/' ? 'text/html' : 'application/octet-stream'
}

/** Each page in a context of its own, as two people have it. */
async function openPage(browser: Browser, url: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage()
  await page.goto(url)
  return page
}

function stateOf(page: Page): Promise<PageState> {
  return page.evaluate<PageState>(
    "({ ...state, frames: document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames })",
  )
}

async function reaches(page: Page, isThere: (state: PageState) => boolean): Promise<PageState> {
  let state = await stateOf(page)
  await until(async () => {
    state = await stateOf(page)
    return isThere(state) || state.errors.length > 0
  }, 'what a page is to do')
  return state
}
