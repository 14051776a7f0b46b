/** What comes and goes while a stream is followed at another peer: captions, and renditions that are taken off. */
import { test } from 'tap'
import { digestOf } from '../../../src/content/digest.ts'
import { audioInfo, never, readWindow, sourceInfo } from '../../support/content-peer.ts'
import { settle } from '../../support/manual-clock.ts'
import { network } from '../../support/raw-feed.ts'

const captionsInfo = {
  ...audioInfo,
  name: 'captions-en',
  kind: 'captions',
  codecs: 'wvtt',
  channels: 0,
  language: 'en',
  label: 'English',
} as const

test('captions, which have no init segment, are followed like everything else', async (t) => {
  const { start } = await network()
  const [a, b] = await Promise.all(['a', 'b'].map(start))
  t.ok(a !== undefined && b !== undefined)
  if (a === undefined || b === undefined) return
  const { publication } = a.publish({})
  const setup = { partTargetUs: 2_000_000, targetDurationS: 2, discontinuitiesBefore: 0 }
  publication.setRenditions([
    { ...setup, info: sourceInfo },
    { ...setup, info: captionsInfo },
  ])
  const addSegment = (msn: number): void =>
    publication.addPart({
      rendition: 'captions-en',
      msn,
      part: 0,
      data: Buffer.from(`WEBVTT ${msn}\n`),
      durationUs: 2_000_000,
      independent: true,
      endOfSegment: true,
      programDateTimeMs: 1_700_000_000_000 + msn * 2_000,
      discontinuity: false,
      init: Buffer.alloc(0),
    })
  addSegment(0)
  const stream = await b.replicas.open('test', { signal: never })
  const rendition = await stream.rendition('captions-en', { signal: never })
  const waiting = rendition.wait(1, 0, { signal: never })
  addSegment(1)
  await waiting
  t.equal((await readWindow(stream, 'captions-en')).toString(), 'WEBVTT 0\nWEBVTT 1\n')
  t.equal(rendition.entries[0]?.initDigest, digestOf(Buffer.alloc(0)))
  t.equal(await b.metric('kairo_feed_mismatches_total'), 0)

  publication.dropRendition('captions-en')
  await settle()
  const source = await stream.rendition('source', { signal: never })
  t.equal(source.head.ended, false, 'the rest of the stream goes on')
  await b.stop()
})
