/** Playlists that reach back over an archive: what they list, that delta updates fit, and that hours of it stay cheap. */
import { Registry } from 'prom-client'
import { test } from 'tap'
import type { ArchivedSegment } from '../../src/content/archive/presentation.ts'
import { digestOf } from '../../src/content/digest.ts'
import { createHlsHandler } from '../../src/delivery/hls-handler.ts'
import type { PreparedResponse } from '../../src/http/prepared-response.ts'
import { deliveryArchiveLimits } from '../../src/limits/delivery-archive.ts'
import { silentLogger } from '../../src/logger.ts'
import { FakeStream, videoInfo } from '../support/fake-stream.ts'
import { HlsChecker } from '../support/hls-checker.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { archivedSegments } from '../support/memory-presentations.ts'
import { plainRequest } from '../support/plain-request.ts'

const MEDIA = '/live/demo/source/media.m3u8'
const textOf = (response: PreparedResponse): string => Buffer.concat(response.body).toString()

/** A stream whose window begins at `firstMsn`, behind `count` archived segments. */
function setUp(count: number, init: { cuts?: readonly number[]; windowSegments?: number } = {}) {
  const firstMsn = 20_000
  const stream = new FakeStream('demo', [videoInfo], { firstMsn, discontinuitySequence: 7 })
  const video = stream.at(0)
  const startMs = video.clockMs - count * 2_000
  const initDigest = digestOf(Buffer.from('init of source'))
  const segments: ArchivedSegment[] = archivedSegments(count, {
    firstMsn: firstMsn - count,
    startMs,
    initDigest,
    cuts: init.cuts ?? [],
    digestOf: (msn) => {
      const bytes = Buffer.from(`archived ${msn}`)
      stream.objects.set(digestOf(bytes), bytes)
      return digestOf(bytes)
    },
  })
  for (let index = 0; index < (init.windowSegments ?? 12); index += 1) video.pushSegment()
  video.push()
  const archive = { segments: (): readonly ArchivedSegment[] => segments }
  const handler = createHlsHandler({
    clock: new ManualClock(),
    logger: silentLogger,
    registry: new Registry(),
    streams: stream,
    archive,
  })
  const ask = async (url: string): Promise<PreparedResponse> => {
    const [path = '', query = ''] = url.split('?')
    const request = plainRequest(path, { query })
    const answer = handler(request, new AbortController().signal, '192.0.2.1')
    if (answer === undefined) throw new Error('not answered')
    return await answer
  }
  return { stream, video, segments, ask }
}

test('the archive stands before the window, and the two are one playlist', async (t) => {
  const { ask } = setUp(300, { cuts: [19_800, 19_900] })
  const text = textOf(await ask(MEDIA))
  t.same(new HlsChecker().load(text).findings, [])
  t.match(text, /EXT-X-MEDIA-SEQUENCE:19700\n#EXT-X-DISCONTINUITY-SEQUENCE:5\n/)
  t.equal(text.match(/#EXT-X-MAP/g)?.length, 1)
  t.equal(text.match(/#EXTINF/g)?.length, 312)
  t.match(
    text,
    /\n19999\.m4s\n#EXT-X-PROGRAM-DATE-TIME:[^\n]*\n(#X-KAIRO[^\n]*\n)?#EXTINF:2\.0,\n20000\.m4s/,
  )
})

test('archived segments and their init segment are served; parts of them are gone', async (t) => {
  const { ask } = setUp(10)
  const segment = await ask('/live/demo/source/19995.m4s')
  t.equal(textOf(segment), 'archived 19995')
  t.equal(segment.headers.etag, `"${digestOf(Buffer.from('archived 19995'))}"`)
  const init = digestOf(Buffer.from('init of source')).slice(0, 16)
  t.equal(textOf(await ask(`/live/demo/source/init-${init}.mp4`)), 'init of source')
  await t.rejects(ask('/live/demo/source/19989.m4s'), { code: 'ERR_NOT_FOUND' })
  await t.rejects(ask('/live/demo/source/19995.0.m4s'), { code: 'ERR_NOT_FOUND' })
})

test('delta updates skip the archive, and give the full playlist', async (t) => {
  for (const windowSegments of [12, 3]) {
    const { ask, video, segments } = setUp(300, { cuts: [19_999], windowSegments })
    const checker = new HlsChecker()
    let full = textOf(await ask(MEDIA))
    checker.load(full)
    for (let step = 0; step < 30; step += 1) {
      video.push({ last: step % 10 === 8 })
      if (step === 20) segments.splice(0, 5)
      const next = textOf(await ask(MEDIA))
      const delta = textOf(await ask(`${MEDIA}?_HLS_skip=YES`))
      t.ok(delta.length < 12_000, 'a delta update is short')
      checker.delta(delta, full, next)
      checker.load(next)
      full = next
    }
    t.same(checker.findings, [])
  }
})

test('an archive that does not join the window is not shown', async (t) => {
  const { ask, segments } = setUp(10)
  segments.pop()
  const text = textOf(await ask(MEDIA))
  t.match(text, /EXT-X-MEDIA-SEQUENCE:20000\n/)
  segments.length = 0
  t.match(textOf(await ask(MEDIA)), /EXT-X-MEDIA-SEQUENCE:20000\n/)
})

test('hours of archive are rendered once: a new part renders what is new', async (t) => {
  const { ask, video, segments } = setUp(10_000)
  const first = await ask(MEDIA)
  video.push()
  const second = await ask(MEDIA)
  const shared = second.body.filter((piece) => first.body.includes(piece))
  t.equal(shared.length, second.body.length - 2, 'all but the head and the window')
  t.not(second.headers.etag, first.headers.etag)
  const last = segments.at(-1) as ArchivedSegment
  segments.shift()
  video.evict()
  segments.push({ ...last, msn: 20_000, programDateTimeMs: (last.programDateTimeMs ?? 0) + 2_000 })
  const third = await ask(MEDIA)
  const kept = third.body.filter((piece) => second.body.includes(piece)).length
  const blocks = Math.ceil(10_000 / deliveryArchiveLimits.blockSegments)
  t.ok(kept >= blocks - 2, `${kept} of ${blocks} blocks stay as they are`)
  t.same(new HlsChecker().load(textOf(third)).findings, [])
})

test('a block that becomes the first names its init segment', async (t) => {
  const { ask, segments } = setUp(300)
  await ask(MEDIA)
  const { blockSegments } = deliveryArchiveLimits
  const first = segments.findIndex(({ msn }) => msn % blockSegments === 0)
  segments.splice(0, first)
  const text = textOf(await ask(MEDIA))
  t.same(new HlsChecker().load(text).findings, [])
  t.match(text, /#EXT-X-MAP/)
})
