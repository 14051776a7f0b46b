/** Videos on demand over presentations in memory: playlists, manifests, objects, and how recordings grow. */
import { execFileSync } from 'node:child_process'
import * as HLS from 'hls-parser'
import { Registry } from 'prom-client'
import { test } from 'tap'
import type { ArchivedSegment, Presentation } from '../../../src/content/archive/presentation.ts'
import { createVodHandler } from '../../../src/delivery/vod/vod-handler.ts'
import { parseVodRequest } from '../../../src/delivery/vod/vod-request.ts'
import { vodRoutes } from '../../../src/delivery/vod/vod-routes.ts'
import { KairoError } from '../../../src/errors.ts'
import type { PreparedResponse } from '../../../src/http/prepared-response.ts'
import { DashChecker } from '../../support/dash-checker.ts'
import { audioInfo, captionsInfo, videoInfo } from '../../support/fake-stream.ts'
import { checkMaster } from '../../support/hls-master-checker.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import {
  archivedRendition,
  archivedSegments,
  MemoryPresentations,
} from '../../support/memory-presentations.ts'
import { plainRequest } from '../../support/plain-request.ts'

const textOf = (response: PreparedResponse): string => Buffer.concat(response.body).toString()

function setUp(change: Partial<Presentation> = {}) {
  const source = new MemoryPresentations()
  const initDigest = source.store('the init')
  const digest = (msn: number): string => source.store(`segment ${msn}`)
  const segments = (): ArchivedSegment[] => archivedSegments(5, { initDigest, digestOf: digest })
  const presentation: Presentation = {
    id: 'a1',
    title: 'Cats & "dogs" <live>',
    createdAtMs: 0,
    durationUs: 10_000_000,
    complete: true,
    renditions: [
      archivedRendition(videoInfo, segments()),
      archivedRendition({ ...audioInfo, language: 'en' }, segments()),
    ],
    captions: [
      { name: 'captions-de', language: 'de', label: 'Deutsch', digest: source.store('WEBVTT\n') },
    ],
    storyboard: {
      intervalMs: 2_000,
      width: 160,
      height: 90,
      columns: 2,
      rows: 2,
      count: 5,
      sprites: [source.store('sprite 0'), source.store('sprite 1')],
    },
    ...change,
  }
  source.presentations.set('a1', presentation)
  const clock = new ManualClock()
  const registry = new Registry()
  const handler = createVodHandler({ clock, registry, presentations: source })
  const ask = async (path: string, ifNoneMatch?: string): Promise<PreparedResponse> => {
    const request = plainRequest(`/vod/${path}`, { ifNoneMatch })
    const answer = handler(request, new AbortController().signal, '192.0.2.1')
    if (answer === undefined) throw new Error('not answered')
    return await answer
  }
  return { source, presentation, initDigest, clock, registry, ask }
}

