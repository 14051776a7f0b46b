/** The HLS handler over an in-memory stream: answers, blocking, failures, and that nothing is left behind. */
import { getEventListeners } from 'node:events'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { digestOf } from '../../src/content/digest.ts'
import { createHlsHandler } from '../../src/delivery/hls-handler.ts'
import { isKairoError, KairoError } from '../../src/errors.ts'
import type { PreparedResponse } from '../../src/http/prepared-response.ts'
import { silentLogger } from '../../src/logger.ts'
import {
  audioInfo,
  captionsInfo,
  FakeRendition,
  FakeStream,
  videoInfo,
} from '../support/fake-stream.ts'
import { HlsChecker } from '../support/hls-checker.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { plainRequest } from '../support/plain-request.ts'

/** A handler over a stream of ten whole segments and one open part in each of two renditions. */
function setUp(segments = 10) {
  const clock = new ManualClock()
  const registry = new Registry()
  const stream = new FakeStream('demo', [videoInfo, audioInfo])
  for (const rendition of stream.renditions) {
    for (let count = 0; count < segments; count += 1) rendition.pushSegment()
    rendition.push()
  }
  const components = { clock, logger: silentLogger, registry, streams: stream }
  const handler = createHlsHandler(components)
  const signal = new AbortController().signal
  const ask = async (url: string, options: { signal?: AbortSignal; ifNoneMatch?: string } = {}) => {
    const [path = '', query = ''] = url.split('?')
    const request = plainRequest(path, { query, ifNoneMatch: options.ifNoneMatch })
    const answer = handler(request, options.signal ?? signal, '192.0.2.1')
    if (answer === undefined) throw new Error('not answered')
    return answer
  }
  const metric = async (name: string, labels: Record<string, unknown> = {}): Promise<number> => {
    const values = (await registry.getSingleMetric(name)?.get())?.values ?? []
    const found = values.find((value) =>
      Object.entries(labels).every(([key, label]) => value.labels[key] === label),
    )
    return found?.value ?? 0
  }
  return { clock, stream, video: stream.at(0), audio: stream.at(1), handler, ask, metric }
}

