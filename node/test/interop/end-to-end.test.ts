/**
 * The main job, whole, with nothing faked: ffmpeg pushes to one peer, Chromium plays from another, the bytes of
 * both are the same, and foreign parsers and our checkers find no fault in what they serve.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import HLS from 'hls-parser'
import { Parser } from 'm3u8-parser'
import { type Test, test } from 'tap'
import { framesAfter, launchBrowser } from '../support/browser.ts'
import {
  type CheckedPart,
  type CheckedRendition,
  checkRenditions,
} from '../support/cmaf-checker.ts'
import { ffmpegPush } from '../support/ffmpeg-push.ts'
import { HlsChecker } from '../support/hls-checker.ts'
import { type ReadPlaylist, readPlaylist } from '../support/hls-playlist.ts'
import { httpRequest, httpUntil } from '../support/http-get.ts'
import { metricValue } from '../support/metric-value.ts'
import { needs } from '../support/needs.ts'
import { type PeerProcess, startPeer } from '../support/peer-process.ts'

const run = promisify(execFile)

interface Network {
  readonly a: PeerProcess
  readonly b: PeerProcess
  /** Base of the stream's URLs at each. */
  readonly liveA: string
  readonly liveB: string
}

async function twoPeers(t: Test): Promise<Network> {
  const homes = t.testdir({ a: {}, b: {} })
  const a = await startPeer(t, join(homes, 'a'))
  const b = await startPeer(t, join(homes, 'b'), ['--join', a.ready.http])
  const path = `/live/${a.ready.stream}`
  return { a, b, liveA: `${a.ready.http}${path}`, liveB: `${b.ready.http}${path}` }
}

