/** Following feeds under faults: when another provider is tried, what is thrown away, and that circles cannot form. */
import { test } from 'tap'
import { generateStreamKey } from '../../src/content/stream-key.ts'
import { FEED_PROTOCOL, HTTP_PROTOCOL } from '../../src/host/protocols.ts'
import { contentLimits } from '../../src/limits.ts'
import {
  type ContentPeer,
  MemorySequence,
  never,
  REPLICA_IDLE_MS,
  readWindow,
} from '../support/content-peer.ts'
import { settle } from '../support/manual-clock.ts'
import { frames, keyOf, network, request, serveRecorded } from '../support/raw-feed.ts'

test('following', async (t) => {
  await t.test('a provider that is behind does not take the index back', async (t) => {
    const { net, start, clock, directory } = await network()
    const [a, b] = (await Promise.all(['a', 'b'].map(start))) as [ContentPeer, ContentPeer]
    const publisher = a.publish({})
    const original = await publisher.publication.rendition('source')
    const windows = [original.window]
    const publish = (): void => {
      publisher.part()
      windows.push(original.window)
    }
    for (let index = 0; index < 20; index += 1) publish()
    const stream = await b.replicas.open('test', { signal: never })
    const rendition = await stream.rendition('source', { signal: never })
    t.equal(rendition.entries.length, 20)
    net.kill('a')
    publish()
    const behind = { windows: windows.slice(8), bytes: (digest: string) => a.store.peek(digest) }
    await serveRecorded(net, 'x', { ...behind, route: ['x', 'y'] })
    directory.seenBy('x').provide(publisher.publication.record.id)
    const lengths: number[] = []
    rendition.onChange(({ window }) => lengths.push(window.entries.length))
    await clock.pass(2_000)
    t.equal(stream.sourcePeer, 'x')
    t.same(stream.route('source'), ['b', 'x', 'y'])
    t.same(lengths, [21])
    t.same(rendition.entries, original.entries)
    t.equal(await b.metric('kairo_feed_mismatches_total'), 0)
    await b.stop()
  })

  await t.test('a route that leads back is not followed, nor served', async (t) => {
    const { net, start, clock, directory } = await network()
    const [a, b] = (await Promise.all(['a', 'b'].map(start))) as [ContentPeer, ContentPeer]
    const publisher = a.publish({})
    publisher.parts(5)
    const stream = await b.replicas.open('test', { signal: never })
    const rendition = await stream.rendition('source', { signal: never })
    t.same(await frames(await request(net, 'a', 'b', { publicKey: keyOf(publisher) })), [
      'end ERR_NO_PROVIDER',
    ])
    net.kill('a')
    directory.seenBy('a').cancel(publisher.publication.record.id)
    await settle()
    t.same(await frames(await request(net, 'z', 'b', { publicKey: keyOf(publisher) })), [
      'end ERR_NO_PROVIDER',
    ])
    const recorded = {
      windows: [rendition.window],
      bytes: (digest: string) => a.store.peek(digest),
    }
    for (const route of [
      ['x', 'b', 'a'],
      ['y', 'a'],
      Array.from({ length: contentLimits.feedHopsMax + 1 }, () => 'x'),
    ]) {
      await serveRecorded(net, 'x', { ...recorded, route })
      directory.seenBy('x').provide(publisher.publication.record.id)
      await clock.pass(6_000)
      t.not(stream.status, 'following', route.join())
      t.equal(stream.sourcePeer, undefined)
    }
    t.ok((await b.metric('kairo_feed_failures_total', { code: 'ERR_NO_PROVIDER' })) > 1)
    t.ok((await b.metric('kairo_feed_failures_total', { code: 'ERR_PROTOCOL' })) > 1)
    await serveRecorded(net, 'x', { ...recorded, route: ['x', 'a'] })
    await clock.pass(6_000)
    t.equal(stream.status, 'following')
    await b.stop()
  })

  await t.test('a sender that has lost its own source is left after a while', async (t) => {
    const { net, start, clock, directory } = await network()
    const [a, b] = (await Promise.all(['a', 'b'].map(start))) as [ContentPeer, ContentPeer]
    const publisher = a.publish({})
    publisher.parts(5)
    const c = await start('c')
    const atB = await b.replicas.open('test', { signal: never })
    await atB.rendition('source', { signal: never })
    net.separate('a', 'c')
    const atC = await c.replicas.open('test', { signal: never })
    await atC.rendition('source', { signal: never })
    t.equal(atC.sourcePeer, 'b')
    net.join('a', 'c')
    net.separate('a', 'b')
    directory.providers.get(publisher.publication.record.id)?.delete('c')
    await clock.pass(2_500)
    t.equal(atC.sourcePeer, 'b')
    t.equal(atC.status, 'connecting')
    await clock.pass(contentLimits.feedDetachedMsMax + 1_000)
    t.equal(atC.sourcePeer, 'a')
    t.equal(atC.status, 'following')
    await Promise.all([a, b, c].map((peer) => peer.stop()))
  })

  await t.test('a stalled upstream is left for another', async (t) => {
    const { net, start, clock } = await network(5)
    const [a, b, c] = (await Promise.all(['a', 'b', 'c'].map(start))) as [
      ContentPeer,
      ContentPeer,
      ContentPeer,
    ]
    const publisher = a.publish({})
    publisher.parts(10)
    const atB = await b.replicas.open('test', { signal: never })
    const first = atB.rendition('source', { signal: never })
    await clock.pass(100)
    await first
    net.separate('a', 'c')
    const atC = await c.replicas.open('test', { signal: never })
    const second = atC.rendition('source', { signal: never })
    await clock.pass(100)
    await second
    net.join('a', 'c')
    t.equal(atC.sourcePeer, 'b')
    net.silence('b')
    publisher.parts(10)
    await clock.pass(contentLimits.feedSilenceMsMax + 2_000)
    t.equal(atC.sourcePeer, 'a')
    t.ok(
      (await readWindow(atC, 'source')).equals(await readWindow(publisher.publication, 'source')),
    )
    t.equal(await c.metric('kairo_feed_failures_total', { code: 'ERR_TIMEOUT' }), 1)
    await Promise.all([a, b, c].map((peer) => peer.stop()))
  })

  await t.test('a publisher that pauses is not left: heartbeats show that it lives', async (t) => {
    const { net, start, clock } = await network()
    const [a, b] = (await Promise.all(['a', 'b'].map(start))) as [ContentPeer, ContentPeer]
    const publisher = a.publish({})
    publisher.parts(10)
    const atB = await b.replicas.open('test', { signal: never })
    await atB.rendition('source', { signal: never })
    await clock.pass(8_000)
    t.equal(net.opens('b', 'a', FEED_PROTOCOL), 1)
    t.equal(atB.status, 'following')
    await Promise.all([a, b].map((peer) => peer.stop()))
  })

  await t.test(
    'bytes that do not match are thrown away, counted and fetched elsewhere',
    async (t) => {
      const { net, start } = await network()
      const [a, b, c] = (await Promise.all(['a', 'b', 'c'].map(start))) as [
        ContentPeer,
        ContentPeer,
        ContentPeer,
      ]
      const publisher = a.publish({})
      publisher.parts(10)
      const atB = await b.replicas.open('test', { signal: never })
      await atB.rendition('source', { signal: never })
      const atC = await c.replicas.open('test', { signal: never })
      await atC.rendition('source', { signal: never })
      t.equal(atC.sourcePeer, 'a')
      let flips = 1
      net.tamper = (chunk, from, to) => {
        if (from !== 'a' || to !== 'c' || chunk.byteLength < 50_000 || flips === 0) return chunk
        flips -= 1
        chunk.writeUInt8(chunk.readUInt8(10_000) ^ 4, 10_000)
        return chunk
      }
      publisher.part({ bytes: 60_000 })
      await settle()
      t.equal(await c.metric('kairo_feed_mismatches_total'), 1)
      t.equal(net.opens('c', 'b', HTTP_PROTOCOL), 1, 'another provider first')
      t.equal(net.opens('c', 'a', HTTP_PROTOCOL), 0)
      t.ok(
        (await readWindow(atC, 'source')).equals(await readWindow(publisher.publication, 'source')),
      )
      t.equal(atC.sourcePeer, 'a', 'one bad object is no reason to leave')
      flips = contentLimits.feedMismatchesMax - 1
      for (let index = 0; index < contentLimits.feedMismatchesMax; index += 1) {
        publisher.part({ bytes: 60_000 })
        await settle()
      }
      t.equal(atC.sourcePeer, 'b', 'several are')
      t.equal(await c.metric('kairo_feed_failures_total', { code: 'ERR_VERIFICATION' }), 1)
      t.ok(
        (await readWindow(atC, 'source')).equals(await readWindow(publisher.publication, 'source')),
      )
      await Promise.all([a, b, c].map((peer) => peer.stop()))
    },
  )

  await t.test(
    'without a provider viewers are told, and a new record hurries the next attempt',
    async (t) => {
      const { net, start, clock, directory } = await network()
      const [a, b] = (await Promise.all(['a', 'b'].map(start))) as [ContentPeer, ContentPeer]
      await t.rejects(b.replicas.open('test', { signal: never }), { code: 'ERR_NOT_FOUND' })
      await t.rejects(b.replicas.open('test', { signal: AbortSignal.abort() }), {
        code: 'ERR_TIMEOUT',
      })
      const sequence = new MemorySequence()
      const key = generateStreamKey()
      const publisher = a.publish({ key, sequence })
      publisher.parts(10)
      const stream = await b.replicas.open('test', { signal: never })
      const rendition = await stream.rendition('source', { signal: never })
      await t.rejects(stream.rendition('none', { signal: never }), { code: 'ERR_NOT_FOUND' })
      net.kill('a')
      const waiting = rendition.wait(99, 0, { signal: never })
      waiting.catch(() => {})
      await clock.pass(contentLimits.replicaLostMs - 100)
      t.equal(stream.status, 'connecting')
      await clock.pass(200)
      t.equal(stream.status, 'lost')
      t.equal(stream.sourcePeer, undefined)
      await t.rejects(waiting, { code: 'ERR_NO_PROVIDER' })
      await t.rejects(rendition.wait(99, 0, { signal: never }), { code: 'ERR_NO_PROVIDER' })
      net.revive('a')
      const again = await start('a')
      const next = again.publish({ key, sequence: sequence.restart(20) })
      next.parts(4)
      b.replicas.recordChanged(key.id)
      b.replicas.recordChanged('unknown')
      await settle()
      t.equal(stream.status, 'following')
      t.equal(rendition.entries[0]?.msn, 21)
      t.equal(rendition.entries[0]?.discontinuity, true)
      t.equal(rendition.entries.length, 4)
      t.equal(directory.providers.get(key.id)?.has('b'), true)
      await Promise.all([again, b].map((peer) => peer.stop()))
      t.equal(directory.providers.get(key.id)?.has('b'), false)
    },
  )

  await t.test(
    'a stream that nobody can be reached for fails its first viewer after one round',
    async (t) => {
      const { net, start } = await network()
      const [a, b] = (await Promise.all(['a', 'b'].map(start))) as [ContentPeer, ContentPeer]
      a.publish({})
      net.separate('a', 'b')
      const stream = await b.replicas.open('test', { signal: never })
      await t.rejects(stream.rendition('source', { signal: never }), { code: 'ERR_NO_PROVIDER' })
      await t.rejects(stream.rendition('source', { signal: AbortSignal.abort() }), {
        code: 'ERR_TIMEOUT',
      })
      await Promise.all([a, b].map((peer) => peer.stop()))
      await t.rejects(stream.rendition('source', { signal: never }), { code: 'ERR_STOPPED' })
      await t.rejects(b.replicas.open('test', { signal: never }), { code: 'ERR_STOPPED' })
    },
  )

  await t.test(
    'followers whose publisher is gone do not follow each other in a circle',
    async (t) => {
      const { net, start, clock } = await network(10)
      const a = await start('a')
      const followers = await Promise.all(['b', 'c', 'd', 'e'].map(start))
      const publisher = a.publish({})
      publisher.parts(10)
      const streams = []
      for (const follower of followers) {
        const stream = await follower.replicas.open('test', { signal: never })
        streams.push(stream)
        const ready = stream.rendition('source', { signal: never })
        await clock.pass(200)
        await ready
      }
      net.kill('a')
      await clock.pass(3_000)
      for (let second = 0; second < 20; second += 1) {
        await clock.pass(1_000)
        for (const stream of streams) {
          t.not(stream.status, 'following', 'nobody is a way to the publisher')
          t.same(stream.route('source'), [])
        }
      }
      t.same(
        streams.map(({ status }) => status),
        ['lost', 'lost', 'lost', 'lost'],
      )
      await Promise.all(followers.map((peer) => peer.stop()))
    },
  )

  await t.test('a replica that nobody watches is given up', async (t) => {
    const { start, clock, directory } = await network()
    const [a, b] = (await Promise.all(['a', 'b'].map(start))) as [ContentPeer, ContentPeer]
    const publisher = a.publish({})
    publisher.parts(10)
    const { id } = publisher.publication.record
    const stream = await b.replicas.open('test', { signal: never })
    await stream.rendition('source', { signal: never })
    await clock.pass(REPLICA_IDLE_MS - 5_000)
    b.replicas.touch('test')
    b.replicas.touch('unknown')
    await clock.pass(REPLICA_IDLE_MS - 5_000)
    t.equal(b.replicas.get('test'), stream)
    t.equal(b.replicas.get(id), stream)
    t.equal(await b.metric('kairo_content_replicas'), 1)
    await clock.pass(REPLICA_IDLE_MS / 2)
    t.equal(b.replicas.get('test'), undefined)
    t.equal(await a.metric('kairo_feed_served'), 0)
    t.equal(directory.providers.get(id)?.has('b'), false)
    await Promise.all([a, b].map((peer) => peer.stop()))
    await clock.pass(REPLICA_IDLE_MS)
    t.equal(clock.timers, 0, 'nothing is left behind')
  })

  await t.test('objects outside the window are not asked of others', async (t) => {
    const { start, net } = await network()
    const [a, b] = (await Promise.all(['a', 'b'].map(start))) as [ContentPeer, ContentPeer]
    const publisher = a.publish({})
    publisher.parts(10)
    const stream = await b.replicas.open('test', { signal: never })
    await stream.rendition('source', { signal: never })
    await t.rejects(stream.read('0'.repeat(64), { signal: never }), { code: 'ERR_NOT_FOUND' })
    await t.rejects(publisher.publication.read('0'.repeat(64), { signal: never }), {
      code: 'ERR_NOT_FOUND',
    })
    t.equal(net.opens('b', 'a', HTTP_PROTOCOL), 0)
    b.replicas.addPublication(b.publish({ key: generateStreamKey() }).publication)
    await Promise.all([a, b].map((peer) => peer.stop()))
  })

  await t.test('an own stream is found by alias and id as long as it is served here', async (t) => {
    const { start, directory } = await network()
    const a = await start('a')
    const { publication } = a.publish({})
    const { id } = publication.record
    // Even where the directory knows nothing of it, as before its first publisher.
    directory.records.delete(id)
    t.equal(a.replicas.get('test'), publication)
    t.equal(a.replicas.get(id), publication)
    a.replicas.removePublication(publication)
    t.equal(a.replicas.get('test'), undefined)
    t.equal(a.replicas.get(id), undefined)
    await a.stop()
  })

  await t.test(
    'the number of replicas is limited; the one idle for longest makes room',
    async (t) => {
      const { start, clock, directory } = await network()
      const b = await start('b')
      for (let index = 0; index <= contentLimits.replicasMax + 1; index += 1) {
        const { id } = generateStreamKey()
        directory.records.set(id, {
          id,
          alias: `s${index}`,
          title: '',
          state: 'live',
          sequence: 1,
          renditions: [],
          originPeer: 'a',
          startedAtMs: 1,
          expiresAtMs: 1,
        })
      }
      for (let index = 0; index < contentLimits.replicasMax; index += 1) {
        await b.replicas.open(`s${index}`, { signal: never })
      }
      await t.rejects(b.replicas.open(`s${contentLimits.replicasMax}`, { signal: never }), {
        code: 'ERR_LIMIT',
      })
      t.equal(await b.metric('kairo_content_replicas_refused_total'), 1)
      clock.advance(REPLICA_IDLE_MS / 4 - 1)
      for (let index = 1; index < contentLimits.replicasMax; index += 1)
        b.replicas.touch(`s${index}`)
      clock.advance(2)
      await b.replicas.open(`s${contentLimits.replicasMax}`, { signal: never })
      t.equal(b.replicas.get('s0'), undefined)
      t.ok(b.replicas.get('s1'))
      await b.stop()
    },
  )
})
