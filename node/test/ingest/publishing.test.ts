// Who may publish, when one publisher gives way to another, when a stream ends, and how fast publishers are read.
import { Registry } from 'prom-client'
import { test } from 'tap'
import { Publication } from '../../src/content/publication/publication.ts'
import { ContentStore } from '../../src/content/store/store.ts'
import { PublishingService } from '../../src/ingest/publishing.ts'
import { type OwnedStream, StreamKeys } from '../../src/ingest/stream-keys.ts'
import { publishingLimits } from '../../src/limits.ts'
import { silentLogger } from '../../src/logger.ts'
import { PackagerMetrics } from '../../src/media/packager/packager-metrics.ts'
import type { PublicationSink } from '../../src/media/sink.ts'
import { MemorySequence } from '../support/content-peer.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { audioConfig, pictures, sounds, videoConfig } from '../support/packaging-run.ts'

interface SetUp {
  readonly clock: ManualClock
  readonly service: PublishingService
  readonly stream: OwnedStream
  readonly keys: StreamKeys
  readonly publication: Publication
  readonly publish: (key?: string) => { sink: PublicationSink; disconnects: string[] }
}

function setUp(
  folder: string,
  init: { takeover?: 'reject' | 'replace'; endGraceMs?: number } = {},
): SetUp {
  const clock = new ManualClock()
  const registry = new Registry()
  const keys = new StreamKeys(folder)
  const stream = keys.create({ name: 'main' })
  const store = new ContentStore(
    { clock, logger: silentLogger, registry },
    { memoryBytesMax: 1e8, diskBytesMax: 0 },
  )
  const publications = new Map<string, Publication>()
  const publicationOf = ({ name, key }: OwnedStream): Publication => {
    const known = publications.get(name)
    if (known !== undefined) return known
    const made = new Publication(
      { clock, registry, store, sequence: new MemorySequence() },
      { key, alias: name, title: name, peerId: 'me', windowSegments: 15 },
    )
    publications.set(name, made)
    return made
  }
  const packagerMetrics = new PackagerMetrics(registry)
  const service = new PublishingService(
    { clock, logger: silentLogger, registry, keys, packagerMetrics, publicationOf },
    { partTargetMs: 200, segmentTargetMs: 2_000, takeover: 'reject', endGraceMs: 10_000, ...init },
  )
  const publish = (key = stream.streamKey) => {
    const disconnects: string[] = []
    const sink = service.publish({
      streamKey: key,
      protocol: 'rtmp',
      remote: '192.0.2.1:5000',
      disconnect: (reason) => disconnects.push(reason),
    })
    if (sink instanceof Promise) throw new Error('nobody else is asked here')
    return { sink, disconnects }
  }
  return { clock, service, stream, keys, publication: publicationOf(stream), publish }
}

function send(sink: PublicationSink, seconds: number): void {
  sink.expect({ video: true, audio: false })
  sink.configure(videoConfig())
  for (const unit of pictures(30, 0, seconds * 1_000, 30)) void sink.write(unit)
}

test('a wrong key opens nothing', async (t) => {
  const { publish } = setUp(t.testdir({}))
  t.throws(() => publish('nonsense'), { code: 'ERR_STREAM_KEY' })
})

test('what is published becomes parts, and a gap shorter than the grace does not end the stream', async (t) => {
  const { clock, service, publication, publish } = setUp(t.testdir({}))
  const first = publish()
  send(first.sink, 3)
  t.equal(publication.record.state, 'live')
  const rendition = await publication.rendition('source')
  const before = rendition.entries.at(-1)?.msn ?? 0
  first.sink.end('closed')
  t.same(service.publishers(), [])
  clock.advance(9_999)
  t.equal(publication.record.state, 'live')
  send(publish().sink, 3)
  clock.advance(60_000)
  t.equal(publication.record.state, 'live', 'the second publisher has stopped the countdown')
  const again = rendition.entries.find(({ msn }) => msn === before + 1)
  t.match(again, { part: 0, discontinuity: true }, 'numbers go on, with a discontinuity')
})

test('a stream ends when its publisher stays away, and a later one begins anew', async (t) => {
  const { clock, publication, publish } = setUp(t.testdir({}))
  const { sink } = publish()
  send(sink, 2)
  sink.end('closed')
  sink.end('closed')
  clock.advance(10_000)
  t.equal(publication.record.state, 'ended')
  t.equal((await publication.rendition('source')).head.ended, true)
  send(publish().sink, 2)
  t.equal(publication.record.state, 'live')
})

test('a stream that fails takes its publisher with it, and nothing else', async (t) => {
  const { service, publication, publish } = setUp(t.testdir({}))
  const first = publish()
  send(first.sink, 2)
  publication.addPart = () => {
    throw new RangeError('no part fits')
  }
  const goOn = (): void => {
    for (const unit of pictures(30, 2_000, 4_000, 30)) void first.sink.write(unit)
  }
  t.throws(goOn, { message: 'no part fits' })
  t.doesNotThrow(() => first.sink.end('error'), 'the parts left over fail like those before')
  t.same(service.publishers(), [])
  t.doesNotThrow(() => publish(), 'the next publisher is admitted')
  t.doesNotThrow(() => service.stop())
})

