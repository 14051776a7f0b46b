/** Live manifests over real parts: what they list, that they stay what they were, and that they cost little. */
import { Registry } from 'prom-client'
import { test } from 'tap'
import type { ArchivedSegment } from '../../../src/content/archive/presentation.ts'
import { createHlsHandler } from '../../../src/delivery/hls-handler.ts'
import type { LiveArchive } from '../../../src/delivery/live-archive.ts'
import { createTimeHandler, timeRoutes } from '../../../src/delivery/time-handler.ts'
import type { PreparedResponse } from '../../../src/http/prepared-response.ts'
import { silentLogger } from '../../../src/logger.ts'
import type { PackagedPart } from '../../../src/media/packager/rendition-writer.ts'
import {
  childrenOf,
  DashChecker,
  readXml,
  timesOf,
  type XmlElement,
} from '../../support/dash-checker.ts'
import {
  audioInfo,
  captionsInfo,
  type FakeRendition,
  FakeStream,
  videoInfo,
} from '../../support/fake-stream.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { archivedSegments } from '../../support/memory-presentations.ts'
import {
  audioConfig,
  interleave,
  PackagingRun,
  pictures,
  sounds,
  videoConfig,
} from '../../support/packaging-run.ts'
import { plainRequest } from '../../support/plain-request.ts'

/** Parts of ten seconds and more at 30 pictures a second, an IDR every two seconds. */
function packaged(seconds: number, gopFrames = 60): PackagingRun {
  const run = new PackagingRun()
  run.feed([{ config: videoConfig() }, { config: audioConfig() }])
  const media = [pictures(30, 0, seconds * 1_000, gopFrames), sounds(0, seconds * 1_000)] as const
  return run.feed(interleave(...media))
}

/** A stream of what a packager made, published one part at a time. */
function setUp(run: PackagingRun, archive?: LiveArchive) {
  const stream = new FakeStream('demo', [videoInfo, audioInfo])
  const startedAtMs = stream.at(0).clockMs
  stream.record = { ...stream.record, startedAtMs: startedAtMs + 300 }
  const parts = run.parts.toSorted((a, b) => a.msn - b.msn || a.part - b.part)
  const publish = (part: PackagedPart): void => {
    const rendition = stream.renditions.find(({ info }) => info.name === part.rendition)
    if (part.programDateTimeMs !== undefined && rendition !== undefined) {
      rendition.clockMs = startedAtMs + part.programDateTimeMs - 1_700_000_000_000
    }
    rendition?.push({
      bytes: part.data,
      init: part.init,
      durationUs: part.durationUs,
      independent: part.independent,
      last: part.endOfSegment,
      discontinuity: part.discontinuity,
    })
  }
  const registry = new Registry()
  const handler = createHlsHandler({
    clock: new ManualClock(),
    logger: silentLogger,
    registry,
    streams: stream,
    ...(archive !== undefined && { archive }),
  })
  const ask = async (path = 'manifest.mpd'): Promise<PreparedResponse> => {
    const request = plainRequest(`/live/demo/${path}`)
    const answer = handler(request, new AbortController().signal, '192.0.2.1')
    if (answer === undefined) throw new Error('not answered')
    return await answer
  }
  const renders = async (): Promise<number> => {
    return (await registry.getSingleMetric('kairo_hls_renders_total')?.get())?.values[0]?.value ?? 0
  }
  return { stream, parts, publish, ask, renders }
}

const textOf = (response: PreparedResponse): string => Buffer.concat(response.body).toString()

function templateOf(text: string, name: string, period = 0): XmlElement {
  const mpd = readXml(text) as XmlElement
  const sets = childrenOf(childrenOf(mpd, 'Period')[period] as XmlElement, 'AdaptationSet')
  const all = sets.flatMap((set) => childrenOf(set, 'Representation'))
  const found = all.find((each) => each.attributes.get('id') === name) as XmlElement
  return childrenOf(found, 'SegmentTemplate')[0] as XmlElement
}

