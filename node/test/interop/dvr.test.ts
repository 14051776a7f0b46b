/**
 * DVR and recording with nothing faked: ffmpeg pushes to a peer, hls.js in Chromium goes back further than the live window, checkers
 * watch the playlists while they grow, and what was recorded plays as a video, after a kill as well.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import { type Test, test } from 'tap'
import { fileSegments } from '../../src/recording/file-segments.ts'
import { launchBrowser } from '../support/browser.ts'
import { DashChecker } from '../support/dash-checker.ts'
import { type FfmpegPush, ffmpegPush } from '../support/ffmpeg-push.ts'
import { type Finding, HlsChecker } from '../support/hls-checker.ts'
import { type ReadPlaylist, readPlaylist } from '../support/hls-playlist.ts'
import { httpRequest, httpUntil } from '../support/http-get.ts'
import { needs, partnerPath } from '../support/needs.ts'
import { type PeerProcess, startPeer } from '../support/peer-process.ts'

const run = promisify(execFile)
const HLS_JS = createRequire(import.meta.url).resolve('hls.js/dist/hls.min.js')
/** Segments of 1 s in each file of a window of 20 s. */
const FILE_SEGMENTS = fileSegments(20_000_000, 1_000_000)
/** A live window of 5 s, so that going back beyond it is tried soon. */
const SHORT_WINDOW = [
  '--window-segments',
  '5',
  '--segment-target-ms',
  '1000',
  '--end-grace-ms',
  '4000',
]

function push(t: Test, { ready }: PeerProcess): FfmpegPush {
  return ffmpegPush(t, `${ready.rtmp}/${ready.streamKey}`, { gopFrames: 30, seconds: 900 })
}

async function playlistOf(url: string): Promise<ReadPlaylist> {
  return readPlaylist((await httpRequest(url)).text)
}

/** Waits until a playlist reaches back so many seconds. */
async function reachesBack(url: string, seconds: number): Promise<ReadPlaylist> {
  const { text } = await httpUntil(
    url,
    ({ status, text: body }) => status === 200 && lengthS(readPlaylist(body)) >= seconds,
    { attempts: 300, everyMs: 200 },
  )
  return readPlaylist(text)
}

/** On a busy machine a look may come so late that a segment, open at the last one, has left the part list already. */
function isNoLateLook({ rule, message }: Finding): boolean {
  return rule !== 'immutable' || !message.includes('loses its parts')
}

/** Of whole segments: how long the open one will be nobody knows. */
function lengthS({ segments }: ReadPlaylist): number {
  const whole = segments.filter(({ uri }) => uri !== undefined)
  return whole.reduce((sum, { durationUs }) => sum + durationUs, 0) / 1_000_000
}

async function token(peer: PeerProcess): Promise<Record<string, string>> {
  const text = await readFile(join(peer.ready.home, 'operator.token'), 'utf8')
  return { authorization: `Bearer ${text.trim()}`, 'content-type': 'application/json' }
}

/** A page with hls.js on a playlist, of the peer's own origin: Chromium lets no other page ask for what is on loopback. */
async function player(t: Test, url: string): Promise<Page> {
  const browser = await launchBrowser(t)
  const page = await browser.newPage()
  const script = await readFile(HLS_JS, 'utf8')
  const base = new URL('/test-player/', url).href
  await page.route(`${base}**`, async (route) => {
    const isScript = route.request().url().endsWith('.js')
    await route.fulfill({
      contentType: isScript ? 'text/javascript' : 'text/html',
      body: isScript
        ? script
        : `<!doctype html><video muted playsinline></video><script src="hls.js"></script><script>
const state = { errors: [] }
const video = document.querySelector('video')
const hls = new Hls()
hls.on(Hls.Events.ERROR, (_name, data) => { if (data.fatal) state.errors.push(data.details + ' ' + data.error) })
hls.loadSource(${JSON.stringify(url)})
hls.attachMedia(video)
video.play()
</script>`,
    })
  })
  await page.goto(base)
  return page
}

