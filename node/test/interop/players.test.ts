/**
 * Real players on a live stream in Chromium: hls.js on the playlists, dash.js and shaka-player on the manifest. Each plays near the
 * live edge, changes quality and sound on the way, shows captions, and hears of the end.
 */
import type { Page } from 'playwright-core'
import { test } from 'tap'
import { availabilityStartMs } from '../../src/delivery/dash/live-manifest.ts'
import { launchBrowser } from '../support/browser.ts'
import { liveStage } from '../support/delivery-stage.ts'
import type { FakeStream } from '../support/fake-stream.ts'
import { needs } from '../support/needs.ts'

const PAGE = `<!doctype html><video id="video" muted playsinline width="320"></video>
<script src="/players/hls.js"></script><script src="/players/dash.js"></script><script src="/players/shaka.js"></script><script>
const video = document.getElementById('video')
const state = { errors: [], frames: 0, stalls: 0, heights: [] }
const onFrame = (_now, facts) => {
  state.frames += 1
  if (state.heights.at(-1) !== facts.height) state.heights.push(facts.height)
  video.requestVideoFrameCallback(onFrame)
}
video.requestVideoFrameCallback(onFrame)
video.addEventListener('waiting', () => { state.stalls += 1 })
const cues = () => [...video.textTracks].flatMap((track) => [...(track.cues ?? [])].map((cue) => cue.text + '@' + Math.round(cue.startTime - video.currentTime)))
const starts = {
  hls() {
    const player = new Hls({ lowLatencyMode: true })
    window.player = player
    let live = true
    player.on(Hls.Events.ERROR, (_name, data) => { if (data.fatal) state.errors.push(data.details) })
    player.on(Hls.Events.LEVEL_UPDATED, (_name, data) => { live = data.details.live })
    player.loadSource('/live/demo/master.m3u8')
    player.attachMedia(video)
    video.play()
    return {
      quality: (height) => { player.currentLevel = player.levels.findIndex((each) => each.height === height) },
      language: (language) => { player.audioTrack = player.audioTracks.findIndex((each) => each.lang === language) },
      languages: () => player.audioTracks.map((each) => each.lang),
      current: () => player.audioTracks[player.audioTrack]?.lang,
      captions: () => { player.subtitleTrack = 0; player.subtitleDisplay = true },
      ended: () => !live,
      latency: () => player.latency,
    }
  },
  dash() {
    const player = dashjs.MediaPlayer().create()
    window.player = player
    player.on('error', (event) => state.errors.push(JSON.stringify(event.error ?? event)))
    player.updateSettings({ debug: { logLevel: 3 } })
    player.initialize(video, '/live/demo/manifest.mpd', true)
    return {
      quality: (height) => {
        player.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: false } } } })
        const found = player.getRepresentationsByType('video').find((each) => each.height === height)
        player.setRepresentationForTypeById('video', found.id)
      },
      language: (language) => player.setCurrentTrack(player.getTracksFor('audio').find((each) => each.lang === language)),
      languages: () => player.getTracksFor('audio').map((each) => each.lang),
      current: () => player.getCurrentTrackFor('audio')?.lang,
      captions: () => { player.enableText(true); player.setTextTrack(0) },
      ended: () => !player.isDynamic(),
    }
  },
  async shaka() {
    const player = new shaka.Player()
    window.player = player
    player.addEventListener('error', ({ detail }) => state.errors.push('shaka ' + detail.code + ' ' + detail.data))
    await player.attach(video)
    player.configure({ streaming: { lowLatencyMode: true } })
    await player.load('/live/demo/manifest.mpd')
    video.play()
    return {
      quality: (height) => {
        player.configure({ abr: { enabled: false } })
        player.selectVariantTrack(player.getVariantTracks().find((each) => each.height === height), true)
      },
      language: (language) => player.selectAudioTrack(player.getAudioTracks().find((each) => each.language === language)),
      languages: () => player.getAudioTracks().map((each) => each.language),
      current: () => player.getAudioTracks().find((each) => each.active)?.language,
      captions: () => { player.selectTextTrack(player.getTextTracks()[0]) },
      ended: () => !player.isLive(),
    }
  },
}
</script>`

interface PageState {
  readonly errors: readonly string[]
  readonly frames: number
  readonly stalls: number
  readonly heights: readonly number[]
}

const stateOf = (page: Page): Promise<PageState> => page.evaluate<PageState>('state')

/** Seconds from the making of a picture to its being shown, whatever the player thinks of it. */
async function latencyOf(page: Page, stream: FakeStream): Promise<number> {
  const ownS = await page.evaluate<number | undefined>('act.latency?.()')
  if (ownS !== undefined) return ownS
  const currentS = await page.evaluate<number>("document.getElementById('video').currentTime")
  return (Date.now() - availabilityStartMs(stream.record)) / 1_000 - currentS
}

/** Waits until the page says yes. */
async function until(page: Page, condition: string): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    if (await page.evaluate<boolean>(condition)) return
    await page.waitForTimeout(100)
  }
  throw new Error(`${condition} never came: ${JSON.stringify(await stateOf(page))}`)
}

for (const player of ['hls', 'dash', 'shaka'] as const) {
  test(`${player} plays the live edge, switches quality and sound`, {
    skip: needs('ffmpeg', 'chromium'),
    timeout: 120_000,
  }, async (t) => {
    const { base, requests, stream, publisher } = await liveStage(t, PAGE, {
      seconds: 70,
      fromUs: 24_000_000,
    })
    const browser = await launchBrowser(t)
    const page = await browser.newPage()
    await page.goto(base)
    await page.evaluate(
      `Promise.resolve(starts.${player}()).then((it) => { window.act = it; return true })`,
    )
    await until(page, 'state.frames > 150')
    t.comment(JSON.stringify(await stateOf(page)))
    t.same((await stateOf(page)).errors, [])
    const latency = await latencyOf(page, stream)
    t.comment(`${latency} s behind`)
    t.ok(latency > 0 && latency < 8, `latency ${latency}`)
    await page.evaluate('act.quality(90)')
    await until(page, 'state.heights.at(-1) === 90')
    await page.evaluate('act.quality(180)')
    await until(page, 'state.heights.at(-1) === 180')
    t.same(await page.evaluate('act.languages().sort()'), ['de', 'en'])
    const other = (await page.evaluate('act.current()')) === 'de' ? 'en' : 'de'
    const name = other === 'de' ? 'audio-2' : 'audio'
    requests.length = 0
    await page.evaluate(`act.language('${other}')`)
    await until(page, `act.current() === '${other}'`)
    const { frames } = await stateOf(page)
    await until(page, `state.frames > ${frames + 60}`)
    t.ok(requests.some((url) => url.startsWith(`/live/demo/${name}/`)))
    t.comment(JSON.stringify(await stateOf(page)))
    t.same((await stateOf(page)).errors, [])

    await page.evaluate('act.captions()')
    await until(page, 'cues().length > 1')
    // The cue of the second that is shown: within what a player holds around it, and not ten seconds elsewhere.
    await until(page, 'cues().some((cue) => Math.abs(Number(cue.split("@")[1])) <= 2)')
    t.comment(JSON.stringify(await page.evaluate('cues()')))

    publisher.stop()
    for (const rendition of stream.renditions) rendition.end()
    // Both hear of the end and play what there is. shaka then goes on waiting for the rest that the open segment was expected
    // to have, so its own word for it is not asked.
    await until(
      page,
      'act.ended() && video.buffered.end(video.buffered.length - 1) - video.currentTime < 1',
    )
    t.same((await stateOf(page)).errors, [])
  })
}
