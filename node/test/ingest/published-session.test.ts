/** What other rooms see of a publisher, and what they may add to its stream. */
import { test } from 'tap'
import type { AccessUnit, TrackConfig } from '../../src/media/access-unit.ts'
import type { SegmentCut, SessionListener } from '../../src/media/published-session.ts'
import type { PublicationSink } from '../../src/media/sink.ts'
import { audioConfig, interleave, pictures, sounds, videoConfig } from '../support/packaging-run.ts'
import { PublishedStream } from '../support/published-stream.ts'

/** Notes what a listener hears. */
class Recorder implements SessionListener {
  readonly configs: TrackConfig[] = []
  readonly units: { unit: AccessUnit; cut: SegmentCut | undefined }[] = []
  readonly reasons: string[] = []

  configured(config: TrackConfig): void {
    this.configs.push(config)
  }

  unit(unit: AccessUnit, cut: SegmentCut | undefined): void {
    this.units.push({ unit, cut })
  }

  ended(reason: string): void {
    this.reasons.push(reason)
  }

  get cuts(): SegmentCut[] {
    return this.units.flatMap(({ cut }) => (cut === undefined ? [] : [cut]))
  }
}

function send(sink: PublicationSink, fromMs: number, toMs: number): void {
  for (const { unit } of interleave(pictures(30, fromMs, toMs, 60), sounds(fromMs, toMs))) {
    if (unit !== undefined) void sink.write(unit)
  }
}

test('a listener hears everything on the stream’s timeline, with the cuts', async (t) => {
  const stream = new PublishedStream()
  const sink = stream.publish()
  const heard = new Recorder()
  stream.session.listen(heard)
  sink.configure(videoConfig())
  sink.configure(audioConfig())
  send(sink, 5_000, 13_000)
  t.same(
    heard.configs.map(({ kind }) => kind),
    ['video', 'audio'],
  )
  const first = heard.units[0]
  t.equal(first?.unit.dts, 0, 'times begin with the stream, not with the publisher')
  const entries = (await stream.publication.rendition('source')).entries
  const opening = entries.filter(({ part }) => part === 0)
  t.same(
    heard.cuts.map(({ msn, wallMs }) => [msn, Math.round(wallMs)]),
    opening.map(({ msn, programDateTimeMs }) => [msn, programDateTimeMs]),
  )
  t.ok(heard.units.every(({ unit, cut }) => cut === undefined || unit.keyframe))
  t.ok(heard.cuts.every(({ time }, index) => time === index * 2 * 90_000))
  sink.end('closed')
  t.same(heard.reasons, ['closed'])

  const late = new Recorder()
  stream.session.listen(late)
  t.same([late.configs.length, late.reasons], [2, ['closed']])
})

test('a derived rendition has the segments of its source', async (t) => {
  const stream = new PublishedStream()
  const sink = stream.publish()
  const { session } = stream
  const derived = session.derive({ name: '360p', kind: 'video', bandwidthBps: 500_000 })
  t.throws(() => session.derive({ name: '360p', kind: 'video', bandwidthBps: 1 }), {
    code: 'ERR_NAME_TAKEN',
  })
  t.throws(() => session.derive({ name: 'audio-2', kind: 'audio', bandwidthBps: 1 }), {
    code: 'ERR_NAME_TAKEN',
  })
  t.throws(() => session.derive({ name: 'No', kind: 'audio', bandwidthBps: 1 }), {
    code: 'ERR_INVALID_INPUT',
  })
  const delayed: AccessUnit[] = []
  session.listen({
    configured: (config) => {
      if (config.kind === 'video') derived.configure({ ...config, height: 180, width: 320 })
    },
    unit: (unit) => {
      if (unit.kind === 'video') delayed.push(unit)
      while (delayed.length > 40) derived.write(delayed.shift() as AccessUnit)
    },
    ended: () => {
      for (const unit of delayed) derived.write(unit)
    },
  })
  sink.configure(videoConfig())
  sink.configure(audioConfig())
  send(sink, 0, 9_000)
  t.same(
    stream.publication.record.renditions.map(({ name, width }) => [name, width]),
    [
      ['source', 640],
      ['audio', 0],
      ['360p', 320],
    ],
  )
  sink.end('closed')
  t.same(await stream.violations(['source', 'audio', '360p']), [])
  const [source, rung] = await Promise.all(['source', '360p'].map((name) => stream.checked(name)))
  const starts = (one: typeof source) =>
    one?.parts
      .filter(({ part }) => part === 0)
      .map(({ msn, programDateTimeMs }) => [msn, programDateTimeMs])
  t.same(starts(rung), starts(source))
  t.equal(rung?.parts.at(-1)?.endOfSegment, true, 'what the encoder had left is published')
  stream.clock.advance(10_000)
  t.same(stream.endings, ['main'])
  t.equal((await stream.publication.rendition('360p')).head.ended, true)
})