test('DVR: viewers go back beyond the live window', {
  skip: needs('ffmpeg', 'ffprobe', 'chromium'),
  timeout: 420_000,
}, async (t) => {
  const home = t.testdir({})
  const peer = await startPeer(t, home, [...SHORT_WINDOW, '--dvr-window-s', '20'])
  const live = `${peer.ready.http}/live/${peer.ready.stream}`
  const pushed = push(t, peer)

  await t.test(
    'playlists and manifests reach back, and break no rule while they grow',
    { timeout: 240_000 },
    async (t) => {
      const checkers = {
        source: new HlsChecker({ dateToleranceMs: 80 }),
        audio: new HlsChecker({ dateToleranceMs: 80 }),
      }
      const dash = new DashChecker()
      await httpUntil(`${live}/source/media.m3u8`, ({ status }) => status === 200)
      for (;;) {
        const source = await httpRequest(`${live}/source/media.m3u8`)
        checkers.source.load(source.text)
        checkers.audio.load((await httpRequest(`${live}/audio/media.m3u8`)).text)
        dash.load((await httpRequest(`${live}/manifest.mpd`)).text)
        if (lengthS(readPlaylist(source.text)) >= 15) break
        await new Promise((resolve) => setTimeout(resolve, 700))
      }
      t.same(checkers.source.findings.filter(isNoLateLook), [])
      t.same(checkers.audio.findings.filter(isNoLateLook), [])
      t.same(dash.findings, [])
      const { segments } = await playlistOf(`${live}/source/media.m3u8`)
      const first = segments[0]
      for (const name of [first?.map, first?.uri]) {
        t.equal((await httpRequest(`${live}/source/${name}`)).status, 200, `${name}`)
      }
      const gone = await httpRequest(`${live}/source/${(first?.msn ?? 0) + 1_000}.m4s`)
      t.equal(gone.status, 404)
    },
  )

  await t.test('hls.js goes back 10 s and plays there', { timeout: 240_000 }, async (t) => {
    const page = await player(t, `${live}/master.m3u8`)
    await page.waitForFunction(
      'video.currentTime > 0 && !video.paused && video.getVideoPlaybackQuality().totalVideoFrames > 30',
      null,
      { timeout: 60_000 },
    )
    const from = await page.evaluate<number>('window.edge = hls.liveSyncPosition')
    await page.evaluate('video.currentTime = edge - 10; window.asked = video.currentTime')
    await page.waitForFunction('!video.seeking && video.currentTime > asked + 2', null, {
      timeout: 30_000,
    })
    const at = await page.evaluate<number>('video.currentTime')
    t.ok(at < from - 5, `it plays at ${at}, the edge was at ${from}`)
    t.same(await page.evaluate('state.errors'), [])
  })

  await t.test('small pictures show where one goes back to', { timeout: 60_000 }, async (t) => {
    const { text } = await httpUntil(
      `${live}/storyboard.vtt`,
      ({ text: body }) => body.split('-->').length > 2,
      { attempts: 300 },
    )
    const { segments } = await playlistOf(`${live}/source/media.m3u8`)
    const dates = text.match(/^20\S+Z$/gm) ?? []
    t.ok(dates.some((date) => segments.some(({ pdtMs }) => pdtMs === Date.parse(date))))
    const picture = /^storyboard\/\d+\.jpg$/m.exec(text)?.[0]
    const { status, headers, body } = await httpRequest(`${live}/${picture}`)
    t.equal(status, 200)
    t.equal(headers['content-type'], 'image/jpeg')
    t.equal(body.readUInt16BE(0), 0xffd8)
    t.equal((await httpRequest(`${live}/storyboard/1.jpg`)).status, 404)
  })

  await t.test('foreign players read the whole window', { timeout: 240_000 }, async (t) => {
    const { stderr } = await run(partnerPath('ffmpeg') ?? 'ffmpeg', [
      ...['-v', 'error', '-live_start_index', '0', '-i', `${live}/source/media.m3u8`],
      ...['-t', '12', '-f', 'null', '-'],
    ])
    t.equal(stderr, '')
  })

  await t.test('the window moves on at its length', { timeout: 240_000 }, async (t) => {
    const playlist = await reachesBack(`${live}/source/media.m3u8`, 20)
    const later = await httpUntil(
      `${live}/source/media.m3u8`,
      ({ status, text }) =>
        status === 200 && readPlaylist(text).mediaSequence > playlist.mediaSequence + 4,
      { attempts: 300 },
    )
    const seconds = lengthS(readPlaylist(later.text))
    t.ok(seconds >= 20 && seconds < 35, `${seconds} s`)
  })

  await t.test(
    'is there after a restart, and goes on with the stream',
    { timeout: 240_000 },
    async (t) => {
      const before = await playlistOf(`${live}/source/media.m3u8`)
      t.equal(await peer.end('SIGTERM'), 0)
      await pushed.stop()
      const again = await startPeer(t, home, [...SHORT_WINDOW, '--dvr-window-s', '20'])
      push(t, again)
      const url = `${again.ready.http}/live/${again.ready.stream}`
      // Segments of before have no parts any more: the last ones must be new.
      await httpUntil(
        `${url}/source/media.m3u8`,
        ({ text }) =>
          readPlaylist(text).segments.findIndex(({ discontinuity }) => discontinuity) <
            readPlaylist(text).segments.length - 6 && text.includes('DISCONTINUITY\n'),
        { attempts: 400 },
      )
      const after = await reachesBack(`${url}/source/media.m3u8`, 18)
      t.ok(after.mediaSequence < before.mediaSequence + 20, 'segments of before are listed')
      t.ok(after.segments.some(({ discontinuity }) => discontinuity))
      t.same(
        new HlsChecker({ dateToleranceMs: 80 }).load(
          (await httpRequest(`${url}/source/media.m3u8`)).text,
        ).findings,
        [],
      )
      t.same(new DashChecker().load((await httpRequest(`${url}/manifest.mpd`)).text).findings, [])
      // Not the very first ones, which the window leaves behind, a file at a time.
      const { segments } = await playlistOf(`${url}/source/media.m3u8`)
      const old = segments[FILE_SEGMENTS]
      t.ok(segments.slice(FILE_SEGMENTS + 1).some(({ discontinuity }) => discontinuity))
      t.equal((await httpRequest(`${url}/source/${old?.uri}`)).status, 200)
      t.equal(await again.end('SIGTERM'), 0)
    },
  )
})

