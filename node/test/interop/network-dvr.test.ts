/**
 * Going back in a live stream at another peer than the one that publishes it: hls.js and a checker see the same window there, each
 * old segment is the same byte for byte, and DASH begins as early.
 */
import { join } from 'node:path'
import { test } from 'tap'
import { ffmpegPush } from '../support/ffmpeg-push.ts'
import { HlsChecker } from '../support/hls-checker.ts'
import { type ReadPlaylist, readPlaylist } from '../support/hls-playlist.ts'
import { httpRequest, httpUntil } from '../support/http-get.ts'
import { needs } from '../support/needs.ts'
import { startPeer } from '../support/peer-process.ts'

/** A live window of 5 s. */
const SHORT_WINDOW = ['--window-segments', '5', '--segment-target-ms', '1000']

/** Of whole segments. */
function lengthS({ segments }: ReadPlaylist): number {
  const whole = segments.filter(({ uri }) => uri !== undefined)
  return whole.reduce((sum, { durationUs }) => sum + durationUs, 0) / 1_000_000
}

test('rewinding at another peer', { skip: needs('ffmpeg'), timeout: 240_000 }, async (t) => {
  const folder = t.testdir({ a: {}, b: {} })
  const a = await startPeer(t, join(folder, 'a'), SHORT_WINDOW)
  const b = await startPeer(t, join(folder, 'b'), ['--join', a.ready.http])
  ffmpegPush(t, `${a.ready.rtmp}/${a.ready.streamKey}`, { gopFrames: 30, seconds: 900 })
  const [there, here] = [a, b].map(({ ready }) => `${ready.http}/live/${a.ready.stream}`)
  const reachesBack = async (base: string | undefined, seconds: number): Promise<ReadPlaylist> => {
    const { text } = await httpUntil(
      `${base}/source/media.m3u8`,
      ({ status, text: body }) => status === 200 && lengthS(readPlaylist(body)) >= seconds,
      { attempts: 600, everyMs: 200 },
    )
    return readPlaylist(text)
  }
  await reachesBack(there, 14)

  await t.test('the first playlist reaches back', async (t) => {
    const first = await httpUntil(`${here}/source/media.m3u8`, ({ status }) => status === 200, {
      attempts: 300,
      everyMs: 200,
    })
    const playlist = readPlaylist(first.text)
    t.ok(lengthS(playlist) >= 12, `${lengthS(playlist)} s`)
    for (const { uri = '' } of playlist.segments.slice(0, 3)) {
      const [ours, theirs] = await Promise.all(
        [here, there].map((base) => httpRequest(`${base}/source/${uri}`)),
      )
      t.equal(ours?.status, 200)
      t.same(ours?.body, theirs?.body)
    }
  })

  await t.test('it goes on as playlists must', async (t) => {
    const checker = new HlsChecker({ dateToleranceMs: 60 })
    const first = await reachesBack(here, 1)
    for (let look = 0; look < 60; look += 1) {
      checker.load((await httpRequest(`${here}/source/media.m3u8`)).text)
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    const isNoLateLook = ({ rule, message }: (typeof checker.findings)[number]): boolean =>
      rule !== 'immutable' || !message.includes('loses its parts')
    t.same(checker.findings.filter(isNoLateLook), [])
    const last = await reachesBack(here, lengthS(first) + 5)
    t.equal(last.segments[0]?.msn, first.segments[0]?.msn, 'nothing has left it')
  })

  await t.test('DASH begins as early', async (t) => {
    const { text } = await httpUntil(`${here}/manifest.mpd`, ({ status }) => status === 200, {
      attempts: 300,
      everyMs: 200,
    })
    const depth = /timeShiftBufferDepth="PT([\d.]+)S"/.exec(text)?.[1]
    t.ok(Number(depth) > 12, `${depth} s`)
  })
})