test('a live manifest lists whole segments and the open one, at the times of the media', async (t) => {
  const { parts, publish, ask } = setUp(packaged(13))
  for (const part of parts) publish(part)
  const response = await ask()
  const text = textOf(response)
  t.same(new DashChecker().load(text).findings, [])
  t.equal(response.headers['content-type'], 'application/dash+xml')
  t.match(text, /type="dynamic" availabilityStartTime="2026-01-01T00:00:00\.000Z"/)
  t.match(text, /<Period id="0" start="PT0S">/)
  const video = timesOf(templateOf(text, 'source'))
  t.same(
    video.slice(-2).map(({ durationUs }) => durationUs),
    [2_000_000, 2_060_000],
  )
  t.match(text, /availabilityTimeOffset="1\.8\d*" availabilityTimeComplete="false"/)
  const audio = timesOf(templateOf(text, 'audio'))
  t.equal(audio.length, video.length)
  for (const [index, { startUs }] of audio.entries()) {
    t.ok(Math.abs(startUs - (video[index]?.startUs ?? 0)) < 25_000, 'sound begins with the picture')
  }
})

test('follow-ups agree with what was said before, and cost one rendering for each change', async (t) => {
  const { stream, parts, publish, ask, renders } = setUp(packaged(40))
  const checker = new DashChecker()
  const started = parts.findIndex(({ msn }) => msn === 3)
  for (const part of parts.slice(0, started)) publish(part)
  let asked = 0
  for (const part of parts.slice(started)) {
    publish(part)
    checker.load(textOf(await ask()))
    asked += 1
    for (const rendition of stream.renditions) {
      if (rendition.segment(rendition.head.firstMsn + 8).length > 1) rendition.evict()
    }
  }
  t.same(checker.findings, [])
  t.ok(stream.at(0).head.firstMsn > 105, 'the window has moved on')
  t.ok((await renders()) < asked / 2, `${await renders()} renderings for ${asked} questions`)
})

test('segments without a cadence are listed when they are whole', async (t) => {
  const { parts, publish, ask } = setUp(packaged(13, 75))
  for (const part of parts) publish(part)
  t.match(textOf(await ask()), /availabilityTimeOffset/)
  const odd = setUp(
    new PackagingRun().feed([
      { config: videoConfig() },
      ...interleave([...pictures(30, 0, 4_000, 60), ...pictures(30, 4_000, 14_000, 100)]),
    ]),
  )
  for (const part of odd.parts) odd.publish(part)
  odd.stream.record = { ...odd.stream.record, renditions: [videoInfo] }
  const text = textOf(await odd.ask())
  t.same(new DashChecker().load(text).findings, [])
  t.notMatch(text, /availabilityTimeOffset/)
  const last = odd.parts.at(-1) as PackagedPart
  t.equal(timesOf(templateOf(text, 'source')).at(-1)?.number, 100 + last.msn - 1)
})

test('a discontinuity begins a Period, which keeps its name when the one before has left', async (t) => {
  const { stream, parts, publish, ask } = setUp(packaged(20))
  const checker = new DashChecker()
  for (const part of parts) {
    if (part.msn > 7) break
    publish({ ...part, discontinuity: part.part === 0 && part.msn === 4 })
  }
  const text = textOf(await ask())
  checker.load(text)
  t.match(text, /<Period id="0" start="PT0S">[\s\S]*<Period id="1" start="PT8S">/)
  t.equal(timesOf(templateOf(text, 'source', 1))[0]?.number, 104)
  for (let count = 0; count < 5; count += 1)
    for (const rendition of stream.renditions) rendition.evict()
  const later = textOf(await ask())
  checker.load(later)
  t.match(later, /<Period id="1" start="PT8S">/)
  t.same(checker.findings, [])
})

test('a peer that comes later says the same of Periods whose beginning it never saw', async (t) => {
  const run = packaged(20)
  const early = setUp(run)
  for (const part of early.parts) early.publish(part)
  await early.ask()
  const evict = ({ stream }: { stream: FakeStream }): void => {
    for (let count = 0; count < 4; count += 1) {
      for (const rendition of stream.renditions as FakeRendition[]) rendition.evict()
    }
  }
  evict(early)
  const late = setUp(run)
  for (const part of late.parts) late.publish(part)
  evict(late)
  t.equal(textOf(await late.ask()), textOf(await early.ask()))
})

test('renditions that are not followed are shown with the times of the one that leads', async (t) => {
  const { stream, parts, publish, ask } = setUp(packaged(13))
  for (const part of parts) publish(part)
  stream.unfollowed.add('audio')
  const text = textOf(await ask())
  t.same(new DashChecker().load(text).findings, [])
  t.match(text, /initialization="audio\/init-at-100\.mp4"/)
  t.ok(stream.unfollowed.has('audio'), 'and are not followed for it')
})

