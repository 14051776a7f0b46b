// Captions sent to a live stream of a real peer: who may send them, and what players then get.
import { test } from 'tap'
import { ffmpegPush } from '../support/ffmpeg-push.ts'
import { needs } from '../support/needs.ts'
import { startPeer } from '../support/peer-process.ts'

test('WebVTT sent with the stream key becomes a rendition', {
  skip: needs('ffmpeg'),
}, async (t) => {
  const { ready } = await startPeer(t, t.testdir({}))
  ffmpegPush(t, `${ready.rtmp}/${ready.streamKey}`)
  const base = `${ready.http}/live/${ready.stream}`
  await until(async () => (await fetch(`${base}/source/media.m3u8`)).ok)
  const send = (token: string, file: string, query = 'language=en&label=English') =>
    fetch(`${ready.http}/api/streams/${ready.stream}/captions?${query}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'text/vtt' },
      body: file,
    })
  const cue = 'WEBVTT\n\n00:00.000 --> 00:05.000 line:0\nHello <b>there</b>\n'
  t.equal((await send('wrong', cue)).status, 401)
  t.equal((await send(ready.streamKey, 'no captions')).status, 400)
  t.equal((await send(ready.streamKey, cue, 'language=%22%0A')).status, 400)
  t.equal((await send(ready.streamKey, cue)).status, 204)
  const playlist = `${base}/captions-en/media.m3u8`
  await until(async () => (await fetch(playlist)).ok)
  const master = await (await fetch(`${base}/master.m3u8`)).text()
  t.match(
    master,
    /#EXT-X-MEDIA:TYPE=SUBTITLES,.*NAME="English".*LANGUAGE="en"|LANGUAGE="en".*NAME="English"/,
  )
  t.match(master, /SUBTITLES="/)
  const seen = await until(async () => {
    const lines = (await (await fetch(playlist)).text()).split('\n')
    const texts = await Promise.all(
      lines
        .filter((line) => line.endsWith('.vtt'))
        .map(async (name) => await (await fetch(`${base}/captions-en/${name}`)).text()),
    )
    return texts.find((text) => text.includes('Hello'))
  })
  t.match(seen, /^WEBVTT\nX-TIMESTAMP-MAP=/m)
  t.match(seen, /line:0/)
  t.match(seen, 'Hello <b>there</b>')
})

/** What `attempt` gives once it gives something. */
async function until<T>(attempt: () => Promise<T | false | undefined>): Promise<T> {
  for (let tries = 0; tries < 300; tries += 1) {
    const value = await attempt()
    if (value !== false && value !== undefined) return value
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('nothing came')
}
