/** Replication between the content planes of several peers, on an in-memory network with a virtual clock. */
import { test } from 'tap'
import { FEED_PROTOCOL, HTTP_PROTOCOL } from '../../../src/host/protocols.ts'
import {
  audioInfo,
  ContentPeer,
  never,
  readWindow,
  SharedDirectory,
  sourceInfo,
} from '../../support/content-peer.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { MemoryNet } from '../../support/memory-transport.ts'

async function network(peers: readonly string[], latencyMs = 0) {
  const clock = new ManualClock()
  const net = new MemoryNet({ clock, latencyMs })
  const directory = new SharedDirectory()
  const shared = { clock, net, directory }
  const made = await Promise.all(peers.map((id) => new ContentPeer(id, shared).start()))
  return {
    clock,
    net,
    directory,
    peers: made as [ContentPeer, ContentPeer, ContentPeer, ContentPeer],
  }
}

test('replica', async (t) => {
  await t.test('a second peer has the same entries and the same bytes', async (t) => {
    const {
      clock,
      peers: [a, b],
    } = await network(['a', 'b'])
    const publisher = a.publish({})
    publisher.parts(25)
    const stream = await b.replicas.open('test', { signal: never })
    t.equal(stream.status, 'connecting')
    const rendition = await stream.rendition('source', { signal: never })
    await clock.pass(10)
    t.equal(stream.status, 'following')
    t.equal(stream.sourcePeer, 'a')
    publisher.parts(7)
    await clock.pass(10)
    const original = await publisher.publication.rendition('source')
    t.same(rendition.entries, original.entries)
    t.same(rendition.head, original.head)
    t.same(rendition.signature, original.signature)
    t.ok(
      (await readWindow(stream, 'source')).equals(
        await readWindow(publisher.publication, 'source'),
      ),
    )
    publisher.publication.end()
    await clock.pass(10)
    t.equal(rendition.head.ended, true)
    await Promise.all([a.stop(), b.stop()])
  })

  await t.test('viewers share one feed and one fetch', async (t) => {
    const {
      clock,
      net,
      peers: [a, b],
    } = await network(['a', 'b'], 5)
    const publisher = a.publish({})
    publisher.parts(100)
    const opened = await Promise.all([
      b.replicas.open('test', { signal: never }),
      b.replicas.open(publisher.publication.record.id, { signal: never }),
    ])
    t.equal(opened[0], opened[1])
    const [stream] = opened
    const renditions = Promise.all(
      [1, 2, 3].map(() => stream.rendition('source', { signal: never })),
    )
    await clock.pass(100)
    const [rendition] = await renditions
    t.equal(net.opens('b', 'a', FEED_PROTOCOL), 1)
    const oldest = rendition?.entries[0]?.digest ?? ''
    const reads = Promise.all([1, 2, 3].map(() => stream.read(oldest, { signal: never })))
    await clock.pass(100)
    t.equal((await reads).length, 3)
    t.equal(net.opens('b', 'a', HTTP_PROTOCOL), 1)
    const newest = rendition?.entries.at(-1)?.digest ?? ''
    await stream.read(newest, { signal: never })
    t.equal(net.opens('b', 'a', HTTP_PROTOCOL), 1, 'what the feed brought is not fetched')
    await Promise.all([a.stop(), b.stop()])
  })

  await t.test('an object that the feed is about to bring is waited for', async (t) => {
    const {
      clock,
      net,
      peers: [a, b],
    } = await network(['a', 'b'], 50)
    const publisher = a.publish({})
    publisher.parts(30, { bytes: 200_000 })
    const stream = await b.replicas.open('test', { signal: never })
    const pending = stream.rendition('source', { signal: never })
    await clock.pass(160)
    const rendition = await pending
    const last = rendition.entries.at(-1)?.digest ?? ''
    t.equal(stream.peek(last), undefined)
    const read = stream.read(last, { signal: never })
    await clock.pass(2_000)
    t.equal((await read).byteLength, 200_000)
    t.equal(net.opens('b', 'a', HTTP_PROTOCOL), 0)
    await Promise.all([a.stop(), b.stop()])
  })

  await t.test('a third peer finds the stream at the second', async (t) => {
    const {
      clock,
      net,
      directory,
      peers: [a, b, c],
    } = await network(['a', 'b', 'c'])
    const publisher = a.publish({ renditions: [sourceInfo, audioInfo] })
    publisher.parts(30)
    const atB = await b.replicas.open('test', { signal: never })
    await atB.rendition('source', { signal: never })
    await atB.rendition('audio', { signal: never })
    net.separate('a', 'c')
    t.same([...(directory.providers.get(publisher.publication.record.id) ?? [])], ['a', 'b'])
    const atC = await c.replicas.open('test', { signal: never })
    const opening = Promise.all([
      atC.rendition('source', { signal: never }),
      atC.rendition('audio', { signal: never }),
    ])
    await clock.pass(50)
    await opening
    publisher.parts(12)
    await clock.pass(50)
    t.equal(atC.sourcePeer, 'b')
    for (const name of ['source', 'audio']) {
      t.ok((await readWindow(atC, name)).equals(await readWindow(publisher.publication, name)))
    }
    await Promise.all([a.stop(), b.stop(), c.stop()])
  })

  await t.test(
    'when the upstream dies it resumes at another provider and nothing is missing',
    async (t) => {
      const {
        clock,
        net,
        peers: [a, b, c],
      } = await network(['a', 'b', 'c'])
      const publisher = a.publish({})
      publisher.parts(20)
      const atB = await b.replicas.open('test', { signal: never })
      await atB.rendition('source', { signal: never })
      net.separate('a', 'c')
      const atC = await c.replicas.open('test', { signal: never })
      const opening = atC.rendition('source', { signal: never })
      await clock.pass(50)
      const rendition = await opening
      t.equal(atC.sourcePeer, 'b')
      net.kill('b')
      await clock.pass(100)
      t.equal(atC.status, 'connecting')
      publisher.parts(6)
      const target = (await publisher.publication.rendition('source')).entries.at(-1)
      const waiting = rendition.wait(target?.msn ?? 0, target?.part, { signal: never })
      // The way to the publisher is open again.
      net.join('a', 'c')
      await clock.pass(6_000)
      await waiting
      t.equal(atC.sourcePeer, 'a')
      t.ok(
        (await readWindow(atC, 'source')).equals(await readWindow(publisher.publication, 'source')),
      )
      await Promise.all([a.stop(), b.stop(), c.stop()])
    },
  )
})