test('recording: a live stream becomes a video', {
  skip: needs('ffmpeg', 'ffprobe', 'chromium'),
  timeout: 420_000,
}, async (t) => {
  const home = t.testdir({})
  const peer = await startPeer(t, home, [...SHORT_WINDOW, '--record', '--dvr-window-s', '5'])
  const { http, stream } = peer.ready
  const headers = await token(peer)
  const recordings = async (): Promise<{ id: string; durationS: number; stream: string }[]> =>
    JSON.parse((await httpRequest(`${http}/api/recordings`, { headers })).text).recordings
  const videos = async (): Promise<
    { id: string; durationS: number; state: string; origin: string }[]
  > => JSON.parse((await httpRequest(`${http}/api/vods`, { headers })).text).videos

  await t.test('it plays while it grows', { timeout: 240_000 }, async (t) => {
    const first = push(t, peer)
    await httpUntil(
      `${http}/api/recordings`,
      ({ text }) => JSON.parse(text).recordings[0]?.durationS >= 10,
      { headers, attempts: 400 },
    )
    const [recording] = await recordings()
    t.equal(recording?.stream, stream)
    const { text } = await httpRequest(`${http}/vod/${recording?.id}/source/media.m3u8`)
    t.match(text, /#EXT-X-PLAYLIST-TYPE:EVENT/)
    t.notMatch(text, /ENDLIST/)
    const uri = readPlaylist(text).segments[0]?.uri
    t.equal(
      (await httpRequest(`${http}/vod/${recording?.id}/source/${uri}`)).status,
      200,
      'the window has moved on, the recording has not',
    )
    // The publisher is lost and comes back within the time of grace.
    await first.stop()
    const second = push(t, peer)
    await httpUntil(
      `${http}/api/recordings`,
      ({ text: body }) => JSON.parse(body).recordings[0]?.durationS >= 15,
      { headers, attempts: 400 },
    )
    t.equal((await recordings())[0]?.id, recording?.id, 'the same recording')
    await second.stop()
    await httpUntil(`${http}/api/recordings`, ({ text: body }) => body.includes('[]'), {
      headers,
      attempts: 400,
    })
  })

  await t.test('it plays when the stream is over', { timeout: 240_000 }, async (t) => {
    const [video] = await videos()
    t.match(video, { state: 'ready', origin: 'recording' })
    t.match(
      (await httpRequest(`${http}/vod/${video?.id}/storyboard.vtt`)).text,
      /storyboard\/1\.jpg/,
    )
    const url = `${http}/vod/${video?.id}`
    const { text } = await httpRequest(`${url}/source/media.m3u8`)
    t.match(text, /#EXT-X-PLAYLIST-TYPE:VOD/)
    t.match(text, /#EXT-X-DISCONTINUITY/)
    const page = await player(t, `${url}/master.m3u8`)
    await page.waitForFunction('video.currentTime > 3', null, { timeout: 60_000 })
    await page.evaluate('video.currentTime = video.duration - 4')
    await page.waitForFunction('video.ended', null, { timeout: 60_000 })
    t.same(await page.evaluate('state.errors'), [])
    const { stderr } = await run(partnerPath('ffmpeg') ?? 'ffmpeg', [
      '-v',
      'error',
      '-i',
      `${url}/master.m3u8`,
      '-f',
      'null',
      '-',
    ])
    t.notMatch(stderr, /Error|Invalid|Failed/i)
    const mp4 = await httpRequest(`${http}/vod/${video?.id}/download.mp4`)
    t.equal(mp4.status, 200, mp4.text.slice(0, 300))
  })

  await t.test('it is started and stopped by hand', { timeout: 240_000 }, async (t) => {
    await httpRequest(`${http}/api/keys/${stream}/options`, {
      method: 'PATCH',
      headers,
      body: JSON.stringify({ record: false }),
    })
    const idle = await httpRequest(`${http}/api/keys/${stream}/recording`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ action: 'start' }),
    })
    t.equal(idle.status, 404, 'not live')
    const pushed = push(t, peer)
    await httpUntil(
      `${http}/live/${stream}/source/media.m3u8`,
      ({ text }) => /EXTINF/.test(text) && !/ENDLIST/.test(text),
      { attempts: 300 },
    )
    t.same(await recordings(), [])
    const act = (action: string) =>
      httpRequest(`${http}/api/keys/${stream}/recording`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ action }),
      })
    t.equal((await act('start')).status, 200)
    await httpUntil(
      `${http}/api/recordings`,
      ({ text }) => JSON.parse(text).recordings[0]?.durationS >= 4,
      { headers, attempts: 300 },
    )
    t.equal((await act('stop')).status, 200)
    await httpUntil(`${http}/api/recordings`, ({ text }) => text.includes('[]'), { headers })
    t.equal((await videos()).length, 2)
    t.equal((await act('rewind')).status, 400)
    const again = await act('start')
    t.equal(again.status, 200)
    await httpUntil(
      `${http}/api/recordings`,
      ({ text }) => JSON.parse(text).recordings[0]?.durationS >= 6,
      { headers, attempts: 300 },
    )
    const [running] = await recordings()
    t.equal(await peer.end('SIGKILL'), 'SIGKILL')
    await pushed.stop()
    t.ok(existsSync(join(home, 'dvr', 'recordings', running?.id ?? '')))
  })

  await t.test('it is a video after a kill', { timeout: 240_000 }, async (t) => {
    const again = await startPeer(t, home, SHORT_WINDOW)
    const { text } = await httpRequest(`${again.ready.http}/api/vods`, {
      headers: await token(again),
    })
    const found: { id: string; durationS: number }[] = JSON.parse(text).videos
    t.equal(found.length, 3)
    const [newest] = found
    t.ok((newest?.durationS ?? 0) >= 5, `${newest?.durationS}`)
    const { stderr } = await run(partnerPath('ffmpeg') ?? 'ffmpeg', [
      ...[
        '-v',
        'error',
        '-i',
        `${again.ready.http}/vod/${newest?.id}/master.m3u8`,
        '-f',
        'null',
        '-',
      ],
    ])
    t.equal(stderr, '')
    t.notOk(existsSync(join(home, 'dvr', 'recordings', newest?.id ?? '')))
    t.equal(await again.end('SIGTERM'), 0)
  })
})
