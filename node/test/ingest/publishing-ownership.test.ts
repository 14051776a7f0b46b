// A publisher is taken when its stream is, with real leases of a real region in virtual time: two peers that hold one stream's key.
import { Registry } from 'prom-client'
import { test } from 'tap'
import { groupOf } from '../../../tracker/src/region/shard-of.ts'
import { type GroupsClient, GroupsStage } from '../../../tracker/test/support/groups-stage.ts'
import { Publication } from '../../src/content/publication/publication.ts'
import { ContentStore } from '../../src/content/store/store.ts'
import { generateStreamKey } from '../../src/content/stream-key.ts'
import { StreamLeases } from '../../src/coordination/stream-leases.ts'
import { KairoError } from '../../src/errors.ts'
import { PublishingService } from '../../src/ingest/publishing.ts'
import type { OwnedStream, StreamKeys } from '../../src/ingest/stream-keys.ts'
import { streamLeaseLimits } from '../../src/limits/stream-leases.ts'
import { silentLogger } from '../../src/logger.ts'
import { PackagerMetrics } from '../../src/media/packager/packager-metrics.ts'
import type { PublicationSink, PublishRequest } from '../../src/media/sink.ts'
import { MemorySequence } from '../support/content-peer.ts'
import { audioConfig, pictures, sounds, videoConfig } from '../support/packaging-run.ts'

const key = generateStreamKey()
const stream: OwnedStream = {
  ...{ name: 'main', title: 'main', streamKey: 'secret', builtIn: false },
  key,
}

/** A peer with the stream's key, everything behind its publisher real. */
class Peer {
  readonly client: GroupsClient
  readonly publication: Publication
  readonly service: PublishingService
  readonly leases: StreamLeases
  readonly disconnects: string[] = []
  readonly ended: string[] = []
  yields = 0
  readonly #stage: Stage

  constructor(stage: Stage, init: { takeover?: 'reject' | 'replace'; endGraceMs?: number } = {}) {
    this.#stage = stage
    this.client = stage.connect()
    const { clock, peerId, coordination } = this.client
    const registry = new Registry()
    const base = { clock, registry, logger: silentLogger }
    const store = new ContentStore(base, { memoryBytesMax: 1e8, diskBytesMax: 0 })
    this.publication = new Publication(
      { ...base, store, sequence: new MemorySequence() },
      {
        ...{ key, alias: 'main', title: 'main', peerId, windowSegments: 15 },
        onYield: () => {
          this.yields += 1
        },
      },
    )
    const isConnected = (other: string): boolean => !stage.killed.has(other)
    const heardOwner = () => undefined
    this.leases = new StreamLeases({ ...base, coordination, peerId, isConnected, heardOwner })
    this.service = new PublishingService(
      {
        ...base,
        // Only the look-up by secret is used, and files are no part of this.
        keys: { bySecret: () => stream } as unknown as StreamKeys,
        packagerMetrics: new PackagerMetrics(registry),
        publicationOf: () => this.publication,
        ownership: this.leases,
        observers: [{ sessionStarted: () => {}, streamEnded: (name) => this.ended.push(name) }],
      },
      {
        ...{ partTargetMs: 200, segmentTargetMs: 2_000, takeover: 'reject', endGraceMs: 10_000 },
        ...init,
      },
    )
  }

  ask(init: Partial<PublishRequest> = {}): PublicationSink | Promise<PublicationSink> {
    return this.service.publish({
      ...{ streamKey: 'secret', protocol: 'rtmp', remote: '192.0.2.1:5000' },
      disconnect: (reason) => this.disconnects.push(reason),
      ...init,
    })
  }

  async publish(init: Partial<PublishRequest> = {}): Promise<PublicationSink> {
    return await this.#stage.clock.result(Promise.resolve(this.ask(init)))
  }

  kill(): void {
    this.#stage.network.isolate(this.client.peerId)
    this.#stage.killed.add(this.client.peerId)
    this.client.clock.pause()
  }

  async msns(): Promise<number[]> {
    const { entries } = await this.publication.rendition('source')
    return [...new Set(entries.map(({ msn }) => msn))]
  }
}