const textOf = (response: PreparedResponse): string => Buffer.concat(response.body).toString()
const codeOf = (error: unknown): string => (isKairoError(error) ? error.code : String(error))
const MEDIA = '/live/demo/source/media.m3u8'
/** Lets promises that are ready run. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('playlists', async (t) => {
  const { ask, stream, handler, video } = setUp()
  const master = await ask('/live/demo/master.m3u8')
  t.match(textOf(master), /source\/media\.m3u8/)
  t.equal(master.headers['content-type'], 'application/vnd.apple.mpegurl')
  t.equal(master.headers['cache-control'], 'no-cache')
  t.equal(await ask('/live/demo/master.m3u8'), master, 'made once')
  const plain = await ask(MEDIA)
  t.equal(plain.headers['cache-control'], 'no-cache')
  t.match(textOf(plain), /RENDITION-REPORT:URI="\.\.\/audio\/media\.m3u8",LAST-MSN=110,LAST-PART=0/)
  t.same(new HlsChecker().load(textOf(plain)).findings, [])
  const blocking = await ask(`${MEDIA}?_HLS_msn=110&_HLS_part=0`)
  t.equal(blocking.headers['cache-control'], 'public, max-age=12')
  t.equal(blocking.body, plain.body, 'one rendered buffer')
  t.equal(video.waitCalls, 0, 'what is there already is not waited for')
  const unchanged = await ask(MEDIA, { ifNoneMatch: `"x", W/${plain.headers.etag}` })
  t.same([unchanged.status, unchanged.body, unchanged.headers.etag], [304, [], plain.headers.etag])
  t.equal((await ask(MEDIA, { ifNoneMatch: '"x"' })).status, 200)
  t.equal((await ask(MEDIA, { ifNoneMatch: '*' })).status, 304)
  t.ok(stream.touched.every((name) => name === 'demo') && stream.touched.length > 3)
  const elsewhere = plainRequest('/')
  t.equal(handler(elsewhere, new AbortController().signal, '192.0.2.1'), undefined)
})

test('delta updates', async (t) => {
  const { ask, video } = setUp()
  const full = textOf(await ask(MEDIA))
  video.push()
  const next = textOf(await ask(MEDIA))
  const delta = textOf(await ask(`${MEDIA}?_HLS_msn=110&_HLS_part=1&_HLS_skip=YES`))
  t.match(delta, /SKIPPED-SEGMENTS=3/)
  t.same(new HlsChecker().delta(delta, full, next).findings, [])
})

test('a playlist is rendered once a version, whatever else is in the query', async (t) => {
  const { ask, audio, metric } = setUp()
  const first = await ask(`${MEDIA}?viewer=1`)
  t.equal(await ask(`${MEDIA}?viewer=2`), first)
  await ask(`${MEDIA}?_HLS_msn=105`)
  t.equal(await metric('kairo_hls_renders_total'), 1)
  audio.push()
  await ask(MEDIA)
  t.equal(await metric('kairo_hls_renders_total'), 2, 'a report changed')
})

test('parts, segments and init segments', async (t) => {
  const { ask, video, audio, stream } = setUp()
  const entry = video.entry(105, 3)
  const part = await ask('/live/demo/source/105.3.m4s')
  t.equal(textOf(part), 'source 105.3')
  t.equal(part.headers['content-type'], 'video/mp4')
  t.equal(part.headers['cache-control'], 'public, max-age=31536000, immutable')
  t.equal(part.headers.etag, `"${entry?.digest}"`)
  const base64 = Buffer.from(entry?.digest ?? '', 'hex').toString('base64')
  t.equal(part.headers['repr-digest'], `sha-256=:${base64}:`)
  t.equal((await ask('/live/demo/source/105.3.m4s')).headers, part.headers, 'headers made once')
  const segment = await ask('/live/demo/source/105.m4s')
  t.equal(segment.body.length, 10)
  t.equal(segment.body[3], part.body[0], 'not copied')
  t.equal(segment.headers.etag, `"${digestOf(Buffer.concat(segment.body))}"`)
  const sound = await ask('/live/demo/audio/105.m4s')
  t.equal(sound.headers['content-type'], 'audio/mp4')
  const initDigest = audio.entries[0]?.initDigest ?? ''
  const init = await ask(`/live/demo/audio/init-${initDigest.slice(0, 16)}.mp4`)
  t.equal(textOf(init), 'init of audio')
  t.equal(init.headers.etag, `"${initDigest}"`)
  for (const { digest } of video.segment(106)) stream.cold.add(digest)
  t.equal(textOf(await ask('/live/demo/source/106.0.m4s')), 'source 106.0', 'read, not peeked')
  t.equal((await ask('/live/demo/source/106.m4s')).body.length, 10)
})

test('a segment that was cut off by the end has no digest but is served', async (t) => {
  const { ask, video } = setUp()
  video.end()
  const cut = await ask('/live/demo/source/110.m4s')
  t.same([textOf(cut), cut.headers.etag], ['source 110.0', undefined])
  t.equal((await ask('/live/demo/source/110.m4s', { ifNoneMatch: '*' })).status, 200)
})

test('what does not exist', async (t) => {
  const { ask, video, stream } = setUp()
  video.evict()
  const refuses = async (url: string, code: string): Promise<void> => {
    await t.rejects(ask(url), { code }, `${url} ${code}`)
  }
  await refuses('/live/other/master.m3u8', 'ERR_NOT_FOUND')
  await refuses('/live/demo/none/media.m3u8', 'ERR_NOT_FOUND')
  await refuses('/live/demo/source/100.0.m4s', 'ERR_NOT_FOUND')
  await refuses('/live/demo/source/100.m4s', 'ERR_NOT_FOUND')
  await refuses('/live/demo/source/105.10.m4s', 'ERR_NOT_FOUND')
  await refuses('/live/demo/source/113.0.m4s', 'ERR_NOT_FOUND')
  await refuses('/live/demo/source/init-0000000000000000.mp4', 'ERR_NOT_FOUND')
  await refuses(`${MEDIA}?_HLS_msn=112`, 'ERR_OUT_OF_WINDOW')
  await refuses(`${MEDIA}?_HLS_msn=110&_HLS_part=16`, 'ERR_OUT_OF_WINDOW')
  await refuses(`${MEDIA}?_HLS_msn=111&_HLS_part=15`, 'ERR_OUT_OF_WINDOW')
  await refuses(`${MEDIA}?_HLS_part=1`, 'ERR_INVALID_INPUT')
  stream.record = { ...stream.record, renditions: [audioInfo] }
  await refuses('/live/demo/still.mp4', 'ERR_NOT_FOUND')
  stream.record = { ...stream.record, renditions: [] }
  const starting = await ask('/live/demo/master.m3u8')
  t.same([starting.status, starting.headers['retry-after']], [503, '1'])
})

test('a stream and a rendition that are not followed yet are opened', async (t) => {
  const { ask, stream } = setUp()
  stream.known = false
  stream.unfollowed.add('audio')
  t.match(textOf(await ask('/live/demo/audio/media.m3u8')), /audio|EXTM3U/)
  t.equal(stream.known, true)
  t.equal(stream.unfollowed.size, 0)
})

test('blocking reload wakes with the part, and 5,000 viewers share one render', async (t) => {
  const { ask, video, metric, clock } = setUp()
  const url = `${MEDIA}?_HLS_msn=110&_HLS_part=1`
  const answers = Promise.all(Array.from({ length: 5_000 }, () => ask(url)))
  await settled()
  t.equal(video.waitCalls, 1, 'one waiter in the content plane')
  t.equal(await metric('kairo_hls_blocked'), 5_000)
  clock.advance(180)
  video.push()
  const responses = await answers
  t.equal(new Set(responses).size, 1, 'one answer for all')
  t.match(textOf(responses[0] as PreparedResponse), /110\.1\.m4s"/)
  t.equal(await metric('kairo_hls_renders_total'), 1)
  t.equal(await metric('kairo_hls_blocked'), 0)
  t.equal(clock.timers, 0)
  t.equal(await metric('kairo_hls_requests_total', { kind: 'playlist', status: 200 }), 5_000)
})

test('a reload for a part beyond the end of its segment waits for the next segment', async (t) => {
  const { ask, video } = setUp()
  let answered = false
  const answer = ask(`${MEDIA}?_HLS_msn=110&_HLS_part=4`).then((response) => {
    answered = true
    return response
  })
  video.push({ last: true })
  await settled()
  t.equal(answered, false, 'the segment was closed with fewer parts')
  video.push()
  t.match(textOf(await answer), /URI="111\.0\.m4s",/)
})

test('a reload without a part waits for the whole segment', async (t) => {
  const { ask, video } = setUp()
  const answer = ask(`${MEDIA}?_HLS_msn=110`)
  video.push()
  await settled()
  video.push({ last: true })
  t.match(textOf(await answer), /\n110\.m4s\n/)
})

test('the end of the stream answers all', async (t) => {
  const { ask, video } = setUp()
  const answer = ask(`${MEDIA}?_HLS_msn=111&_HLS_part=2`)
  const part = ask('/live/demo/source/110.1.m4s')
  video.end()
  t.match(textOf(await answer), /EXT-X-ENDLIST/)
  await t.rejects(part, { code: 'ERR_NOT_FOUND' })
  t.match(textOf(await ask(`${MEDIA}?_HLS_msn=500`)), /ENDLIST/, 'directives mean nothing now')
})

test('a player that comes before the first whole segment is held', async (t) => {
  const { ask, video } = setUp(0)
  const answer = ask(MEDIA)
  await settled()
  t.equal(video.waiting, 1)
  video.push({ last: true })
  t.match(textOf(await answer), /100\.m4s/)
})

test('a player is held until a publisher that came back has made a whole segment', async (t) => {
  const { ask, video } = setUp()
  video.entries = []
  video.setHead({ firstMsn: 112, discontinuitySequence: 1 })
  video.push({ discontinuity: true })
  const passed = ask(`${MEDIA}?_HLS_msn=110&_HLS_part=1`)
  const coming = ask(`${MEDIA}?_HLS_msn=112&_HLS_part=2`)
  await settled()
  t.equal(video.waitCalls, 1)
  video.push({ last: true })
  t.match(textOf(await passed), /MEDIA-SEQUENCE:112\n[\s\S]*\n112\.m4s\n/)
  await settled()
  t.equal(video.waitCalls, 2, 'part 2 is now part 0 of the next segment')
  video.push()
  t.match(textOf(await coming), /URI="113\.0\.m4s",/)
})

test('a hinted part and a coming segment block until they are there', async (t) => {
  const { ask, video } = setUp()
  const hinted = ask('/live/demo/source/110.1.m4s')
  const never = ask('/live/demo/source/110.2.m4s').catch(codeOf)
  const segment = ask('/live/demo/source/110.m4s')
  await settled()
  video.push({ last: true })
  t.equal(textOf(await hinted), 'source 110.1')
  const open = await segment
  t.equal(open.headers.etag, undefined, 'what is not whole has no digest yet')
  const pieces: string[] = []
  for await (const piece of open.stream ?? []) pieces.push(Buffer.from(piece).toString())
  t.same(pieces, ['source 110.0', 'source 110.1'])
  video.push()
  t.equal(await never, 'ERR_NOT_FOUND', 'its segment closed without it')
})

test('waits end in time', async (t) => {
  const { ask, clock, video, metric } = setUp()
  const answer = ask(`${MEDIA}?_HLS_msn=110&_HLS_part=1`)
  await settled()
  clock.advance(5_999)
  await settled()
  t.equal(video.waiting, 1)
  clock.advance(1)
  const response = await answer
  t.equal(response.status, 503)
  t.equal(response.headers['retry-after'], '1')
  t.equal(response.headers['content-type'], 'application/problem+json')
  t.match(JSON.parse(textOf(response)), { status: 503, code: 'ERR_TIMEOUT' })
  t.equal(video.waiting, 0, 'nobody is left waiting')
  t.equal(await metric('kairo_hls_requests_total', { status: 503 }), 1)
})

test('a lost upstream is said at once', async (t) => {
  const { ask, stream, video, clock } = setUp()
  const url = `${MEDIA}?_HLS_msn=110&_HLS_part=1`
  const waiting = ask(url)
  await settled()
  video.fail(new KairoError('ERR_NO_PROVIDER', 'the upstream is lost'))
  const answer = await waiting
  t.match(JSON.parse(textOf(answer)), { status: 503, code: 'ERR_NO_PROVIDER' })
  t.equal(answer.headers['retry-after'], '1')
  stream.status = 'lost'
  t.equal((await ask(url)).status, 503)
  t.equal(video.waitCalls, 1, 'without another wait')
  t.equal((await ask(MEDIA)).status, 200, 'what is here is still served')
  t.equal(clock.timers, 0)
})

test('clients that leave leave nothing behind', async (t) => {
  const { ask, video, clock, metric } = setUp()
  const gone = new AbortController()
  const url = `${MEDIA}?_HLS_msn=110&_HLS_part=1`
  const leaving = ask(url, { signal: gone.signal }).catch(codeOf)
  const staying = ask(url)
  await settled()
  gone.abort()
  t.equal(await leaving, 'ERR_TIMEOUT')
  t.equal(video.waiting, 1, 'the other still waits')
  t.equal(await metric('kairo_hls_requests_total', { status: 499 }), 1)
  video.push()
  t.equal((await staying).status, 200)
  const last = new AbortController()
  const alone = ask(`${MEDIA}?_HLS_msn=110&_HLS_part=2`, { signal: last.signal }).catch(codeOf)
  await settled()
  t.equal(video.waiting, 1)
  last.abort()
  await alone
  t.equal(video.waiting, 0)
  t.equal(clock.timers, 0)
  t.equal(getEventListeners(last.signal, 'abort').length, 0)
  await t.rejects(ask(`${MEDIA}?_HLS_msn=110&_HLS_part=2`, { signal: last.signal }))
  t.equal(await metric('kairo_hls_blocked'), 0)
})

test('look-ups end with the deadline', async (t) => {
  const { ask, stream, clock } = setUp()
  const digest = stream.at(0).entry(105, 0)?.digest ?? ''
  stream.cold.add(digest)
  const hanging = stream.read.bind(stream)
  stream.read = (_digest, { signal }) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(new KairoError('ERR_TIMEOUT', 'too late')))
    })
  const answer = ask('/live/demo/source/105.0.m4s').catch(codeOf)
  clock.advance(12_000)
  t.equal(await answer, 'ERR_TIMEOUT')
  stream.read = hanging
  t.equal((await ask('/live/demo/source/105.0.m4s')).status, 200)
  t.equal(clock.timers, 0)
})

test('an unexpected failure is counted and passed on', async (t) => {
  const { ask, stream, metric } = setUp()
  stream.peek = () => {
    throw new TypeError('a defect')
  }
  await t.rejects(ask('/live/demo/source/105.0.m4s'), TypeError)
  t.equal(await metric('kairo_hls_requests_total', { status: 500 }), 1)
})

test('an open segment goes out part by part, and ends with its last part', async (t) => {
  const { ask, video, stream, metric } = setUp()
  const open = await ask('/live/demo/source/110.m4s')
  t.equal(open.headers['content-type'], 'video/mp4')
  const parts = (open.stream as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]()
  const next = async (): Promise<string | undefined> => {
    const { value } = await parts.next()
    return value === undefined ? undefined : Buffer.from(value).toString()
  }
  t.equal(await next(), 'source 110.0')
  const coming = next()
  await settled()
  t.equal(video.waiting, 1)
  const { digest } = video.push({ last: true })
  t.equal(await coming, 'source 110.1')
  stream.cold.add(digest)
  t.equal(await next(), undefined)
  t.equal(await metric('kairo_hls_response_bytes_total', { kind: 'segment' }), 24)
})

test('an open segment that is closed without more parts ends, and one that leaves breaks off', async (t) => {
  const { ask, video, clock } = setUp()
  const read = async (url: string): Promise<number> => {
    let count = 0
    for await (const piece of (await ask(url)).stream ?? []) count += Math.min(1, piece.byteLength)
    return count
  }
  const url = '/live/demo/source/110.m4s'
  const broken = t.rejects(read(url), { code: 'ERR_TIMEOUT' })
  await settled()
  clock.advance(6_000)
  await broken
  const ended = read(url)
  await settled()
  video.end()
  t.equal(await ended, 1)
  t.equal(clock.timers, 0)
})

test('the segment after the open one is held until it begins, and one further on is refused', async (t) => {
  const { ask, video } = setUp()
  const next = ask('/live/demo/source/111.m4s')
  await settled()
  t.equal(video.waiting, 1)
  video.push({ last: true })
  video.push()
  t.ok((await next).stream)
  await t.rejects(ask('/live/demo/source/115.m4s'), { code: 'ERR_NOT_FOUND' })
})

test('a client that leaves an open segment ends its wait', async (t) => {
  const { ask, video } = setUp()
  const leaving = new AbortController()
  const open = await ask('/live/demo/source/110.m4s', { signal: leaving.signal })
  const read = async (): Promise<void> => {
    for await (const piece of open.stream ?? []) t.ok(piece)
  }
  const reading = t.rejects(read(), { code: 'ERR_TIMEOUT' })
  await settled()
  leaving.abort()
  await reading
  t.equal(video.waiting, 0)
})

test('captions are whole WebVTT segments without parts', async (t) => {
  const { ask, stream } = setUp()
  const captions = new FakeRendition(captionsInfo, stream.objects)
  stream.renditions.push(captions)
  stream.record = { ...stream.record, renditions: [...stream.record.renditions, captionsInfo] }
  for (let count = 0; count < 8; count += 1) {
    captions.push({ durationUs: 2_000_000, last: true, init: Buffer.alloc(0) })
  }
  captions.push({ durationUs: 500_000 })
  const text = textOf(await ask('/live/demo/captions-en/media.m3u8'))
  t.same(new HlsChecker({ captions: true }).load(text).findings, [])
  t.notMatch(text, /EXT-X-MAP|EXT-X-PART|PRELOAD-HINT|108\.vtt/)
  t.match(text, /\n107\.vtt\n/)
  const segment = await ask('/live/demo/captions-en/107.vtt')
  t.equal(segment.headers['content-type'], 'text/vtt')
  t.equal(textOf(segment), 'captions-en 107.0')
  await t.rejects(ask('/live/demo/captions-en/107.m4s'), { code: 'ERR_NOT_FOUND' })
  await t.rejects(ask('/live/demo/source/107.vtt'), { code: 'ERR_NOT_FOUND' })
})

test('an init segment by its segment, for manifests made before the rendition was followed', async (t) => {
  const { ask, audio } = setUp()
  const init = await ask('/live/demo/audio/init-at-105.mp4')
  t.equal(textOf(init), 'init of audio')
  t.equal(init.headers['cache-control'], 'no-cache')
  t.equal(init.headers.etag, `"${audio.entries[0]?.initDigest}"`)
  const late = setUp(0)
  late.audio.entries = []
  const held = late.ask('/live/demo/audio/init-at-100.mp4')
  await settled()
  late.audio.push()
  t.equal(textOf(await held), 'init of audio')
})
