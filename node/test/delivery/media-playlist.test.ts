/** Media playlists: exact text, two independent parsers, and properties over random indexes. */
import fc from 'fast-check'
import * as HLS from 'hls-parser'
import { Parser } from 'm3u8-parser'
import { test } from 'tap'
import { audioInfo, FakeRendition, videoInfo } from '../support/fake-stream.ts'
import { HlsChecker } from '../support/hls-checker.ts'
import { renderMediaPlaylist } from '../support/playlist-text.ts'

function rendition(head = {}): FakeRendition {
  return new FakeRendition(videoInfo, new Map(), head)
}

test('the text of a small window', async (t) => {
  const view = rendition({ firstMsn: 7, discontinuitySequence: 3, targetDurationS: 1 })
  view.push({ durationUs: 200_000 })
  view.push({ durationUs: 133_333, last: true })
  view.push({ durationUs: 200_000, discontinuity: true, init: Buffer.from('another') })
  const [a, b, c] = view.entries
  t.equal(
    renderMediaPlaylist(view, { reports: [{ rendition: 'audio', lastMsn: 8, lastPart: 1 }] }),
    [
      '#EXTM3U',
      '#EXT-X-VERSION:9',
      '#EXT-X-TARGETDURATION:1',
      '#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK=3.0,PART-HOLD-BACK=0.8',
      '#EXT-X-PART-INF:PART-TARGET=0.2',
      '#EXT-X-MEDIA-SEQUENCE:7',
      '#EXT-X-DISCONTINUITY-SEQUENCE:3',
      '#EXT-X-INDEPENDENT-SEGMENTS',
      `#X-KAIRO-SIGNATURE:${Buffer.from(view.signature).toString('base64')}`,
      `#EXT-X-MAP:URI="init-${a?.initDigest.slice(0, 16)}.mp4"`,
      '#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z',
      `#EXT-X-PART:DURATION=0.2,URI="7.0.m4s",INDEPENDENT=YES,X-KAIRO-SHA256="${a?.digest}"`,
      `#EXT-X-PART:DURATION=0.133333,URI="7.1.m4s",X-KAIRO-SHA256="${b?.digest}"`,
      `#X-KAIRO-SEGMENT-SHA256:${b?.segmentDigest}`,
      '#EXTINF:0.333333,',
      '7.m4s',
      '#EXT-X-DISCONTINUITY',
      `#EXT-X-MAP:URI="init-${c?.initDigest.slice(0, 16)}.mp4"`,
      '#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.333Z',
      `#EXT-X-PART:DURATION=0.2,URI="8.0.m4s",INDEPENDENT=YES,X-KAIRO-SHA256="${c?.digest}"`,
      '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="8.1.m4s"',
      '#EXT-X-RENDITION-REPORT:URI="../audio/media.m3u8",LAST-MSN=8,LAST-PART=1',
      '',
    ].join('\n'),
  )
})

test('hold-back follows the part target once three parts exceed its least value', async (t) => {
  const view = rendition({ partTargetUs: 500_000 })
  view.pushSegment(4)
  t.match(renderMediaPlaylist(view), /,PART-HOLD-BACK=1\.5\n/)
})

test('a part longer than the target is declared while it is listed, and no longer', async (t) => {
  const view = rendition({ targetDurationS: 3 })
  const checker = new HlsChecker()
  const declared = (): string | undefined => {
    const text = renderMediaPlaylist(view)
    checker.load(text)
    return /PART-TARGET=([\d.]+)/.exec(text)?.[1]
  }
  for (let count = 0; count < 4; count += 1) view.pushSegment()
  t.equal(declared(), '0.2')
  view.push({ durationUs: 3_000_000, last: true })
  t.equal(declared(), '3.0')
  t.match(renderMediaPlaylist(view), /,PART-HOLD-BACK=9\.0\n/)
  const seen: (string | undefined)[] = []
  for (let count = 0; count < 4; count += 1) {
    view.pushSegment()
    seen.push(declared())
  }
  t.same(seen, ['3.0', '3.0', '3.0', '0.2'], 'it leaves the last three target durations')
  t.match(renderMediaPlaylist(view), /,PART-HOLD-BACK=0\.8\n/)
  t.same(checker.findings, [])
})

test('parts are listed for the last three target durations and the open segment', async (t) => {
  const view = rendition()
  for (let count = 0; count < 10; count += 1) view.pushSegment()
  view.push()
  const text = renderMediaPlaylist(view)
  const listed = new Set([...text.matchAll(/URI="(\d+)\.\d+\.m4s",/g)].map((match) => match[1]))
  t.same([...listed], ['108', '109', '110'])
  t.match(text, /TYPE=PART,URI="110\.1\.m4s"/)
})