test('playlists of a video', async (t) => {
  const { ask, initDigest } = setUp()
  const master = textOf(await ask('a1/master.m3u8'))
  t.same(checkMaster(master), [])
  t.match(master, /AVERAGE-BANDWIDTH=8000,/)
  t.match(master, /TYPE=SUBTITLES.*NAME="Deutsch",LANGUAGE="de".*URI="captions-de\/media\.m3u8"/)
  t.match(master, /EXT-X-IMAGE-STREAM-INF:.*RESOLUTION=160x90.*URI="storyboard\/images\.m3u8"/)
  const response = await ask('a1/source/media.m3u8')
  const media = textOf(response)
  t.match(media, /PLAYLIST-TYPE:VOD\n[\s\S]*EXT-X-ENDLIST\n$/)
  t.match(media, new RegExp(`EXT-X-MAP:URI="init-${initDigest.slice(0, 16)}\\.mp4"`))
  t.equal((HLS.parse(media) as HLS.types.MediaPlaylist).segments.length, 5)
  t.equal(await ask('a1/source/media.m3u8'), response, 'made once')
  t.equal((await ask('a1/source/media.m3u8', response.headers.etag)).status, 304)
  const captions = textOf(await ask('a1/captions-de/media.m3u8'))
  t.match(captions, /TARGETDURATION:10\n[\s\S]*#EXTINF:10\.0,\ncaptions\.vtt\n#EXT-X-ENDLIST/)
  const images = textOf(await ask('a1/storyboard/images.m3u8'))
  t.match(
    images,
    /IMAGES-ONLY\n#EXTINF:8,\n.*LAYOUT=2x2,DURATION=2\n0\.jpg\n#EXTINF:2,\n.*\n1\.jpg/,
  )
})

test('the manifest of a video', async (t) => {
  const { ask } = setUp()
  const response = await ask('a1/manifest.mpd')
  t.equal(response.headers['content-type'], 'application/dash+xml')
  const text = textOf(response)
  t.same(new DashChecker().load(text).findings, [])
  t.match(text, /type="static" mediaPresentationDuration="PT10S"/)
  t.match(text, /<Title>Cats &#38; &#34;dogs&#34; &#60;live&#62;<\/Title>/)
  t.match(text, /<S t="0" d="2000000" r="4"\/>/)
  t.match(text, /<BaseURL>captions-de\/captions\.vtt<\/BaseURL>/)
  t.match(text, /thumbnail_tile" value="2x2"/)
})

test('discontinuities make Periods, on one clock', async (t) => {
  const cut = archivedSegments(6, { cuts: [3] }).map((segment) => {
    return segment.msn < 3 ? segment : { ...segment, startUs: segment.startUs + 7_000_000 }
  })
  const { ask } = setUp({ renditions: [archivedRendition(videoInfo, cut)], captions: [] })
  const text = textOf(await ask('a1/manifest.mpd'))
  t.same(new DashChecker().load(text).findings, [])
  t.match(text, /<Period id="1" start="PT6S" duration="PT6S">/)
  t.match(text, /presentationTimeOffset="13000000" startNumber="3"/)
  t.notMatch(text, /thumbnail_tile/)
})

test('objects come from RAM or are read, and never change', async (t) => {
  const { ask, source, initDigest, registry, clock } = setUp()
  const segment = await ask('a1/source/3.m4s')
  t.equal(textOf(segment), 'segment 3')
  t.match(segment.headers, {
    'content-type': 'video/mp4',
    'cache-control': /immutable/,
    etag: /^"[0-9a-f]{64}"$/,
  })
  source.cold.add(initDigest)
  t.equal(textOf(await ask(`a1/audio/init-${initDigest.slice(0, 16)}.mp4`)), 'the init')
  t.equal(clock.timers, 0)
  t.equal(textOf(await ask('a1/storyboard/1.jpg')), 'sprite 1')
  const captions = await ask('a1/captions-de/captions.vtt')
  t.match(captions.headers, { 'content-type': 'text/vtt', 'cache-control': 'no-cache' })
  const metrics = await registry.metrics()
  t.match(metrics, /kairo_vod_requests_total\{kind="segment",status="200"\} 1/)
})

test('the storyboard track names a piece of a sprite for each time', async (t) => {
  const { ask } = setUp()
  const text = textOf(await ask('a1/storyboard.vtt'))
  t.match(text, /^WEBVTT\n\n00:00:00\.000 --> 00:00:02\.000\nstoryboard\/0\.jpg#xywh=0,0,160,90\n/)
  t.match(text, /00:00:06\.000 --> 00:00:08\.000\nstoryboard\/0\.jpg#xywh=160,90,160,90\n/)
  t.match(text, /00:00:08\.000 --> 00:00:10\.000\nstoryboard\/1\.jpg#xywh=0,0,160,90\n/)
})

test('a recording grows', async (t) => {
  const segments = archivedSegments(0)
  const renditions = [
    archivedRendition(videoInfo, segments),
    archivedRendition(captionsInfo, archivedSegments(2)),
  ]
  const { ask } = setUp({ complete: false, renditions, captions: [], storyboard: undefined })
  renditions.pop()
  t.equal((await ask('a1/master.m3u8')).status, 503)
  t.equal((await ask('a1/manifest.mpd')).status, 503)
  segments.push(...archivedSegments(200))
  const media = await ask('a1/source/media.m3u8')
  t.match(textOf(media), /PLAYLIST-TYPE:EVENT/)
  t.notMatch(textOf(media), /ENDLIST/)
  segments.push({ ...(archivedSegments(1)[0] as ArchivedSegment), msn: 200, startUs: 400_000_000 })
  const grown = await ask('a1/source/media.m3u8')
  t.match(textOf(grown), /\n200\.m4s\n$/)
  t.ok(
    grown.body.some((piece) => media.body.includes(piece)),
    'what was rendered is kept',
  )
  t.match(textOf(await ask('a1/manifest.mpd')), /r="200"/)
})

test('live captions of a recording', async (t) => {
  const renditions = [
    archivedRendition(videoInfo, archivedSegments(3)),
    archivedRendition(captionsInfo, archivedSegments(3)),
  ]
  const { ask, source } = setUp({ renditions, captions: [] })
  const text = textOf(await ask('a1/captions-en/media.m3u8'))
  t.match(text, /\n2\.vtt\n/)
  t.notMatch(text, /EXT-X-MAP/)
  source.objects.set('2'.padStart(64, '0'), Buffer.from('WEBVTT'))
  t.equal((await ask('a1/captions-en/2.vtt')).headers['content-type'], 'text/vtt')
  await t.rejects(ask('a1/captions-en/2.m4s'), { code: 'ERR_NOT_FOUND' })
})

test('what is refused', async (t) => {
  const { ask } = setUp({ storyboard: undefined })
  const refused: readonly [string, string][] = [
    ['b2/master.m3u8', 'ERR_NOT_FOUND'],
    ['a1/none/media.m3u8', 'ERR_NOT_FOUND'],
    ['a1/none/1.m4s', 'ERR_NOT_FOUND'],
    ['a1/source/9.m4s', 'ERR_NOT_FOUND'],
    ['a1/source/01.m4s', 'ERR_INVALID_INPUT'],
    ['a1/source/init-00.mp4', 'ERR_INVALID_INPUT'],
    ['a1/source/init-0000000000000000.mp4', 'ERR_NOT_FOUND'],
    ['a1/storyboard.vtt', 'ERR_NOT_FOUND'],
    ['a1/storyboard/0.jpg', 'ERR_NOT_FOUND'],
    ['a1/storyboard/images.m3u8', 'ERR_NOT_FOUND'],
    ['a1/Source/media.m3u8', 'ERR_NOT_FOUND'],
  ]
  for (const [path, code] of refused) await t.rejects(ask(path), { code }, path)
  const others = ['/vod', '/vod/a1', '/vod/a1/x.txt', '/vod/a1/s/x.txt', '/vod/a/b/c/1.m4s']
  for (const path of [...others, '/vod/a1/constructor', '/vod/a1/toString', '/vod/a1/__proto__']) {
    t.equal(parseVodRequest(path), undefined, path)
  }
})

test('every declared path is one that the handler answers', async (t) => {
  const examples: Record<string, string> = {
    ...{ id: 'a1', rendition: 'source', msn: '3', number: '0', prefix: '0123456789abcdef' },
  }
  for (const { path, params } of vodRoutes) {
    const names = [...path.matchAll(/:([a-z]+)/g)].map(([, name]) => name ?? '')
    t.ok(
      parseVodRequest(path.replace(/:([a-z]+)/g, (_, name: string) => examples[name] ?? '')),
      path,
    )
    t.same(Object.keys(params.shape).sort(), [...names].sort())
  }
})

test('mpd-parser reads the manifest', async (t) => {
  const { ask } = setUp()
  const text = textOf(await ask('a1/manifest.mpd'))
  // The package is CommonJS without types, so it runs in a process of its own.
  const code =
    "const {parse}=require('mpd-parser');let t='';process.stdin.on('data',(d)=>{t+=d}).on('end',()=>{const m=parse(t,{manifestUri:'http://a/vod/a1/manifest.mpd'});console.log(JSON.stringify({n:m.playlists.length,s:m.playlists[0].segments.length,d:m.duration,u:m.playlists[0].segments[4].resolvedUri}))})"
  const out = execFileSync(process.execPath, ['-e', code], { input: text }).toString()
  t.same(JSON.parse(out), { n: 1, s: 5, d: 10, u: 'http://a/vod/a1/source/4.m4s' })
})

test('a video of another peer: pictures at once, all else when its segments are known', async (t) => {
  const { source, presentation, ask } = setUp()
  let opened = 0
  let failure: Error | undefined
  source.get = () => undefined
  source.outline = (id) => source.presentations.get(id)
  source.open = async (id) => {
    opened += 1
    if (failure !== undefined) throw failure
    const found = source.presentations.get(id)
    if (found === undefined) throw new KairoError('ERR_NOT_FOUND', 'no such video')
    return found
  }
  t.match(textOf(await ask('a1/storyboard.vtt')), /^WEBVTT/)
  t.equal(textOf(await ask('a1/storyboard/0.jpg')), 'sprite 0')
  t.equal(opened, 0)
  for (const path of ['source/media.m3u8', 'source/2.m4s', 'captions-de/captions.vtt']) {
    t.equal((await ask(`a1/${path}`)).status, 200, path)
  }
  t.equal(opened, 3)
  failure = new KairoError('ERR_NO_PROVIDER', 'nobody has it')
  const away = await ask('a1/master.m3u8')
  t.match(away, { status: 503, headers: { 'retry-after': /\d/ } })
  failure = undefined
  source.objects.clear()
  await t.rejects(ask('a1/source/2.m4s'), { code: 'ERR_NOT_FOUND' })
  for (const path of ['master.m3u8', 'storyboard.vtt', 'storyboard/0.jpg']) {
    await t.rejects(ask(`none/${path}`), { code: 'ERR_NOT_FOUND' }, path)
  }
  source.presentations.set('a1', { ...presentation, storyboard: undefined })
  for (const path of ['storyboard.vtt', 'storyboard/0.jpg']) {
    await t.rejects(ask(`a1/${path}`), { code: 'ERR_NOT_FOUND' }, path)
  }
})