class Stage extends GroupsStage {
  readonly killed = new Set<string>()

  static async make(): Promise<Stage> {
    const stage = new Stage()
    await stage.found(3, [groupOf(`streams/${key.id}`)])
    return stage
  }
}

function send(sink: PublicationSink, seconds: number, fromS = 0): void {
  sink.expect({ video: true, audio: true })
  sink.configure(videoConfig())
  sink.configure(audioConfig())
  const units = [
    ...pictures(30, fromS * 1_000, (fromS + seconds) * 1_000, 30),
    ...sounds(fromS * 1_000, (fromS + seconds) * 1_000),
  ].sort((a, b) => a.dts - b.dts)
  for (const unit of units) void sink.write(unit)
}

test('a stream that was published at a killed peer goes on at another one, above its numbers', async (t) => {
  const stage = await Stage.make()
  const [a, b] = [new Peer(stage), new Peer(stage)]
  const first = await a.publish()
  t.equal(a.service.leaseOf('main'), 'confirmed')
  send(first, 9)
  await stage.clock.pass(2_000)
  const before = await a.msns()
  t.match(a.publication.record, { state: 'live', token: { term: Number, index: Number } })
  await t.rejects(b.publish(), { code: 'ERR_PUBLISHER_ACTIVE', message: /^the peer client-1 / })
  t.equal(b.service.leaseOf('main'), undefined)
  t.same(b.service.publishers(), [])
  a.kill()
  send(await b.publish(), 5)
  const after = await b.msns()
  t.ok(Math.min(...after) > Math.max(...before), `${before} then ${after}`)
  const entries = (await b.publication.rendition('source')).entries
  t.equal(entries[0]?.discontinuity, true, 'players are told of the break')
  t.ok((b.publication.record.token?.index ?? 0) > (a.publication.record.token?.index ?? 0))
  await stage.stop()
})

test('a publisher that comes back to its peer goes on where it was, with a token of its own', async (t) => {
  const stage = await Stage.make()
  const a = new Peer(stage)
  const first = await a.publish()
  send(first, 5)
  const token = a.publication.record.token
  first.end('closed')
  t.equal(a.service.leaseOf('main'), undefined, 'others may have it at once')
  await stage.clock.pass(100)
  const before = await a.msns()
  send(await a.publish(), 5)
  const after = await a.msns()
  t.same(after.slice(0, before.length), before, 'the same window')
  t.equal(after.length, (after.at(-1) ?? 0) - (after[0] ?? 0) + 1, 'and no number is left out')
  t.ok((a.publication.record.token?.index ?? 0) > (token?.index ?? 0))
  t.same(a.ended, [])
  await stage.stop()
})

test('a publisher may go to another peer by itself, and comes back to the first one later', async (t) => {
  const stage = await Stage.make()
  const [a, b] = [new Peer(stage), new Peer(stage)]
  const first = await a.publish()
  send(first, 5)
  const atA = await a.msns()
  first.end('closed')
  await stage.clock.pass(100)
  const second = await b.publish()
  send(second, 5)
  const atB = await b.msns()
  t.equal(atB[0], (atA.at(-1) ?? 0) + 1, 'without a gap: nothing was lost')
  a.service.yieldTo('main', b.client.peerId)
  t.equal(a.yields, 1)
  t.same(a.ended, ['main'])
  await t.rejects(a.publication.rendition('source'), { code: 'ERR_NOT_FOUND' })
  await stage.clock.pass(20_000)
  t.notOk(b.service.leaseOf('main') === undefined)
  second.end('closed')
  await stage.clock.pass(100)
  send(await a.publish(), 5)
  const again = await a.msns()
  t.equal(again[0], (atB.at(-1) ?? 0) + 1)
  t.equal((await a.publication.rendition('source')).entries[0]?.discontinuity, true)
  await stage.stop()
})

