// What Enhanced RTMP brings is watched: node-av pushes to a real peer, hls.js plays it in Chromium, which knows all but HEVC.
import { t as root, test } from 'tap'
import { type AvPushOptions, avPush } from '../support/av-push.ts'
import { framesAfter, launchBrowser } from '../support/browser.ts'
import { httpUntil } from '../support/http-get.ts'
import { needs } from '../support/needs.ts'
import { startPeer } from '../support/peer-process.ts'

// Peers and browsers start slowly where many tests run at once.
root.setTimeout(300_000)

const PUSHES: readonly (readonly [string, string, Pick<AvPushOptions, 'video' | 'audio'>])[] = [
  ['AV1 with Opus', 'av01.', { video: { codec: 'av1' }, audio: [{ codec: 'opus' }] }],
  ['VP9 with FLAC', 'vp09.', { video: { codec: 'vp9' }, audio: [{ codec: 'flac' }] }],
]

for (const [name, codec, media] of PUSHES) {
  test(`${name} plays in the watch page`, {
    skip: needs('chromium'),
    timeout: 180_000,
  }, async (t) => {
    const peer = await startPeer(t, t.testdir())
    const { http, rtmp, stream, streamKey } = peer.ready
    const push = avPush(t, `${rtmp}/${streamKey}`, { ...media, seconds: 120, live: true })
    const { text } = await httpUntil(`${http}/live/${stream}/master.m3u8`, (answer) =>
      answer.text.includes(codec),
    )
    t.match(text, /CODECS="[^"]*(opus|flac)/i)
    const browser = await launchBrowser(t)
    const page = await browser.newPage()
    await page.goto(`${http}/#/watch/${stream}`)
    const first = await framesAfter(page, 0, 1)
    const later = await framesAfter(page, first.frames, 60)
    t.ok(later.currentTime > first.currentTime + 1)
    t.equal(later.errorCode, undefined)
    t.equal(push.child.exitCode, null, 'the pusher goes on')
  })
}
