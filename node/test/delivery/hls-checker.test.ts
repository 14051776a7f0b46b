/** The checker finds each broken rule: a good series of loads is spoilt in one place at a time. */
import { test } from 'tap'
import { FakeRendition, videoInfo } from '../support/fake-stream.ts'
import { applyDelta, HlsChecker } from '../support/hls-checker.ts'
import { renderMediaPlaylist } from '../support/playlist-text.ts'

/** Two loads, the second with one segment less at the front, one part more at the end, and a discontinuity gone. */
function loads(): { before: string; after: string } {
  const view = new FakeRendition(videoInfo, new Map())
  view.pushSegment(10, { init: Buffer.from('a') })
  view.push({ discontinuity: true, init: Buffer.from('b') })
  for (let count = 1; count < 10; count += 1) view.push({ last: count === 9 })
  for (let count = 0; count < 9; count += 1) view.pushSegment()
  view.push()
  view.evict()
  const reports = [{ rendition: 'audio', lastMsn: 110, lastPart: 5 }]
  const before = renderMediaPlaylist(view, { reports })
  view.push()
  view.evict()
  return { before, after: renderMediaPlaylist(view, { reports }) }
}

/** Rules that a spoilt second load breaks. */
function broken(spoil: (after: string, before: string) => string): string[] {
  const { before, after } = loads()
  const spoilt = spoil(after, before)
  if (spoilt === after) throw new Error('the test spoils nothing')
  const checker = new HlsChecker().load(before).load(spoilt)
  return [...new Set(checker.findings.map(({ rule }) => rule))].sort()
}

test('nothing is wrong with the loads themselves', async (t) => {
  const { before, after } = loads()
  t.same(new HlsChecker().load(before).load(after).findings, [])
})

test('each rule finds what breaks it', async (t) => {
  const replace =
    (from: string | RegExp, to: string) =>
    (text: string): string =>
      text.replace(from, to)
  const cases: [string, (after: string, before: string) => string][] = [
    ['syntax', replace('#EXT-X-PART-INF', '#EXT-X-NEWS:1\n#EXT-X-PART-INF')],
    ['syntax', replace(/\n$/, '')],
    ['once', replace('#EXT-X-VERSION:9', '#EXT-X-VERSION:9\n#EXT-X-VERSION:9')],
    ['once', replace(/#EXT-X-PART-INF.*\n/, '')],
    ['version', replace('VERSION:9', 'VERSION:3')],
    ['target-duration', replace('#EXTINF:2.0', '#EXTINF:2.6')],
    ['part-target', replace('DURATION=0.2,', 'DURATION=0.201,')],
    ['part-minimum', replace('DURATION=0.2,', 'DURATION=0.1,')],
    ['part-sum', replace('DURATION=0.2,', 'DURATION=0.199,')],
    ['part-list', replace(/(#EXT-X-PART:[^\n]*\n)+/, '')],
    ['part-names', replace('.3.m4s', '.4.m4s')],
    ['part-names', replace('\n108.m4s', '\n107.m4s')],
    ['server-control', replace('HOLD-BACK=6.0', 'HOLD-BACK=5.9')],
    ['server-control', replace('PART-HOLD-BACK=0.8', 'PART-HOLD-BACK=0.5')],
    ['server-control', replace('CAN-SKIP-UNTIL=12.0', 'CAN-SKIP-UNTIL=11')],
    ['server-control', replace('CAN-BLOCK-RELOAD=YES,', '')],
    ['hint', replace(/(PRELOAD-HINT.*)\.2\.m4s/, '$1.3.m4s')],
    ['hint', replace(/#EXT-X-PRELOAD-HINT.*\n/, '')],
    ['map', replace(/#EXT-X-MAP.*\n/, '')],
    ['map', replace('#EXT-X-PART:', '#EXT-X-MAP:URI="c.mp4"\n#EXT-X-PART:')],
    ['date', replace('00:00:10.000Z', '00:00:10.500Z')],
    ['independent', replace(',INDEPENDENT=YES', '')],
    ['digests', replace(/X-KAIRO-SHA256="[0-9a-f]/, 'X-KAIRO-SHA256="')],
    ['digests', replace(/SIGNATURE:./, 'SIGNATURE:')],
    ['reports', replace('LAST-PART=5', 'LAST-PART=4')],
    ['reports', replace(',LAST-PART=5', '')],
    ['sequence', replace('MEDIA-SEQUENCE:102', 'MEDIA-SEQUENCE:100')],
    ['removal', replace(/#EXT-X-PROGRAM-DATE-TIME[^\n]*:06[\s\S]*?106\.m4s\n/, '')],
    ['immutable', replace(/SEGMENT-SHA256:..../, 'SEGMENT-SHA256:0000')],
    ['targets', replace('TARGETDURATION:2', 'TARGETDURATION:3')],
    ['targets', replace('PART-TARGET=0.2', 'PART-TARGET=0.25')],
    ['discontinuity-sequence', replace('DISCONTINUITY-SEQUENCE:1', 'DISCONTINUITY-SEQUENCE:0')],
  ]
  for (const [rule, spoil] of cases) {
    const rules = broken(spoil)
    t.ok(rules.includes(rule), `${rule} among ${rules.join()}`)
  }
})

test('a playlist that goes on after its end', async (t) => {
  const view = new FakeRendition(videoInfo, new Map())
  for (let count = 0; count < 4; count += 1) view.pushSegment()
  const live = renderMediaPlaylist(view)
  view.end()
  const checker = new HlsChecker().load(renderMediaPlaylist(view)).load(live)
  t.same(
    checker.findings.map(({ rule }) => rule),
    ['endlist'],
  )
})

test('a delta update that skips too much or says the wrong thing', async (t) => {
  const view = new FakeRendition(videoInfo, new Map())
  for (let count = 0; count < 10; count += 1) view.pushSegment()
  const before = renderMediaPlaylist(view)
  view.push()
  const full = renderMediaPlaylist(view)
  const delta = renderMediaPlaylist(view, { skip: true })
  t.equal(applyDelta(before, delta), full)
  const rules = (text: string): string[] =>
    new HlsChecker().delta(text, before, full).findings.map(({ rule }) => rule)
  t.same(rules(delta), [])
  t.same(rules(full), [])
  t.same(rules(before), ['skip'])
  t.same(rules(delta.replace('SEGMENTS=3', 'SEGMENTS=2')), ['skip'])
  t.same(rules(delta.replace('VERSION:9', 'VERSION:8')), ['version', 'skip'])
  const more = delta
    .replace('SEGMENTS=3', 'SEGMENTS=5')
    .replace(/(SKIPPED-SEGMENTS=5\n)[\s\S]*?104\.m4s\n/, '$1')
  t.same(rules(more), ['skip'], 'adds up, but reaches into the Skip Boundary')
})