test('a publication ends without an end when another peer owns the stream', async (t) => {
  const stage = await Stage.make()
  const [a, b] = [new Peer(stage, { endGraceMs: 0 }), new Peer(stage)]
  stage.network.isolate(a.client.peerId)
  send(await a.publish(), 5)
  t.equal(a.service.leaseOf('main'), 'unconfirmed')
  t.equal(a.publication.record.token, undefined)
  const rendition = await a.publication.rendition('source')
  const waiting = rendition.wait(1_000, 0, { signal: new AbortController().signal })
  const sentAway = t.rejects(waiting, { code: 'ERR_NO_PROVIDER' })
  await b.publish()
  stage.network.heal()
  await stage.clock.until(() => a.disconnects.length > 0, 10_000)
  t.same(a.disconnects, [`the peer ${b.client.peerId} publishes this stream`])
  t.same(a.service.publishers(), [])
  t.equal(a.yields, 1)
  t.notOk(rendition.head.ended, 'players must not stop')
  await sentAway
  await stage.clock.pass(30_000)
  t.equal(a.yields, 1)
  await stage.stop()
})

test('without an answer a publisher is taken, and its record gets its token later', async (t) => {
  const stage = await Stage.make()
  const a = new Peer(stage)
  for (const { peerId } of stage.members) stage.network.isolate(peerId)
  send(await a.publish(), 5)
  t.equal(a.service.leaseOf('main'), 'unconfirmed')
  stage.network.heal()
  await stage.clock.until(() => a.service.leaseOf('main') === 'confirmed', 20_000)
  t.match(a.publication.record, { state: 'live', token: { term: Number } })
  t.same(a.disconnects, [])
  await stage.stop()
})

test('who replaces a publisher at the same peer takes its lease over, without asking', async (t) => {
  const stage = await Stage.make()
  const a = new Peer(stage, { takeover: 'replace' })
  await a.publish()
  const { token } = a.publication.record
  const second = a.ask()
  t.notOk(second instanceof Promise)
  t.same(a.disconnects, ['replaced'])
  t.equal(a.service.leaseOf('main'), 'confirmed')
  t.same(a.publication.record.token, token)
  await stage.clock.pass(streamLeaseLimits.ttlMs * 3)
  t.equal(a.service.leaseOf('main'), 'confirmed', 'and keeps it')
  await stage.stop()
})

test('one publisher at a time waits for a stream', async (t) => {
  const stage = await Stage.make()
  const strict = new Peer(stage)
  const asked = strict.ask()
  t.ok(asked instanceof Promise)
  t.throws(() => strict.ask(), { code: 'ERR_PUBLISHER_ACTIVE' })
  ;(await stage.clock.result(Promise.resolve(asked))).end('closed')
  await stage.clock.pass(100)
  const lenient = new Peer(stage, { takeover: 'replace' })
  const early = Promise.resolve(lenient.ask())
  const later = Promise.resolve(lenient.ask())
  await t.rejects(stage.clock.result(early), { code: 'ERR_PUBLISHER_ACTIVE' })
  await stage.clock.result(later)
  t.equal(lenient.service.publishers().length, 1)
  await stage.stop()
})

test('nobody is taken who is gone, whose stream is gone, or whose peer stops', async (t) => {
  const stage = await Stage.make()
  const a = new Peer(stage)
  const gone = new AbortController()
  const asked = Promise.resolve(a.ask({ signal: gone.signal }))
  gone.abort(new KairoError('ERR_STOPPED', 'the client has gone'))
  await t.rejects(stage.clock.result(asked), { message: 'the client has gone' })
  const removed = Promise.resolve(a.ask())
  a.service.remove('main')
  await t.rejects(stage.clock.result(removed), { code: 'ERR_NOT_FOUND' })
  const late = Promise.resolve(a.ask())
  a.service.stop()
  await t.rejects(stage.clock.result(late), { code: 'ERR_STOPPED' })
  t.throws(() => a.ask(), { code: 'ERR_STOPPED' })
  t.same(a.service.publishers(), [])
  await stage.clock.pass(streamLeaseLimits.ttlMs * 2)
  t.ok(await new Peer(stage).publish(), 'nothing is held')
  await stage.stop()
})