test('the end makes the manifest static, beginning with the first segment', async (t) => {
  const { stream, parts, publish, ask } = setUp(packaged(13))
  for (const part of parts) publish(part)
  for (const rendition of stream.renditions) {
    rendition.evict()
    rendition.end()
  }
  const text = textOf(await ask())
  t.same(new DashChecker().load(text).findings, [])
  t.match(text, /type="static"/)
  t.notMatch(text, /availabilityTimeOffset|UTCTiming|minimumUpdatePeriod/)
  const first = timesOf(templateOf(text, 'source'))[0]
  t.match(text, new RegExp(`presentationTimeOffset="${first?.startUs}"`))
})

test('the archive is part of the manifest', async (t) => {
  const segments: ArchivedSegment[] = []
  const { stream, parts, publish, ask } = setUp(packaged(13), { segments: () => segments })
  for (const part of parts) publish(part)
  // The session has been going on for longer than the archive reaches back.
  const { record } = stream
  stream.record = { ...record, startedAtMs: record.startedAtMs - 300_000 }
  const first = stream.at(0).entries[0]
  const initDigest = first?.initDigest ?? ''
  const startMs = (first?.programDateTimeMs ?? 0) - 200_000
  segments.push(...archivedSegments(99, { firstMsn: 0, startMs, initDigest }))
  t.equal(timesOf(templateOf(textOf(await ask()), 'source'))[0]?.number, 100, 'it does not join')
  segments.length = 0
  segments.push(...archivedSegments(100, { firstMsn: 0, startMs, initDigest }))
  const text = textOf(await ask())
  t.equal(timesOf(templateOf(text, 'source'))[0]?.number, 0)
  t.match(text, /timeShiftBufferDepth="PT2\d\d/)
  segments.length = 0
  segments.push(...archivedSegments(60, { firstMsn: 40, startMs: startMs - 200_000, initDigest }))
  const since = timesOf(templateOf(textOf(await ask()), 'source'))[0]?.number ?? 0
  t.ok(since > 40 && since < 100, `what is older than the session is left out: ${since}`)
})

test('captions are text, and sets are told by what players choose by', async (t) => {
  const { stream, parts, publish, ask } = setUp(packaged(13))
  for (const part of parts) publish(part)
  const hdr = {
    ...videoInfo,
    name: 'hdr',
    codecs: 'hvc1.2.4.L123.B0',
    videoRange: 'PQ' as const,
    frameRate: 29.97,
  }
  const more = [
    { ...hdr, closedCaptions: true },
    { ...audioInfo, name: 'audio-2', language: 'de', label: 'A & "B"' },
  ]
  stream.record = { ...stream.record, renditions: [videoInfo, audioInfo, ...more, captionsInfo] }
  const text = textOf(await ask())
  t.same(new DashChecker().load(text).findings, [])
  t.match(text, /TransferCharacteristics" value="16"/)
  t.match(text, /frameRate="30000\/1001"/)
  t.match(text, /cea-608:2015" value="CC1"/)
  t.match(text, /<Label>A &#38; &#39;B&#39;<\/Label>/)
  t.match(text, /mimeType="text\/vtt" lang="en">[\s\S]*captions-en\/\$Number\$\.vtt/)
})

test('a stream that has not begun is waited for', async (t) => {
  const { stream, parts, publish, ask } = setUp(packaged(5))
  const early = ask()
  for (const part of parts) publish(part)
  t.equal((await early).status, 200)
  stream.record = { ...stream.record, renditions: [] }
  const starting = await ask()
  t.equal(starting.status, 503)
})

test('the time', async (t) => {
  const clock = new ManualClock()
  const handler = createTimeHandler({ clock })
  const request = plainRequest('/api/time')
  const signal = new AbortController().signal
  const answer = (await handler(request, signal, '')) as PreparedResponse
  t.equal(textOf(answer), new Date(clock.now()).toISOString())
  t.equal(answer.headers['cache-control'], 'no-store')
  t.equal(handler({ ...request, path: '/api/times' }, signal, ''), undefined)
  t.same(
    timeRoutes.map(({ path }) => path),
    ['/api/time'],
  )
})