test('a delta update skips what lies beyond six target durations', async (t) => {
  const view = rendition()
  for (let count = 0; count < 6; count += 1) view.pushSegment()
  const short = renderMediaPlaylist(view, { skip: true })
  t.notMatch(short, /SKIP/, 'nothing can be skipped yet, so nothing is offered')
  t.equal(short, renderMediaPlaylist(view))
  for (let count = 0; count < 4; count += 1) view.pushSegment()
  const delta = renderMediaPlaylist(view, { skip: true })
  t.match(delta, /CAN-SKIP-UNTIL=12\.0/)
  t.match(delta, /#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n/, 'the segment that ends on the boundary stays')
  t.notMatch(delta, /EXT-X-MAP/, 'the map in force is skipped with its segments')
})

test('a map that changes inside the delta is in it', async (t) => {
  const view = rendition()
  for (let count = 0; count < 9; count += 1) view.pushSegment()
  view.push({ discontinuity: true, init: Buffer.from('new'), last: true })
  t.match(renderMediaPlaylist(view, { skip: true }), /#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="init-/)
})

test('an ended stream lists its last segment and ends', async (t) => {
  const view = rendition()
  view.pushSegment()
  view.push()
  view.end()
  const text = renderMediaPlaylist(view, { reports: [{ rendition: 'a', lastMsn: 1, lastPart: 0 }] })
  t.ok(text.endsWith('#EXTINF:0.2,\n101.m4s\n#EXT-X-ENDLIST\n'))
  t.notMatch(text, /PRELOAD-HINT|RENDITION-REPORT|SEGMENT-SHA256:undefined/)
})

test('independence is claimed only when every segment begins with an independent part', async (t) => {
  const view = rendition()
  view.push({ last: true })
  t.match(renderMediaPlaylist(view), /INDEPENDENT-SEGMENTS/)
  view.push({ independent: false, last: true })
  t.notMatch(renderMediaPlaylist(view), /INDEPENDENT-SEGMENTS/)
})

test('sound parts are all independent', async (t) => {
  const view = new FakeRendition(audioInfo, new Map())
  view.pushSegment(3)
  t.equal(renderMediaPlaylist(view).match(/INDEPENDENT=YES/g)?.length, 3)
})

test('hls-parser and m3u8-parser read the same thing', async (t) => {
  const view = rendition()
  for (let count = 0; count < 9; count += 1) view.pushSegment()
  view.push({ discontinuity: true, init: Buffer.from('new') })
  view.push()
  const text = renderMediaPlaylist(view, {
    reports: [{ rendition: 'audio', lastMsn: 9, lastPart: 4 }],
  })
  const parsed = HLS.parse(text) as HLS.types.MediaPlaylist
  t.equal(parsed.targetDuration, 2)
  t.equal(parsed.partTargetDuration, 0.2)
  t.equal(parsed.mediaSequenceBase, 100)
  t.equal(parsed.lowLatencyCompatibility?.canBlockReload, true)
  t.equal(parsed.lowLatencyCompatibility?.partHoldBack, 0.8)
  t.equal(parsed.segments.length, 10, 'nine whole ones and the open one')
  t.equal(parsed.segments[8]?.uri, '108.m4s')
  t.equal(parsed.segments[8]?.parts.length, 10)
  t.equal(parsed.segments[0]?.programDateTime?.toISOString(), '2026-01-01T00:00:00.000Z')
  t.equal(parsed.renditionReports[0]?.lastMSN, 9)
  t.equal(parsed.prefetchSegments.length, 0)
  const parser = new Parser()
  parser.push(text)
  parser.end()
  const { manifest } = parser
  t.equal(manifest.targetDuration, 2)
  t.equal(manifest.partTargetDuration, 0.2)
  t.equal(manifest.mediaSequence, 100)
  t.equal(manifest.segments.length, 9)
  t.equal(manifest.preloadSegment.parts.length, 2)
  t.equal(manifest.preloadSegment.preloadHints[0]?.uri, '109.2.m4s')
  t.equal(manifest.renditionReports[0]?.lastPart, 4)
  t.ok(manifest.serverControl.canBlockReload)
  const delta = new Parser()
  delta.push(renderMediaPlaylist(view, { skip: true }))
  delta.end()
  t.equal(delta.manifest.skip.skippedSegments, 2)
})

/** A step of a publisher: a part of some length, ending its segment or not, or the oldest segment leaving. */
const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('part'),
      us: fc.integer({ min: 170_000, max: 200_000 }),
      last: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('segment'),
      us: fc.constant(200_000),
      last: fc.constant(true),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('break'),
      us: fc.constant(90_000),
      last: fc.constant(true),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('evict'),
      us: fc.constant(0),
      last: fc.constant(false),
    }),
  },
)

function play(
  view: FakeRendition,
  { kind, us, last }: { kind: string; us: number; last: boolean },
): void {
  const open = view.entries.at(-1)
  const parts = open === undefined || open.endOfSegment ? 0 : open.part + 1
  const lengthUs = (from: number): number =>
    view.entries.filter(({ msn }) => msn >= from).reduce((sum, entry) => sum + entry.durationUs, 0)
  if (kind === 'evict') {
    if (lengthUs(view.head.firstMsn + 1) >= 6_200_000) view.evict()
  } else if (kind === 'segment' && parts === 0) {
    view.pushSegment()
  } else if (kind === 'break' && parts === 0) {
    view.push({
      durationUs: us,
      last,
      discontinuity: true,
      init: Buffer.from(`init ${view.version}`),
    })
  } else {
    view.push({ durationUs: us || 200_000, last: last || parts >= 9 })
  }
}

test('whatever a publisher does, the checker finds nothing and deltas add up', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 120 }), (steps) => {
      const view = rendition()
      const checker = new HlsChecker({ dateToleranceMs: 2 })
      let previous: string | undefined
      for (const each of steps) {
        play(view, each)
        if (view.entries.length === 0) continue
        const full = renderMediaPlaylist(view)
        checker.load(full)
        if (previous !== undefined) {
          checker.delta(renderMediaPlaylist(view, { skip: true }), previous, full)
        }
        previous = full
      }
      view.end()
      if (view.entries.length > 0) checker.load(renderMediaPlaylist(view))
      if (checker.findings.length > 0) throw new Error(JSON.stringify(checker.findings.slice(0, 3)))
    }),
    { numRuns: 150 },
  )
  t.pass('no counterexample')
})