test('push to one peer, watch from another', {
  skip: needs('ffmpeg', 'ffprobe', 'chromium'),
  timeout: 240_000,
}, async (t) => {
  const { a, b, liveA, liveB } = await twoPeers(t)
  ffmpegPush(t, `${a.ready.rtmp}/${a.ready.streamKey}`, { bFrames: 2 })
  await httpUntil(
    `${b.ready.http}/api/streams`,
    ({ text }) => text.includes(`"name":"${a.ready.stream}"`) && text.includes('"state":"live"'),
  )

  await t.test('the picture moves in the watch page of the second peer', async (t) => {
    const browser = await launchBrowser(t)
    const page = await browser.newPage()
    const faults: string[] = []
    page.on('pageerror', (error) => faults.push(error.message))
    await page.goto(`${b.ready.http}/#/watch/${a.ready.stream}`)
    const first = await framesAfter(page, 0, 1)
    const later = await framesAfter(page, first.frames, 90)
    t.ok(later.currentTime > first.currentTime + 2)
    t.equal(later.errorCode, undefined)
    t.same(faults, [])
  })

  await t.test('both peers serve the same bytes, and ffprobe finds no error in them', async (t) => {
    const folder = t.testdir({})
    for (const rendition of ['source', 'audio']) {
      const playlist = await settledPlaylist(`${liveB}/${rendition}/media.m3u8`, 4)
      const segments = playlist.segments.filter(({ uri }) => uri !== undefined).slice(-3)
      const bytes: Buffer[] = []
      for (const uri of [segments[0]?.map, ...segments.map(({ uri }) => uri)]) {
        const [fromA, fromB] = await Promise.all([
          httpRequest(`${liveA}/${rendition}/${uri}`),
          httpRequest(`${liveB}/${rendition}/${uri}`),
        ])
        t.equal(fromB.status, 200, `${rendition}/${uri}`)
        t.ok(fromA.body.equals(fromB.body), `${rendition}/${uri} is the same at both`)
        t.equal(fromB.headers['repr-digest'], `sha-256=:${sha256(fromB.body).toString('base64')}:`)
        bytes.push(fromB.body)
      }
      for (const segment of segments) {
        const { body } = await httpRequest(`${liveB}/${rendition}/${segment.uri}`)
        t.equal(segment.digest, sha256(body).toString('hex'), 'the playlist names its digest')
      }
      const file = join(folder, `${rendition}.mp4`)
      writeFileSync(file, Buffer.concat(bytes))
      const { stderr } = await run('ffprobe', [
        '-v',
        'warning',
        '-count_frames',
        '-show_streams',
        file,
      ])
      t.equal(stderr, '')
    }
  })

  await t.test('playlists parse with foreign parsers and keep every rule', async (t) => {
    const master = await httpRequest(`${liveB}/master.m3u8`)
    const parsed = HLS.parse(master.text)
    t.ok(parsed.isMasterPlaylist)
    for (const rendition of ['source', 'audio']) {
      const url = `${liveB}/${rendition}/media.m3u8`
      const checker = new HlsChecker({ dateToleranceMs: 40 })
      let previous = await httpRequest(url)
      checker.load(previous.text)
      for (let round = 0; round < 12; round += 1) {
        const list = readPlaylist(previous.text)
        const open = list.segments.at(-1)
        const next =
          open?.uri === undefined
            ? { msn: open?.msn, part: open?.parts.length }
            : { msn: open.msn + 1, part: 0 }
        const full = await httpRequest(`${url}?_HLS_msn=${next.msn}&_HLS_part=${next.part}`)
        t.equal(full.status, 200)
        checker.load(full.text)
        previous = full
      }
      t.same(checker.findings, [])
      t.equal((HLS.parse(previous.text) as HLS.types.MediaPlaylist).isMasterPlaylist, false)
      const m3u8 = new Parser()
      m3u8.push(previous.text)
      m3u8.end()
      t.ok(m3u8.manifest.segments.length > 2)
    }
  })

  await t.test('every part keeps the rules of CMAF and LL-HLS', async (t) => {
    const renditions: CheckedRendition[] = []
    for (const name of ['source', 'audio']) {
      renditions.push(await readRendition(`${liveB}/${name}`, name))
    }
    // ffmpeg sends sound a little ahead of pictures that it reorders.
    t.same(checkRenditions(renditions, { alignmentMs: 120 }), [])
  })

  await t.test('a third viewer causes no second fetch from the first peer', async (t) => {
    const before = await metricValue(a.ready.http, 'kairo_feed_served')
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => httpRequest(`${liveB}/source/media.m3u8`)),
    )
    t.ok(answers.every(({ status }) => status === 200))
    t.equal(await metricValue(a.ready.http, 'kairo_feed_served'), before)
    t.equal(before, 2, 'one feed a rendition')
  })

  await t.test('both stop in order', async (t) => {
    t.equal(await b.end('SIGTERM'), 0)
    t.equal(await a.end('SIGINT'), 0)
  })
})

async function settledPlaylist(url: string, segments: number): Promise<ReadPlaylist> {
  const answer = await httpUntil(
    url,
    ({ status, text }) => status === 200 && (text.match(/#EXTINF/g) ?? []).length >= segments,
  )
  return readPlaylist(answer.text)
}

/** Fetches the parts that a playlist lists, as the checker wants them. */
async function readRendition(base: string, name: string): Promise<CheckedRendition> {
  const playlist = await settledPlaylist(`${base}/media.m3u8`, 4)
  const parts: CheckedPart[] = []
  const inits = new Map<string, Buffer>()
  for (const segment of playlist.segments) {
    const map = segment.map ?? ''
    const init = inits.get(map) ?? (await httpRequest(`${base}/${map}`)).body
    inits.set(map, init)
    for (const [index, part] of segment.parts.entries()) {
      parts.push({
        msn: segment.msn,
        part: index,
        data: (await httpRequest(`${base}/${part.uri}`)).body,
        durationUs: part.durationUs,
        independent: part.independent,
        endOfSegment: segment.uri !== undefined && index === segment.parts.length - 1,
        discontinuity: index === 0 && segment.discontinuity,
        programDateTimeMs: index === 0 ? segment.pdtMs : undefined,
        init,
      })
    }
  }
  return {
    name,
    parts,
    partTargetUs: playlist.partTargetUs,
    targetDurationS: playlist.targetDurationUs / 1_000_000,
  }
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}
