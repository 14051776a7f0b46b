/** Live captions: a WebVTT segment for each segment of the source, whenever cues come. */
import { test } from 'tap'
import { digestOf } from '../../../src/content/digest.ts'
import { captionLimits } from '../../../src/limits/captions.ts'
import { parseWebVtt } from '../../../src/media/captions/webvtt.ts'
import type { PublicationSink } from '../../../src/media/sink.ts'
import { pictures, videoConfig } from '../../support/packaging-run.ts'
import { PublishedStream } from '../../support/published-stream.ts'

function setUp() {
  const stream = new PublishedStream()
  const sink = stream.publish()
  sink.expect({ audio: false })
  sink.configure(videoConfig())
  const captions = stream.session.captions('en', 'English')
  return { stream, sink, captions }
}

/** Sends the pictures of a stretch out of one row, with a keyframe every two seconds. */
function send(sink: PublicationSink, fromMs: number, toMs: number, startMs = 0): void {
  for (const unit of pictures(30, startMs, toMs, 60)) {
    if (unit.dts >= fromMs * 90) void sink.write(unit)
  }
}

async function segments(stream: PublishedStream, name = 'captions-en') {
  const { parts } = await stream.checked(name)
  return parts.map(({ msn, data }) => [msn, parseWebVtt(data).map(({ text }) => text)] as const)
}

test('each segment of the source becomes one of captions, with the cues shown in it', async (t) => {
  const { stream, sink, captions } = setUp()
  send(sink, 0, 1_000)
  captions.addCues([
    { startMs: 3_500, endMs: 4_500, text: 'over a cut', id: '7' },
    { startMs: 500, endMs: 900, text: 'first' },
  ])
  send(sink, 1_000, 4_100)
  captions.addCues([{ startMs: 1_200, endMs: 1_500, text: 'late' }])
  send(sink, 4_100, 9_000)
  sink.end('closed')
  t.same(await segments(stream), [
    [0, ['first']],
    [1, ['over a cut']],
    [2, ['late', 'over a cut']],
    [3, []],
    [4, []],
  ])
  const [source, made] = await Promise.all(['source', 'captions-en'].map((n) => stream.checked(n)))
  const openings = source?.parts.filter(({ part }) => part === 0) ?? []
  t.same(
    made?.parts.map(({ msn, programDateTimeMs }) => [msn, programDateTimeMs]),
    openings.map(({ msn, programDateTimeMs }) => [msn, programDateTimeMs]),
  )
  t.same(
    made?.parts.map(({ durationUs }) => durationUs / 1e6),
    [2, 2, 2, 2, 0.967],
    'as long as the source’s, to a frame at the end',
  )
  t.match(made?.parts[1]?.data.toString(), /X-TIMESTAMP-MAP=MPEGTS:180000,LOCAL:00:00:02.000\n/)
  const entries = (await stream.publication.rendition('captions-en')).entries
  t.ok(entries.every((entry) => entry.initDigest === digestOf(Buffer.alloc(0))))
  t.ok(entries.every((entry) => entry.endOfSegment && entry.segmentDigest === entry.digest))
  t.match(stream.publication.record.renditions.at(-1), {
    name: 'captions-en',
    kind: 'captions',
    codecs: 'wvtt',
    language: 'en',
    label: 'English',
  })
})

test('cues on the wall clock find their place, also before the stream begins', async (t) => {
  const { stream, sink, captions } = setUp()
  const beginsMs = stream.clock.now()
  captions.addCues([{ startMs: beginsMs + 2_500, endMs: beginsMs + 3_000, text: 'early' }], 'wall')
  send(sink, 70_000, 71_000, 70_000)
  captions.addCues([{ startMs: beginsMs + 200, endMs: beginsMs + 700, text: 'now' }], 'wall')
  send(sink, 71_000, 75_000, 70_000)
  sink.end('closed')
  t.same(await segments(stream), [
    [0, ['now']],
    [1, ['early']],
    [2, []],
  ])
})

test('what cannot be a caption is refused whole, and what waits is bounded', async (t) => {
  const { stream, sink, captions } = setUp()
  t.throws(() => stream.session.captions('en', 'Again'), { code: 'ERR_NAME_TAKEN' })
  t.throws(() => stream.session.captions('not a language', 'x'), { code: 'ERR_INVALID_INPUT' })
  t.throws(() => stream.session.captions('de', 'x'.repeat(65)), { code: 'ERR_INVALID_INPUT' })
  const good = { startMs: 0, endMs: 500, text: 'good' }
  t.throws(() => captions.addCues([good, { ...good, endMs: 0 }]), { code: 'ERR_INVALID_INPUT' })
  t.throws(() => captions.addCues([good, { ...good, endMs: 0 }], 'wall'), {
    code: 'ERR_INVALID_INPUT',
  })
  send(sink, 0, 1_000)
  const many = Array.from({ length: captionLimits.liveCuesMax + 5 }, (_, index) => ({
    ...good,
    text: `${index}`,
  }))
  captions.addCues(many)
  captions.addCues([{ startMs: 100, endMs: 1e9, text: 'endless' }])
  send(sink, 1_000, 2_100)
  const [first] = await segments(stream)
  t.equal(first?.[1]?.length, captionLimits.liveCuesMax)
  const { parts } = await stream.checked('captions-en')
  const endless = parseWebVtt(parts[0]?.data ?? Buffer.alloc(0)).at(-1)
  t.equal(endless?.endMs, 100 + captionLimits.liveCueMsMax)
  sink.end('closed')
  t.doesNotThrow(() => captions.addCues([good]), 'too late is no error')
})

test('captions are taken off the stream', async (t) => {
  const { stream, sink, captions } = setUp()
  send(sink, 0, 5_000)
  captions.remove()
  await t.rejects(stream.publication.rendition('captions-en'), { code: 'ERR_NOT_FOUND' })
  send(sink, 5_000, 9_000)
  t.same(
    stream.publication.record.renditions.map(({ name }) => name),
    ['source'],
  )
  const again = stream.session.captions('en', 'English')
  send(sink, 9_000, 13_000)
  again.addCues([{ startMs: 12_500, endMs: 13_500, text: 'back' }])
  sink.end('closed')
  t.same((await segments(stream)).at(-1)?.[1], ['back'])
})
