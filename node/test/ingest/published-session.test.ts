/** What other rooms see of a publisher, and what they may add to its stream. */
import { test } from 'tap'
import { sessionLimits } from '../../src/limits/packaging.ts'
import { contentLimits } from '../../src/limits.ts'
import { type Logger, silentLogger } from '../../src/logger.ts'
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
  stream.clock.advance(sessionLimits.drainMs)
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

test('a listener or an observer that fails harms nobody else', async (t) => {
  const errors: unknown[] = []
  const failing = (): never => {
    throw new Error('not today')
  }
  const logger: Logger = {
    ...silentLogger,
    error: (about) => void errors.push(about),
    child: () => logger,
  }
  const stream = new PublishedStream({
    logger,
    observers: [{ sessionStarted: failing, streamEnded: failing }],
    endGraceMs: 0,
  })
  const sink = stream.publish()
  t.equal(errors.length, 1)
  const { session } = stream
  session.listen({ configured: () => {}, unit: failing, ended: failing })
  session.listen({ configured: failing, unit: failing, ended: failing })
  const heard = new Recorder()
  const stop = session.listen(heard)
  sink.configure(videoConfig())
  sink.configure(audioConfig())
  send(sink, 0, 3_000)
  t.equal(errors.length, 3, 'each failure is told once')
  t.ok(heard.units.length > 100)
  stop()
  sink.end('closed')
  t.same(heard.reasons, [], 'it does not listen any more')
  t.equal(errors.length, 4)
  t.same(stream.endings, ['main'])
})

test('listeners and renditions of a session are bounded', async (t) => {
  const stream = new PublishedStream()
  stream.publish()
  const { session } = stream
  for (let index = 0; index < sessionLimits.listenersMax; index++) session.listen(new Recorder())
  t.throws(() => session.listen(new Recorder()), { code: 'ERR_LIMIT' })
  const derive = (index: number) =>
    session.derive({ name: `rung-${index}`, kind: 'video', bandwidthBps: 1 })
  let index = 0
  t.throws(
    () => {
      for (; index < 100; index++) derive(index)
    },
    { code: 'ERR_LIMIT' },
  )
  t.equal(index, contentLimits.renditionsMax - sessionLimits.tracksMax - 1)
})

test('a derived rendition is taken off, and may come back', async (t) => {
  const stream = new PublishedStream()
  const sink = stream.publish()
  sink.expect({ audio: false })
  sink.configure(videoConfig())
  const { session } = stream
  const units: AccessUnit[] = []
  session.listen({ configured: () => {}, unit: (unit) => units.push(unit), ended: () => {} })
  const derive = () => {
    const made = session.derive({ name: '360p', kind: 'video', bandwidthBps: 400_000, label: 'L' })
    made.configure(videoConfig({ height: 180 }))
    return made
  }
  const flow = (to: { write(unit: AccessUnit): void }): void => {
    for (const unit of units.splice(0)) to.write(unit)
  }
  const first = derive()
  t.equal(first.position, undefined)
  for (const unit of pictures(30, 0, 5_000, 60)) void sink.write(unit)
  flow(first)
  t.ok(Math.abs((first.position ?? 0) - 5 * 90_000) < 200)
  t.match(stream.publication.record.renditions.at(-1), { name: '360p', label: 'L' })
  first.remove()
  first.remove()
  t.doesNotThrow(() => first.write(units[0] as AccessUnit), 'an encoder may not know yet')
  await t.rejects(stream.publication.rendition('360p'), { code: 'ERR_NOT_FOUND' })
  const second = derive()
  for (const unit of pictures(30, 0, 9_000, 60)) if (unit.dts >= 450_000) void sink.write(unit)
  flow(second)
  sink.end('closed')
  t.same(await stream.violations(['360p']), [])
  t.equal((await stream.checked('360p')).parts[0]?.msn, 3, 'with the first whole segment')
})

test('an encoder’s rest is published until the next publisher comes', async (t) => {
  const stream = new PublishedStream()
  const first = stream.publish()
  first.expect({ audio: false })
  first.configure(videoConfig())
  const made = stream.session.derive({ name: 'rung', kind: 'video', bandwidthBps: 1 })
  made.configure(videoConfig({ height: 180 }))
  const units: AccessUnit[] = []
  stream.session.listen({ configured: () => {}, unit: (unit) => units.push(unit), ended: () => {} })
  for (const unit of pictures(30, 0, 6_000, 60)) void first.write(unit)
  first.end('closed')
  for (const unit of units.slice(0, 100)) made.write(unit)
  t.equal((await stream.checked('rung')).parts.at(-1)?.endOfSegment, false)
  const second = stream.publish()
  t.equal((await stream.checked('rung')).parts.at(-1)?.endOfSegment, true)
  for (const unit of units.slice(100)) made.write(unit)
  second.expect({ audio: false })
  second.configure(videoConfig())
  const again = stream.session.derive({ name: 'rung', kind: 'video', bandwidthBps: 1 })
  again.configure(videoConfig({ height: 180 }))
  stream.session.listen({
    configured: () => {},
    unit: (unit) => again.write(unit),
    ended: () => {},
  })
  for (const unit of pictures(30, 0, 6_000, 60)) void second.write(unit)
  second.end('closed')
  stream.service.remove('main')
  const [source, rung] = await Promise.all(['source', 'rung'].map((name) => stream.checked(name)))
  t.equal(rung?.parts[0]?.msn, 3, 'it has left out a segment, so its window begins anew')
  const of = (one: typeof source) => one?.parts.filter(({ msn, part }) => msn >= 3 && part === 0)
  t.same(
    of(rung)?.map(({ msn, discontinuity }) => [msn, discontinuity]),
    of(source)?.map(({ msn, discontinuity }) => [msn, discontinuity]),
  )
})
