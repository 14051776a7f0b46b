/**
 * The client library in pages of Chromium, with real media, real connections and this peer's edge: what viewers save the origin, and that nobody is worse off for
 * it, whatever the other pages, the edge or the network do.
 */
import type { Browser } from 'playwright-core'
import { type Test, test } from 'tap'
import { launchBrowser, peerConnectionArgs } from '../support/browser.ts'
import {
  type ClientFiles,
  type ClientPage,
  type ClientPageState,
  makeClientFiles,
  openClientPages,
  SEGMENTS,
} from '../support/client-swarm.ts'
import { needs } from '../support/needs.ts'
import { SlowOrigin } from '../support/slow-origin.ts'
import { startLiveSwarmEdge } from '../support/swarm-stage.ts'
import { until } from '../support/until.ts'

const skip = needs('ffmpeg', 'chromium')
/** Everything is loaded as soon as it may be. */
const hlsConfig = { maxBufferLength: SEGMENTS, backBufferLength: SEGMENTS }

let files: ClientFiles
let browser: Browser

test('viewers and an edge', { skip, timeout: 200_000 }, async (t) => {
  files = await makeClientFiles(t)
  browser = await launchBrowser(t, peerConnectionArgs)

  await t.test('three start at once at an origin as fast as two of them', async (t) => {
    const { origin, pages, edge } = await stage(t, { viewers: 3, bps: 1_000_000 })
    await playAll(pages, origin, [edge.url])
    const states = await whole(pages)
    checkMedia(t, states)
    const http = sum(states, 'http')
    const p2p = sum(states, 'p2p')
    t.comment(`${p2p} of ${p2p + http} bytes from other pages, ${origin.segmentRequests} requests`)
    // Two thirds is all there is; a machine with much else to do hands more over to HTTP.
    t.ok(p2p / (p2p + http) > 0.45, 'about half comes from other pages, or more')
    t.ok(origin.segmentRequests < 2 * SEGMENTS, 'the origin is asked for less than two copies')
  })

  await t.test(
    'a page that sends wrong bytes is dropped, and nothing wrong is played',
    async (t) => {
      const { origin, pages, edge, open } = await stage(t, { viewers: 2 })
      const [poisoner] = await open(1, poisonedSend)
      await poisoner?.play(`${origin.url}/media/stream.m3u8`, [edge.url], hlsConfig)
      await until(
        async () => (await poisoner?.state())?.http !== 0,
        'the poisoner to have something',
      )
      await playAll(pages, origin, [edge.url])
      const states = await whole(pages)
      checkMedia(t, states)
      t.ok((await edge.count('messages_total', { kind: 'report' })) > 0, 'the edge hears of it')
    },
  )

  await t.test('a page that never sends costs the others nothing but a moment', async (t) => {
    const { origin, pages, edge, open } = await stage(t, { viewers: 2 })
    const [silent] = await open(1, silentSend)
    await silent?.play(`${origin.url}/media/stream.m3u8`, [edge.url], hlsConfig)
    await until(async () => (await silent?.state())?.bufferedS === SEGMENTS, 'it to have all')
    await playAll(pages, origin, [edge.url])
    checkMedia(t, await whole(pages))
  })

  await t.test('the edge dies: another one takes over, and playback goes on', async (t) => {
    const { origin, pages, edge } = await stage(t, { viewers: 2, bps: 1_500_000 })
    const second = await startLiveSwarmEdge(t)
    await playAll(pages, origin, [edge.url, second.url])
    await until(async () => (await edge.count('pages')) === 2, 'both to be at the first edge')
    await edge.stop()
    await until(async () => (await second.count('pages')) === 2, 'both to be at the second edge')
    checkMedia(t, await whole(pages))
  })

  await t.test('without WebRTC, or without an edge, everything comes by HTTP', async (t) => {
    const { origin, pages, edge, open } = await stage(t, { viewers: 1 })
    const [blocked] = await open(1, 'delete globalThis.RTCPeerConnection')
    await blocked?.play(`${origin.url}/media/stream.m3u8`, [edge.url], hlsConfig)
    await pages[0]?.play(`${origin.url}/media/stream.m3u8`, ['ws://127.0.0.1:1/swarm'], hlsConfig)
    const both = [...pages, ...(blocked === undefined ? [] : [blocked])]
    const states = await whole(both)
    checkMedia(t, states)
    t.equal(sum(states, 'p2p'), 0)
    t.match(await blocked?.diagnose(), /WebRTC|connect/i, 'and says why')
  })
})

/** In the page, before anything else: bytes of parts go out altered. */
const poisonedSend = `{
  const send = RTCDataChannel.prototype.send
  RTCDataChannel.prototype.send = function (data) {
    if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) {
      const bytes = new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength).slice()
      if (bytes.length > 8) bytes[bytes.length - 1] ^= 1
      return send.call(this, bytes)
    }
    return send.call(this, data)
  }
}`

/** The same: no bytes of parts go out. */
const silentSend = `{
  const send = RTCDataChannel.prototype.send
  RTCDataChannel.prototype.send = function (data) {
    if (typeof data === 'string') send.call(this, data)
  }
}`

async function stage(t: Test, { viewers = 2, bps = 0 }) {
  const origin = await SlowOrigin.start(t, files.files, { bps })
  const edge = await startLiveSwarmEdge(t)
  const open = async (count: number, script?: string): Promise<ClientPage[]> => {
    const pages = await openClientPages(browser, origin, count, script)
    t.teardown(() => Promise.all(pages.map(({ page }) => page.context().close())))
    return pages
  }
  return { origin, edge, open, pages: await open(viewers) }
}

async function playAll(
  pages: readonly ClientPage[],
  origin: SlowOrigin,
  edges: readonly string[],
): Promise<void> {
  const url = `${origin.url}/media/stream.m3u8`
  await Promise.all(pages.map((page) => page.play(url, edges, hlsConfig)))
}

/** Waits until each page has every segment. */
async function whole(pages: readonly ClientPage[]): Promise<ClientPageState[]> {
  return await Promise.all(
    pages.map(async (page) => {
      let state = await page.state()
      await until(
        async () => {
          state = await page.state()
          return Object.keys(state.segments).length === SEGMENTS
        },
        'a page to have all segments',
        60_000,
      )
      return state
    }),
  )
}

function checkMedia(t: Test, states: readonly ClientPageState[]): void {
  for (const { segments, errors, frames } of states) {
    t.strictSame(segments, files.digests, 'every segment is what the origin has')
    // A stall is none: this origin is hardly faster than the stream.
    t.strictSame(
      errors.filter((text) => text.startsWith('fatal')),
      [],
    )
    t.ok(frames > 0, 'and plays')
  }
}

function sum(states: readonly ClientPageState[], of: 'http' | 'p2p'): number {
  return states.reduce((total, state) => total + state[of], 0)
}
