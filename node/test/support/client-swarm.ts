/** Pages of Chromium that play one stream with the client library, an origin that counts and may be slow, and edges for them. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Browser, Page } from 'playwright-core'
import type { Test } from 'tap'
import { buildBundle, bundles } from '../../../client-lib/vite.config.ts'
import { partnerPath } from './needs.ts'
import type { SlowOrigin } from './slow-origin.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** Segments of the stream, of a second each. */
export const SEGMENTS = 24

const PAGE = `<!doctype html><video id="video" muted playsinline></video>
<script src="/hls.js"></script><script src="/client.js"></script>`

/** In the page: plays, and keeps what can be asked for afterwards. */
const PLAY = `({ edges, url, hlsConfig }) => {
  const state = { segments: {}, http: 0, p2p: 0, errors: [], refused: [], firstFrameMs: undefined }
  window.state = state
  const startMs = performance.now()
  const video = document.getElementById('video')
  video.requestVideoFrameCallback(() => { state.firstFrameMs = performance.now() - startMs })
  const HlsWithKairo = Kairo.KairoEngine.injectMixin(Hls)
  const hls = new HlsWithKairo({
    ...hlsConfig,
    // A worker would be given the bytes before the page sees them.
    enableWorker: false,
    kairo: {
      edges,
      swarm: 'test',
      onReady(engine) {
        window.engine = engine
        engine.addEventListener('onChunkDownloaded', (bytes, source) => { state[source] += bytes })
        engine.addEventListener('onPeerConnect', () => { state.peers = (state.peers ?? 0) + 1 })
        engine.addEventListener('onPeerClose', () => { state.closed = (state.closed ?? 0) + 1 })
      },
    },
  })
  window.hls = hls
  hls.on(Hls.Events.ERROR, (_name, { fatal, details, error }) => { state.errors.push((fatal ? "fatal " : "") + details + " " + (error?.stack ?? "")) })
  hls.on(Hls.Events.FRAG_LOADED, (_name, { frag, payload }) => {
    if (typeof frag.sn !== 'number') return
    crypto.subtle.digest('SHA-256', payload.slice(0)).then((digest) => {
      state.segments[frag.sn] = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')
    })
  })
  hls.loadSource(url)
  hls.attachMedia(video)
  video.play()
}`

/** What a page reports. */
export interface ClientPageState {
  /** SHA-256 of each segment as the player had it, hexadecimal. */
  readonly segments: Readonly<Record<string, string>>
  /** Bytes. */
  readonly http: number
  readonly p2p: number
  readonly errors: readonly string[]
  readonly firstFrameMs?: number
  readonly peers?: number
  readonly closed?: number
  readonly frames: number
  readonly bufferedS: number
}

/** A page. */
export class ClientPage {
  readonly page: Page

  constructor(page: Page) {
    this.page = page
  }

  /** Begins to play. */
  async play(url: string, edges: readonly string[], hlsConfig: object = {}): Promise<void> {
    const told = JSON.stringify({ url, edges, hlsConfig })
    await this.page.evaluate(`(${PLAY})(${told})`)
  }

  async state(): Promise<ClientPageState> {
    return await this.page.evaluate<ClientPageState>(`({
      ...state,
      frames: document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames,
      bufferedS: document.querySelector('video').buffered.length ? document.querySelector('video').buffered.end(0) : 0,
    })`)
  }

  async diagnose(): Promise<string> {
    return await this.page.evaluate<string>('engine.diagnose()')
  }
}

/** The stream's files and the page. */
export interface ClientFiles {
  readonly files: ReadonlyMap<string, Buffer>
  /** SHA-256 of each segment, hexadecimal, by its number. */
  readonly digests: Readonly<Record<string, string>>
}

/** Makes the stream (segments of a second, some 60 KB each) and builds the library. */
export async function makeClientFiles(t: Test): Promise<ClientFiles> {
  const folder = temporaryFolder(t)
  const input = ['-f', 'lavfi', '-i', `testsrc2=size=320x180:rate=10:duration=${SEGMENTS}`]
  const codec = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '10', '-pix_fmt', 'yuv420p']
  const rate = ['-b:v', '500k', '-minrate', '500k', '-maxrate', '500k', '-bufsize', '250k']
  const form = ['-f', 'hls', '-hls_time', '1', '-hls_playlist_type', 'vod']
  const segments = ['-hls_segment_type', 'fmp4', '-hls_segment_filename', 'segment%d.m4s']
  await promisify(execFile)(
    partnerPath('ffmpeg') ?? 'ffmpeg',
    ['-v', 'error', ...input, ...codec, ...rate, '-x264-params', 'nal-hrd=cbr', ...form]
      .concat(segments)
      .concat('stream.m3u8'),
    { cwd: folder },
  )
  const media = await Promise.all(
    (await readdir(folder)).map(
      async (name) => [`/media/${name}`, await readFile(join(folder, name))] as const,
    ),
  )
  const hls = createRequire(import.meta.url).resolve('hls.js/dist/hls.min.js')
  const digests = media.flatMap(([path, bytes]) => {
    const [, sequence] = /segment(\d+)\.m4s$/.exec(path) ?? []
    return sequence ? [[sequence, createHash('sha256').update(bytes).digest('hex')]] : []
  })
  return {
    files: new Map<string, Buffer>([
      ['/', Buffer.from(PAGE)],
      ['/hls.js', await readFile(hls)],
      ['/client.js', Buffer.from(await buildScript())],
      ...media,
    ]),
    digests: Object.fromEntries(digests),
  }
}

/** The library as a page without a bundler takes it. */
async function buildScript(): Promise<string> {
  const bundle = bundles.find(({ format }) => format === 'iife')
  assert(bundle !== undefined, 'there is a build for script tags')
  return await buildBundle(bundle, false)
}

/** Opens pages, each in a context of its own, as different people have them. */
export async function openClientPages(
  browser: Browser,
  origin: SlowOrigin,
  count: number,
  script?: string,
): Promise<ClientPage[]> {
  return await Promise.all(
    Array.from({ length: count }, async () => {
      const context = await browser.newContext()
      if (script !== undefined) await context.addInitScript(script)
      const page = await context.newPage()
      await page.goto(`${origin.url}/`)
      return new ClientPage(page)
    }),
  )
}