test('without a grace time the stream ends with its publisher', async (t) => {
  const { publication, publish } = setUp(t.testdir({}), { endGraceMs: 0 })
  const { sink } = publish()
  send(sink, 2)
  sink.end('closed')
  t.equal(publication.record.state, 'ended')
})

test('a second publisher is refused, unless the first has fallen silent', async (t) => {
  const { clock, service, publish } = setUp(t.testdir({}))
  const first = publish()
  send(first.sink, 1)
  t.throws(() => publish(), { code: 'ERR_PUBLISHER_ACTIVE' })
  t.same(first.disconnects, [])
  clock.advance(publishingLimits.silentPublisherMs + 1)
  publish()
  t.same(first.disconnects, ['replaced'])
  t.equal(service.publishers().length, 1)
})

test('with takeover a second publisher replaces the first at once', async (t) => {
  const { publish } = setUp(t.testdir({}), { takeover: 'replace' })
  const first = publish()
  publish()
  t.same(first.disconnects, ['replaced'])
})

test('an operator ends a publisher, or the whole stream', async (t) => {
  const { service, publication, publish } = setUp(t.testdir({}))
  t.throws(() => service.disconnect('main', 'operator'), { code: 'ERR_NOT_FOUND' })
  const first = publish()
  send(first.sink, 2)
  service.disconnect('main', 'operator')
  t.same(first.disconnects, ['operator'])
  t.equal(publication.record.state, 'live')
  const second = publish()
  service.remove('main')
  t.same(second.disconnects, ['removed'])
  t.equal(publication.record.state, 'ended')
  service.remove('main')
})

test('a stop ends publishers, keeps streams open for the next start, and admits nobody', async (t) => {
  const { clock, service, publication, publish } = setUp(t.testdir({}))
  const { sink, disconnects } = publish()
  send(sink, 2)
  service.stop()
  t.same(disconnects, ['stopping'])
  clock.advance(60_000)
  t.equal(publication.record.state, 'live')
  t.throws(() => publish(), { code: 'ERR_STOPPED' })
})

test('the number of publishers is bounded', async (t) => {
  const { keys, publish } = setUp(t.testdir({}))
  for (let index = 0; index < publishingLimits.publishersMax; index += 1) {
    publish(keys.create({ name: `s${index}` }).streamKey)
  }
  t.throws(() => publish(), { code: 'ERR_LIMIT' })
})

test('a publisher ahead of real time waits; a jump of its timestamps and a pause are no debt', async (t) => {
  const { clock, publish } = setUp(t.testdir({}))
  const { sink } = publish()
  sink.expect({ video: true, audio: false })
  sink.configure(videoConfig())
  const [unit] = pictures(30, 0, 40, 30)
  t.ok(unit)
  if (unit === undefined) return
  const write = (seconds: number) =>
    sink.write({ ...unit, dts: unit.dts + seconds * 90_000, pts: unit.pts + seconds * 90_000 })
  t.equal(write(0), undefined)
  t.equal(write(publishingLimits.leadMsMax / 1_000 - 0.5), undefined)
  const wait = write(publishingLimits.leadMsMax / 1_000 + 1)
  t.ok(wait)
  let waited = false
  void wait?.then(() => {
    waited = true
  })
  clock.advance(999)
  await settle()
  t.notOk(waited)
  clock.advance(1)
  await settle()
  t.ok(waited)
  t.equal(write(3_600), undefined, 'a jump ahead')
  t.equal(write(3_600.1), undefined)
  clock.advance(20_000)
  t.equal(write(3_600.2), undefined, 'late after a pause')
  t.ok(write(3_600.2 + publishingLimits.leadMsMax / 1_000 + 0.1), 'the pause has earned no lead')
})

test('the bit rate is what came in the last seconds', async (t) => {
  const { clock, service, publish } = setUp(t.testdir({}))
  const { sink } = publish()
  sink.expect({ video: true, audio: false })
  sink.configure(videoConfig())
  for (const unit of pictures(30, 0, 4_000, 30)) {
    void sink.write({ ...unit, data: Buffer.alloc(1_000, 1) })
    clock.advance(1_000 / 30)
  }
  const [info] = service.publishers()
  t.match(info, { stream: 'main', protocol: 'rtmp', remote: '192.0.2.1:5000' })
  t.ok(Math.abs((info?.bitrateBps ?? 0) - 240_000) < 5_000)
})

test('a picture that comes long after the sound joins it in the same segments', async (t) => {
  const { publication, publish } = setUp(t.testdir({}))
  const { sink } = publish()
  sink.configure(audioConfig())
  for (const unit of sounds(0, 5_000)) void sink.write(unit)
  sink.configure(videoConfig())
  const late = [...pictures(30, 5_000, 12_000, 60)]
  for (const unit of [...late, ...sounds(5_000, 12_000)].sort((a, b) => a.dts - b.dts)) {
    void sink.write(unit)
  }
  sink.end('closed')
  const audio = await publication.rendition('audio')
  const source = await publication.rendition('source')
  const [first] = source.entries
  t.match(first, { part: 0, independent: true, discontinuity: true })
  t.match(
    audio.entry(first?.msn ?? -1, 0),
    { discontinuity: true },
    'both count it at the same segment',
  )
  t.equal(source.entries.at(-1)?.msn, audio.entries.at(-1)?.msn)
  t.equal(source.head.discontinuitySequence, audio.head.discontinuitySequence)
})
